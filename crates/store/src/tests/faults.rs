//! The fault table: the disk fails at each of its operations in turn, and the next start must find what was
//! acknowledged.

use super::*;

/// Appends groups until the journal stops; answers the record after the last acknowledged one, and after the last tried.
fn work(journal: &Journal, mut next: u64) -> (u64, u64) {
    let mut acknowledged = next;
    for count in [1, 5, 250, 4, 300, 2] {
        let ticket = match journal.append(next, group(next, count)) {
            Ok(ticket) => ticket,
            Err(StoreError::Stopped { .. }) => break,
            Err(other) => panic!("{other}"),
        };
        next += count;
        match ticket.durable_blocking() {
            Ok(()) => acknowledged = next,
            Err(StoreError::Full { .. } | StoreError::Stopped { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        if journal.wait_published_blocking(next).is_err() {
            break;
        }
    }
    (acknowledged, next)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_disk_fails() {
    // Not every operation is hit at the same step in each run, as the threads race; the table is swept all the same.
    let mut clean = false;
    for step in 0.. {
        let place = Place::new();
        let (disk, left) = failing(step);
        let (acknowledged, tried) = match place.open_on(&disk) {
            Ok((journal, _)) => {
                let done = work(&journal, 0);
                let failed = journal.failure();
                let closed = journal.close();
                assert_eq!(
                    failed.is_some() || left.load(Ordering::SeqCst) < 0,
                    closed.is_err(),
                    "step {step}"
                );
                done
            }
            Err(StoreError::Full { .. }) => (0, 0),
            Err(other) => panic!("step {step}: {other}"),
        };
        check(&place, acknowledged, tried, step);
        if left.load(Ordering::SeqCst) >= 0 {
            clean = true;
            break;
        }
    }
    assert!(clean);
}

#[test]
fn a_recovery_that_fails_can_be_tried_again() {
    // A log with published and unpublished records: the publisher's disk failed, the committer's did not yet.
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let (first, _) = work(&journal, 0);
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
    // As if it had been killed before anything of the 600 was published.
    for step in 0.. {
        place.forget();
        place.put_back("log", &log);
        place.put_back("wal", &wal);
        let (disk, left) = failing(step);
        match place.open_on(&disk) {
            Ok((journal, records)) => {
                assert_eq!(records.len() as u64, first + 600);
                drop(journal);
            }
            Err(StoreError::Full { .. }) => {}
            Err(other) => panic!("step {step}: {other}"),
        }
        check(&place, first + 600, first + 600, step);
        if left.load(Ordering::SeqCst) >= 0 {
            assert!(step > 20, "the sweep ended after {step} steps");
            return;
        }
    }
}

/// The next start finds everything acknowledged, groups whole, and a log that verifies.
fn check(place: &Place, acknowledged: u64, tried: u64, step: i64) {
    let (journal, records) = place
        .open()
        .unwrap_or_else(|error| panic!("step {step}: {error}"));
    let size = records.len() as u64;
    assert!(
        size >= acknowledged,
        "step {step}: {size} of {acknowledged} are left"
    );
    assert!(
        size == acknowledged || size == tried,
        "step {step}: a group was cut"
    );
    assert!(numbered(&records), "step {step}");
    assert_eq!(journal.published(), size);
    journal
        .append(size, group(size, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.close().unwrap();
    assert_eq!(place.verify(), size + 1);
}
