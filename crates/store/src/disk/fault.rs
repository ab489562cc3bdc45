//! Disks that fail as real ones do, for tests.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Disk;

/// What becomes of the operation that fails. Every later one fails too, without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No space is left: a write leaves its first half.
    Full,
    /// An I/O error: nothing of it is there.
    NotPersisted,
    /// An I/O error, and yet all of it is there.
    Persisted,
    /// The power went: renames since their directory's last sync are undone.
    LostRenames,
}

impl Failure {
    pub(crate) const ALL: [Self; 4] = [
        Self::Full,
        Self::NotPersisted,
        Self::Persisted,
        Self::LostRenames,
    ];
}

/// A disk's future: so many operations, then a failure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) left: AtomicI64,
    pub(crate) failure: Failure,
    /// Renames whose directory is not synced yet, with what stood in the place before.
    renamed: Mutex<Vec<Renamed>>,
}

#[derive(Debug)]
struct Renamed {
    from: PathBuf,
    to: PathBuf,
    before: Option<Vec<u8>>,
}

impl Plan {
    pub(crate) fn new(left: i64, failure: Failure) -> Self {
        Self {
            left: AtomicI64::new(left),
            failure,
            renamed: Mutex::new(Vec::new()),
        }
    }

    /// Undoes what the device never heard of, the last first.
    fn lose(&self) {
        for lost in self.renamed.lock().unwrap().drain(..).rev() {
            if !lost.to.is_file() {
                continue;
            }
            fs::rename(&lost.to, &lost.from).unwrap();
            if let Some(before) = lost.before {
                fs::write(&lost.to, before).unwrap();
            }
        }
    }
}

impl Disk {
    /// A disk that fails.
    pub(crate) fn failing(plan: Plan) -> Self {
        Self {
            fault: Some(plan.into()),
        }
    }

    pub(super) fn step<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(plan) = &self.fault else {
            return operation();
        };
        let left = plan.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 {
            return operation();
        }
        if left == 0 {
            match plan.failure {
                Failure::Persisted => {
                    operation()?;
                }
                Failure::LostRenames => plan.lose(),
                Failure::Full | Failure::NotPersisted => {}
            }
        }
        Err(match plan.failure {
            Failure::Full => io::ErrorKind::StorageFull.into(),
            _ => io::Error::from_raw_os_error(5),
        })
    }

    /// What is left to write after the part that a full disk takes.
    pub(super) fn torn<'a>(&self, file: &mut File, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        if let Some(plan) = &self.fault
            && plan.failure == Failure::Full
            && plan.left.load(Ordering::SeqCst) == 0
        {
            file.write_all(&bytes[..bytes.len() / 2])?;
        }
        Ok(bytes)
    }

    pub(super) fn remember(&self, from: &Path, to: &Path) {
        if let Some(plan) = &self.fault {
            let before = fs::read(to).ok();
            plan.renamed.lock().unwrap().push(Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
                before,
            });
        }
    }

    pub(super) fn settle(&self, directory: &Path) {
        if let Some(plan) = &self.fault {
            let mut renamed = plan.renamed.lock().unwrap();
            renamed.retain(|r| r.to.parent() != Some(directory));
        }
    }

    pub(super) fn settle_all(&self) {
        if let Some(plan) = &self.fault {
            plan.renamed.lock().unwrap().clear();
        }
    }
}
