//! Recovery, which is how every journal is opened.

use std::sync::PoisonError;

use ledger::verify::{self, OnEntry, Options};
use ledger::{Source, bundle, rotation::Chain, tile};

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

/// Verifies the published log, reads the write-ahead log on from it, hands every record to `on_record`, publishes what
/// was not published, and readies the write-ahead log.
pub(crate) fn recover(
    disk: &Disk,
    dir: &DataDir,
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
    refuse_gap(&source, dir.keys(), from)?;
    let mut refused = None;
    // Files beyond the checkpoint are what a crash while publishing leaves; they are written again below.
    let options = Options {
        ignore_strays: true,
        ..Options::default()
    };
    let verified = verify::verify_with(&source, verifier, None, options, &mut |index, record| {
        overlap.compare(index, record)?;
        on_record(index, record).inspect_err(|why| {
            let why = why.clone();
            refused = Some(StoreError::Refused { index, why });
        })
    });
    let verified = match (verified, refused) {
        (_, Some(refused)) => return Err(refused),
        (Err(fault), None) => {
            let place = log(dir.path()).join(fault.place);
            return Err(StoreError::corrupt(place.display(), fault.why));
        }
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
fn refuse_gap(source: &dyn Source, keys: &Chain, from: u64) -> Result<(), StoreError> {
    let refuse = |why: String| StoreError::corrupt("log/checkpoint", why);
    let note = source
        .read(tile::CHECKPOINT)
        .map_err(|why| refuse(why.to_string()))?;
    let size = keys
        .open(&note, false)
        .map_err(|why| refuse(why.to_string()))?
        .size;
    if size >= from {
        return Ok(());
    }
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
            return Err(format!(
                "the write-ahead log ends at record {} and the published log goes on: an older copy of it was put back",
                self.reader.end()
            ));
        };
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
    fn finish(self, published: u64) -> Result<Reader, StoreError> {
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
