//! Snapshots on disk: `snapshots/<aa>/<commitment in hex>`, in the format of [`ledger::snapshot`], each sealed with the key
//! of its data subject, `keys/subjects/<key id in hex>.key`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ledger::snapshot::{self, KEY_SIZE, KeyId, SnapshotError};
use zeroize::Zeroizing;

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::{random, random_seed, read_secret, write_secret};

/// Where temporary files are written.
const TEMPORARY: &str = ".tmp";

/// The keys of data subjects, in a data directory.
const SUBJECTS: &str = "keys/subjects";

/// A key in memory; wiped when dropped.
type Key = Zeroizing<[u8; KEY_SIZE]>;

/// The snapshots of a data directory. Any number of threads may use it, and its clones, at once; only the owner of the
/// directory may put any.
#[derive(Clone, Debug)]
pub struct Snapshots {
    root: PathBuf,
    keys: PathBuf,
    /// Held while a key is made: two for one subject would lose what the first has sealed.
    making: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Those of the data directory at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            root: path.join("snapshots"),
            keys: path.join(SUBJECTS),
            making: Arc::default(),
        }
    }

    /// Stores bytes under a fresh salt, sealed with the key of `subject`, which is made where there is none yet; answers
    /// the commitment when they are durable.
    ///
    /// # Errors
    /// [`StoreError::Exposed`] for a key that others can read, or that of the system.
    pub fn put(&self, subject: &KeyId, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        let key = self.key_for(subject)?;
        let (file, commitment) = snapshot::seal(&key, subject, &random()?, &random()?, bytes)
            .map_err(|why| StoreError::Key(why.to_string()))?;
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
    /// [`StoreError::Corrupt`] where they were changed, [`StoreError::Sealed`] where their key is not there,
    /// [`StoreError::Exposed`] for a key that others can read, or that of the system.
    pub fn get(&self, commitment: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(commitment);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(at(&path)(why)),
        };
        let corrupt = |why: SnapshotError| {
            StoreError::corrupt(format!("snapshot {}", hex::encode(commitment)), why)
        };
        let subject = snapshot::key_id(&file).map_err(corrupt)?;
        let key = match &subject {
            Some(subject) => self.key(subject)?,
            None => None,
        };
        match (snapshot::open(&file, key.as_deref(), commitment), subject) {
            (Ok(bytes), _) => Ok(Some(bytes)),
            (Err(SnapshotError::Sealed(_)), Some(subject)) => Err(StoreError::Sealed {
                commitment: hex::encode(commitment),
                key: self.key_path(&subject),
            }),
            (Err(why), _) => Err(corrupt(why)),
        }
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

    /// The key of a subject, made where there is none yet.
    fn key_for(&self, subject: &KeyId) -> Result<Key, StoreError> {
        if let Some(key) = self.key(subject)? {
            return Ok(key);
        }
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.key(subject)? {
            return Ok(key);
        }
        let key = random_seed()?;
        let first = !self.keys.is_dir();
        write_secret(&self.key_path(subject), &*key)?;
        if let (true, Some(above)) = (first, self.keys.parent()) {
            Disk::default().sync_dir(above)?;
        }
        Ok(key)
    }

    fn key(&self, subject: &KeyId) -> Result<Option<Key>, StoreError> {
        let path = self.key_path(subject);
        if !path.try_exists().map_err(at(&path))? {
            return Ok(None);
        }
        let bytes = read_secret(&path)?;
        let key: &[u8; KEY_SIZE] = bytes[..].try_into().map_err(|_| {
            StoreError::corrupt(path.display(), format!("a key has {KEY_SIZE} bytes"))
        })?;
        Ok(Some(Zeroizing::new(*key)))
    }

    fn key_path(&self, subject: &KeyId) -> PathBuf {
        self.keys.join(format!("{}.key", hex::encode(subject)))
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const ANN: KeyId = [1; 16];
    const BEN: KeyId = [2; 16];

    #[test]
    fn gives_back_what_was_put_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        assert_eq!(snapshots.list(), Ok(Vec::new()));
        let one = snapshots.put(&ANN, b"same").unwrap();
        let two = snapshots.put(&ANN, b"same").unwrap();
        assert_ne!(one, two);
        let mut both = vec![one, two];
        both.sort_unstable();
        assert_eq!(snapshots.list(), Ok(both));
        assert_eq!(snapshots.get(&one), Ok(Some(b"same".to_vec())));
        assert_eq!(snapshots.get(&[0; 32]), Ok(None));
        let path = snapshots.path(&one);
        let right = fs::read(&path).unwrap();
        let mut file = right.clone();
        *file.last_mut().unwrap() ^= 1;
        fs::write(&path, file).unwrap();
        assert!(matches!(
            snapshots.get(&one),
            Err(StoreError::Corrupt { .. })
        ));
        fs::write(path.with_file_name("stray"), b"").unwrap();
        assert!(matches!(snapshots.list(), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn each_subject_has_a_private_key_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        let one = snapshots.put(&ANN, b"of ann").unwrap();
        let two = snapshots.put(&BEN, b"of ben").unwrap();
        let again = snapshots.put(&ANN, b"more of ann").unwrap();
        let [ann, ben] = [ANN, BEN].map(|id| snapshots.key_path(&id));
        assert_ne!(fs::read(&ann).unwrap(), fs::read(&ben).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&ann), mode(&snapshots.keys)), (0o600, 0o700));
        assert!(!fs::read(snapshots.path(&one)).unwrap().ends_with(b"of ann"));
        fs::set_permissions(&ann, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            snapshots.get(&one),
            Err(StoreError::Exposed { .. })
        ));
        fs::remove_file(&ann).unwrap();
        for lost in [one, again] {
            assert!(matches!(
                snapshots.get(&lost),
                Err(StoreError::Sealed { .. })
            ));
        }
        assert_eq!(snapshots.get(&two), Ok(Some(b"of ben".to_vec())));
        fs::write(&ben, b"short").unwrap();
        assert!(matches!(
            snapshots.put(&BEN, b"more"),
            Err(StoreError::Corrupt { .. })
        ));
    }

    #[test]
    fn threads_that_begin_a_subject_together_share_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        let begin = std::sync::Barrier::new(8);
        let put = || {
            begin.wait();
            snapshots.clone().put(&ANN, b"at once").unwrap()
        };
        let kept: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for commitment in kept {
            assert_eq!(snapshots.get(&commitment), Ok(Some(b"at once".to_vec())));
        }
    }

    #[test]
    fn what_was_kept_in_the_clear_is_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        let commitment = snapshot::commitment(&[4; 32], b"old");
        let path = snapshots.path(&commitment);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [&b"CFS1"[..], &[4; 32], b"old"].concat()).unwrap();
        assert_eq!(snapshots.get(&commitment), Ok(Some(b"old".to_vec())));
    }
}
