//! Snapshots on disk: `snapshots/<aa>/<commitment in hex>`, in the format of [`ledger::snapshot`], each sealed with the key
//! of its data subject.

mod keys;
mod restore;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::snapshot::{self, KeyId, PREFIX_SIZE, SnapshotError};

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::random;
use keys::{Key, SubjectKeys};
pub(crate) use restore::{Restore, Settle};

/// Where temporary files are written.
const TEMPORARY: &str = ".tmp";

/// The longest file that the write-ahead log takes in beside its own; a longer one is forced to the device by itself, which
/// then costs less than writing it twice.
const LONGEST_BESIDE: usize = 128 << 10;

/// Only there can a whole file system be forced to the device at once, which is what ends the journal's care.
const BESIDE: bool = cfg!(target_os = "linux");

/// The most bytes that [`Snapshots::write_at_once`] seals: longer ones take the time of a thread of their own.
const LONGEST_AT_ONCE: usize = 64 << 10;

/// Takes a directory of snapshots with the files in it.
type OnDirectory<'a> = dyn FnMut(&Path, &[PathBuf]) -> Result<(), StoreError> + 'a;

/// The snapshots of a data directory. Any number of threads may use it, and its clones, at once; only the owner of the
/// directory may put any.
#[derive(Clone, Debug)]
pub struct Snapshots {
    disk: Disk,
    root: PathBuf,
    keys: Arc<SubjectKeys>,
    shelf: Arc<Shelf>,
}

/// What the journal has taken in and the publisher has not put in its place yet, by commitment.
type Shelf = Mutex<HashMap<[u8; 32], Arc<Sealed>>>;

/// A snapshot's file as the write-ahead log holds it, until the file itself is on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) commitment: [u8; 32],
    pub(crate) file: Vec<u8>,
}

/// A snapshot that is sealed. Only [`Journal::attach`](crate::Journal::attach) gives its commitment, so that no record can name
/// it before the journal has it.
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
            shelf: Arc::default(),
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

    /// As [`Snapshots::put`], for the journal of this data directory, which makes it durable no later than the next record and
    /// puts it in its place.
    ///
    /// # Errors
    /// As [`Snapshots::put`].
    pub fn write(&self, subject: &KeyId, bytes: &[u8]) -> Result<Written, StoreError> {
        let _standing = self.keys.standing();
        let sealed = self.seal(subject, bytes)?;
        let beside = BESIDE && sealed.file.len() <= LONGEST_BESIDE;
        if !beside {
            self.place(&sealed, true)?;
        }
        Ok(Written {
            commitment: sealed.commitment,
            sealed: beside.then_some(sealed),
        })
    }

    /// As [`Snapshots::write`], where that waits for nothing; none where it would: for a subject's first snapshot, which makes its
    /// key, for a long one, and while a subject is erased.
    ///
    /// # Errors
    /// As [`Snapshots::put`].
    pub fn write_at_once(
        &self,
        subject: &KeyId,
        bytes: &[u8],
    ) -> Result<Option<Written>, StoreError> {
        if !BESIDE || bytes.len() > LONGEST_AT_ONCE {
            return Ok(None);
        }
        let Some(_standing) = self.keys.standing_at_once() else {
            return Ok(None);
        };
        let Some(key) = self.keys.existing(subject)? else {
            return Ok(None);
        };
        let sealed = seal(&key, subject, bytes)?;
        Ok(Some(Written {
            commitment: sealed.commitment,
            sealed: Some(sealed),
        }))
    }

    fn seal(&self, subject: &KeyId, bytes: &[u8]) -> Result<Sealed, StoreError> {
        seal(&self.keys.get_or_make(subject)?, subject, bytes)
    }

    /// Has it from now on, before its file is in its place.
    pub(crate) fn shelve(&self, sealed: &Arc<Sealed>) {
        let sealed = Arc::clone(sealed);
        self.shelved().insert(sealed.commitment, sealed);
    }

    /// Puts what was shelved in its place.
    pub(crate) fn settle(&self, sealed: &Sealed) -> Result<(), StoreError> {
        let _standing = self.keys.standing();
        self.place_unless_erased(sealed)?;
        self.shelved().remove(&sealed.commitment);
        Ok(())
    }

    /// What was sealed for a subject that was erased since stays away.
    fn place_unless_erased(&self, sealed: &Sealed) -> Result<(), StoreError> {
        let subject = snapshot::key_id(&sealed.file);
        let subject = subject.map_err(|why| StoreError::corrupt("wal", why))?;
        match subject {
            Some(subject) if self.keys.is_erased(&subject)? => Ok(()),
            _ => self.place(sealed, false),
        }
    }

    fn shelved(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Sealed>>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Looked for there first: what leaves the shelf is in its place.
        let shelved = self.shelved().get(commitment).map(Arc::clone);
        let path = self.path(commitment);
        let read = match &shelved {
            Some(sealed) => Ok(Cow::Borrowed(sealed.file.as_slice())),
            None => fs::read(&path).map(Cow::Owned),
        };
        let file = match read {
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

    /// Commitments of all snapshots that are in their places, in order. Their bytes are not read.
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
        let mut removed = 0;
        self.shelved().retain(|_, sealed| {
            let subject = snapshot::key_id(&sealed.file).unwrap_or_default();
            let stays = subject.is_none_or(|subject| !left.contains_key(&subject));
            removed += u64::from(!stays);
            stays
        });
        let disk = &self.disk;
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

fn seal(key: &Key, subject: &KeyId, bytes: &[u8]) -> Result<Sealed, StoreError> {
    let (file, commitment) = snapshot::seal(key, subject, &random()?, &random()?, bytes)
        .map_err(|why| StoreError::Key(why.to_string()))?;
    Ok(Sealed { commitment, file })
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
