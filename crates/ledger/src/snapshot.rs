//! Snapshots: the exact bytes an agent saw, kept beside the log and bound to it by a salted commitment.
//!
//! A file is `"CFS2" || key id (16 bytes) || nonce (24) || box`, where the box is XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) of `salt (32) || bytes`, with all that stands before it as associated data. The key is that
//! of the one whom the bytes are about, and the key id says whose. The commitment is
//! `SHA-256("counterfoil/snapshot/v1" || salt || bytes)`: the salt keeps personal data from being guessed from the
//! commitment in the log, and it is inside the box. So destroying the key destroys the salt as well, wherever copies of the
//! file are, and leaves every proof valid.
//!
//! Files of the older form, `"CFS1" || salt || bytes`, are in the clear and still read.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use sha2::{Digest, Sha256};

/// First bytes of a snapshot file that is sealed.
pub const MAGIC: &[u8; 4] = b"CFS2";

/// First bytes of a snapshot file of the older form, in the clear.
pub const MAGIC_CLEAR: &[u8; 4] = b"CFS1";

/// Bytes of the salt.
pub const SALT_SIZE: usize = 32;

/// Bytes of a key.
pub const KEY_SIZE: usize = 32;

/// Bytes of a key's id.
pub const KEY_ID_SIZE: usize = 16;

/// Bytes of a nonce. At 24 bytes it may be random.
pub const NONCE_SIZE: usize = 24;

/// Bytes of the header that is needed to tell the key: see [`key_id`].
pub const PREFIX_SIZE: usize = MAGIC.len() + KEY_ID_SIZE;

const HEADER_SIZE: usize = PREFIX_SIZE + NONCE_SIZE;

const DOMAIN: &[u8] = b"counterfoil/snapshot/v1";

/// Whose key a snapshot is sealed with; what it is made of is the business of whoever keeps the keys.
pub type KeyId = [u8; KEY_ID_SIZE];

/// Why a snapshot file is refused, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file does not have the form of a snapshot.
    #[error(
        "not a snapshot file: neither `CFS2` with key id, nonce and box, nor `CFS1` with a salt of 32 bytes"
    )]
    Malformed,
    /// The file is sealed, and no key was given.
    #[error("the snapshot is sealed with the key {}, which is not here", hex::encode(.0))]
    Sealed(KeyId),
    /// The box does not open with the key of this id: header or box were changed, or the key is another.
    #[error("the snapshot was changed, or the key {} is not the one it was sealed with", hex::encode(.0))]
    Unauthentic(KeyId),
    /// The file's bytes are not the ones committed to.
    #[error("the snapshot was changed: its bytes commit to `{}`, the record to `{}`", hex::encode(.found), hex::encode(.want))]
    Changed {
        /// Commitment of the bytes in the file.
        found: [u8; 32],
        /// Commitment asked for.
        want: [u8; 32],
    },
    /// More bytes than the cipher takes under one nonce: 256 GiB.
    #[error("the bytes are too many for one snapshot")]
    TooLong,
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

/// The file that holds `bytes` under `salt`, sealed with the key of this id, and its commitment.
///
/// Salt and nonce are random, and used once.
///
/// # Errors
/// [`SnapshotError::TooLong`].
pub fn seal(
    key: &[u8; KEY_SIZE],
    id: &KeyId,
    nonce: &[u8; NONCE_SIZE],
    salt: &[u8; SALT_SIZE],
    bytes: &[u8],
) -> Result<(Vec<u8>, [u8; 32]), SnapshotError> {
    let mut file = [&MAGIC[..], id, nonce].concat();
    let plain = [&salt[..], bytes].concat();
    let payload = Payload {
        msg: &plain,
        aad: &file,
    };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(nonce.into(), payload)
        .map_err(|_| SnapshotError::TooLong)?;
    file.extend_from_slice(&sealed);
    Ok((file, commitment(salt, bytes)))
}

/// The id of the key that a file is sealed with; none for one in the clear. The first [`PREFIX_SIZE`] bytes of the file are
/// enough.
///
/// # Errors
/// [`SnapshotError::Malformed`].
pub fn key_id(file: &[u8]) -> Result<Option<KeyId>, SnapshotError> {
    if file.starts_with(MAGIC_CLEAR) {
        return Ok(None);
    }
    let rest = file.strip_prefix(MAGIC);
    let id = rest.and_then(|rest| rest.first_chunk());
    id.copied().map(Some).ok_or(SnapshotError::Malformed)
}

