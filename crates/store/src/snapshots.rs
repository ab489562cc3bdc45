//! Snapshots on disk: `snapshots/<aa>/<commitment in hex>`, in the format of [`ledger::snapshot`], each sealed with the key
//! of its data subject.

mod keys;
mod restore;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::snapshot::{self, KeyId, PREFIX_SIZE, SnapshotError};

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::random;
use keys::SubjectKeys;
pub(crate) use restore::{Restore, Settle};

/// Where temporary files are written.
const TEMPORARY: &str = ".tmp";

/// The longest file that the write-ahead log takes in beside its own; a longer one is forced to the device by itself, which
/// then costs less than writing it twice.
const LONGEST_BESIDE: usize = 128 << 10;

/// Takes a directory of snapshots with the files in it.
type OnDirectory<'a> = dyn FnMut(&Path, &[PathBuf]) -> Result<(), StoreError> + 'a;

/// The snapshots of a data directory. Any number of threads may use it, and its clones, at once; only the owner of the
/// directory may put any.
#[derive(Clone, Debug)]
pub struct Snapshots {
    disk: Disk,
    root: PathBuf,
    keys: Arc<SubjectKeys>,
}

/// A snapshot's file as the write-ahead log holds it, until the file itself is on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) commitment: [u8; 32],
    pub(crate) file: Vec<u8>,
}

/// A snapshot that is there and may not outlast a power failure. Only [`Journal::attach`](crate::Journal::attach) gives its
/// commitment, so that no record can name it before the journal has it.
#[must_use = "a snapshot is durable when the journal has it"]
#[derive(Debug)]
pub struct Written {
    pub(crate) commitment: [u8; 32],
    /// None where the file is on the device already.
    pub(crate) sealed: Option<Sealed>,
}

