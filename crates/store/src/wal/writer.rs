//! Writing segments: the committer's side.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::{Entry, HEADER, Segment};
use super::{SEGMENT, segment_path, temporary};
use crate::StoreError;
use crate::disk::{Disk, at};
use crate::snapshots::Settle;

/// The segment that is written now.
pub(crate) struct Writer {
    disk: Disk,
    wal: PathBuf,
    file: File,
    path: PathBuf,
    segment: Segment,
    /// Bytes of the segment; all of them are on the device.
    length: u64,
    /// Bytes of its file. What lies beyond `length` is there to be overwritten: a sync then forces no new length and no new
    /// blocks to the device, which takes a third off it.
    allocated: u64,
    /// The next record.
    next: u64,
    /// Whether the segment holds snapshots, and whether one of them stands last, ahead of a record of the next segment.
    snapshots: bool,
    leads_on: bool,
    closed: Closed,
    batch: Vec<u8>,
}

/// Bytes that are written ahead of a batch which goes beyond the file's end, and the largest batch that has any: with
/// larger ones they would cost more than they save.
const AHEAD: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
const SMALL: usize = 128 << 10;

/// Segments that are written to no more. Shared with the tidier, which removes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    /// Oldest first.
    closed: VecDeque<Old>,
    /// Files of old segments that may be overwritten as new ones.
    spare: Vec<PathBuf>,
}

/// A closed segment.
#[derive(Debug)]
struct Old {
    /// So many records must be published before it may go.
    end: u64,
    path: PathBuf,
    /// Whether it holds snapshots.
    snapshots: bool,
}

/// Files that are kept as spares.
const SPARES: usize = 2;

impl Closed {
    /// Whether there are segments whose records are all among the first `published`.
    pub(crate) fn has_old(&self, published: u64) -> bool {
        let files = self.lock();
        files.closed.front().is_some_and(|old| old.end <= published)
    }

    /// Removes the segments whose records are all among the first `published`, once the snapshots in them are on the device;
    /// keeps some of their files as spares.
    pub(crate) fn remove(
        &self,
        disk: &Disk,
        published: u64,
        snapshots: &Settle,
    ) -> Result<(), StoreError> {
        let old: Vec<_> = {
            let mut files = self.lock();
            let old = files.closed.iter().take_while(|old| old.end <= published);
            let old = old.count();
            files.closed.drain(..old).collect()
        };
        if old.iter().any(|old| old.snapshots) {
            snapshots.settle()?;
        }
        for Old { end, path, .. } in old {
            if self.lock().spare.len() < SPARES {
                let wal = path.parent().unwrap_or(Path::new("."));
                let spare = temporary(wal).join(format!("spare-{end}"));
                disk.rename(&path, &spare)?;
                // Before it is overwritten: what the old name holds after a crash must be the old segment, or nothing.
                disk.sync_dir(&temporary(wal))?;
                disk.sync_dir(wal)?;
                self.lock().spare.push(spare);
            } else {
                // A removal that a crash undoes is done again by the next start: no sync.
                disk.remove(&path)?;
            }
        }
        Ok(())
    }

    fn spare(&self) -> Option<PathBuf> {
        self.lock().spare.pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Files> {
        // The lists are whole between any two of their operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Begins a fresh segment whose first record is `first`, in the file of an old one where there is a spare.
    pub(crate) fn begin(
        disk: &Disk,
        wal: &Path,
        key: [u8; 4],
        first: u64,
        spare: Option<&Path>,
    ) -> Result<Self, StoreError> {
        let segment = Segment::new(key, first)?;
        let mut changed = Vec::new();
        disk.make_dir(&temporary(wal), &mut changed)?;
        for directory in changed {
            disk.sync_dir(&directory)?;
        }
        let path = segment_path(wal, first);
        let stage = temporary(wal).join(format!("segment-{first}"));
        // Renamed into place when its header is durable: a segment without a whole header is never a torn one. What an old
        // segment has left behind it has another nonce and is no frame of this one.
        match spare {
            Some(spare) => disk.put_over(spare, &path, &segment.to_bytes())?,
            None => disk.put(&stage, &path, &segment.to_bytes())?,
        }
        Self::resume(disk, wal, segment)
    }

    /// Goes on in a segment that holds its header alone.
    pub(super) fn resume(disk: &Disk, wal: &Path, segment: Segment) -> Result<Self, StoreError> {
        let path = segment_path(wal, segment.first);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(at(&path))?;
        let allocated = file.metadata().map_err(at(&path))?.len();
        Ok(Self {
            disk: disk.clone(),
            wal: wal.to_owned(),
            file,
            path,
            segment,
            length: HEADER as u64,
            allocated,
            next: segment.first,
            snapshots: false,
            leads_on: false,
            closed: Closed::default(),
            batch: Vec::new(),
        })
    }

    /// The next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The closed segments.
    pub(crate) fn closed(&self) -> Closed {
        self.closed.clone()
    }

    /// Writes entries, which must follow one another, and forces them to the device. After an error nothing more may be
    /// written.
    pub(crate) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<(), StoreError> {
        if self.length >= SEGMENT {
            self.rotate()?;
        }
        self.batch.clear();
        let mut next = self.next;
        for entry in entries {
            debug_assert_eq!(entry.first(), next);
            self.segment.write(&mut self.batch, self.length, entry);
            next = entry.end();
            self.leads_on = matches!(entry, Entry::Snapshot(..));
            self.snapshots |= self.leads_on;
        }
        let end = self.length + self.batch.len() as u64;
        let mut allocated = self.allocated.max(end);
        if end > self.allocated && self.batch.len() <= SMALL {
            // A few batches more go where zeros are now.
            self.batch.resize(self.batch.len() + AHEAD, 0);
            allocated = end + AHEAD as u64;
        }
        let placed = self.file.seek(SeekFrom::Start(self.length));
        let written = placed
            .map_err(at(&self.path))
            .and_then(|_| self.disk.write(&mut self.file, &self.batch, &self.path));
        if let Err(error) = written {
            // What was written in part was never acknowledged; recovery drops it too, should this fail.
            return match self.file.set_len(self.length) {
                Ok(()) => Err(error),
                Err(why) => Err(StoreError::Io {
                    path: self.path.clone(),
                    why: format!("{error}; and the part written could not be cut off: {why}"),
                }),
            };
        }
        self.disk.sync(&self.file, &self.path)?;
        (self.length, self.allocated) = (end, allocated);
        self.next = next;
        // One huge batch must not keep its memory for good.
        self.batch.shrink_to(SEGMENT as usize);
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), StoreError> {
        // Only the last segment may hold more than its frames.
        if self.allocated > self.length {
            self.disk.truncate(&self.path, self.length)?;
        }
        let closed = self.closed.clone();
        let spare = closed.spare();
        let fresh = Self::begin(
            &self.disk,
            &self.wal,
            self.segment.key,
            self.next,
            spare.as_deref(),
        )?;
        let old = std::mem::replace(self, fresh);
        closed.lock().closed.push_back(Old {
            // A snapshot is in its place when the record that follows it is published.
            end: old.next + u64::from(old.leads_on),
            path: old.path,
            snapshots: old.snapshots,
        });
        self.closed = closed;
        Ok(())
    }
}