/// The bytes in a snapshot file, if they are the ones `want` commits to. A file in the clear needs no key.
///
/// # Errors
/// [`SnapshotError`].
pub fn open(
    file: &[u8],
    key: Option<&[u8; KEY_SIZE]>,
    want: &[u8; 32],
) -> Result<Vec<u8>, SnapshotError> {
    let mut plain = match (key_id(file)?, key) {
        (None, _) => file[MAGIC_CLEAR.len()..].to_vec(),
        (Some(id), None) => return Err(SnapshotError::Sealed(id)),
        (Some(id), Some(key)) => unseal(file, key, id)?,
    };
    let salt = plain.first_chunk().ok_or(SnapshotError::Malformed)?;
    let found = commitment(salt, &plain[SALT_SIZE..]);
    if found != *want {
        return Err(SnapshotError::Changed { found, want: *want });
    }
    plain.drain(..SALT_SIZE);
    Ok(plain)
}

fn unseal(file: &[u8], key: &[u8; KEY_SIZE], id: KeyId) -> Result<Vec<u8>, SnapshotError> {
    let (header, sealed) = file
        .split_at_checked(HEADER_SIZE)
        .ok_or(SnapshotError::Malformed)?;
    let nonce: &[u8; NONCE_SIZE] = header.last_chunk().ok_or(SnapshotError::Malformed)?;
    let payload = Payload {
        msg: sealed,
        aad: header,
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(nonce.into(), payload)
        .map_err(|_| SnapshotError::Unauthentic(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const ID: KeyId = [3; 16];

    fn sealed(salt: u8, bytes: &[u8]) -> (Vec<u8>, [u8; 32]) {
        seal(&KEY, &ID, &[5; 24], &[salt; 32], bytes).unwrap()
    }

    #[test]
    fn finds_every_changed_byte() {
        let (file, want) = sealed(9, b"what the agent saw");
        assert_eq!(
            open(&file, Some(&KEY), &want).unwrap(),
            b"what the agent saw"
        );
        assert_eq!(key_id(&file[..PREFIX_SIZE]), Ok(Some(ID)));
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(open(&changed, Some(&KEY), &want).is_err(), "byte {place}");
            assert!(
                open(&file[..place], Some(&KEY), &want).is_err(),
                "cut at {place}"
            );
        }
    }

    #[test]
    fn tells_nothing_without_its_key() {
        let (file, want) = sealed(9, b"what the agent saw");
        assert!(!file.windows(4).any(|w| w == b"what"));
        assert!(
            !file.windows(32).any(|w| w == [9; 32]),
            "the salt is inside"
        );
        assert_eq!(open(&file, None, &want), Err(SnapshotError::Sealed(ID)));
        assert_eq!(
            open(&file, Some(&[8; 32]), &want),
            Err(SnapshotError::Unauthentic(ID))
        );
    }

    #[test]
    fn a_file_that_opens_is_not_any_other() {
        let (file, _) = sealed(9, b"what the agent saw");
        let (_, other) = sealed(9, b"what it did not see");
        assert!(matches!(
            open(&file, Some(&KEY), &other),
            Err(SnapshotError::Changed { .. })
        ));
    }

    #[test]
    fn the_form_is_as_written_down() {
        let (file, want) = sealed(9, b"x");
        assert_eq!(&file[..44], [&b"CFS2"[..], &[3; 16], &[5; 24]].concat());
        assert_eq!(file.len(), 44 + 32 + 1 + 16);
        assert_eq!(want, commitment(&[9; 32], b"x"));
    }

    #[test]
    fn reads_the_older_form() {
        let file = [&b"CFS1"[..], &[9; 32], b"what the agent saw"].concat();
        let want = commitment(&[9; 32], b"what the agent saw");
        assert_eq!(key_id(&file), Ok(None));
        assert_eq!(open(&file, None, &want).unwrap(), b"what the agent saw");
        assert_eq!(
            open(&file, Some(&KEY), &want).unwrap(),
            b"what the agent saw"
        );
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(open(&changed, Some(&KEY), &want).is_err(), "byte {place}");
        }
    }

    #[test]
    fn salts_hide_equal_bytes() {
        assert_ne!(sealed(1, b"same").1, sealed(2, b"same").1);
    }
}
