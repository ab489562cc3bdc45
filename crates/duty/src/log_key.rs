//! The statement that one key of the log takes over from another, as far as deciding needs it.
//!
//! The form is that of `ledger::rotation`, which this crate does not know: whoever verifies a log compares the statements
//! in its records with those beside it, byte for byte, so that the two readers cannot drift apart unseen.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// First line of a statement.
const DOMAIN: &str = "counterfoil key rotation v1";

/// What a signed statement says; its signatures were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The log's origin.
    pub origin: String,
    /// Records in the log at the rotation.
    pub size: u64,
    /// The verifier key that was replaced.
    pub old: String,
    /// The verifier key that takes over.
    pub new: String,
    /// Whether the old key was revoked, and not only rotated out.
    pub revoked: bool,
    /// Why; empty where nothing is said.
    pub reason: String,
}

impl Rotation {
    /// Reads a statement's signed note, and verifies both signatures: the old key's first, then the new one's.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(note: &str) -> Result<Self, String> {
        let (text, signatures) = note
            .split_once("\n\n")
            .ok_or("no empty line parts text and signatures")?;
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or("the last signature has no newline")?;
        let lines: Vec<&str> = text.split('\n').collect();
        let (head, reason) = lines
            .split_at_checked(7)
            .ok_or("a statement has seven lines and perhaps a reason")?;
        let [domain, origin, size, root, old, new, act] = head else {
            return Err("a statement has seven lines and perhaps a reason".to_owned());
        };
        if *domain != DOMAIN {
            return Err(format!("the first line must be `{DOMAIN}`"));
        }
        let number: u64 = size.parse().map_err(|_| "the size is no number")?;
        if number.to_string() != *size {
            return Err("the size is not in its one spelling".to_owned());
        }
        if BASE64_STANDARD
            .decode(root)
            .map_or(true, |root| root.len() != 32)
        {
            return Err("the root must be 32 bytes in base64".to_owned());
        }
        let revoked = match *act {
            "rotated" => false,
            "revoked" => true,
            _ => return Err("a key is `rotated` or `revoked`".to_owned()),
        };
        let reason = match reason {
            [] => "",
            [line] if !line.is_empty() && line.trim() == *line => line,
            _ => return Err("after the act comes at most one line, the reason".to_owned()),
        };
        let signed = format!("{text}\n");
        let [by_old, by_new] = signatures.split('\n').collect::<Vec<_>>()[..] else {
            return Err("it must have two signatures".to_owned());
        };
        for (key, line) in [(old, by_old), (new, by_new)] {
            Key::read(key, origin)?.verify(&signed, line)?;
        }
        if old == new {
            return Err("the new key is the old one".to_owned());
        }
        Ok(Self {
            origin: (*origin).to_owned(),
            size: number,
            old: (*old).to_owned(),
            new: (*new).to_owned(),
            revoked,
            reason: reason.to_owned(),
        })
    }
}

/// A verifier key, `name+id+base64(1 || public key)`.
struct Key<'a> {
    text: &'a str,
    name: &'a str,
    id: [u8; 4],
    key: VerifyingKey,
}

impl<'a> Key<'a> {
    fn read(text: &'a str, name: &'a str) -> Result<Self, String> {
        let fail = |why: &str| format!("`{text}` is not a verifier key of `{name}`: {why}");
        let rest = text
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('+'));
        let (id, data) = rest
            .and_then(|rest| rest.split_once('+'))
            .ok_or_else(|| fail("it is not name+id+key"))?;
        let data = BASE64_STANDARD
            .decode(data)
            .map_err(|_| fail("the key is no base64"))?;
        let key: &[u8; 32] = data
            .strip_prefix(&[1])
            .and_then(|key| key.try_into().ok())
            .ok_or_else(|| fail("it is no Ed25519 key"))?;
        let digest = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', 1])
            .chain_update(key)
            .finalize();
        let found = [digest[0], digest[1], digest[2], digest[3]];
        if hex::encode(found) != id {
            return Err(fail("the id does not belong to the key"));
        }
        let key = VerifyingKey::from_bytes(key).map_err(|e| fail(&e.to_string()))?;
        Ok(Self {
            text,
            name,
            id: found,
            key,
        })
    }

    fn verify(&self, text: &str, line: &str) -> Result<(), String> {
        let signature = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.strip_prefix(self.name))
            .and_then(|line| line.strip_prefix(' '))
            .and_then(|data| BASE64_STANDARD.decode(data).ok())
            .and_then(|data| Signature::from_slice(data.strip_prefix(&self.id)?).ok());
        let good = signature.is_some_and(|s| self.key.verify_strict(text.as_bytes(), &s).is_ok());
        if good {
            Ok(())
        } else {
            Err(format!("`{}` did not sign it", self.text))
        }
    }
}
