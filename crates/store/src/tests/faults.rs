//! The fault table: the disk fails at each of its operations in turn, in each way that disks fail, and the next start must
//! find what was acknowledged, in its order, under checkpoints that continue those published before.

use super::*;
use crate::Snapshots;
use crate::disk::fault::{Failure, Plan};

/// What came of some work.
struct Done {
    /// The record after the last acknowledged one, and after the last tried.
    acknowledged: u64,
    tried: u64,
    /// The last checkpoint that anybody could have seen.
    seen: Option<Vec<u8>>,
    /// Snapshots that acknowledged records name.
    kept: Vec<[u8; 32]>,
}

impl Done {
    fn nothing() -> Self {
        Self {
            acknowledged: 0,
            tried: 0,
            seen: None,
            kept: Vec::new(),
        }
    }
}

/// Appends groups, each after its snapshot, until the journal stops.
fn work(journal: &Journal, mut next: u64) -> Done {
    let mut acknowledged = next;
    let mut seen = None;
    let mut kept = Vec::new();
    for count in [1, 5, 250, 4, 300, 2] {
        let written = journal.snapshots().write(&[1; 16], &[7; 300]);
        // Where it fails the records name none.
        let named = match written.and_then(|written| journal.attach(written)) {
            Ok(named) => Some(named),
            Err(StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Stopped { .. }) => {
                None
            }
            Err(other) => panic!("{other}"),
        };
        let ticket = match journal.append(next, group(next, count)) {
            Ok(ticket) => ticket,
            Err(StoreError::Stopped { .. }) => break,
            Err(other) => panic!("{other}"),
        };
        next += count;
        match ticket.durable_blocking() {
            Ok(()) => {
                acknowledged = next;
                kept.extend(named);
            }
            Err(StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Stopped { .. }) => {
                break;
            }
            Err(other) => panic!("{other}"),
        }
        if journal.wait_published_blocking(next).is_err() {
            break;
        }
        seen = Some(journal.checkpoint());
    }
    Done {
        acknowledged,
        tried: next,
        seen,
        kept,
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_disk_fails() {
    // Not every operation is hit at the same step in each run, as the threads race; the table is swept all the same.
    std::thread::scope(|scope| {
        for failure in Failure::ALL {
            scope.spawn(move || {
                let steps = sweep(failure);
                println!("{failure:?}: {steps} operations");
                assert!(
                    steps > 60,
                    "{failure:?}: the sweep ended after {steps} operations"
                );
            });
        }
    });
}

/// Fails at each operation in turn; answers how many there are.
fn sweep(failure: Failure) -> i64 {
    for step in 0.. {
        let place = Place::new();
        let disk = Disk::failing(Plan::new(step, failure));
        let plan = disk.fault.clone().unwrap();
        let done = match place.open_on(&disk) {
            Ok((journal, _)) => {
                let done = work(&journal, 0);
                let failed = journal.failure();
                let closed = journal.close();
                assert_eq!(
                    failed.is_some() || plan.left.load(Ordering::SeqCst) < 0,
                    closed.is_err(),
                    "{failure:?} at {step}"
                );
                done
            }
            Err(StoreError::Full { .. } | StoreError::Io { .. }) => Done::nothing(),
            Err(other) => panic!("{failure:?} at {step}: {other}"),
        };
        check(&place, &done, &format!("{failure:?} at {step}"));
        if plan.left.load(Ordering::SeqCst) >= 0 {
            return step;
        }
    }
    unreachable!("the loop has no end")
}

#[test]
fn a_recovery_that_fails_can_be_tried_again() {
    // A log with published and unpublished records: the publisher's disk failed, the committer's did not yet.
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let done = work(&journal, 0);
    let first = done.tried;
    drop(journal);
    let log = place.files("log");
    let (journal, _) = place.open().unwrap();
    journal
        .append(first, group(first, 600))
        .unwrap()
        .durable_blocking()
        .unwrap();
    let wal = place.files("wal");
    drop(journal);
    let done = Done {
        acknowledged: first + 600,
        tried: first + 600,
        ..done
    };
    // As if it had been killed before anything of the 600 was published.
    for failure in Failure::ALL {
        for step in 0.. {
            place.forget();
            place.put_back("log", &log);
            place.put_back("wal", &wal);
            let disk = Disk::failing(Plan::new(step, failure));
            match place.open_on(&disk) {
                Ok((journal, records)) => {
                    assert_eq!(records.len() as u64, first + 600);
                    drop(journal);
                }
                Err(StoreError::Full { .. } | StoreError::Io { .. }) => {}
                Err(other) => panic!("{failure:?} at {step}: {other}"),
            }
            check(&place, &done, &format!("{failure:?} at {step}"));
            if disk.fault.unwrap().left.load(Ordering::SeqCst) >= 0 {
                assert!(step > 20, "{failure:?}: the sweep ended after {step} steps");
                break;
            }
        }
    }
}

/// The next start finds everything acknowledged, groups whole, and a log that verifies.
fn check(place: &Place, done: &Done, at: &str) {
    let (journal, records) = place.open().unwrap_or_else(|error| panic!("{at}: {error}"));
    let size = records.len() as u64;
    let Done {
        acknowledged,
        tried,
        ..
    } = *done;
    assert!(
        size >= acknowledged,
        "{at}: {size} of {acknowledged} are left"
    );
    assert!(
        size == acknowledged || size == tried,
        "{at}: a group was cut"
    );
    assert!(numbered(&records), "{at}");
    for commitment in &done.kept {
        let kept = Snapshots::of(&place.path).get(commitment);
        assert_eq!(kept, Ok(Some(vec![7; 300])), "{at}");
    }
    assert_eq!(journal.published(), size);
    let ticket = journal.append(size, group(size, 1)).unwrap();
    ticket.durable_blocking().unwrap();
    journal.close().unwrap();
    let source = Directory::new(&place.path.join("log"));
    let continues = verify(
        &source,
        &place.verifier(),
        done.seen.as_deref(),
        &mut |_, _| Ok(()),
    );
    assert_eq!(
        continues.unwrap_or_else(|e| panic!("{at}: {e}")).size,
        size + 1
    );
}
