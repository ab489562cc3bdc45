//! Snapshots that are durable with the records after them.

use std::time::{Duration, Instant};

use super::*;
use crate::Snapshots;

const ANN: [u8; 16] = [1; 16];

/// Puts a snapshot into the journal.
fn attach(journal: &Journal, snapshots: &Snapshots, bytes: &[u8]) -> [u8; 32] {
    let written = snapshots.write(&ANN, bytes).unwrap();
    journal.attach(written).unwrap()
}

/// As a power failure leaves them: nobody forced them to the device.
fn lose(place: &Place) {
    let root = place.path.join("snapshots");
    fs::remove_dir_all(&root).unwrap();
    fs::create_dir(&root).unwrap();
}

#[test]
fn a_durable_record_has_its_snapshot_after_a_power_failure() {
    let place = Place::new();
    let snapshots = Snapshots::of(&place.path);
    let (journal, _) = place.open().unwrap();
    let mut kept = Vec::new();
    for number in 0..30 {
        let bytes = vec![7; 10 * number as usize];
        kept.push((attach(&journal, &snapshots, &bytes), bytes));
        let end = journal.append_ahead(number, group(number, 1)).unwrap();
        if number % 3 == 2 {
            journal.wait_committed(end).durable_blocking().unwrap();
        }
    }
    // The last one is in the segment's tail, where no record follows it.
    let (last, later) = (b"nothing names it".to_vec(), group(30, 1));
    kept.push((attach(&journal, &snapshots, &last), last));
    journal
        .append(30, later)
        .unwrap()
        .durable_blocking()
        .unwrap();
    let wal = place.files("wal");
    assert!(
        !wal.values()
            .any(|bytes| bytes.windows(8).any(|w| w == [7; 8])),
        "sealed there as well"
    );
    drop(journal);
    // All that the write-ahead log holds comes back, as if killed before a segment was removed.
    let first = place.files("wal").into_keys().find_map(|name| {
        let digits = name.strip_suffix(".wal")?;
        digits.parse::<usize>().ok()
    });
    let first = first.unwrap();
    lose(&place);
    for (commitment, _) in &kept {
        assert_eq!(snapshots.get(commitment), Ok(None));
    }
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len(), 31);
    assert!(first < 30, "segment {first} holds none");
    for (commitment, bytes) in kept.drain(first + 1..) {
        assert_eq!(snapshots.get(&commitment), Ok(Some(bytes)));
    }
    journal.close().unwrap();
    assert_eq!(place.verify(), 31);
}

#[test]
fn a_snapshot_that_is_half_there_is_mended_and_one_that_was_erased_stays_away() {
    let place = Place::new();
    let snapshots = Snapshots::of(&place.path);
    let (journal, _) = place.open().unwrap();
    let whole = attach(&journal, &snapshots, b"whole");
    let torn = attach(&journal, &snapshots, b"torn");
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    drop(journal);
    let wal = place.files("wal");
    let path = |commitment: &[u8; 32]| {
        let name = hex::encode(commitment);
        place.path.join("snapshots").join(&name[..2]).join(name)
    };
    fs::write(path(&torn), b"CFS2").unwrap();
    let (journal, _) = place.open().unwrap();
    drop(journal);
    assert_eq!(snapshots.get(&torn), Ok(Some(b"torn".to_vec())));
    assert_eq!(snapshots.get(&whole), Ok(Some(b"whole".to_vec())));
    assert_eq!(snapshots.erase(&[(ANN, 0)]), Ok(2));
    place.put_back("wal", &wal);
    place.forget();
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len(), 1);
    drop(journal);
    assert_eq!(snapshots.list(), Ok(Vec::new()));
}

#[test]
fn what_nobody_waits_for_is_written_all_the_same() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    // Also after a pause, when the committer sleeps.
    for number in 0..3 {
        std::thread::sleep(Duration::from_millis(60));
        journal.append_ahead(number, group(number, 1)).unwrap();
        let began = Instant::now();
        while journal.committed() <= number {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "nobody writes it"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(*journal.follow().borrow(), 3);
    journal.close().unwrap();
    assert_eq!(place.verify(), 3);
}

#[test]
fn one_wait_covers_all_that_was_appended_ahead() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    for round in 0..50 {
        let first = round * 4;
        for number in first..first + 4 {
            journal.append_ahead(number, group(number, 1)).unwrap();
        }
        journal
            .wait_committed(first + 4)
            .durable_blocking()
            .unwrap();
        assert!(journal.committed() >= first + 4);
        // What is durable needs no wait, and what nobody appended is not waited for.
        journal.wait_committed(first).durable_blocking().unwrap();
        journal.wait_committed(u64::MAX).durable_blocking().unwrap();
    }
    drop(journal);
    let (journal, records) = place.open().unwrap();
    assert!(numbered(&records) && records.len() == 200);
    drop(journal);
}

#[test]
fn long_ones_are_forced_to_the_device_by_themselves() {
    let place = Place::new();
    let snapshots = Snapshots::of(&place.path);
    let (journal, _) = place.open().unwrap();
    let long = vec![9; 300 << 10];
    let commitment = attach(&journal, &snapshots, &long);
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    let wal = place.files("wal");
    assert!(
        !wal.values()
            .any(|bytes| bytes.windows(4).any(|w| w == b"CFWS"))
    );
    assert_eq!(snapshots.get(&commitment), Ok(Some(long)));
    drop(journal);
}

#[test]
fn a_write_ahead_log_of_the_older_version_is_read_and_not_added_to() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    journal.close().unwrap();
    let mut wal = place.files("wal");
    let (name, bytes) = wal.pop_first().unwrap();
    let mut older = bytes[..32].to_vec();
    older[7] = 1;
    let crc = crc32fast::hash(&older[..28]);
    older.splice(28.., crc.to_be_bytes());
    place.put_back("wal", &[(name.clone(), older.clone())].into());
    let (journal, _) = place.open().unwrap();
    attach(&journal, &Snapshots::of(&place.path), b"one");
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    drop(journal);
    let now = &place.files("wal")[&name];
    assert!(!now.starts_with(&older), "a newer segment took its place");
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len(), 1);
    drop(journal);
}
