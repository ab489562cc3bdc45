//! Writing segments: the committer's side.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::{Group, HEADER, Segment};
use super::{SEGMENT, segment_path, temporary};
use crate::StoreError;
use crate::disk::{Disk, at};
use crate::secret::random;

/// The segment that is written now.
pub(crate) struct Writer {
    disk: Disk,
    wal: PathBuf,
    file: File,
    path: PathBuf,
    segment: Segment,
    /// Bytes of the segment; all of them are on the device.
    length: u64,
    /// The next record.
    next: u64,
    closed: Closed,
    batch: Vec<u8>,
}

/// Segments that are written to no more, oldest first: the record after each, and its file. Shared with the publisher,
/// which removes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed(Arc<Mutex<VecDeque<(u64, PathBuf)>>>);

impl Closed {
    /// Removes the segments whose records are all among the first `published`.
    pub(crate) fn remove(&self, disk: &Disk, published: u64) -> Result<(), StoreError> {
        loop {
            let oldest = {
                let mut closed = self.lock();
                closed.pop_front_if(|(end, _)| *end <= published)
            };
            match oldest {
                // A removal that a crash undoes is done again by the next start: no sync.
                Some((_, path)) => disk.remove(&path)?,
                None => return Ok(()),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, PathBuf)>> {
        // A queue is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Begins a fresh segment whose first record is `first`.
    pub(crate) fn begin(
        disk: &Disk,
        wal: &Path,
        key: [u8; 4],
        first: u64,
    ) -> Result<Self, StoreError> {
        let segment = Segment {
            key,
            first,
            nonce: random()?,
        };
        let mut changed = Vec::new();
        disk.make_dir(&temporary(wal), &mut changed)?;
        for directory in changed {
            disk.sync_dir(&directory)?;
        }
        let path = segment_path(wal, first);
        let stage = temporary(wal).join(format!("segment-{first}"));
        // Renamed into place when its header is durable: a segment without a whole header is never a torn one.
        disk.put(&stage, &path, &segment.to_bytes())?;
        Self::resume(disk, wal, segment)
    }

    /// Goes on in a segment that holds its header alone.
    pub(super) fn resume(disk: &Disk, wal: &Path, segment: Segment) -> Result<Self, StoreError> {
        let path = segment_path(wal, segment.first);
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        Ok(Self {
            disk: disk.clone(),
            wal: wal.to_owned(),
            file,
            path,
            segment,
            length: HEADER as u64,
            next: segment.first,
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

    /// Writes groups, which must follow one another, and forces them to the device. After an error nothing more may be
    /// written.
    pub(crate) fn append<'a>(
        &mut self,
        groups: impl Iterator<Item = &'a Group>,
    ) -> Result<(), StoreError> {
        if self.length >= SEGMENT {
            self.rotate()?;
        }
        self.batch.clear();
        let mut next = self.next;
        for group in groups {
            debug_assert_eq!(group.first, next);
            self.segment.write(&mut self.batch, self.length, group);
            next = group.end();
        }
        let written = self.disk.write(&mut self.file, &self.batch, &self.path);
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
        self.length += self.batch.len() as u64;
        self.next = next;
        // One huge batch must not keep its memory for good.
        self.batch.shrink_to(SEGMENT as usize);
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), StoreError> {
        let closed = self.closed.clone();
        let fresh = Self::begin(&self.disk, &self.wal, self.segment.key, self.next)?;
        let old = std::mem::replace(self, fresh);
        closed.lock().push_back((old.next, old.path));
        self.closed = closed;
        Ok(())
    }
}
