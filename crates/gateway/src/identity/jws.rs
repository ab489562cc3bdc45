//! The signature of a token: JSON Web Signature in its compact form (RFC 7515) with the algorithms of RFC 7518 and RFC 8037, verified
//! by `ring`, which stands under TLS in this program already. Crates for it bring other curves along, or macros with which all else
//! is built anew.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Algorithms with a key that verifies and cannot sign, and no others: who can verify an HMAC can make it, so that a published key
/// would be its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    ES256,
    ES384,
    #[serde(alias = "Ed25519")]
    EdDSA,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
}

impl Algorithm {
    /// By its name in a head or a key.
    pub(super) fn named(name: &str) -> Option<Self> {
        serde_json::from_value(Value::from(name)).ok()
    }
}

/// A public key.
#[derive(Debug)]
pub(super) enum Public {
    /// A point, as `ring` takes it.
    Point(Vec<u8>),
    /// Modulus and exponent, big-endian.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl Public {
    /// Whether `signature` is this key's over `message`.
    fn verifies(&self, by: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let point = |by: &'static dyn VerificationAlgorithm| match self {
            Self::Point(key) => UnparsedPublicKey::new(by, key).verify(message, signature),
            Self::Rsa { .. } => Err(ring::error::Unspecified),
        };
        let rsa = |by: &RsaParameters| match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(by, message, signature),
            Self::Point(_) => Err(ring::error::Unspecified),
        };
        let holds = match by {
            Algorithm::ES256 => point(&ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => point(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => point(&ED25519),
            Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
        };
        holds.is_ok()
    }
}

/// What a head says. Keys that it brings along, or says where to find, are not looked at.
#[derive(Debug, Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    enc: Option<Value>,
    zip: Option<Value>,
}

/// A token in its parts. Nothing of it is verified.
pub(super) struct Token<'t> {
    head: Head,
    claims: Vec<u8>,
    /// What is signed.
    message: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        let strange = "it is not understood";
        let (message, signature) = text.rsplit_once('.').ok_or(strange)?;
        let (head, claims) = message.split_once('.').ok_or(strange)?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| strange);
        let head = serde_json::from_slice(&decode(head)?).map_err(|_| strange)?;
        Ok(Self {
            head,
            claims: decode(claims)?,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// What it claims, which is anybody's word until it is verified.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, &'static str> {
        serde_json::from_slice(&self.claims).map_err(|_| "its claims are not understood")
    }

    /// With which algorithm and key it says it is signed: one of those that are allowed.
    pub(super) fn signed_with(
        &self,
        allowed: &[Algorithm],
    ) -> Result<(Algorithm, &str), &'static str> {
        let Head {
            alg,
            kid,
            typ,
            crit,
            enc,
            zip,
        } = &self.head;
        let named = Algorithm::named(alg).filter(|named| allowed.contains(named));
        let named = named.ok_or("its algorithm is not one of the issuer's")?;
        if crit.is_some() || enc.is_some() || zip.is_some() {
            return Err("its head asks for what is not understood");
        }
        // Other sorts of tokens are signed with the same keys (RFC 8725, section 3.11).
        let sort = typ.as_deref().map(str::to_ascii_lowercase);
        match sort.as_deref() {
            None | Some("jwt" | "at+jwt" | "application/jwt" | "application/at+jwt") => {}
            Some(_) => return Err("it is another sort of token"),
        }
        Ok((named, kid.as_deref().ok_or("it names no key")?))
    }

    /// Whether the key signed it.
    pub(super) fn holds(&self, by: Algorithm, key: &Public) -> bool {
        key.verifies(by, self.message, &self.signature)
    }
}
