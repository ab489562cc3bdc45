//! Passkeys: what a WebAuthn authenticator signs, verified from the log alone.
//!
//! Source: Web Authentication Level 3 (W3C), sections 5.8.1 (client data), 6.1 (authenticator data) and 7.2 (verifying an
//! assertion). The challenge is no random number here but the SHA-256 of the statement's canonical JSON, so that the
//! assertion is a signature over the statement. The statement names what makes it fresh: it counts once.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use sha2::{Digest as _, Sha256};

use crate::principal::PublicKey;

/// A passkey, as far as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Passkey {
    rp: String,
    origins: Vec<String>,
    id: String,
    key: PasskeyKey,
}

/// The public key of a passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasskeyKey {
    /// ECDSA over P-256 with SHA-256.
    Es256(VerifyingKey),
    /// Ed25519.
    EdDsa(PublicKey),
}

/// What an authenticator answers to a challenge: each part in base64url without padding, as WebAuthn's JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// 37 bytes: SHA-256 of the relying party's id, flags, signature counter.
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: String,
    /// The client data that the browser made, byte for byte.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// Over the authenticator data and the SHA-256 of the client data: DER for ES256, 64 bytes for EdDSA.
    pub signature: String,
}

/// As it stands in records.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The relying party's id.
    rp: String,
    /// Where it may be used.
    origins: Vec<String>,
    /// The credential's id, as authenticators name it: base64url without padding.
    id: String,
    /// `ES256` or `EdDSA`.
    algorithm: String,
    /// base64url without padding; ES256: the point, uncompressed (SEC 1), EdDSA: 32 bytes.
    public: String,
}

impl Passkey {
    /// A passkey from its parts, as they stand in records.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn new(
        rp: &str,
        origins: &[String],
        id: &str,
        algorithm: &str,
        public: &str,
    ) -> Result<Self, String> {
        Self::try_from(Written {
            rp: rp.to_owned(),
            origins: origins.to_vec(),
            id: id.to_owned(),
            algorithm: algorithm.to_owned(),
            public: public.to_owned(),
        })
    }

    /// The credential's id, as authenticators name it: base64url without padding.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The relying party's id: a domain.
    #[must_use]
    pub fn rp(&self) -> &str {
        &self.rp
    }

    /// Where it may be used.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// The bytes of its public key, the same under whatever form it is recorded.
    pub(crate) fn key_bytes(&self) -> Vec<u8> {
        match &self.key {
            PasskeyKey::Es256(key) => point(key),
            PasskeyKey::EdDsa(key) => key.as_bytes().to_vec(),
        }
    }

    /// Whether `given` is this passkey's over `message`, made where it may be used, by a person whom the authenticator verified.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn verify(&self, message: &[u8], given: &Assertion) -> Result<(), String> {
        let client = bytes("clientDataJSON", &given.client_data)?;
        let data = bytes("authenticatorData", &given.authenticator_data)?;
        let signature = bytes("signature", &given.signature)?;
        self.client(&client, message)?;
        self.authenticator(&data)?;
        let mut signed = data;
        signed.extend_from_slice(&Sha256::digest(&client));
        let good = match &self.key {
            PasskeyKey::Es256(key) => Signature::from_der(&signature)
                .is_ok_and(|signature| key.verify(&signed, &signature).is_ok()),
            PasskeyKey::EdDsa(key) => key.verifies_bytes(&signed, &signature),
        };
        if good {
            Ok(())
        } else {
            Err("it is not the passkey's".to_owned())
        }
    }

    fn client(&self, client: &[u8], message: &[u8]) -> Result<(), String> {
        let client: Json = serde_json::from_slice(client)
            .map_err(|e| format!("its clientDataJSON cannot be read: {e}"))?;
        let Json::Object(client) = client else {
            return Err("its clientDataJSON is no object".to_owned());
        };
        let text = |name: &str| match client.get(name) {
            Some(Json::Text(text)) => Ok(text.as_str()),
            _ => Err(format!("its clientDataJSON has no text `{name}`")),
        };
        if text("type")? != "webauthn.get" {
            return Err(format!("it is of type `{}`", text("type")?));
        }
        if text("challenge")? != BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(message)) {
            return Err("its challenge is of another statement".to_owned());
        }
        let origin = text("origin")?;
        if !self.origins.iter().any(|o| o == origin) {
            return Err(format!(
                "it was made at `{origin}`, where this passkey is not to be used"
            ));
        }
        let embedded = !matches!(client.get("crossOrigin"), None | Some(Json::Bool(false)));
        if embedded || client.contains_key("topOrigin") {
            return Err("it was made in a page inside another's".to_owned());
        }
        Ok(())
    }

    fn authenticator(&self, data: &[u8]) -> Result<(), String> {
        const PRESENT: u8 = 0x01;
        const VERIFIED: u8 = 0x04;
        const MAY_BE_COPIED: u8 = 0x08;
        const IS_COPIED: u8 = 0x10;
        const MORE: u8 = 0x40 | 0x80;
        let (rp, flags) = match data {
            [rp @ .., flags, _, _, _, _] if rp.len() == 32 => (rp, *flags),
            _ => {
                return Err(format!(
                    "its authenticatorData is {} bytes and not 37",
                    data.len()
                ));
            }
        };
        if rp != Sha256::digest(&self.rp).as_slice() {
            return Err(format!("it was not made for `{}`", self.rp));
        }
        if flags & MORE != 0 || flags & (MAY_BE_COPIED | IS_COPIED) == IS_COPIED {
            return Err(format!("its flags {flags:#04x} cannot be"));
        }
        if flags & PRESENT == 0 {
            return Err("nobody was there when it was made".to_owned());
        }
        if flags & VERIFIED == 0 {
            return Err("the authenticator did not verify who was there".to_owned());
        }
        Ok(())
    }
}

