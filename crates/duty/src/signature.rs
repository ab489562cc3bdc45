//! Signatures as records hold them, and which proof takes which.
//!
//! All three sorts are over the canonical JSON of a statement, and verify with nothing but the log.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{passkey::Assertion, principal::Proof, ssh};

/// A signature over a statement.
///
/// In JSON, a text (Ed25519: 64 bytes in base64; SSH: the armored text that `ssh-keygen -Y sign` writes) or an object (WebAuthn).
/// Which of the texts it is says the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Signature {
    /// Of an Ed25519 key or an SSH key.
    Text(String),
    /// Of a passkey.
    Passkey(Assertion),
}

impl Signature {
    /// The authenticator's signature counter, where it counts at all: some sign with 0 for ever.
    #[must_use]
    pub fn counter(&self) -> Option<u32> {
        let counter = match self {
            Self::Text(text) => ssh::counter(text),
            Self::Passkey(assertion) => assertion.counter(),
        };
        counter.filter(|n| *n > 0)
    }
}

/// A signature that was verified ahead of deciding, and what came of it.
///
/// There is no way to make one but to verify, and it answers for exactly the key, the bytes and the signature that it was
/// made of. So [`decide_with`](crate::decide_with) comes to what [`decide`](crate::decide) comes to, whatever it is handed.
#[derive(Clone, Debug)]
pub struct Checked {
    key: Proof,
    message: Vec<u8>,
    signature: Signature,
    found: Result<(), String>,
}

impl Checked {
    /// Verifies `signature` over `message` with `key`.
    #[must_use]
    pub fn new(key: &Proof, message: Vec<u8>, signature: &Signature) -> Self {
        Self {
            found: key.verify(&message, signature),
            key: key.clone(),
            message,
            signature: signature.clone(),
        }
    }

    /// What came of it, where it is about exactly this.
    pub(crate) fn answer(
        &self,
        key: &Proof,
        message: &[u8],
        signature: &Signature,
    ) -> Option<Result<(), String>> {
        let same = self.message == message && self.signature == *signature && self.key == *key;
        same.then(|| self.found.clone())
    }
}

impl From<String> for Signature {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Proof {
    /// Whether it signs statements, as people's credentials do.
    #[must_use]
    pub fn signs(&self) -> bool {
        match self {
            Self::Ed25519 { .. } | Self::Passkey(_) | Self::Ssh { .. } => true,
            Self::Token { .. } | Self::Jwt(_) | Self::Certificate { .. } | Self::Local => false,
        }
    }

    /// Whether `signature` is this one's over `message`.
    ///
    /// # Errors
    /// What is wrong with the signature, in words.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), String> {
        match (self, signature) {
            (Self::Ed25519 { public }, Signature::Text(text)) => {
                if public.verifies(message, text) {
                    Ok(())
                } else {
                    Err("it is not the Ed25519 key's".to_owned())
                }
            }
            (Self::Ssh { public }, Signature::Text(text)) => public.verify(message, text),
            (Self::Passkey(passkey), Signature::Passkey(given)) => passkey.verify(message, given),
            (Self::Passkey(_), Signature::Text(_)) => {
                Err("it is a text, and a passkey signs with an assertion".to_owned())
            }
            (Self::Ed25519 { .. } | Self::Ssh { .. }, Signature::Passkey(_)) => {
                Err("it is a passkey's assertion, and the credential is a key".to_owned())
            }
            (Self::Token { .. } | Self::Jwt(_) | Self::Certificate { .. } | Self::Local, _) => {
                Err("the credential signs nothing".to_owned())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Signature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signature: a text, or a passkey's assertion")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Signature, E> {
                Ok(Signature::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Signature, A::Error> {
                Assertion::deserialize(MapAccessDeserializer::new(map)).map(Signature::Passkey)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
