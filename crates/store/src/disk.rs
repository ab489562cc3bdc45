//! Every change to the disk that recovery must survive goes through [`Disk`], so that tests can stop it at each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The way to the disk. In tests it can be told to fail for good after so many operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) fault: Option<Arc<fault::Plan>>,
}

#[cfg(test)]
pub(crate) use std::sync::Arc;

#[cfg(test)]
pub(crate) mod fault;

impl Disk {
    /// Makes a file that is not there yet.
    pub(crate) fn create(&self, path: &Path) -> Result<File> {
        let make = || OpenOptions::new().write(true).create_new(true).open(path);
        self.step(make).map_err(at(path))
    }

    /// Writes all bytes at the file's position. A write that fails may have written some.
    pub(crate) fn write(&self, file: &mut File, bytes: &[u8], path: &Path) -> Result<()> {
        #[cfg(test)]
        let bytes = self.torn(file, bytes).map_err(at(path))?;
        self.step(|| file.write_all(bytes)).map_err(at(path))
    }

    /// Forces a file's bytes and length to the device.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<()> {
        self.step(|| file.sync_data()).map_err(at(path))
    }

    /// Forces a directory's entries to the device.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<()> {
        self.step(|| File::open(path)?.sync_all())
            .map_err(at(path))?;
        #[cfg(test)]
        self.settle(path);
        Ok(())
    }

    /// Forces everything on the file system of an open file or directory to the device, and tells of writes that failed since
    /// it was opened (Linux 5.8 or newer).
    pub(crate) fn sync_all(&self, file: &File, path: &Path) -> Result<()> {
        self.step(|| sync_file_system(file)).map_err(at(path))?;
        #[cfg(test)]
        self.settle_all();
        Ok(())
    }

    /// Puts a file in the place of another, in one step.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        #[cfg(test)]
        self.remember(from, to);
        self.step(|| fs::rename(from, to)).map_err(at(to))
    }

    /// Cuts a file and forces that to the device.
    pub(crate) fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        let cut = || -> io::Result<()> {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            file.sync_all()
        };
        self.step(cut).map_err(at(path))
    }

    /// Removes a file; one that is gone already is fine.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        self.step(|| gone_is_fine(fs::remove_file(path)))
            .map_err(at(path))
    }

    /// Removes a directory with all that is in it; one that is gone already is fine.
    pub(crate) fn remove_dir(&self, path: &Path) -> Result<()> {
        self.step(|| gone_is_fine(fs::remove_dir_all(path)))
            .map_err(at(path))
    }

    /// Makes a directory and those above it. Adds to `changed` the directories that got a new entry and need a sync.
    pub(crate) fn make_dir(&self, path: &Path, changed: &mut Vec<PathBuf>) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_dir(parent, changed)?;
            changed.push(parent.to_owned());
        }
        self.step(|| fs::create_dir(path)).map_err(at(path))
    }

    /// As [`Disk::put`], for a file that nobody else may read (mode 0600).
    pub(crate) fn put_private(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
        let make = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(temporary)
        };
        let file = self.step(make).map_err(at(temporary))?;
        self.place(file, temporary, path, bytes)
    }

    /// Writes a small file in one step: into `temporary`, synced, then renamed to `path`, whose directory is synced.
    pub(crate) fn put(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.create(temporary)?;
        self.place(file, temporary, path, bytes)
    }

    /// As [`Disk::put`], over the beginning of a file that is there; what follows in it stays.
    pub(crate) fn put_over(&self, file: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
        let opened = self.step(|| OpenOptions::new().write(true).open(file));
        self.place(opened.map_err(at(file))?, file, path, bytes)
    }

    fn place(&self, mut file: File, temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
        self.write(&mut file, bytes, temporary)?;
        self.sync(&file, temporary)?;
        self.rename(temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests make it fail")]
    fn step<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        operation()
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(file: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &File) -> io::Result<()> {
    // Snapshots are forced to the device one by one there; see `Snapshots::write`.
    Ok(())
}

/// Turns a system error at `path` into ours.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::io(path, &error)
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
