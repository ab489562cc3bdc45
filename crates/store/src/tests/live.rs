//! A log is verified from its directory while it is written: what is published meanwhile is no fault.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ledger::Directory;
use ledger::verify::verify_in_parallel;

use super::{Place, record};

/// Checks while somebody writes.
const ROUNDS: u64 = 200;

#[test]
fn a_log_that_is_being_written_is_verified_without_a_false_fault() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let done = AtomicBool::new(false);
    let source = Directory::new(&place.path.join("log"));
    let verifier = place.verifier();
    let threads = NonZero::new(2).unwrap();
    let sizes = thread::scope(|scope| {
        let (journal, done) = (&journal, &done);
        scope.spawn(move || {
            let mut next = 0;
            // Groups of many widths, so that files of every width come and go.
            for width in (1..=97).cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let group = (next..next + width).map(record).collect();
                journal
                    .append(next, group)
                    .unwrap()
                    .durable_blocking()
                    .unwrap();
                next += width;
                journal.wait_published_blocking(next).unwrap();
            }
        });
        let mut sizes = Vec::new();
        let mut since: Option<Vec<u8>> = None;
        for round in 0..ROUNDS {
            let count = |_, entries: &[&[u8]]| entries.len() as u64;
            let mut seen = 0;
            let mut fold = |entries| {
                seen += entries;
                Ok(())
            };
            let since_now = since.as_deref();
            let verified =
                verify_in_parallel(&source, &verifier, since_now, threads, &count, &mut fold);
            let verified = verified.unwrap_or_else(|fault| {
                done.store(true, Ordering::Relaxed);
                panic!("round {round}: {fault}")
            });
            assert_eq!(verified.size, seen);
            sizes.push(verified.size);
            since = Some(verified.note);
        }
        done.store(true, Ordering::Relaxed);
        sizes
    });
    journal.close().unwrap();
    let grew = sizes.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(grew > 5, "it grew only {grew} times: {sizes:?}");
}
