//! Private files, and random secrets.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::StoreError;
use crate::disk::at;

/// Writes a private file (mode 0600) in one step, in the place of any older one: temporary file, sync, rename, sync of
/// the directory. Directories that are missing above it are made with mode 0700.
///
/// # Errors
/// [`StoreError`] of the system; the older file is then still there.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(at(parent))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = parent.join(format!(".{name}.{}", &random_token()?[..16]));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(at(&temporary))
        .and_then(|()| fs::rename(&temporary, path).map_err(at(path)));
    if let Err(error) = written {
        return Err(match fs::remove_file(&temporary) {
            Ok(()) => error,
            // The first reason counts; that a half-written secret may be left behind must be told too.
            Err(why) => StoreError::Io {
                path: temporary,
                why: format!("{error}; and this file could not be removed: {why}"),
            },
        });
    }
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(at(parent))
}

/// Reads a private file; refuses one that others may read or write. The bytes are wiped from memory when dropped.
///
/// # Errors
/// [`StoreError::Exposed`], or that of the system.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut file = File::open(path).map_err(at(path))?;
    // The mode of the open file, not of the path: nothing can be swapped in between.
    let mode = file.metadata().map_err(at(path))?.permissions().mode();
    refuse_exposed(path, mode, 0o600)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}

/// 32 random bytes in hex: 64 letters.
///
/// # Errors
/// [`StoreError::Key`] where the system gives no random bytes.
pub fn random_token() -> Result<String, StoreError> {
    random::<32>().map(hex::encode)
}

/// A random seed of a key; wiped from memory when dropped.
///
/// # Errors
/// [`StoreError::Key`] where the system gives no random bytes.
pub fn random_seed() -> Result<Zeroizing<[u8; 32]>, StoreError> {
    random().map(Zeroizing::new)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|why| StoreError::Key(format!("the system gives no random bytes: {why}")))?;
    Ok(bytes)
}

pub(crate) fn refuse_exposed(path: &Path, mode: u32, want: u32) -> Result<(), StoreError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(StoreError::Exposed {
        path: path.to_owned(),
        mode: mode & 0o7777,
        want,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_secrets_to_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people/ada.pem");
        write_secret(&path, b"one").unwrap();
        write_secret(&path, b"two").unwrap();
        assert_eq!(**read_secret(&path).unwrap(), *b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            read_secret(&path),
            Err(StoreError::Exposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn tokens_differ() {
        let [one, two] = [random_token().unwrap(), random_token().unwrap()];
        assert_eq!(one.len(), 64);
        assert_ne!(one, two);
    }
}
