//! Snapshots: the exact bytes an agent saw, kept beside the log and bound to it by a salted commitment.
//!
//! A file is `"CFS1" || salt (32 bytes) || bytes`. Its commitment is
//! `SHA-256("counterfoil/snapshot/v1" || salt || bytes)`: the salt keeps personal data in a snapshot from being guessed
//! from the commitment in the log, and erasing the file leaves every proof valid.

use sha2::{Digest, Sha256};

/// First bytes of a snapshot file.
pub const MAGIC: &[u8; 4] = b"CFS1";

/// Bytes of the salt.
pub const SALT_SIZE: usize = 32;

const DOMAIN: &[u8] = b"counterfoil/snapshot/v1";

/// Why a snapshot file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file does not have the form of a snapshot.
    #[error("not a snapshot file: it does not start with `CFS1` and a salt of 32 bytes")]
    Malformed,
    /// The file's bytes are not the ones committed to.
    #[error("the snapshot was changed: its bytes commit to `{}`, the record to `{}`", hex::encode(.found), hex::encode(.want))]
    Changed {
        /// Commitment of the bytes in the file.
        found: [u8; 32],
        /// Commitment asked for.
        want: [u8; 32],
    },
}

/// Commitment to `bytes` under `salt`.
#[must_use]
pub fn commitment(salt: &[u8; SALT_SIZE], bytes: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(salt)
        .chain_update(bytes)
        .finalize()
        .into()
}

/// The file that holds `bytes` under `salt`, and its commitment. A salt is random and used once.
#[must_use]
pub fn write(salt: &[u8; SALT_SIZE], bytes: &[u8]) -> (Vec<u8>, [u8; 32]) {
    ([&MAGIC[..], salt, bytes].concat(), commitment(salt, bytes))
}

/// The bytes in a snapshot file, if they are the ones `want` commits to.
///
/// # Errors
/// [`SnapshotError`].
pub fn check<'a>(file: &'a [u8], want: &[u8; 32]) -> Result<&'a [u8], SnapshotError> {
    let (salt, bytes) = file
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_first_chunk::<SALT_SIZE>())
        .ok_or(SnapshotError::Malformed)?;
    let found = commitment(salt, bytes);
    if found == *want {
        Ok(bytes)
    } else {
        Err(SnapshotError::Changed { found, want: *want })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_changed_byte() {
        let (file, want) = write(&[9; 32], b"what the agent saw");
        assert_eq!(check(&file, &want), Ok(&b"what the agent saw"[..]));
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(check(&changed, &want).is_err(), "byte {place}");
            assert!(check(&file[..place], &want).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn salts_hide_equal_bytes() {
        assert_ne!(write(&[1; 32], b"same").1, write(&[2; 32], b"same").1);
    }
}
