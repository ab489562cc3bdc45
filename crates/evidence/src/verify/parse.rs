//! Reading records on all cores, and folding them in order.

use std::{num::NonZero, sync::Mutex};

use duty::record::Record;
use ledger::{
    Source, Verified, Verifier,
    tile::{Kind, Path, WIDTH},
    verify::{Reached, Start, Work, verify_on},
};

use super::{Fault, alone::Alone, record::Inspector};
use crate::keys::Keys;

/// A record with its place: its number, and its first byte in the bundle; the error says why the entry is none.
type Read = (u64, u64, Result<(Record, Alone), String>);

/// What a check begins with.
pub(super) struct Given<'a> {
    pub(super) source: &'a (dyn Source + Sync),
    pub(super) verifier: &'a Verifier,
    /// Checkpoints seen earlier.
    pub(super) since: &'a [&'a [u8]],
    pub(super) start: &'a Start,
    pub(super) threads: NonZero<usize>,
    pub(super) keys: &'a Keys,
}

/// Told how far a check has come, with all that was folded.
pub(super) type OnReached<'a> = dyn FnMut(Reached<'_>, &mut Inspector) -> Result<(), Fault> + 'a;

/// Checks a log, with every entry read strictly and inspected in order.
///
/// A fault of a record is told before a fault of the files: it says more.
pub(super) fn in_parallel(
    inspector: &mut Inspector,
    given: &Given<'_>,
    reached: &mut OnReached<'_>,
) -> Result<Verified, Fault> {
    let inspector = Mutex::new(inspector);
    let wrong = Mutex::new(None);
    let told = |fault: Fault| {
        let told = ledger::Fault {
            place: fault.place.clone(),
            why: fault.why.clone(),
        };
        *locked(&wrong) = Some(fault);
        told
    };
    let spent = Spent::new(given.threads);
    let read = |first: u64, entries: &[&[u8]]| {
        spent.clear(first);
        read(first, entries, given.keys)
    };
    let work = Work {
        threads: given.threads,
        read: &read,
        fold: &mut |records: Vec<Read>| {
            inspect(&mut locked(&inspector), &records).map_err(&told)?;
            spent.put(records);
            Ok(())
        },
        reached: &mut |at| reached(at, &mut locked(&inspector)).map_err(&told),
    };
    let checked = verify_on(given.source, given.verifier, given.since, given.start, work);
    let wrong = locked(&wrong).take();
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

/// Both closures run on one thread, so that nobody ever waits here.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Records that were folded, until the thread that made them frees them: memory goes back where it came from, which is
/// cheap, and not on the one thread that all wait for.
struct Spent(Vec<Mutex<Vec<Vec<Read>>>>);

impl Spent {
    fn new(threads: NonZero<usize>) -> Self {
        Self((0..threads.get()).map(|_| Mutex::default()).collect())
    }

    fn of(&self, first: u64) -> &Mutex<Vec<Vec<Read>>> {
        &self.0[(first / WIDTH) as usize % self.0.len()]
    }

    fn put(&self, records: Vec<Read>) {
        if let Some((first, ..)) = records.first() {
            locked(self.of(*first)).push(records);
        }
    }

    fn clear(&self, first: u64) {
        let spent = std::mem::take(&mut *locked(self.of(first)));
        drop(spent);
    }
}

fn read(first: u64, entries: &[&[u8]], keys: &Keys) -> Vec<Read> {
    let mut byte = 0;
    let entries = (first..).zip(entries);
    let read = entries.map(|(seq, entry)| {
        let start = byte;
        byte += 2 + entry.len() as u64;
        let record = Record::from_bytes(entry).map_err(|e| e.to_string());
        let judged = record.map(|record| {
            let alone = Alone::judge(&record, keys);
            (record, alone)
        });
        (seq, start, judged)
    });
    read.collect()
}

fn inspect(inspector: &mut Inspector, records: &[Read]) -> Result<(), Fault> {
    for (seq, byte, record) in records {
        let inspected = match record {
            Ok((record, alone)) => inspector.inspect(*seq, record, alone),
            Err(why) => Err(why.clone()),
        };
        inspected.map_err(|why| Fault {
            record: Some(*seq),
            place: place(*seq, *byte),
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
