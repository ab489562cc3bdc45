//! Reading segments: recovery's side.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::frame::{Entry, Group, HEADER, MAGIC, Segment};
use super::{Writer, segment_path, temporary};
use crate::StoreError;
use crate::disk::{Disk, at};
use crate::snapshots::Restore;

/// Reads the groups of a write-ahead log in order, one segment in memory at a time. Snapshots in it are brought back on the
/// way, each before the record that names it is answered.
pub(crate) struct Reader {
    disk: Disk,
    wal: PathBuf,
    /// Ids of the log's keys, the one of today last.
    keys: Vec<[u8; 4]>,
    /// First records of the segments not yet read.
    ahead: VecDeque<u64>,
    /// First records of those that were begun to be read.
    read: Vec<u64>,
    now: Open,
    restore: Restore,
    first: u64,
    /// Record after the last group read.
    next: u64,
    /// Whether the last segment holds more than its frames: a torn one, or bytes that were there to be overwritten.
    torn: bool,
}

struct Open {
    segment: Segment,
    path: PathBuf,
    bytes: Vec<u8>,
    place: usize,
}

impl Reader {
    /// Opens the write-ahead log in `wal`, which must belong to the log with keys of these ids, the one of today last.
    pub(crate) fn open(disk: &Disk, wal: &Path, keys: Vec<[u8; 4]>) -> Result<Self, StoreError> {
        let mut ahead = segments(wal)?;
        let Some(first) = ahead.pop_front() else {
            let why = "it has no segment, so records that were acknowledged may be gone";
            return Err(StoreError::corrupt(wal.display(), why));
        };
        Ok(Self {
            disk: disk.clone(),
            now: Open::read(wal, &keys, first)?,
            restore: Restore::of(disk, wal.parent().unwrap_or(Path::new("."))),
            wal: wal.to_owned(),
            keys,
            ahead,
            read: vec![first],
            first,
            next: first,
            torn: false,
        })
    }

    /// The first record it holds.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The record after the last group read.
    pub(crate) fn end(&self) -> u64 {
        self.next
    }

    /// The next group; `None` at the end.
    pub(crate) fn group(&mut self) -> Result<Option<Group>, StoreError> {
        loop {
            let open = &mut self.now;
            match open.segment.frame(&open.bytes, open.place) {
                Some((_, entry, end)) => {
                    if entry.first() != self.next {
                        let why = format!(
                            "record {} stands where record {} must",
                            entry.first(),
                            self.next
                        );
                        return Err(StoreError::corrupt(open.here(), why));
                    }
                    open.place = end;
                    self.next = entry.end();
                    match entry {
                        Entry::Group(group) => return Ok(Some(group)),
                        Entry::Snapshot(_, sealed) => self.restore.take(&sealed)?,
                    }
                }
                None if open.place < open.bytes.len() => {
                    if !self.ahead.is_empty() || open.goes_on() {
                        let why = "the frame is damaged, and acknowledged records follow it";
                        return Err(StoreError::corrupt(open.here(), why));
                    }
                    self.torn = true;
                    return Ok(None);
                }
                None => match self.ahead.pop_front() {
                    None => return Ok(None),
                    Some(first) if first == self.next => {
                        self.now = Open::read(&self.wal, &self.keys, first)?;
                        self.read.push(first);
                    }
                    Some(first) => {
                        let why = format!(
                            "it ends before record {} and the next segment begins at {first}",
                            self.next
                        );
                        return Err(StoreError::corrupt(open.path.display(), why));
                    }
                },
            }
        }
    }

    /// Readies the log for writing, once all its records are read and published: cuts the torn tail off, begins a fresh
    /// segment and removes the older ones.
    pub(crate) fn finish(self) -> Result<Writer, StoreError> {
        if self.torn {
            self.disk.truncate(&self.now.path, self.now.place as u64)?;
        }
        self.restore.settle()?;
        let fresh = self.now.place == HEADER && self.now.segment.is_current();
        let writer = if fresh && self.now.segment.first == self.next {
            Writer::resume(&self.disk, &self.wal, self.now.segment)?
        } else {
            // Only `open` makes a reader, and the log has a key.
            let key = self.keys.last().copied().unwrap_or_default();
            Writer::begin(&self.disk, &self.wal, key, self.next, None)?
        };
        for first in self.read {
            if first != self.next {
                self.disk.remove(&segment_path(&self.wal, first))?;
            }
        }
        Ok(writer)
    }
}

impl Open {
    fn read(wal: &Path, keys: &[[u8; 4]], first: u64) -> Result<Self, StoreError> {
        let path = segment_path(wal, first);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let segment = Segment::parse(&bytes).ok_or_else(|| {
            StoreError::corrupt(
                path.display(),
                "its header is damaged, or of another version",
            )
        })?;
        if !keys.contains(&segment.key) || segment.first != first {
            return Err(StoreError::corrupt(
                path.display(),
                "it is the segment of another log or place",
            ));
        }
        Ok(Self {
            segment,
            path,
            bytes,
            place: HEADER,
        })
    }

    /// Whether a frame of a later batch follows the damaged one: then what is damaged here was acknowledged.
    fn goes_on(&self) -> bool {
        let rest = &self.bytes[self.place..];
        rest.windows(MAGIC)
            .enumerate()
            .filter(|(_, window)| Segment::is_magic(window))
            .filter_map(|(offset, _)| self.segment.frame(&self.bytes, self.place + offset))
            .any(|(base, _, _)| base > self.place as u64)
    }

    fn here(&self) -> String {
        format!("{} byte {}", self.path.display(), self.place)
    }
}

fn segments(wal: &Path) -> Result<VecDeque<u64>, StoreError> {
    let mut found = Vec::new();
    let entries = fs::read_dir(wal).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(at(wal))? {
        let path = entry.path();
        if path == temporary(wal) {
            continue;
        }
        let name = entry.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_suffix(".wal"))
            .and_then(|digits| digits.parse().ok())
            .filter(|first| segment_path(wal, *first) == path);
        found.push(
            first.ok_or_else(|| StoreError::corrupt(path.display(), "the file is no segment"))?,
        );
    }
    found.sort_unstable();
    Ok(found.into())
}
