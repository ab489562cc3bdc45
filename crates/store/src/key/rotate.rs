//! Rotation: another key becomes the log's.
//!
//! | step | on disk | after a crash here |
//! |---|---|---|
//! | 1 | the new key in `keys/next.<…>` | the next start removes it |
//! | 2 | the statement, signed by both keys, in `keys/rotation` | the next start goes on from here |
//! | 3 | the statement at the end of `log/keys` | " |
//! | 4 | the new verifier key in `log.vkey` | " |
//! | 5 | the new key in its place, the old one removed | " |
//! | 6 | `keys/rotation` removed | it is done |
//!
//! Each step can be done again. Nothing is appended between: the directory stays locked, and every start finishes first.
//! Who owns the records then puts the statement into the log, as the record whose number is the statement's size.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::rotation::{Act, Chain, Statement};
use ledger::{Directory, Source as _, Verifier, tile};

use super::{LOG_KEY, Made, NewKey, SIGNER, external};
use crate::datadir::{VKEY, log};
use crate::disk::{Disk, at};
use crate::wal::Reader;
use crate::{DataDir, StoreError};

/// Where a rotation is kept between its steps.
const NEXT_KEY: &str = "keys/next.log.key";
const NEXT_SIGNER: &str = "keys/next.signer.toml";
const ROTATION: &str = "keys/rotation";
/// Where files are written before they are renamed to their places.
const TEMPORARY: &str = "keys/temporary";

/// A rotation that is prepared and signed, and not begun: dropped, it leaves the log with its old key.
#[must_use = "nothing is rotated before it is committed"]
pub struct Staged {
    dir: DataDir,
    made: Made,
    note: Vec<u8>,
}

impl DataDir {
    /// Prepares that `new` takes over from the log's key. The log must be published whole.
    ///
    /// # Errors
    /// [`StoreError::Key`] where the log is empty or not published whole, or where a key or an external signer does
    /// not sign the statement.
    pub fn stage_rotation(
        self,
        new: &NewKey<'_>,
        act: Act,
        reason: &str,
    ) -> Result<Staged, StoreError> {
        let refuse = |why: String| StoreError::Key(format!("the key cannot be rotated: {why}"));
        let source = Directory::new(&log(self.path()));
        let head = source.read(tile::CHECKPOINT);
        let head = head.map_err(|why| refuse(why.to_string()))?;
        let head = self.keys().open(&head, false);
        let head = head.map_err(|why| refuse(why.to_string()))?;
        if head.size == 0 {
            return Err(refuse("the log is empty".to_owned()));
        }
        let wal = self.path().join("wal");
        let mut reader = Reader::open(&Disk::default(), &wal, self.key_ids())?;
        while reader.group()?.is_some() {}
        if reader.end() != head.size {
            return Err(refuse(format!(
                "{} records are committed and {} are published",
                reader.end(),
                head.size
            )));
        }
        let made = new.make(self.origin())?;
        let statement = Statement {
            size: head.size,
            root: head.root,
            old: self.signer().verifier(),
            new: made.signer.verifier(),
            act,
            reason: reason.to_owned(),
        };
        let note = statement.sign(&**self.signer(), &*made.signer);
        let note = note.map_err(|why| refuse(why.to_string()))?;
        let signed = Statement::open(&note).map_err(|why| refuse(why.to_string()))?;
        self.keys().clone().push(signed).map_err(refuse)?;
        Ok(Staged {
            dir: self,
            made,
            note,
        })
    }
}

impl Staged {
    /// The statement as both keys signed it.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// Makes the new key the log's, and lets go of the directory. Answers the new verifier key.
    ///
    /// # Errors
    /// [`StoreError`] of the system; the next start finishes the rotation, or drops it where it had not begun.
    pub fn commit(self) -> Result<Verifier, StoreError> {
        self.commit_on(&Disk::default())
    }

    pub(crate) fn commit_on(self, disk: &Disk) -> Result<Verifier, StoreError> {
        let path = self.dir.path();
        let next = match self.made.file {
            SIGNER => NEXT_SIGNER,
            _ => NEXT_KEY,
        };
        let temporary = path.join(TEMPORARY);
        disk.put_private(&temporary, &path.join(next), &self.made.bytes)?;
        disk.put(&temporary, &path.join(ROTATION), &self.note)?;
        finish(disk, path)?;
        Ok(self.made.signer.verifier())
    }
}

/// Finishes a rotation that was begun, and drops one that was not. The directory must be locked.
pub(crate) fn finish(disk: &Disk, dir: &Path) -> Result<(), StoreError> {
    let temporary = dir.join(TEMPORARY);
    disk.remove(&temporary)?;
    let rotation = dir.join(ROTATION);
    let Some(note) = read(&rotation)? else {
        disk.remove(&dir.join(NEXT_KEY))?;
        return disk.remove(&dir.join(NEXT_SIGNER));
    };
    let corrupt = |place: &Path, why: String| StoreError::corrupt(place.display(), why);
    let signed = Statement::open(&note).map_err(|why| corrupt(&rotation, why.to_string()))?;
    let (old, new) = (signed.statement.old.clone(), signed.statement.new.clone());

    let keys = log(dir).join(tile::KEYS);
    let mut chain = match read(&keys)? {
        Some(statements) => {
            Chain::trusting(&old, &statements).map_err(|why| corrupt(&keys, why.to_string()))?
        }
        None => Chain::of(&old),
    };
    if *chain.key() != new {
        chain.push(signed).map_err(|why| corrupt(&rotation, why))?;
        disk.put(&temporary, &keys, chain.to_string().as_bytes())?;
    }
    disk.put(&temporary, &dir.join(VKEY), format!("{new}\n").as_bytes())?;
    place_key(disk, dir, &new)?;
    disk.remove(&rotation)?;
    disk.sync_dir(&dir.join("keys"))
}

/// Puts the new key in its place, and removes the other sort's file where the log had its key there.
fn place_key(disk: &Disk, dir: &Path, new: &Verifier) -> Result<(), StoreError> {
    for (next, place) in [(NEXT_KEY, LOG_KEY), (NEXT_SIGNER, SIGNER)] {
        let (next, place) = (dir.join(next), dir.join(place));
        if next.exists() {
            disk.rename(&next, &place)?;
            disk.sync_dir(&parent(&place))?;
        }
    }
    // Which of the two is new tells the signer's own key: after a crash the file that was renamed tells it no more.
    let external = external(dir, new.name())?;
    let left = match &external {
        Some(signer) if ledger::Sign::verifier(signer) == *new => LOG_KEY,
        _ => SIGNER,
    };
    disk.remove(&dir.join(left))?;
    disk.sync_dir(&parent(&dir.join(left)))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(at(path)(why)),
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).to_owned()
}
