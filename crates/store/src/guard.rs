//! The guard: the last published checkpoint, kept outside the data directory and locked while the log is open.
//!
//! A copy of a data directory has the same key. Opened beside the original, or put back after the original went on, it
//! would sign a second history. So every publication first moves the guard, by compare and swap: whoever finds there
//! what it did not write has lost the race and stops. And a start compares what it recovered with what was published.
//!
//! ```text
//! <guards>/<log id>.guard   two slots of 4,096 bytes, written in turn; the one with the higher count is in force
//!   slot   count u64 | bytes u32 | CRC-32 u32 | signed note of the checkpoint
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ledger::proof::{self, Tiles};
use ledger::{Checkpoint, Frontier, Hash, Source, note::Note};

use crate::StoreError;
use crate::disk::{Disk, at};

const SLOT: usize = 4096;
const HEADER: usize = 16;

/// The guard of one log, held by this process.
#[derive(Debug)]
pub(crate) struct Guard {
    file: File,
    path: PathBuf,
    /// What this process read or wrote last.
    count: u64,
    note: Vec<u8>,
}

impl Guard {
    /// Takes the guard of the log with this id; makes an empty one where the log was never opened on this machine.
    pub(crate) fn take(guards: &Path, log: &str) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(guards)
            .map_err(at(guards))?;
        let path = guards.join(format!("{log}.guard"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Elsewhere { guard: path }),
            Err(TryLockError::Error(why)) => return Err(at(&path)(why)),
        }
        Disk::default().sync_dir(guards)?;
        let mut guard = Self {
            file,
            path,
            count: 0,
            note: Vec::new(),
        };
        (guard.count, guard.note) = guard.read()?;
        Ok(guard)
    }

    /// What a recovery of the log in `dir` is to be held against.
    pub(crate) fn watch(&self, dir: &Path) -> Result<Watch, StoreError> {
        Ok(Watch {
            dir: dir.to_owned(),
            guard: self.path.clone(),
            last: self.last()?,
        })
    }

    /// Moves the guard on to a checkpoint about to be published.
    pub(crate) fn advance(&mut self, disk: &Disk, note: &[u8]) -> Result<(), StoreError> {
        let (count, found) = self.read()?;
        if count != self.count || found != self.note {
            return Err(StoreError::Elsewhere {
                guard: self.path.clone(),
            });
        }
        let count = count + 1;
        let slot = slot(count, note).ok_or_else(|| {
            StoreError::Key(format!(
                "a checkpoint of {} bytes: the origin is too long",
                note.len()
            ))
        })?;
        let place = SeekFrom::Start(count % 2 * SLOT as u64);
        self.file.seek(place).map_err(at(&self.path))?;
        disk.write(&mut self.file, &slot, &self.path)?;
        disk.sync(&self.file, &self.path)?;
        (self.count, self.note) = (count, note.to_vec());
        Ok(())
    }

    fn last(&self) -> Result<Option<Checkpoint>, StoreError> {
        if self.note.is_empty() {
            return Ok(None);
        }
        let broken = |why: String| StoreError::corrupt(self.path.display(), why);
        let note = Note::parse(&self.note).map_err(|why| broken(why.to_string()))?;
        let last = Checkpoint::from_text(&note.text).map_err(|why| broken(why.to_string()))?;
        Ok(Some(last))
    }

    /// Count and note in force. Of two slots at most one can be torn: the one that was being written.
    fn read(&mut self) -> Result<(u64, Vec<u8>), StoreError> {
        let mut bytes = Vec::new();
        self.file
            .rewind()
            .and_then(|()| {
                (&self.file)
                    .take(2 * SLOT as u64 + 1)
                    .read_to_end(&mut bytes)
            })
            .map_err(at(&self.path))?;
        if bytes.is_empty() {
            return Ok((0, Vec::new()));
        }
        let slots = [bytes.get(..SLOT.min(bytes.len())), bytes.get(SLOT..)];
        let slots = slots.into_iter().flatten().filter_map(parse);
        slots.max_by_key(|(count, _)| *count).ok_or_else(|| {
            let why =
                "neither slot is whole; if the log is known to be the newest, remove the guard";
            StoreError::corrupt(self.path.display(), why)
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Closing alone is not enough: a program that is just being started holds a copy of the file until it runs.
        let _ = self.file.unlock();
    }
}

/// The last published checkpoint, while a log is recovered: the log must hold all of it, unchanged.
pub(crate) struct Watch {
    dir: PathBuf,
    guard: PathBuf,
    last: Option<Checkpoint>,
}

impl Watch {
    /// Records that were published.
    pub(crate) fn size(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.size)
    }

    /// Checks the published log of `size` records, as far as it reaches.
    pub(crate) fn check_published(&self, log: &dyn Source, size: u64) -> Result<(), StoreError> {
        let Some(last) = self.last.as_ref().filter(|last| last.size <= size) else {
            return Ok(());
        };
        let root = proof::root(&Tiles::new(log, size), last.size)
            .map_err(|why| StoreError::corrupt(self.dir.join("log").display(), why))?;
        self.same(root, last)
    }

    /// Checks the tree as it grows from the write-ahead log.
    pub(crate) fn check_at(&self, tree: &Frontier) -> Result<(), StoreError> {
        match &self.last {
            Some(last) if last.size == tree.size() => self.same(tree.root(), last),
            _ => Ok(()),
        }
    }

    /// Checks that the whole of it is there.
    pub(crate) fn check_end(&self, size: u64) -> Result<(), StoreError> {
        if size >= self.size() {
            return Ok(());
        }
        Err(StoreError::RolledBack {
            path: self.dir.clone(),
            have: size,
            had: self.size(),
            guard: self.guard.clone(),
        })
    }

    fn same(&self, root: Hash, last: &Checkpoint) -> Result<(), StoreError> {
        if root == last.root {
            return Ok(());
        }
        Err(StoreError::Forked {
            path: self.dir.clone(),
            size: last.size,
            guard: self.guard.clone(),
        })
    }
}

