//! Cosignatures (`c2sp.org/tlog-cosignature`): a witness's word that a checkpoint continues all that it saw before.

use std::fmt;

use ed25519_dalek::{Signature as Ed25519Signature, Signer as _, SigningKey, VerifyingKey};

use crate::note::{
    NoteError, PublicKey, Signature, bad_secret, check_name, key_id, secret_parts, secret_text,
    write_vkey,
};

/// Signature type byte of Ed25519 cosignatures.
const ED25519: u8 = 0x04;

/// Signature type byte of ML-DSA-44 cosignatures, and bytes of such a key and signature.
const ML_DSA_44: u8 = 0x06;
const ML_DSA_44_KEY: usize = 1312;
const ML_DSA_44_SIGNATURE: usize = 2420;

/// Bytes of the time in front of a signature.
const TIME: usize = 8;

/// Public half of a witness's key, read from a verifier key of type 4 (Ed25519) or 6 (ML-DSA-44).
///
/// Cosignatures of ML-DSA-44 keys are read and kept, and not verified: they count for no quorum here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    name: String,
    id: [u8; 4],
    key: Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Ed25519(VerifyingKey),
    MlDsa44(Vec<u8>),
}

/// Private half of a witness's Ed25519 key.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

impl Witness {
    /// Reads a verifier key, `name+id+base64(type || public key)`; one newline at its end is allowed.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`].
    pub fn from_vkey(text: &str) -> Result<Self, NoteError> {
        let PublicKey {
            name,
            id,
            kind,
            key,
        } = PublicKey::parse(text)?;
        let key = match kind {
            ED25519 => Key::Ed25519(PublicKey::ed25519(text, &key)?),
            ML_DSA_44 if key.len() == ML_DSA_44_KEY => Key::MlDsa44(key),
            ML_DSA_44 => {
                let why = format!("an ML-DSA-44 key has {ML_DSA_44_KEY} bytes");
                return Err(PublicKey::fail(text, &why));
            }
            _ => {
                let why = "it is no witness's key: type 4 (Ed25519) or 6 (ML-DSA-44)";
                return Err(PublicKey::fail(text, why));
            }
        };
        Ok(Self { name, id, key })
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Key id.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether its cosignatures can be verified here.
    #[must_use]
    pub fn is_verifiable(&self) -> bool {
        matches!(self.key, Key::Ed25519(_))
    }

    /// The public key's bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match &self.key {
            Key::Ed25519(key) => key.as_bytes(),
            Key::MlDsa44(key) => key,
        }
    }

    /// Whether the signature line is by this name and key id.
    #[must_use]
    pub fn made(&self, signature: &Signature) -> bool {
        signature.name == self.name && signature.id == self.id
    }

    /// Verifies this witness's cosignature over the text of a checkpoint; answers its time, in seconds since 1970.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`], also for a key that cannot be verified here.
    pub fn verify(&self, text: &str, signature: &Signature) -> Result<u64, NoteError> {
        let bad = || NoteError::BadSignature(self.name.clone());
        let (time, bytes) = timed(signature)
            .filter(|_| self.made(signature))
            .ok_or_else(bad)?;
        let Key::Ed25519(key) = &self.key else {
            return Err(bad());
        };
        let parsed = Ed25519Signature::from_slice(bytes).map_err(|_| bad())?;
        key.verify_strict(message(text, time).as_bytes(), &parsed)
            .map_err(|_| bad())?;
        Ok(time)
    }

    /// Whether a signature has the form of one by this key: the right length, and a time that fits.
    #[must_use]
    pub fn is_well_formed(&self, signature: &Signature) -> bool {
        let length = match self.key {
            Key::Ed25519(_) => Ed25519Signature::BYTE_SIZE,
            Key::MlDsa44(_) => ML_DSA_44_SIGNATURE,
        };
        timed(signature).is_some_and(|(_, bytes)| bytes.len() == length)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.key {
            Key::Ed25519(_) => ED25519,
            Key::MlDsa44(_) => ML_DSA_44,
        };
        write_vkey(out, &self.name, self.id, kind, self.key())
    }
}

