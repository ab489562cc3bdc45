//! Data subjects: whom kept bytes are about, by an id that is no name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::canonical::hexadecimal;

const DOMAIN: &[u8] = b"counterfoil/subject/v1";

/// The id of a data subject, which is also the id of the key that its snapshots are sealed with: the first 16 bytes of
/// `SHA-256("counterfoil/subject/v1" || origin of the log || subject)`, where the subject is that of the case. As text, 32
/// hexadecimal digits.
///
/// It keeps a name out of records about erasing it, and one subject's ids in two logs apart. It hides nothing from somebody
/// who can guess the subject: the case's own record names that in the clear, and so it must be a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId([u8; 16]);

impl SubjectId {
    /// The id of a subject in the log of this origin. What belongs to no case is the log's own, under the empty subject.
    #[must_use]
    pub fn of(origin: &str, subject: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(origin)
            .chain_update(subject)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// An id from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hexadecimal(&self.0, &mut [0; 32]))
    }
}

impl FromStr for SubjectId {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 16];
        match hex::decode_to_slice(s, &mut id) {
            Ok(()) if !s.bytes().any(|b| b.is_ascii_uppercase()) => Ok(Self(id)),
            _ => Err(format!(
                "`{}` is not the id of a data subject: 32 digits 0-9a-f",
                s.escape_debug()
            )),
        }
    }
}

impl Serialize for SubjectId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(hexadecimal(&self.0, &mut [0; 32]))
    }
}

impl<'de> Deserialize<'de> for SubjectId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parse(d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_written_down_and_read_back() {
        let id = SubjectId::of("example.com/log", "R-1");
        let digest = Sha256::digest(b"counterfoil/subject/v1example.com/logR-1");
        assert_eq!(id.to_string(), hex::encode(&digest[..16]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, SubjectId::of("example.com/other", "R-1"));
        for bad in ["", "00", &"G".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert!(bad.parse::<SubjectId>().is_err(), "{bad}");
        }
    }
}
