//! Snapshots: the bytes that agents saw, each checked against the commitment that a record holds.

use std::{
    ffi::OsStr,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use duty::{canonical::Digest, subject::SubjectId};
use ledger::snapshot::{self, KEY_SIZE};

use crate::EvidenceError;

/// A directory of snapshots, with the keys of their data subjects in `../keys/subjects` beside it, where they were handed
/// out too.
#[derive(Clone, Debug)]
pub struct Vault {
    dir: PathBuf,
    keys: PathBuf,
}

/// What a vault has under a commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The bytes, as committed to.
    Bytes(Vec<u8>),
    /// The snapshot, sealed with a key that is not here.
    Sealed(SubjectId),
    /// Nothing.
    Absent,
}

/// A key in memory.
pub(crate) type Key = [u8; KEY_SIZE];

impl Vault {
    /// The snapshots in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let keys = dir.with_file_name("keys").join("subjects");
        Self { dir, keys }
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bytes that `commitment` commits to, if they are here and can be read.
    ///
    /// # Errors
    /// [`EvidenceError::Snapshot`] where the file is here and was changed; [`EvidenceError::File`] where it or its key
    /// cannot be read.
    pub fn get(&self, commitment: &Digest) -> Result<Kept, EvidenceError> {
        let path = self.path(commitment);
        let fault = |e: snapshot::SnapshotError| EvidenceError::Snapshot {
            commitment: commitment.to_string(),
            why: format!("`{}`: {e}", path.display()),
        };
        let Some(file) = read(&path, "the snapshots")? else {
            return Ok(Kept::Absent);
        };
        let subject = snapshot::key_id(&file).map_err(fault)?;
        let key = match subject.map(SubjectId::from_bytes) {
            None => None,
            Some(subject) => match self.key(&subject)? {
                None => return Ok(Kept::Sealed(subject)),
                key => key,
            },
        };
        snapshot::open(&file, key.as_ref(), commitment.as_bytes())
            .map(Kept::Bytes)
            .map_err(fault)
    }

    /// The key of a data subject, if it is here.
    ///
    /// # Errors
    /// [`EvidenceError::File`] where it cannot be read, or is none.
    pub(crate) fn key(&self, subject: &SubjectId) -> Result<Option<Key>, EvidenceError> {
        let path = self.keys.join(format!("{subject}.key"));
        let place = "the keys of data subjects";
        let Some(bytes) = read(&path, place)? else {
            return Ok(None);
        };
        let key = bytes[..].try_into().map_err(|_| EvidenceError::File {
            path: path.display().to_string(),
            place: place.to_owned(),
            why: format!("a key has {KEY_SIZE} bytes, and it has {}", bytes.len()),
        });
        key.map(Some)
    }

    /// Where the snapshot of this commitment stands if it is here: `<first two digits>/<all 64 digits>`.
    #[must_use]
    pub fn path(&self, commitment: &Digest) -> PathBuf {
        let name = commitment.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Visits every file whose name should begin with one of these bytes, by the directory that it stands in, with its path.
    /// What stands elsewhere counts as if it began with 0.
    ///
    /// # Errors
    /// What reading the directory or `f` says.
    pub(crate) fn for_each_file_of(
        &self,
        firsts: &RangeInclusive<u8>,
        f: &mut dyn FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let wanted = |name: &OsStr| {
            let first = name.to_str().filter(|name| name.len() == 2);
            let first = first.and_then(|name| u8::from_str_radix(name, 16).ok());
            firsts.contains(&first.unwrap_or(0))
        };
        walk(&self.dir, &wanted, f)
    }
}

fn walk(
    dir: &Path,
    wanted: &dyn Fn(&OsStr) -> bool,
    f: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // What a crash left half-written is in a hidden directory, and nothing refers to it.
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || !wanted(&name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &|_| true, f)?;
        } else {
            f(&entry.path())?;
        }
    }
    Ok(())
}

/// A file's bytes; none where it is not there.
fn read(path: &Path, place: &str) -> Result<Option<Vec<u8>>, EvidenceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EvidenceError::File {
            path: path.display().to_string(),
            place: place.to_owned(),
            why: e.to_string(),
        }),
    }
}
