//! The write-ahead log: segments of frames, each frame a group of records that is in the log whole or not at all.
//!
//! ```text
//! segment  wal/<first record, 20 digits>.wal
//!   header   "CFWL" | version u32 | key id 4 | first record u64 | nonce 8 | CRC-32 u32
//!   frame    "CFWF" | payload bytes u32 | CRC-32 u32 | base u64 | first record u64 | records u32 | payload
//!            "CFWS" | the same, of no records | commitment of a snapshot 32, its file
//! ```
//!
//! A snapshot stands before the record that names it, so that one sync makes both durable: a record that is there after a
//! crash has its snapshot. The snapshot's own file is put in its place before a checkpoint covers the record, and forced to the
//! device before the segment goes; a start brings those back that a crash prevented. It is sealed here as there: what is erased stays unreadable.
//!
//! The key id is that of the log's key, or of one before it. Numbers are big-endian; the payload is the records as in an entry bundle. A frame's CRC-32 begins with the segment's
//! random nonce, so no record can hold bytes that pass for a frame. `base` is where in the segment the frame's batch
//! begins: all before it was on the device when the batch was written. That tells a torn tail (never acknowledged,
//! dropped) from damage to acknowledged records (refused): damage is no tail if a frame with a later base follows.

mod frame;
mod reader;
mod writer;

pub(crate) use frame::{Entry, Group};
pub(crate) use reader::Reader;
pub(crate) use writer::{Closed, Writer};

use std::path::{Path, PathBuf};

/// Bytes after which a segment is closed and the next one begun; few in tests, so that they see it often.
const SEGMENT: u64 = if cfg!(test) { 2 << 10 } else { 8 << 20 };

/// Where files are written before they are renamed to their places in the log or the write-ahead log.
pub(crate) fn temporary(wal: &Path) -> PathBuf {
    wal.join("tmp")
}

fn segment_path(wal: &Path, first: u64) -> PathBuf {
    wal.join(format!("{first:020}.wal"))
}
