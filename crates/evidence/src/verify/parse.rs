//! Reading records on all cores, and folding them in order.

use std::{num::NonZero, thread};

use duty::record::Record;
use ledger::{
    Source, Verified, Verifier,
    tile::{Kind, Path, WIDTH},
    verify::verify_in_parallel,
};

use super::{Fault, record::Inspector};

/// A record with its place: its number, and its first byte in the bundle; the error says why the entry is none.
type Read = (u64, u64, Result<Record, String>);

/// Checks a log, with every entry read strictly and inspected in order.
///
/// A fault of a record is told before a fault of the files: it says more.
pub(super) fn in_parallel(
    inspector: &mut Inspector,
    source: &(dyn Source + Sync),
    verifier: &Verifier,
    since: Option<&[u8]>,
) -> Result<Verified, Fault> {
    let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let mut wrong = None;
    let checked = verify_in_parallel(source, verifier, since, threads, &read, &mut |records| {
        inspect(inspector, records).map_err(|fault| {
            let told = ledger::Fault {
                place: fault.place.clone(),
                why: fault.why.clone(),
            };
            wrong = Some(fault);
            told
        })
    });
    match (wrong, checked) {
        (Some(fault), _) => Err(fault),
        (None, Ok(verified)) => Ok(verified),
        (None, Err(fault)) => Err(Fault {
            record: None,
            place: fault.place,
            why: fault.why,
            unreadable: false,
        }),
    }
}

fn read(first: u64, entries: &[&[u8]]) -> Vec<Read> {
    let mut byte = 0;
    let entries = (first..).zip(entries);
    let read = entries.map(|(seq, entry)| {
        let start = byte;
        byte += 2 + entry.len() as u64;
        let record = Record::from_bytes(entry).map_err(|e| e.to_string());
        (seq, start, record)
    });
    read.collect()
}

fn inspect(inspector: &mut Inspector, records: Vec<Read>) -> Result<(), Fault> {
    for (seq, byte, record) in records {
        record
            .and_then(|record| inspector.inspect(seq, &record))
            .map_err(|why| Fault {
                record: Some(seq),
                place: place(seq, byte),
                why,
                unreadable: false,
            })?;
    }
    Ok(())
}

fn place(seq: u64, byte: u64) -> String {
    let path = Path {
        kind: Kind::Entries,
        index: seq / WIDTH,
        width: WIDTH as u16,
    };
    format!("{path} from byte {byte}")
}
