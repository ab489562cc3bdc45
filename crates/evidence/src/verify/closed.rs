//! Cases that ended, in 16 bytes each.

use std::collections::HashSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{canonical::Digest, name::CaseId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A set of cases, each by the first 16 bytes of the SHA-256 of its id: nobody finds two ids that share them.
///
/// Written down, it is these bytes in order, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Closed(HashSet<[u8; 16]>);

impl Closed {
    pub(super) fn insert(&mut self, case: &CaseId) {
        self.0.insert(short(case));
    }

    pub(super) fn contains(&self, case: &CaseId) -> bool {
        self.0.contains(&short(case))
    }
}

fn short(case: &CaseId) -> [u8; 16] {
    let digest = Digest::of_bytes(case.as_str().as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&digest.as_bytes()[..16]);
    short
}

impl Serialize for Closed {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<[u8; 16]> = self.0.iter().copied().collect();
        all.sort_unstable();
        s.serialize_str(&BASE64_STANDARD.encode(all.as_flattened()))
    }
}

impl<'de> Deserialize<'de> for Closed {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        match bytes.as_chunks() {
            (all, []) => Ok(Self(all.iter().copied().collect())),
            _ => Err(D::Error::custom("closed cases have 16 bytes each")),
        }
    }
}