fn slot(count: u64, note: &[u8]) -> Option<Vec<u8>> {
    if note.len() > SLOT - HEADER {
        return None;
    }
    let mut slot = count.to_be_bytes().to_vec();
    slot.extend_from_slice(&u32::try_from(note.len()).ok()?.to_be_bytes());
    slot.extend_from_slice(&crc(count, note).to_be_bytes());
    slot.extend_from_slice(note);
    slot.resize(SLOT, 0);
    Some(slot)
}

fn parse(slot: &[u8]) -> Option<(u64, Vec<u8>)> {
    let count = u64::from_be_bytes(*slot.first_chunk()?);
    let length = u32::from_be_bytes(*slot.get(8..)?.first_chunk()?) as usize;
    let want = u32::from_be_bytes(*slot.get(12..)?.first_chunk()?);
    let note = slot.get(HEADER..HEADER.checked_add(length)?)?;
    (crc(count, note) == want && !note.is_empty()).then(|| (count, note.to_vec()))
}

fn crc(count: u64, note: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&count.to_be_bytes());
    crc.update(note);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_note_and_survives_a_torn_write() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mut guard = Guard::take(home.path(), "a").unwrap();
        for note in ["one", "two", "three"] {
            guard.advance(&disk, note.as_bytes()).unwrap();
        }
        assert!(matches!(
            Guard::take(home.path(), "a"),
            Err(StoreError::Elsewhere { .. })
        ));
        let path = guard.path.clone();
        drop(guard);
        let guard = Guard::take(home.path(), "a").unwrap();
        assert_eq!(guard.note, b"three");
        drop(guard);
        // Count 3 is in slot 1; torn, count 2 is in force again.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT + HEADER] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Guard::take(home.path(), "a").unwrap().note, b"two");
        bytes[HEADER] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            Guard::take(home.path(), "a"),
            Err(StoreError::Corrupt { .. })
        ));
    }

    #[test]
    fn whoever_finds_another_hand_stops() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mut guard = Guard::take(home.path(), "a").unwrap();
        guard.advance(&disk, b"one").unwrap();
        // A process that does not honour the lock, as on a file system without locks.
        std::fs::write(&guard.path, slot(2, b"theirs").unwrap()).unwrap();
        assert!(matches!(
            guard.advance(&disk, b"two"),
            Err(StoreError::Elsewhere { .. })
        ));
    }
}
