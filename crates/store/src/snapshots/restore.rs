//! What the write-ahead log holds of snapshots, brought back after a power failure, and when it need not hold it any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Sealed, Snapshots};
use crate::StoreError;
use crate::disk::{Disk, at};

/// Brings snapshots back that a write-ahead log holds.
pub(crate) struct Restore {
    snapshots: Snapshots,
    /// Whether there were any.
    any: bool,
}

impl Restore {
    /// Into the data directory at `path`.
    pub(crate) fn of(disk: &Disk, path: &Path) -> Self {
        Self {
            snapshots: Snapshots::on(disk, path),
            any: false,
        }
    }

    /// Writes a snapshot's file anew where it is not there whole.
    pub(crate) fn take(&mut self, sealed: &Sealed) -> Result<(), StoreError> {
        self.any = true;
        let path = self.snapshots.path(&sealed.commitment);
        match fs::read(&path) {
            Ok(there) if there == sealed.file => return Ok(()),
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(at(&path)(why)),
            _ => {}
        }
        self.snapshots.place_unless_erased(sealed)
    }

    /// Forces what was brought back, or was there, to the device: the write-ahead log may go then.
    pub(crate) fn settle(self) -> Result<(), StoreError> {
        if self.any {
            Settle::open(&self.snapshots.disk, &self.snapshots.root)?.settle()?;
        }
        Ok(())
    }
}

/// Forces all snapshots to the device at once.
pub(crate) struct Settle {
    disk: Disk,
    root: PathBuf,
    /// Open from the start: a file system tells of writes that failed since then.
    file: File,
}

impl Settle {
    /// Those of the data directory at `path`.
    pub(crate) fn of(disk: &Disk, path: &Path) -> Result<Self, StoreError> {
        Self::open(disk, &path.join("snapshots"))
    }

    fn open(disk: &Disk, root: &Path) -> Result<Self, StoreError> {
        let mut changed = Vec::new();
        disk.make_dir(root, &mut changed)?;
        for directory in changed {
            disk.sync_dir(&directory)?;
        }
        Ok(Self {
            disk: disk.clone(),
            root: root.to_owned(),
            file: File::open(root).map_err(at(root))?,
        })
    }

    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.disk.sync_all(&self.file, &self.root)
    }
}
