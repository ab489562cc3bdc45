//! Snapshots: the bytes that agents saw, each checked against the commitment that a record holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use duty::canonical::Digest;

use crate::EvidenceError;

/// A directory of snapshots.
#[derive(Clone, Debug)]
pub struct Vault {
    dir: PathBuf,
}

impl Vault {
    /// The snapshots in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bytes that `commitment` commits to; none where the snapshot is not here.
    ///
    /// # Errors
    /// [`EvidenceError::Snapshot`] where the file is here and was changed; [`EvidenceError::File`] where it cannot be read.
    pub fn get(&self, commitment: &Digest) -> Result<Option<Vec<u8>>, EvidenceError> {
        let fault = |why: String| EvidenceError::Snapshot {
            commitment: commitment.to_string(),
            why,
        };
        let path = self.path(commitment);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(EvidenceError::File {
                    path: path.display().to_string(),
                    place: "the snapshots".to_owned(),
                    why: e.to_string(),
                });
            }
        };
        ledger::snapshot::check(&file, commitment.as_bytes())
            .map(|bytes| Some(bytes.to_vec()))
            .map_err(|e| fault(format!("`{}`: {e}", path.display())))
    }

    /// Where the snapshot of this commitment stands if it is here: `<first two digits>/<all 64 digits>`.
    #[must_use]
    pub fn path(&self, commitment: &Digest) -> PathBuf {
        let name = commitment.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Visits every file in the directory, with its path.
    ///
    /// # Errors
    /// What reading the directory or `f` says.
    pub(crate) fn for_each_file(
        &self,
        f: &mut dyn FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        walk(&self.dir, f)
    }
}

fn walk(dir: &Path, f: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // What a crash left half-written is in a hidden directory, and nothing refers to it.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), f)?;
        } else {
            f(&entry.path())?;
        }
    }
    Ok(())
}
