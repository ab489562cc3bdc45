//! The keys of data subjects: `keys/subjects/<key id in hex>.key`, 32 random bytes each, and in their place
//! `<key id>.erased` once a subject was erased: the number of the record that says so, and `done` when its files are gone.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};

use ledger::snapshot::{KEY_SIZE, KeyId};
use zeroize::Zeroizing;

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::{random_seed, read_secret, write_secret};

/// Where they are, in a data directory.
const SUBJECTS: &str = "keys/subjects";

/// What a mark ends with when nothing is left to do.
const DONE: &str = "done";

/// A key in memory; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_SIZE]>;

/// The most keys that are kept in memory.
const MOST: usize = 4_096;

/// The keys of a data directory.
pub(super) struct SubjectKeys {
    dir: PathBuf,
    /// Keys that were read, and what their files looked like before: one that looks the same holds the same.
    known: Mutex<HashMap<KeyId, (Looks, Key)>>,
    /// Held while a key is made: two for one subject would lose what the first has sealed.
    making: Mutex<()>,
    /// Read while something is sealed and stored, written while a key is destroyed: so no file comes after its key's end.
    standing: RwLock<()>,
}

impl SubjectKeys {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            dir: path.join(SUBJECTS),
            known: Mutex::default(),
            making: Mutex::default(),
            standing: RwLock::default(),
        }
    }

    /// While this is held no key is destroyed.
    pub(super) fn standing(&self) -> RwLockReadGuard<'_, ()> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`SubjectKeys::standing`], where no key is being destroyed.
    pub(super) fn standing_at_once(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match self.standing.try_read() {
            Ok(standing) => Some(standing),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The key of a subject, where it has one; [`StoreError::Erased`] where it was destroyed.
    pub(super) fn existing(&self, subject: &KeyId) -> Result<Option<Key>, StoreError> {
        match self.mark(subject)? {
            Some((record, _)) => Err(StoreError::Erased { record }),
            None => self.get(subject),
        }
    }

    /// As [`SubjectKeys::existing`], and made where there is none yet.
    pub(super) fn get_or_make(&self, subject: &KeyId) -> Result<Key, StoreError> {
        if let Some(key) = self.existing(subject)? {
            return Ok(key);
        }
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.get(subject)? {
            return Ok(key);
        }
        let key = random_seed()?;
        let first = !self.dir.is_dir();
        write_secret(&self.path(subject), &*key)?;
        if let (true, Some(above)) = (first, self.dir.parent()) {
            Disk::default().sync_dir(above)?;
        }
        Ok(key)
    }

    pub(super) fn get(&self, subject: &KeyId) -> Result<Option<Key>, StoreError> {
        let path = self.path(subject);
        // Held throughout: what is remembered here was not destroyed in the meantime.
        let mut known = self.known();
        let looks = match fs::metadata(&path) {
            Ok(metadata) => Looks::of(&metadata),
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                known.remove(subject);
                return Ok(None);
            }
            Err(why) => return Err(at(&path)(why)),
        };
        if let Some((before, key)) = known.get(subject)
            && *before == looks
        {
            return Ok(Some(key.clone()));
        }
        let bytes = read_secret(&path)?;
        let key: &[u8; KEY_SIZE] = bytes[..].try_into().map_err(|_| {
            StoreError::corrupt(path.display(), format!("a key has {KEY_SIZE} bytes"))
        })?;
        let key = Zeroizing::new(*key);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(*subject, (looks, key.clone()));
        Ok(Some(key))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<KeyId, (Looks, Key)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a subject as erased under `record`, then destroys its key. Answers whether there may be files left.
    pub(super) fn destroy(&self, subject: &KeyId, record: u64) -> Result<bool, StoreError> {
        let _alone = self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let path = self.path(subject);
        let is_there = path.try_exists().map_err(at(&path))?;
        let mark = self.mark(subject)?;
        // A key beside a finished mark came back from a copy, and its files may have come with it.
        if mark == Some((record, true)) && !is_there {
            return Ok(false);
        }
        if mark != Some((record, false)) {
            write_secret(&self.mark_path(subject), format!("{record}\n").as_bytes())?;
        }
        if is_there {
            overwrite(&path).map_err(at(&path))?;
            let disk = Disk::default();
            disk.remove(&path)?;
            disk.sync_dir(&self.dir)?;
        }
        // Last: nobody reads it anew.
        self.known().remove(subject);
        Ok(true)
    }

    /// Marks that no file of a destroyed key is left.
    pub(super) fn finish(&self, subject: &KeyId, record: u64) -> Result<(), StoreError> {
        let mark = format!("{record} {DONE}\n");
        write_secret(&self.mark_path(subject), mark.as_bytes())
    }

    /// Whether a subject was erased.
    pub(super) fn is_erased(&self, subject: &KeyId) -> Result<bool, StoreError> {
        Ok(self.mark(subject)?.is_some())
    }

    /// The record under which a subject was erased, and whether its files are gone.
    fn mark(&self, subject: &KeyId) -> Result<Option<(u64, bool)>, StoreError> {
        let path = self.mark_path(subject);
        if !path.try_exists().map_err(at(&path))? {
            return Ok(None);
        }
        let bytes = read_secret(&path)?;
        let text = str::from_utf8(&bytes).unwrap_or_default().trim_end();
        let (record, done) = match text.split_once(' ') {
            Some((record, DONE)) => (record, true),
            Some(_) => ("", false),
            None => (text, false),
        };
        match record.parse() {
            Ok(record) => Ok(Some((record, done))),
            Err(_) => Err(StoreError::corrupt(
                path.display(),
                "it must hold the number of the record that erased its subject",
            )),
        }
    }

    pub(super) fn path(&self, subject: &KeyId) -> PathBuf {
        self.dir.join(format!("{}.key", hex::encode(subject)))
    }

    fn mark_path(&self, subject: &KeyId) -> PathBuf {
        self.dir.join(format!("{}.erased", hex::encode(subject)))
    }
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubjectKeys").field(&self.dir).finish()
    }
}

/// What tells a file from any other, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    file: (u64, u64),
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Looks {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Puts zeros in a key's place before its file goes. A file system or a disk that copies on write may keep the old bytes for
/// a while: `docs/log.md` says what that means.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&[0; KEY_SIZE])?;
    file.sync_all()
}
