//! Recovery, which is how every journal is opened.

use std::sync::PoisonError;

use ledger::verify::{self, Fault, OnEntry, Options, Start};
use ledger::{Checkpoint, Source, bundle, rotation::Chain, tile};

use crate::StoreError;
use crate::datadir::{DataDir, log};
use crate::disk::Disk;
use crate::publish::Publisher;
use crate::wal::{Group, Reader, Writer};

/// Bytes of records published at once while recovering.
const PIECE: usize = 16 << 20;

/// A log that is published whole, ready to be appended to.
pub(crate) struct Recovered {
    pub(crate) writer: Writer,
    pub(crate) publisher: Publisher,
    /// Note of the published checkpoint.
    pub(crate) note: Vec<u8>,
}

/// Verifies the published log, reads the write-ahead log on from it, hands every record from number `known` on to
/// `on_record`, publishes what was not published, and readies the write-ahead log.
///
/// Where `known` is not 0, what lies before the bundle that holds it is known through the tree's right edge alone, which must
/// lead to the checkpoint's root with the entries after it.
pub(crate) fn recover(
    disk: &Disk,
    dir: &DataDir,
    known: u64,
    on_record: &mut OnEntry<'_>,
) -> Result<Recovered, StoreError> {
    let verifier = dir.keys().key();
    let source = crate::archive::open(dir.path())?;
    let mut overlap = Overlap {
        reader: Reader::open(disk, &dir.path().join("wal"), dir.key_ids())?,
        group: None,
        seen: 0,
    };
    let from = overlap.reader.first();
    let head = refuse_gap(&source, dir.keys(), from)?;
    let corrupt = |fault: Fault| {
        let place = log(dir.path()).join(fault.place);
        StoreError::corrupt(place.display(), fault.why)
    };
    let start = match known {
        0 => Start::default(),
        known => Start::of_tiles(&source, known, &head, dir.keys()).map_err(corrupt)?,
    };
    let mut refused = None;
    // Files beyond the checkpoint are what a crash while publishing leaves; they are written again below.
    let options = Options {
        ignore_strays: true,
        ..Options::default()
    };
    let verified = verify::verify_from(&source, verifier, &start, options, &mut |index, record| {
        overlap.compare(index, record)?;
        if index < known {
            return Ok(());
        }
        on_record(index, record).inspect_err(|why| {
            let why = why.clone();
            refused = Some(StoreError::Refused { index, why });
        })
    });
    let verified = match (verified, refused) {
        (_, Some(refused)) => return Err(refused),
        (Err(fault), None) => return Err(corrupt(fault)),
        (Ok(verified), None) => verified,
    };
    let mut reader = overlap.finish(verified.size)?;
    let guard = dir
        .guard()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .watch(dir.path())?;
    guard.check_published(&source, verified.size)?;
    let mut publisher = Publisher::new(disk, dir, verified.frontier)?;
    let mut note = verified.note;
    while let Some(group) = reader.group()? {
        for (index, record) in (group.first..).zip(group.records()?) {
            on_record(index, record).map_err(|why| StoreError::Refused { index, why })?;
        }
        publisher.take(&group)?;
        guard.check_at(publisher.tree())?;
        // Nothing is published before all is there that was published once.
        if publisher.taken() >= PIECE && publisher.size() >= guard.size() {
            note = publisher.publish()?;
        }
    }
    guard.check_end(publisher.size())?;
    if publisher.taken() > 0 {
        note = publisher.publish()?;
    }
    publisher.tidy(from)?;
    Ok(Recovered {
        writer: reader.finish()?,
        publisher,
        note,
    })
}

/// Refuses a log that ends before the write-ahead log begins: an older copy of it was put back.
/// Answers the checkpoint.
fn refuse_gap(source: &dyn Source, keys: &Chain, from: u64) -> Result<Checkpoint, StoreError> {
    let refuse = |why: String| StoreError::corrupt("log/checkpoint", why);
    let note = source
        .read(tile::CHECKPOINT)
        .map_err(|why| refuse(why.to_string()))?;
    let head = keys
        .open(&note, false)
        .map_err(|why| refuse(why.to_string()))?;
    if head.size >= from {
        return Ok(head);
    }
    let size = head.size;
    Err(refuse(format!(
        "the log has {size} records and the write-ahead log begins at record {from}: an older copy of the log was put back"
    )))
}

/// Compares published records with those that the write-ahead log still holds.
struct Overlap {
    reader: Reader,
    /// The group that the next record is in, if it has been read.
    group: Option<Group>,
    /// Bytes of the group's payload that were compared.
    seen: usize,
}

impl Overlap {
    fn compare(&mut self, index: u64, record: &[u8]) -> Result<(), String> {
        if index < self.reader.first() {
            return Ok(());
        }
        // A loop, since a group may be empty.
        while self.group.as_ref().is_none_or(|group| index >= group.end()) {
            self.group = self.reader.group().map_err(|why| why.to_string())?;
            self.seen = 0;
            if self.group.is_none() {
                break;
            }
        }
        let Some(group) = &self.group else {
            return Err(ends(self.reader.end()));
        };
        if self.seen == 0 && index > group.first {
            // The published log is read from the middle of the group on.
            let records = group.records().map_err(|why| why.to_string())?;
            let before = &records[..(index - group.first) as usize];
            self.seen = before.iter().map(|record| record.len() + 2).sum();
        }
        let mut want = Vec::with_capacity(record.len() + 2);
        bundle::push(&mut want, record).map_err(|why| why.to_string())?;
        if !group.payload[self.seen..].starts_with(&want) {
            return Err(
                "the write-ahead log holds other bytes for this record: one of the two was changed"
                    .to_owned(),
            );
        }
        self.seen += want.len();
        Ok(())
    }

    /// The reader, standing at the first record that is not published.
    fn finish(mut self, published: u64) -> Result<Reader, StoreError> {
        // Records that were not read again, since the state after them is known.
        while self.reader.end() < published {
            self.group = self.reader.group()?;
            if self.group.is_none() {
                let end = self.reader.end();
                return Err(StoreError::corrupt("wal", ends(end)));
            }
        }
        match self.group {
            Some(group) if group.end() != published => Err(StoreError::corrupt(
                "log/checkpoint",
                format!(
                    "it ends at record {published}, inside the group of records {} to {}",
                    group.first,
                    group.end()
                ),
            )),
            _ => Ok(self.reader),
        }
    }
}

fn ends(at: u64) -> String {
    format!(
        "the write-ahead log ends at record {at} and the published log goes on: an older copy of it was put back"
    )
}
