//! Reading ahead: records are read, and their signatures verified, on other threads than the one that takes them in order.
//!
//! What is handed over is what that thread would come to by itself: a record is read strictly, and a signature that was
//! verified answers for its key, its bytes and itself alone. So nothing depends on how far ahead anybody is.

use std::{num::NonZero, sync::mpsc, thread};

use duty::{record::Record, signature::Checked};
use ledger::{Source, tile::WIDTH};

use crate::{EvidenceError, keys::Keys, reader};

/// Bundles that each thread may be ahead.
const AHEAD: usize = 4;

/// A record of the log.
pub(crate) struct Read {
    pub(crate) record: Record,
    /// Its request's signature, verified with the key that it may well be of.
    pub(crate) checked: Option<Checked>,
}

/// Records of one bundle, in order; nothing follows an error.
type Batch = Vec<Result<Read, EvidenceError>>;

/// How many threads read, unless told otherwise.
pub(crate) fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Hands every record up to the checkpoint on to `f`, in order, on the calling thread.
pub(crate) fn for_each(
    source: &(dyn Source + Sync),
    threads: NonZero<usize>,
    f: &mut dyn FnMut(Read) -> Result<(), EvidenceError>,
) -> Result<(), EvidenceError> {
    let size = reader::head(source)?.size;
    let bundles = size.div_ceil(WIDTH);
    let keys = Keys::default();
    thread::scope(|scope| {
        let reading = (0..bundles.min(threads.get() as u64)).map(|n| {
            let (send, taken) = mpsc::sync_channel(AHEAD);
            let keys = &keys;
            scope.spawn(move || {
                for index in (n..bundles).step_by(threads.get()) {
                    let batch = read(source, index, size, keys);
                    let failed = batch.last().is_some_and(Result::is_err);
                    // Nobody takes any more where something went wrong.
                    if send.send(batch).is_err() || failed {
                        break;
                    }
                }
            });
            taken
        });
        let reading: Vec<mpsc::Receiver<Batch>> = reading.collect();
        for taken in (0..bundles)
            .zip(reading.iter().cycle())
            .map(|(_, taken)| taken)
        {
            let batch = taken.recv();
            let batch = batch
                .expect("INVARIANT: a thread ends after all of its bundles, or after an error");
            for read in batch {
                f(read?)?;
            }
        }
        Ok(())
    })
}

fn read(source: &dyn Source, index: u64, size: u64, keys: &Keys) -> Batch {
    let mut batch = Vec::with_capacity(WIDTH as usize);
    let done = reader::for_each_in_bundle(source, index, size, &mut |seq, entry| {
        let record = Record::from_bytes(entry).map_err(|e| EvidenceError::Record {
            seq,
            why: e.to_string(),
        })?;
        keys.take(&record);
        let checked = record.body.request().and_then(|r| keys.check(r));
        batch.push(Ok(Read { record, checked }));
        Ok(())
    });
    batch.extend(done.err().map(Err));
    batch
}