impl Snapshots {
    /// Those of the data directory at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self::on(&Disk::default(), path)
    }

    pub(crate) fn on(disk: &Disk, path: &Path) -> Self {
        Self {
            disk: disk.clone(),
            root: path.join("snapshots"),
            keys: Arc::new(SubjectKeys::of(path)),
        }
    }

    /// Stores bytes under a fresh salt, sealed with the key of `subject`, which is made where there is none yet; answers
    /// the commitment when they are durable.
    ///
    /// # Errors
    /// [`StoreError::Erased`] where the subject was erased, [`StoreError::Exposed`] for a key that others can read, or that
    /// of the system.
    pub fn put(&self, subject: &KeyId, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        let _standing = self.keys.standing();
        let sealed = self.seal(subject, bytes)?;
        self.place(&sealed, true)?;
        Ok(sealed.commitment)
    }

    /// As [`Snapshots::put`], without waiting for the device: the journal takes what was written, and makes it durable no
    /// later than the next record.
    ///
    /// # Errors
    /// As [`Snapshots::put`].
    pub fn write(&self, subject: &KeyId, bytes: &[u8]) -> Result<Written, StoreError> {
        let _standing = self.keys.standing();
        let sealed = self.seal(subject, bytes)?;
        // Only there can a whole file system be forced to the device at once, which is what ends the journal's care.
        let beside = cfg!(target_os = "linux") && sealed.file.len() <= LONGEST_BESIDE;
        self.place(&sealed, !beside)?;
        Ok(Written {
            commitment: sealed.commitment,
            sealed: beside.then_some(sealed),
        })
    }

    fn seal(&self, subject: &KeyId, bytes: &[u8]) -> Result<Sealed, StoreError> {
        let key = self.keys.get_or_make(subject)?;
        let (file, commitment) = snapshot::seal(&key, subject, &random()?, &random()?, bytes)
            .map_err(|why| StoreError::Key(why.to_string()))?;
        Ok(Sealed { commitment, file })
    }

    /// Puts a file in its place, in one step; forces it to the device where it is to be `durable`.
    fn place(&self, sealed: &Sealed, durable: bool) -> Result<(), StoreError> {
        let disk = &self.disk;
        let path = self.path(&sealed.commitment);
        let mut changed = Vec::new();
        let temporary = self.root.join(TEMPORARY);
        for directory in [Some(&*temporary), path.parent()].into_iter().flatten() {
            make(disk, directory, &mut changed)?;
        }
        let aside = temporary.join(hex::encode(sealed.commitment));
        if !durable {
            let mut file = disk.create(&aside)?;
            disk.write(&mut file, &sealed.file, &aside)?;
            return disk.rename(&aside, &path);
        }
        // The directory may have been made for a file that nobody forced to the device.
        changed.push(self.root.clone());
        for directory in changed {
            disk.sync_dir(&directory)?;
        }
        disk.put(&aside, &path, &sealed.file)
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
            Some(subject) => self.keys.get(subject)?,
            None => None,
        };
        match (snapshot::open(&file, key.as_deref(), commitment), subject) {
            (Ok(bytes), _) => Ok(Some(bytes)),
            (Err(SnapshotError::Sealed(_)), Some(subject)) => Err(StoreError::Sealed {
                commitment: hex::encode(commitment),
                key: self.keys.path(&subject),
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
        self.each(&mut |_, files| {
            for file in files {
                let mut commitment = [0; 32];
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let named = hex::decode_to_slice(name, &mut commitment).is_ok();
                if !named || self.path(&commitment) != *file {
                    return Err(StoreError::corrupt(
                        file.display(),
                        "the file is no snapshot",
                    ));
                }
                found.push(commitment);
            }
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Erases subjects for good, each under the record that says so: destroys their keys, and removes what these sealed.
    /// Answers how many files it removed. What was erased before is passed over, so that a start can ask for all of them
    /// and finish what a crash has left.
    ///
    /// The order is what makes it safe: from the mark on nothing is sealed for the subject, from the destroyed key on no
    /// copy of a file can be read, and only then do files go.
    ///
    /// # Errors
    /// That of the system; what is left is done when it is asked for again.
    pub fn erase(&self, subjects: &[(KeyId, u64)]) -> Result<u64, StoreError> {
        let mut left = HashMap::new();
        for &(subject, record) in subjects {
            if self.keys.destroy(&subject, record)? {
                left.insert(subject, record);
            }
        }
        if left.is_empty() {
            return Ok(0);
        }
        let disk = &self.disk;
        let mut removed = 0;
        self.each(&mut |directory, files| {
            let mut changed = false;
            for file in files {
                if subject_of(file)?.is_some_and(|subject| left.contains_key(&subject)) {
                    disk.remove(file)?;
                    removed += 1;
                    changed = true;
                }
            }
            if changed {
                disk.sync_dir(directory)?;
            }
            Ok(())
        })?;
        for (subject, record) in left {
            self.keys.finish(&subject, record)?;
        }
        Ok(removed)
    }

    /// Calls `f` with each directory of snapshots and the files in it.
    fn each(&self, f: &mut OnDirectory<'_>) -> Result<(), StoreError> {
        for directory in entries(&self.root)? {
            if !directory.ends_with(TEMPORARY) {
                f(&directory, &entries(&directory)?)?;
            }
        }
        Ok(())
    }

    fn path(&self, commitment: &[u8; 32]) -> PathBuf {
        let name = hex::encode(commitment);
        self.root.join(&name[..2]).join(name)
    }
}

/// Whose key a file is sealed with; none for a file in the clear, or one that is no snapshot, which is not ours to remove.
fn subject_of(file: &Path) -> Result<Option<KeyId>, StoreError> {
    let mut prefix = Vec::with_capacity(PREFIX_SIZE);
    let opened = File::open(file).map_err(at(file))?;
    let read = opened.take(PREFIX_SIZE as u64).read_to_end(&mut prefix);
    read.map_err(at(file))?;
    Ok(snapshot::key_id(&prefix).unwrap_or_default())
}

/// Removes what a crash left half-written. Only the owner of the directory may: another process could be writing.
pub(crate) fn clear_unfinished(path: &Path) -> Result<(), StoreError> {
    let temporary = path.join("snapshots").join(TEMPORARY);
    match fs::remove_dir_all(&temporary) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(at(&temporary)(why)),
        _ => Ok(()),
    }
}

/// Like [`Disk::make_dir`], but lets another thread make the same directories at the same time.
fn make(disk: &Disk, directory: &Path, changed: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make(disk, parent, changed)?;
    }
    match disk.make_dir(directory, changed) {
        // The other thread syncs what it made, but perhaps later than this one answers.
        Err(_) if directory.is_dir() => {
            changed.extend(directory.parent().map(Path::to_owned));
            Ok(())
        }
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
        let [ann, ben] = [ANN, BEN].map(|id| snapshots.keys.path(&id));
        assert_ne!(fs::read(&ann).unwrap(), fs::read(&ben).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&ann), mode(ann.parent().unwrap())), (0o600, 0o700));
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

    #[test]
    fn what_is_erased_is_gone_and_nothing_more_is_kept_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        let ann: Vec<_> = (0..20)
            .map(|i| snapshots.put(&ANN, &[i]).unwrap())
            .collect();
        let ben = snapshots.put(&BEN, b"of ben").unwrap();
        let key = fs::read(snapshots.keys.path(&ANN)).unwrap();
        assert_eq!(snapshots.erase(&[(ANN, 7)]), Ok(20));
        assert!(ann.iter().all(|c| snapshots.get(c) == Ok(None)));
        assert_eq!(snapshots.get(&ben), Ok(Some(b"of ben".to_vec())));
        assert_eq!(snapshots.list(), Ok(vec![ben]));
        assert_eq!(
            snapshots.put(&ANN, b"more"),
            Err(StoreError::Erased { record: 7 })
        );
        // No file of the whole directory holds the key.
        let mut files = vec![dir.path().to_owned()];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(entries(&path).unwrap());
            } else {
                let bytes = fs::read(&path).unwrap();
                assert!(!bytes.windows(32).any(|w| w == key), "{}", path.display());
            }
        }
        assert_eq!(snapshots.erase(&[(ANN, 7)]), Ok(0), "it is done");
    }

    #[test]
    fn an_erasure_that_stopped_anywhere_is_finished() {
        for stopped in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let snapshots = Snapshots::of(dir.path());
            let lost = snapshots.put(&ANN, b"of ann").unwrap();
            let key = snapshots.keys.path(&ANN);
            let (right, file) = (fs::read(&key).unwrap(), fs::read(snapshots.path(&lost)));
            snapshots.keys.destroy(&ANN, 7).unwrap();
            match stopped {
                // After the mark, after the key, and with a key that a backup brought back.
                0 => crate::secret::write_secret(&key, &right).unwrap(),
                1 => {}
                _ => {
                    snapshots.erase(&[(ANN, 7)]).unwrap();
                    crate::secret::write_secret(&key, &right).unwrap();
                    fs::write(snapshots.path(&lost), file.unwrap()).unwrap();
                }
            }
            assert!(matches!(
                snapshots.put(&ANN, b"more"),
                Err(StoreError::Erased { record: 7 })
            ));
            assert_eq!(snapshots.erase(&[(ANN, 7)]), Ok(1), "stopped at {stopped}");
            assert!(!key.exists());
            assert_eq!(snapshots.get(&lost), Ok(None));
        }
    }

    #[test]
    fn what_is_being_kept_is_erased_with_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::of(dir.path());
        snapshots.put(&ANN, b"first").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| while snapshots.put(&ANN, b"at once").is_ok() {});
            }
            snapshots.erase(&[(ANN, 7)]).unwrap();
        });
        assert_eq!(snapshots.list(), Ok(Vec::new()));
    }
}
