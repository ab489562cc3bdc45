//! Secrets, and what is signed with them.
//!
//! Signed is `<id>.<seconds>.<body>`; the body as it is sent, to the byte.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a shared secret.
const SHARED: std::ops::RangeInclusive<usize> = 24..=64;

const SECRET: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// What a receiver knows the sender by.
#[derive(Debug)]
pub struct Signer(Kind);

enum Kind {
    /// HMAC-SHA256 with a secret that the receiver has too: `v1`.
    Shared(Zeroizing<Vec<u8>>),
    /// Ed25519 with a key whose public half the receiver has: `v1a`.
    Own(Box<SigningKey>),
}

impl Signer {
    /// Reads a secret: `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an Ed25519 seed. Without either it is
    /// taken for a shared one.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = |coded: &str| {
            let bytes = BASE64_STANDARD.decode(coded).map(Zeroizing::new);
            bytes.map_err(|_| "the secret is not `whsec_` or `whsk_` and base64".to_owned())
        };
        if let Some(coded) = text.strip_prefix(PRIVATE) {
            let seed = <[u8; 32]>::try_from(bytes(coded)?.as_slice()).map(Zeroizing::new);
            let seed =
                seed.map_err(|_| "a `whsk_` secret is a seed of Ed25519: 32 bytes".to_owned())?;
            return Ok(Self(Kind::Own(Box::new(SigningKey::from_bytes(&seed)))));
        }
        let secret = bytes(text.strip_prefix(SECRET).unwrap_or(text))?;
        if !SHARED.contains(&secret.len()) {
            return Err(format!(
                "the secret has {} bytes, and takes {} to {}",
                secret.len(),
                SHARED.start(),
                SHARED.end()
            ));
        }
        Ok(Self(Kind::Shared(secret)))
    }

    /// The text of a new secret, made of random bytes: shared, or one whose receiver gets the public half only.
    #[must_use]
    pub fn text_of(seed: &[u8; 32], own: bool) -> Zeroizing<String> {
        let prefix = if own { PRIVATE } else { SECRET };
        let coded = Zeroizing::new(BASE64_STANDARD.encode(seed));
        Zeroizing::new(format!("{prefix}{}", *coded))
    }

    /// The public half, `whpk_…`, where there is one.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match &self.0 {
            Kind::Shared(_) => None,
            Kind::Own(key) => {
                let coded = BASE64_STANDARD.encode(key.verifying_key().as_bytes());
                Some(format!("{PUBLIC}{coded}"))
            }
        }
    }

    /// One signature, as it stands in the header.
    fn sign(&self, message: &[u8]) -> String {
        match &self.0 {
            Kind::Shared(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret)
                    .expect("INVARIANT: HMAC takes a key of any length");
                mac.update(message);
                let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
                format!("v1,{signature}")
            }
            Kind::Own(key) => {
                let signature = BASE64_STANDARD.encode(key.sign(message).to_bytes());
                format!("v1a,{signature}")
            }
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shared(_) => "Shared",
            Self::Own(_) => "Own",
        })
    }
}

/// The headers of one attempt, signed by each of `signers`: one, or two while a secret is being changed.
///
/// `id` names what is told and is the same for each attempt; `seconds` since 1970 is when the attempt is made.
#[must_use]
pub fn headers(
    signers: &[Signer],
    id: &str,
    seconds: u64,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let mut message = format!("{id}.{seconds}.").into_bytes();
    message.extend_from_slice(body);
    let signatures: Vec<_> = signers.iter().map(|s| s.sign(&message)).collect();
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn signs_as_the_specification_has_it() {
        let signer = Signer::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let [id, time, signature] = headers(
            &[signer],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(id.1, "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(time.1, "1614265330");
        assert_eq!(
            signature,
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()
            )
        );
    }

    #[test]
    fn each_secret_signs_and_only_the_public_half_is_told() {
        let own = Signer::parse(&Signer::text_of(&[7; 32], true)).unwrap();
        let shared = Signer::parse(&Signer::text_of(&[8; 32], false)).unwrap();
        assert!(own.public().unwrap().starts_with("whpk_") && shared.public().is_none());
        let told = format!("{own:?} {shared:?}");
        assert_eq!(told, "Signer(Own) Signer(Shared)");
        let [.., (_, signature)] = headers(&[own, shared], "a", 1, b"{}");
        let (one, other) = signature.split_once(' ').unwrap();
        assert!(one.starts_with("v1a,") && other.starts_with("v1,"));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        for wrong in ["whsec_no base64", "whsec_c2hvcnQ=", "whsk_c2hvcnQ=", ""] {
            let why = Signer::parse(wrong).unwrap_err();
            assert!(
                !why.contains("c2hvcnQ") && !why.contains("no base64"),
                "{why}"
            );
        }
    }
}
