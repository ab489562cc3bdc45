//! Publishing: bundles, tiles and the signed checkpoint of the log directory.
//!
//! Files are written outside the log, forced to the device, and renamed into place; the checkpoint goes last, so that
//! at every instant all that a checkpoint speaks of is there. Partial files stay until the full one is published, as
//! `tlog-tiles` asks: a reader who holds an earlier checkpoint still needs them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ledger::bundle::BundleError;
use ledger::checkpoint::CheckpointError;
use ledger::note::NoteError;
use ledger::tile::{self, Kind, WIDTH};
use ledger::{Checkpoint, Frontier, Sign};

use crate::disk::{Disk, at};
use crate::guard::Guard;
use crate::wal::{self, Group};
use crate::{DataDir, StoreError};

/// Syncs that run at once: a file system puts concurrent ones into one commit of its journal.
const SYNCS: usize = 4;

/// Files that are open at once, at most, while they wait for their sync.
const MOST_OPEN: usize = 128;

/// Writes the log directory.
pub(crate) struct Publisher {
    disk: Disk,
    log: PathBuf,
    temporary: PathBuf,
    signer: Arc<dyn Sign + Send + Sync>,
    guard: Arc<Mutex<Guard>>,
    tree: Frontier,
    /// Files written aside whose bytes may not be on the device yet.
    open: Vec<(PathBuf, File)>,
    /// Files written aside, and where they belong.
    staged: Vec<(PathBuf, tile::Path)>,
    /// Bytes taken since the last checkpoint.
    taken: usize,
    count: u64,
}

impl Publisher {
    /// Goes on from the published tree. Temporary files of an earlier run are removed.
    pub(crate) fn new(disk: &Disk, dir: &DataDir, tree: Frontier) -> Result<Self, StoreError> {
        let temporary = wal::temporary(&dir.path().join("wal"));
        disk.remove_dir(&temporary)?;
        fs::create_dir(&temporary).map_err(at(&temporary))?;
        Ok(Self {
            disk: disk.clone(),
            log: crate::datadir::log(dir.path()),
            temporary,
            signer: Arc::clone(dir.signer()),
            guard: Arc::clone(dir.guard()),
            tree,
            open: Vec::new(),
            staged: Vec::new(),
            taken: 0,
            count: 0,
        })
    }

    /// Records in the tree, published or not.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The tree with all that was taken.
    pub(crate) fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// Bytes taken since the last checkpoint.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes a group into the tree; files that it fills are written aside. After an error nothing more may be done.
    pub(crate) fn take(&mut self, group: &Group) -> Result<(), StoreError> {
        let mut full = Vec::new();
        for record in group.records()? {
            self.tree
                .push(record, &mut |path, bytes| -> Result<(), StoreError> {
                    full.push((path, bytes.to_vec()));
                    Ok(())
                })?;
            for (path, bytes) in full.drain(..) {
                self.stage(path, &bytes)?;
            }
        }
        self.taken += group.payload.len();
        Ok(())
    }

    /// Publishes all that was taken; answers the note of the new checkpoint.
    pub(crate) fn publish(&mut self) -> Result<Vec<u8>, StoreError> {
        self.prepare()?;
        let note = self.sign()?;
        self.complete(&note)?;
        Ok(note)
    }

    /// Puts all files of what was taken into place; only the checkpoint is missing then.
    pub(crate) fn prepare(&mut self) -> Result<(), StoreError> {
        for (path, bytes) in self.tree.partials() {
            self.stage(path, &bytes)?;
        }
        self.sync()?;
        let mut changed = Vec::new();
        for (temporary, path) in &self.staged {
            let path = self.log.join(path.to_string());
            if let Some(parent) = path.parent() {
                self.disk.make_dir(parent, &mut changed)?;
                changed.push(parent.to_owned());
            }
            self.disk.rename(temporary, &path)?;
        }
        for directory in changed.into_iter().collect::<BTreeSet<_>>() {
            self.disk.sync_dir(&directory)?;
        }
        Ok(())
    }

    /// The signed checkpoint of all that was taken. May be called again after a [`StoreError::Signer`].
    pub(crate) fn sign(&self) -> Result<Vec<u8>, StoreError> {
        let head = Checkpoint {
            origin: self.signer.verifier().name().to_owned(),
            size: self.tree.size(),
            root: self.tree.root(),
            extensions: Vec::new(),
        };
        head.sign(&*self.signer).map_err(|why| match why {
            CheckpointError::Note(why @ NoteError::Signer { .. }) => StoreError::Signer {
                why: why.to_string(),
            },
            why => StoreError::Key(why.to_string()),
        })
    }

    /// Publishes the signed checkpoint of what was prepared.
    pub(crate) fn complete(&mut self, note: &[u8]) -> Result<(), StoreError> {
        // Before anybody can see the checkpoint: what was seen must be known to the next start.
        self.guard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .advance(&self.disk, note)?;
        self.disk.put(
            &self.temporary.join(tile::CHECKPOINT),
            &self.log.join(tile::CHECKPOINT),
            note,
        )?;
        for (_, path) in std::mem::take(&mut self.staged) {
            if path.is_full() {
                self.remove_partials(path)?;
            }
        }
        self.taken = 0;
        Ok(())
    }

    /// Removes partial files whose full one is published, among those from record `from` on: what a crash left undone.
    pub(crate) fn tidy(&self, from: u64) -> Result<(), StoreError> {
        let size = self.tree.size();
        let kinds = (0..8).map(Kind::Hashes).chain([Kind::Entries]);
        for kind in kinds {
            for index in kind.items(from) / WIDTH..kind.items(size) / WIDTH {
                let full = tile::Path {
                    kind,
                    index,
                    width: WIDTH as u16,
                };
                self.remove_partials(full)?;
            }
        }
        Ok(())
    }

    fn remove_partials(&self, full: tile::Path) -> Result<(), StoreError> {
        let partials = self.log.join(format!("{full}.p"));
        if partials.exists() {
            self.disk.remove_dir(&partials)?;
        }
        Ok(())
    }

    fn stage(&mut self, path: tile::Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.count += 1;
        let temporary = self.temporary.join(self.count.to_string());
        let mut file = self.disk.create(&temporary)?;
        self.disk.write(&mut file, bytes, &temporary)?;
        self.open.push((temporary.clone(), file));
        self.staged.push((temporary, path));
        if self.open.len() >= MOST_OPEN {
            self.sync()?;
        }
        Ok(())
    }

    /// Forces what was written aside to the device.
    fn sync(&mut self) -> Result<(), StoreError> {
        let disk = &self.disk;
        let sync = |files: &[(PathBuf, File)]| {
            files
                .iter()
                .try_for_each(|(path, file)| disk.sync(file, path))
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .open
                .chunks(self.open.len().div_ceil(SYNCS).max(1))
                .map(|files| scope.spawn(move || sync(files)))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        self.open.clear();
        Ok(())
    }
}

impl From<BundleError> for StoreError {
    fn from(error: BundleError) -> Self {
        Self::corrupt("a group of records", error)
    }
}