impl Assertion {
    /// The signature counter, as it stands there.
    pub(crate) fn counter(&self) -> Option<u32> {
        let data = bytes("authenticatorData", &self.authenticator_data).ok()?;
        let counter = data.get(33..37)?;
        Some(u32::from_be_bytes(counter.try_into().ok()?))
    }
}

/// The point of a P-256 key, uncompressed (SEC 1): 65 bytes.
pub(crate) fn point(key: &VerifyingKey) -> Vec<u8> {
    key.to_sec1_point(false).as_bytes().to_vec()
}

/// base64url without padding, in its one form.
fn bytes(what: &str, text: &str) -> Result<Vec<u8>, String> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("`{what}` is not base64url without padding"))
}

impl TryFrom<Written> for Passkey {
    type Error = String;

    fn try_from(w: Written) -> Result<Self, String> {
        if !is_domain(&w.rp) {
            return Err(format!(
                "`{}` is not a domain in small letters, and WebAuthn takes no addresses",
                w.rp
            ));
        }
        if w.origins.is_empty() || w.origins.len() > 16 {
            return Err("a passkey needs between 1 and 16 origins".to_owned());
        }
        if let Some(wrong) = w.origins.iter().find(|o| !is_origin(o, &w.rp)) {
            return Err(format!(
                "`{wrong}` is not an origin of `{}`: https://HOST[:PORT], or http://localhost[:PORT]",
                w.rp
            ));
        }
        if !(1..=1023).contains(&bytes("id", &w.id)?.len()) {
            return Err("a passkey's id has between 1 and 1023 bytes".to_owned());
        }
        let public = bytes("public", &w.public)?;
        let key = match w.algorithm.as_str() {
            "ES256" => PasskeyKey::Es256(p256_key(&public)?),
            "EdDSA" => {
                let public = public.as_slice().try_into();
                let public = public.map_err(|_| "an Ed25519 key is 32 bytes".to_owned())?;
                PasskeyKey::EdDsa(PublicKey::from_bytes(public)?)
            }
            other => return Err(format!("`{other}` is neither ES256 nor EdDSA")),
        };
        Ok(Self {
            rp: w.rp,
            origins: w.origins,
            id: w.id,
            key,
        })
    }
}

impl From<Passkey> for Written {
    fn from(p: Passkey) -> Self {
        let public = BASE64_URL_SAFE_NO_PAD.encode(p.key_bytes());
        let algorithm = match p.key {
            PasskeyKey::Es256(_) => "ES256",
            PasskeyKey::EdDsa(_) => "EdDSA",
        };
        Self {
            rp: p.rp,
            origins: p.origins,
            id: p.id,
            algorithm: algorithm.to_owned(),
            public,
        }
    }
}

/// A P-256 key from its uncompressed point: the one form that is taken.
pub(crate) fn p256_key(point: &[u8]) -> Result<VerifyingKey, String> {
    let wrong = || "the bytes are not a P-256 key: an uncompressed point, 65 bytes".to_owned();
    if point.len() != 65 {
        return Err(wrong());
    }
    VerifyingKey::from_sec1_bytes(point).map_err(|_| wrong())
}

fn is_domain(name: &str) -> bool {
    let labels = || name.split('.');
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let named = |label: &str| label.bytes().any(|b| b.is_ascii_lowercase());
    name.len() <= 253 && labels().all(good) && labels().next_back().is_some_and(named)
}

/// Whether a page there may use a passkey of `rp`: the rule of browsers.
fn is_origin(origin: &str, rp: &str) -> bool {
    let (host, near) = match (
        origin.strip_prefix("https://"),
        origin.strip_prefix("http://"),
    ) {
        (Some(host), _) => (host, false),
        (_, Some(host)) => (host, true),
        _ => return false,
    };
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    let usual = if near { 80 } else { 443 };
    // A browser leaves the usual port out.
    let port_good = port.is_none_or(|port| {
        port.parse::<u16>()
            .is_ok_and(|n| n > 0 && n != usual && n.to_string() == port)
    });
    let below = host.strip_suffix(rp).and_then(|h| h.strip_suffix('.'));
    let within = host == rp || below.is_some();
    port_good && is_domain(host) && within && (!near || host == "localhost")
}

/// JSON as far as client data needs it, in which no name comes twice, however deep.
enum Json {
    Text(String),
    Bool(bool),
    Object(BTreeMap<String, Json>),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        while seq.next_element::<Json>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("`{name}` comes twice")));
            }
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}
