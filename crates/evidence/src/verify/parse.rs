//! Reading records on all cores while the ledger goes through the files, and folding them in order.

use std::{
    num::NonZero,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use duty::record::Record;
use ledger::{
    Verified,
    tile::{Kind, Path, WIDTH},
};

use super::{Fault, record::Inspector};

/// Entries that a core reads at a time: one bundle.
const BATCH: usize = WIDTH as usize;

type OnEntry<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// An entry as the ledger hands it over.
struct Entry {
    seq: u64,
    /// First byte of the entry in its bundle.
    byte: u64,
    bytes: Vec<u8>,
}

/// A record with its place; the error says why the entry is none.
type Read = (u64, u64, Result<Record, String>);

/// Where a worker's batches go, and where they come back.
type Worker = (SyncSender<Vec<Entry>>, Receiver<Vec<Read>>);

/// Runs `ledger`'s check, with every entry read strictly and inspected in order.
///
/// A fault of a record is told before a fault of the files: it says more.
pub(super) fn in_parallel(
    inspector: &mut Inspector,
    ledger: &mut dyn FnMut(&mut OnEntry<'_>) -> Result<Verified, ledger::Fault>,
) -> Result<Verified, Fault> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers = (0..cores).map(|_| {
            let (jobs, todo) = sync_channel::<Vec<Entry>>(2);
            let (done, results) = sync_channel::<Vec<Read>>(2);
            scope.spawn(move || work(&todo, &done));
            (jobs, results)
        });
        let mut line = Line {
            workers: workers.collect(),
            batch: Vec::with_capacity(BATCH),
            byte: 0,
            sent: 0,
            taken: 0,
            fault: None,
            inspector,
        };
        let checked = ledger(&mut |seq, bytes| line.entry(seq, bytes));
        line.finish();
        match (line.fault, checked) {
            (Some(fault), _) => Err(fault),
            (None, Ok(verified)) => Ok(verified),
            (None, Err(fault)) => Err(Fault {
                record: None,
                place: fault.place,
                why: fault.why,
                unreadable: false,
            }),
        }
    })
}

fn work(todo: &Receiver<Vec<Entry>>, done: &SyncSender<Vec<Read>>) {
    while let Ok(batch) = todo.recv() {
        let read = batch.into_iter().map(|entry| {
            let record = Record::from_bytes(&entry.bytes).map_err(|e| e.to_string());
            (entry.seq, entry.byte, record)
        });
        if done.send(read.collect()).is_err() {
            return;
        }
    }
}

/// Batches on their way to the cores and back, always in order: batch `n` is with worker `n % workers`.
struct Line<'a> {
    workers: Vec<Worker>,
    batch: Vec<Entry>,
    byte: u64,
    sent: usize,
    taken: usize,
    fault: Option<Fault>,
    inspector: &'a mut Inspector,
}

impl Line<'_> {
    fn entry(&mut self, seq: u64, bytes: &[u8]) -> Result<(), String> {
        if seq.is_multiple_of(WIDTH) {
            self.byte = 0;
        }
        self.batch.push(Entry {
            seq,
            byte: self.byte,
            bytes: bytes.to_vec(),
        });
        self.byte += 2 + bytes.len() as u64;
        if self.batch.len() == BATCH {
            self.send();
            if self.sent - self.taken >= 2 * self.workers.len() {
                self.take();
            }
        }
        match &self.fault {
            Some(fault) => Err(fault.why.clone()),
            None => Ok(()),
        }
    }

    fn send(&mut self) {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let (jobs, _) = &self.workers[self.sent % self.workers.len()];
        jobs.send(batch)
            .expect("INVARIANT: a worker ends only when its jobs do");
        self.sent += 1;
    }

    fn take(&mut self) {
        let (_, results) = &self.workers[self.taken % self.workers.len()];
        let batch = results
            .recv()
            .expect("INVARIANT: every batch sent is answered");
        self.taken += 1;
        for (seq, byte, record) in batch {
            if self.fault.is_some() {
                return;
            }
            let judged = record.and_then(|record| self.inspector.inspect(seq, &record));
            if let Err(why) = judged {
                self.fault = Some(Fault {
                    record: Some(seq),
                    place: place(seq, byte),
                    why,
                    unreadable: false,
                });
            }
        }
    }

    fn finish(&mut self) {
        if !self.batch.is_empty() {
            self.send();
        }
        while self.taken < self.sent {
            self.take();
        }
    }
}

fn place(seq: u64, byte: u64) -> String {
    let path = Path {
        kind: Kind::Entries,
        index: seq / WIDTH,
        width: WIDTH as u16,
    };
    format!("{path} from byte {byte}")
}