impl Cosigner {
    /// A key of this name from its 32 secret bytes (the Ed25519 seed).
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(seed),
        })
    }

    /// Reads the text form `PRIVATE+KEY+name+id+base64(0x04 || seed)`.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`]; no message holds any part of the key.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let (name, id, seed) = secret_parts(text, ED25519)?;
        let cosigner = Self::from_seed(name, &seed)?;
        if hex::encode(cosigner.witness().id) == id {
            Ok(cosigner)
        } else {
            Err(bad_secret("the key id does not belong to the key"))
        }
    }

    /// The text form, to be kept secret, with a newline at the end.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        secret_text(&self.name, self.witness().id, ED25519, self.key.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn witness(&self) -> Witness {
        let key = self.key.verifying_key();
        Witness {
            name: self.name.clone(),
            id: key_id(&self.name, ED25519, key.as_bytes()),
            key: Key::Ed25519(key),
        }
    }

    /// Cosigns the text of a checkpoint at a time, in seconds since 1970.
    ///
    /// Whoever calls this vouches that the checkpoint continues every one that this key has cosigned.
    #[must_use]
    pub fn cosign(&self, text: &str, time: u64) -> Signature {
        let signature = self.key.sign(message(text, time).as_bytes());
        Signature {
            name: self.name.clone(),
            id: self.witness().id,
            bytes: [&time.to_be_bytes()[..], &signature.to_bytes()].concat(),
        }
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Cosigner({})", self.witness())
    }
}

fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Time and signature proper of a `timestamped_signature`; the time must not exceed 2^63 - 1.
fn timed(signature: &Signature) -> Option<(u64, &[u8])> {
    let (time, bytes) = signature.bytes.split_first_chunk::<TIME>()?;
    let time = u64::from_be_bytes(*time);
    (i64::try_from(time).is_ok()).then_some((time, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Note;

    /// The example of the specification; its keys are not told there, so only the form is tried.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn reads_the_form_of_the_specification() {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        let (time, bytes) = timed(&note.signatures[1]).unwrap();
        assert_eq!((time, bytes.len()), (1_679_315_147, 64));
    }

    #[test]
    fn verifies_what_it_cosigned_and_nothing_else() {
        let cosigner = Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap();
        let witness = cosigner.witness();
        let signature = cosigner.cosign("log\n1\nroot\n", 1_700_000_000);
        assert!(witness.is_well_formed(&signature));
        assert_eq!(
            witness.verify("log\n1\nroot\n", &signature),
            Ok(1_700_000_000)
        );
        assert!(witness.verify("log\n2\nroot\n", &signature).is_err());
        for place in 0..signature.bytes.len() {
            let mut changed = signature.clone();
            changed.bytes[place] ^= 1;
            assert!(
                witness.verify("log\n1\nroot\n", &changed).is_err(),
                "byte {place}"
            );
        }
        let other = Cosigner::from_seed("witness.example/w2", &[7; 32]).unwrap();
        assert!(
            other
                .witness()
                .verify("log\n1\nroot\n", &signature)
                .is_err()
        );
    }

    #[test]
    fn keys_have_a_text_form() {
        let cosigner = Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap();
        let vkey = cosigner.witness().to_string();
        assert_eq!(Witness::from_vkey(&vkey), Ok(cosigner.witness()));
        let again = Cosigner::from_text(&cosigner.to_secret_text()).unwrap();
        assert_eq!(again.witness(), cosigner.witness());
        // A log's key is no witness's key, and the other way round.
        let log = crate::Signer::from_seed("witness.example/w1", &[7; 32]).unwrap();
        assert!(Witness::from_vkey(&log.verifier().vkey()).is_err());
        assert!(crate::Verifier::from_vkey(&vkey).is_err());
        assert!(Cosigner::from_text(&log.to_secret_text()).is_err());
    }

    #[test]
    fn keeps_ml_dsa_without_believing_it() {
        let key = vec![3; ML_DSA_44_KEY];
        let id = key_id("w", ML_DSA_44, &key);
        let witness = Witness {
            name: "w".to_owned(),
            id,
            key: Key::MlDsa44(key),
        };
        let witness = Witness::from_vkey(&witness.to_string()).unwrap();
        assert!(!witness.is_verifiable());
        let signature = Signature {
            name: "w".to_owned(),
            id,
            bytes: vec![0; TIME + ML_DSA_44_SIGNATURE],
        };
        assert!(witness.is_well_formed(&signature));
        assert!(witness.verify("text\n", &signature).is_err());
    }
}
