//! Headers of segments and frames, as bytes.

use std::sync::Arc;

use ledger::bundle;

use crate::StoreError;
use crate::secret::random;
use crate::snapshots::Sealed;

pub(super) const HEADER: usize = 4 + 4 + 4 + 8 + NONCE + 4;
pub(super) const FRAME: usize = 4 + 4 + 4 + 8 + 8 + 4;
const SEGMENT_MAGIC: &[u8; 4] = b"CFWL";
/// Segments of version 1 hold no snapshots.
const VERSION: u32 = 2;
const OLDEST: u32 = 1;
const NONCE: usize = 8;

/// The most payload of one group.
const LARGEST_GROUP: usize = 32 << 20;

/// First bytes of frames.
const GROUP: &[u8; 4] = b"CFWF";
const SNAPSHOT: &[u8; 4] = b"CFWS";
const COMMITMENT: usize = 32;
pub(super) const MAGIC: usize = 4;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Records.
    Group(Group),
    /// A snapshot's file, ahead of the record of this number.
    Snapshot(u64, Arc<Sealed>),
}

impl Entry {
    /// Bytes that it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Group(group) => group.payload.len(),
            Self::Snapshot(_, sealed) => sealed.file.len(),
        }
    }

    /// Number of the record that comes first in it, or after it.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Group(group) => group.first,
            Self::Snapshot(next, _) => *next,
        }
    }

    /// Number of the record after it.
    pub(crate) fn end(&self) -> u64 {
        match self {
            Self::Group(group) => group.end(),
            Self::Snapshot(next, _) => *next,
        }
    }
}

/// Records that are appended in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Number of the first record.
    pub(crate) first: u64,
    /// How many records.
    pub(crate) count: u32,
    /// The records, as in an entry bundle.
    pub(crate) payload: Vec<u8>,
}

impl Group {
    /// Encodes records; refuses what is too long to be stored.
    pub(crate) fn new(first: u64, records: &[Vec<u8>]) -> Result<Self, StoreError> {
        let bytes = records.iter().map(|record| record.len() + 2).sum();
        if bytes > LARGEST_GROUP {
            return Err(StoreError::TooLong {
                what: "a group of records",
                bytes,
                most: LARGEST_GROUP,
            });
        }
        let mut payload = Vec::with_capacity(bytes);
        for record in records {
            bundle::push(&mut payload, record).map_err(|_| StoreError::TooLong {
                what: "a record",
                bytes: record.len(),
                most: bundle::LONGEST,
            })?;
        }
        let count =
            u32::try_from(records.len()).expect("INVARIANT: each record takes 2 of at most 32 MiB");
        Ok(Self {
            first,
            count,
            payload,
        })
    }

    /// The record after the group.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The records.
    pub(crate) fn records(&self) -> Result<Vec<&[u8]>, StoreError> {
        bundle::parse(&self.payload, self.count as usize)
            .map_err(|why| StoreError::corrupt(format!("the group of record {}", self.first), why))
    }
}

/// Header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) version: u32,
    pub(super) key: [u8; 4],
    pub(super) first: u64,
    pub(super) nonce: [u8; NONCE],
}

impl Segment {
    /// A fresh one.
    pub(super) fn new(key: [u8; 4], first: u64) -> Result<Self, StoreError> {
        Ok(Self {
            version: VERSION,
            key,
            first,
            nonce: random()?,
        })
    }

    /// Whether this program's frames may be written to it.
    pub(super) fn is_current(self) -> bool {
        self.version == VERSION
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(SEGMENT_MAGIC);
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.nonce);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let segment = Self {
            version: u32::from_be_bytes(take(bytes, 4)?),
            key: take(bytes, 8)?,
            first: u64::from_be_bytes(take(bytes, 12)?),
            nonce: take(bytes, 20)?,
        };
        let known = (OLDEST..=VERSION).contains(&segment.version);
        (known && bytes.starts_with(&segment.to_bytes())).then_some(segment)
    }

    /// Appends the frame of `entry`, whose batch begins at `base` of the segment.
    pub(super) fn write(&self, batch: &mut Vec<u8>, base: u64, entry: &Entry) {
        let start = batch.len();
        let (magic, count, payload) = match entry {
            Entry::Group(group) => (GROUP, group.count, [&[][..], &group.payload]),
            Entry::Snapshot(_, sealed) => (SNAPSHOT, 0, [&sealed.commitment[..], &sealed.file]),
        };
        let length = payload.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).expect("INVARIANT: entries are little over 32 MiB");
        batch.extend_from_slice(magic);
        batch.extend_from_slice(&length.to_be_bytes());
        batch.extend_from_slice(&[0; 4]);
        batch.extend_from_slice(&base.to_be_bytes());
        batch.extend_from_slice(&entry.first().to_be_bytes());
        batch.extend_from_slice(&count.to_be_bytes());
        for part in payload {
            batch.extend_from_slice(part);
        }
        let crc = self.crc(&batch[start..]);
        batch[start + 8..start + 12].copy_from_slice(&crc.to_be_bytes());
    }

    /// Whether a frame may begin with these bytes.
    pub(super) fn is_magic(bytes: &[u8]) -> bool {
        bytes == GROUP || bytes == SNAPSHOT
    }

    /// The frame at `place` of the segment's bytes, if a whole one is there: its batch's base, what it holds, its end.
    pub(super) fn frame(&self, bytes: &[u8], place: usize) -> Option<(u64, Entry, usize)> {
        let rest = bytes.get(place..)?;
        let magic = take::<MAGIC>(rest, 0).filter(|magic| Self::is_magic(magic))?;
        let length = u32::from_be_bytes(take(rest, 4)?) as usize;
        let frame = rest.get(..FRAME.checked_add(length)?)?;
        if u32::from_be_bytes(take(frame, 8)?) != self.crc(frame) {
            return None;
        }
        let first = u64::from_be_bytes(take(frame, 20)?);
        let payload = &frame[FRAME..];
        let entry = if magic == *GROUP {
            Entry::Group(Group {
                first,
                count: u32::from_be_bytes(take(frame, 28)?),
                payload: payload.to_vec(),
            })
        } else {
            let sealed = Sealed {
                commitment: take(payload, 0)?,
                file: payload[COMMITMENT..].to_vec(),
            };
            Entry::Snapshot(first, Arc::new(sealed))
        };
        let base = u64::from_be_bytes(take(frame, 12)?);
        Some((base, entry, place + frame.len()))
    }

    /// CRC-32 of the nonce and a frame without its own CRC field.
    fn crc(&self, frame: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.nonce);
        crc.update(&frame[..8]);
        crc.update(&frame[12..]);
        crc.finalize()
    }
}

fn take<const N: usize>(bytes: &[u8], place: usize) -> Option<[u8; N]> {
    bytes.get(place..)?.first_chunk().copied()
}
