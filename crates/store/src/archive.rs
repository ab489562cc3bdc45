//! Moving older bundles to cold storage, so that the disk shrinks and the log stays whole.
//!
//! A bundle is copied, synced, read back and held against the hashes of the tree; then the manifest says that it is there;
//! and only then is it removed here. Whenever the process ends, each bundle is in one place at least, and asked again it goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::archive::{Archived, MANIFEST, Manifest};
use ledger::tile::{self, CHECKPOINT, Kind, WIDTH};
use ledger::{Checkpoint, Source, bundle, hash};

use crate::StoreError;
use crate::datadir::log;
use crate::disk::{Disk, at};

/// Bundles that are copied before the manifest is written again.
const PIECE: u64 = 1024;

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bundles that are archived now, from the first one on.
    pub bundles: u64,
    /// Those that this call moved.
    pub moved: u64,
    /// Bytes that this freed.
    pub freed: u64,
}

/// Moves the full bundles whose records are all before `before` to the directory `to`, which is the one of earlier calls, if
/// there were any. A server may run meanwhile: it writes none of these files.
///
/// # Errors
/// [`StoreError::Corrupt`] for a bundle that is not what the tree's hashes say, which is not moved; [`StoreError::ArchivedElsewhere`]
/// for another directory than before; or that of the system.
pub fn archive(dir: &Path, to: &Path, before: u64) -> Result<Moved, StoreError> {
    archive_on(&Disk::default(), dir, to, before, PIECE)
}

pub(crate) fn archive_on(
    disk: &Disk,
    dir: &Path,
    to: &Path,
    before: u64,
    piece: u64,
) -> Result<Moved, StoreError> {
    let mut mover = Mover::new(disk, dir, to)?;
    let size = mover.published()?;
    let end = before.min(size) / WIDTH;
    // What an earlier call has copied and not removed.
    for index in 0..mover.manifest.bundles {
        mover.remove(index)?;
    }
    while mover.manifest.bundles < end {
        let from = mover.manifest.bundles;
        let upto = end.min(from + piece);
        for index in from..upto {
            mover.copy(index)?;
        }
        mover.sync()?;
        mover.note(upto)?;
        for index in from..upto {
            mover.remove(index)?;
            mover.moved.moved += 1;
        }
    }
    mover.moved.bundles = mover.manifest.bundles;
    Ok(mover.moved)
}

struct Mover<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    source: Archived,
    manifest: Manifest,
    /// Directories of the archive that got new entries since the last sync.
    changed: Vec<PathBuf>,
    moved: Moved,
}

impl<'a> Mover<'a> {
    fn new(disk: &'a Disk, dir: &'a Path, to: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(to).map_err(at(to))?;
        let to = to.canonicalize().map_err(at(to))?;
        let source = open(dir)?;
        let manifest = source.manifest().cloned();
        let manifest = manifest.unwrap_or_else(|| Manifest {
            bundles: 0,
            directory: to.clone(),
        });
        if manifest.bundles > 0 && manifest.directory != to {
            return Err(StoreError::ArchivedElsewhere {
                archive: manifest.directory,
                bundles: manifest.bundles,
            });
        }
        if to.starts_with(dir.canonicalize().map_err(at(dir))?) {
            return Err(StoreError::Io {
                path: to,
                why: "it is inside the data directory; name one on other storage".to_owned(),
            });
        }
        Ok(Self {
            disk,
            dir,
            source,
            manifest,
            changed: Vec::new(),
            moved: Moved::default(),
        })
    }

    fn published(&self) -> Result<u64, StoreError> {
        let note = self.source.read(CHECKPOINT);
        let note = note.map_err(|why| StoreError::corrupt("log/checkpoint", why))?;
        let text = String::from_utf8_lossy(&note);
        let (body, _) = text.split_once("\n\n").unwrap_or_default();
        let checkpoint = Checkpoint::from_text(&format!("{body}\n"));
        let checkpoint = checkpoint.map_err(|why| StoreError::corrupt("log/checkpoint", why))?;
        Ok(checkpoint.size)
    }

    fn copy(&mut self, index: u64) -> Result<(), StoreError> {
        let (path, here) = self.here(index);
        let bytes = fs::read(&here).map_err(at(&here))?;
        self.judge(path, &bytes, &here)?;
        let there = self.manifest.directory.join(path.to_string());
        let above = there.parent().unwrap_or(Path::new("/")).to_owned();
        self.disk.make_dir(&above, &mut self.changed)?;
        // Bundles are not renamed into place: until the manifest names it, nobody reads it.
        self.disk.remove(&there)?;
        let mut file = self.disk.create(&there)?;
        self.disk.write(&mut file, &bytes, &there)?;
        self.disk.sync(&file, &there)?;
        drop(file);
        if self.changed.last() != Some(&above) {
            self.changed.push(above);
        }
        let back = fs::read(&there).map_err(at(&there))?;
        self.judge(path, &back, &there)
    }

    /// Holds a bundle against the hashes of its tile of level 0.
    fn judge(&self, path: tile::Path, bytes: &[u8], place: &Path) -> Result<(), StoreError> {
        let wrong = |why: String| StoreError::corrupt(place.display(), why);
        let hashes = tile::Path {
            kind: Kind::Hashes(0),
            ..path
        };
        let want = self.source.read(&hashes.to_string());
        let want = want.map_err(|why| wrong(why.to_string()))?;
        let entries = bundle::parse(bytes, WIDTH as usize).map_err(|why| wrong(why.to_string()))?;
        let found: Vec<u8> = entries.iter().flat_map(|entry| hash::leaf(entry)).collect();
        if found == want {
            return Ok(());
        }
        Err(wrong(format!("it is not what `{hashes}` says")))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.changed.sort();
        self.changed.dedup();
        for directory in self.changed.drain(..) {
            self.disk.sync_dir(&directory)?;
        }
        Ok(())
    }

    /// Says that so many bundles are there.
    fn note(&mut self, bundles: u64) -> Result<(), StoreError> {
        self.manifest.bundles = bundles;
        let stage = self.dir.join(format!(".{MANIFEST}.new"));
        self.disk.remove(&stage)?;
        let text = self.manifest.to_string();
        let path = self.dir.join(MANIFEST);
        self.disk.put(&stage, &path, text.as_bytes())
    }

    fn remove(&mut self, index: u64) -> Result<(), StoreError> {
        let (_, here) = self.here(index);
        match fs::metadata(&here) {
            Ok(file) => {
                self.disk.remove(&here)?;
                self.moved.freed += file.len();
                Ok(())
            }
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(why) => Err(at(&here)(why)),
        }
    }

    fn here(&self, index: u64) -> (tile::Path, PathBuf) {
        let path = tile::Path {
            kind: Kind::Entries,
            index,
            width: WIDTH as u16,
        };
        (path, log(self.dir).join(path.to_string()))
    }
}

/// The log of a data directory, wherever its bundles are.
pub(crate) fn open(dir: &Path) -> Result<Archived, StoreError> {
    Archived::open(&log(dir), dir)
        .map_err(|why| StoreError::corrupt(dir.join(MANIFEST).display(), why))
}
