//! Snapshots on disk: `snapshots/<aa>/<commitment in hex>`, in the format of [`ledger::snapshot`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::snapshot;

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::random;

/// Where temporary files are written.
const TEMPORARY: &str = ".tmp";

/// The snapshots of a data directory. Any number of threads may use it at once.
#[derive(Clone, Debug)]
pub struct Snapshots {
    root: PathBuf,
}

impl Snapshots {
    /// Those of the data directory at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            root: path.join("snapshots"),
        }
    }

    /// Stores bytes under a fresh salt; answers the commitment when they are durable.
    ///
    /// # Errors
    /// [`StoreError`] of the system.
    pub fn put(&self, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        let (file, commitment) = snapshot::write(&random()?, bytes);
        let disk = Disk::default();
        let path = self.path(&commitment);
        let mut changed = Vec::new();
        let temporary = self.root.join(TEMPORARY);
        for directory in [Some(&*temporary), path.parent()].into_iter().flatten() {
            make(&disk, directory, &mut changed)?;
        }
        for directory in changed {
            disk.sync_dir(&directory)?;
        }
        disk.put(&temporary.join(hex::encode(commitment)), &path, &file)?;
        Ok(commitment)
    }

    /// The bytes under a commitment, which are checked against it; `None` where they are not there (or were erased).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where they were changed, or that of the system.
    pub fn get(&self, commitment: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(commitment);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(at(&path)(why)),
        };
        Self::check(&file, commitment).map(|bytes| Some(bytes.to_vec()))
    }

    /// Commitments of all snapshots that are there, in order. Their bytes are not read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a file that is no snapshot by its name, or that of the system.
    pub fn list(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut found = Vec::new();
        for directory in entries(&self.root)? {
            if directory.ends_with(TEMPORARY) {
                continue;
            }
            for file in entries(&directory)? {
                let mut commitment = [0; 32];
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let named = hex::decode_to_slice(name, &mut commitment).is_ok();
                if !named || self.path(&commitment) != file {
                    return Err(StoreError::corrupt(
                        file.display(),
                        "the file is no snapshot",
                    ));
                }
                found.push(commitment);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The bytes in a snapshot file, if they are the ones committed to.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn check<'a>(file: &'a [u8], commitment: &[u8; 32]) -> Result<&'a [u8], StoreError> {
        snapshot::check(file, commitment).map_err(|why| {
            StoreError::corrupt(format!("snapshot {}", hex::encode(commitment)), why)
        })
    }

    fn path(&self, commitment: &[u8; 32]) -> PathBuf {
        let name = hex::encode(commitment);
        self.root.join(&name[..2]).join(name)
    }
}

/// Removes what a crash left half-written. Only the owner of the directory may: another process could be writing.
pub(crate) fn clear_unfinished(path: &Path) -> Result<(), StoreError> {
    let temporary = path.join("snapshots").join(TEMPORARY);
    match fs::remove_dir_all(&temporary) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(at(&temporary)(why)),
        _ => Ok(()),
    }
}

/// Like [`Disk::make_dir`], but lets another thread make the same directory at the same time.
fn make(disk: &Disk, directory: &Path, changed: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    match disk.make_dir(directory, changed) {
        Err(_) if directory.is_dir() => Ok(()),
        other => other,
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(at(directory)),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(why) => Err(at(directory)(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_put_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        assert_eq!(snapshots.list(), Ok(Vec::new()));
        let one = snapshots.put(b"same").unwrap();
        let two = snapshots.put(b"same").unwrap();
        assert_ne!(one, two);
        let mut both = vec![one, two];
        both.sort_unstable();
        assert_eq!(snapshots.list(), Ok(both));
        assert_eq!(snapshots.get(&one), Ok(Some(b"same".to_vec())));
        assert_eq!(snapshots.get(&[0; 32]), Ok(None));
        let path = snapshots.path(&one);
        let mut file = fs::read(&path).unwrap();
        *file.last_mut().unwrap() ^= 1;
        fs::write(&path, file).unwrap();
        assert!(matches!(
            snapshots.get(&one),
            Err(StoreError::Corrupt { .. })
        ));
        fs::write(path.with_file_name("stray"), b"").unwrap();
        assert!(matches!(snapshots.list(), Err(StoreError::Corrupt { .. })));
    }
}
