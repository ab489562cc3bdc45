//! Snapshots that are durable with the records after them.

use std::time::{Duration, Instant};

use super::*;
use crate::Snapshots;
use crate::snapshots::{Sealed, Settle};
use crate::wal::{Entry, Group, Writer};

const ANN: [u8; 16] = [1; 16];

/// Puts a snapshot into the journal.
fn attach(journal: &Journal, bytes: &[u8]) -> [u8; 32] {
    let written = journal.snapshots().write(&ANN, bytes).unwrap();
    journal.attach(written).unwrap()
}

fn path(place: &Place, commitment: &[u8; 32]) -> PathBuf {
    let name = hex::encode(commitment);
    place.path.join("snapshots").join(&name[..2]).join(name)
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
        kept.push((attach(&journal, &bytes), bytes));
        let end = journal.append_ahead(number, group(number, 1)).unwrap();
        if number % 3 == 2 {
            journal.wait_committed(end).durable_blocking().unwrap();
        }
    }
    // The last one is in the segment's tail, where no record follows it.
    let (last, later) = (b"nothing names it".to_vec(), group(30, 1));
    kept.push((attach(&journal, &last), last));
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
    let whole = attach(&journal, b"whole");
    let torn = attach(&journal, b"torn");
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    drop(journal);
    let wal = place.files("wal");
    let torn_file = path(&place, &torn);
    fs::create_dir_all(torn_file.parent().unwrap()).unwrap();
    fs::write(torn_file, b"CFS2").unwrap();
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
fn one_is_had_at_once_and_in_its_place_before_a_checkpoint_names_it() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let others = Snapshots::of(&place.path);
    assert!(matches!(
        journal.snapshots().write_at_once(&ANN, b"no key yet"),
        Ok(None)
    ));
    for number in 0..20 {
        let bytes = [number; 9];
        let commitment = match number {
            0 => attach(&journal, &bytes),
            _ => {
                let written = journal.snapshots().write_at_once(&ANN, &bytes);
                journal.attach(written.unwrap().unwrap()).unwrap()
            }
        };
        let number = u64::from(number);
        let had = journal.snapshots().get(&commitment);
        assert_eq!(had, Ok(Some(bytes.to_vec())), "before it is durable");
        let end = journal.append_ahead(number, group(number, 1)).unwrap();
        journal.wait_committed(end).durable_blocking().unwrap();
        let had = journal.snapshots().clone().get(&commitment);
        assert_eq!(had, Ok(Some(bytes.to_vec())), "before it is published");
        journal.wait_published_blocking(end).unwrap();
        assert_eq!(others.get(&commitment), Ok(Some(bytes.to_vec())));
        assert_eq!(
            journal.snapshots().get(&commitment),
            Ok(Some(bytes.to_vec()))
        );
    }
    assert!(matches!(
        journal.snapshots().write_at_once(&ANN, &[0; 65 << 10]),
        Ok(None)
    ));
    journal.close().unwrap();
    assert_eq!(others.list().unwrap().len(), 20);
}

#[test]
fn what_is_erased_before_it_is_in_its_place_never_comes_there() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let before = attach(&journal, b"before");
    // Nothing is published while no record follows.
    assert!(!path(&place, &before).exists());
    let late = journal.snapshots().write(&ANN, b"late").unwrap();
    assert_eq!(journal.snapshots().erase(&[(ANN, 0)]), Ok(1));
    assert_eq!(journal.snapshots().get(&before), Ok(None));
    let late = journal.attach(late).unwrap();
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.wait_published_blocking(1).unwrap();
    for commitment in [before, late] {
        assert_eq!(journal.snapshots().get(&commitment), Ok(None));
    }
    assert_eq!(journal.snapshots().list(), Ok(Vec::new()));
    journal.close().unwrap();
    place.open().unwrap().0.close().unwrap();
    assert_eq!(Snapshots::of(&place.path).list(), Ok(Vec::new()));
}

#[test]
fn a_segment_stays_until_the_record_after_its_last_snapshot_is_published() {
    let place = Place::new();
    let disk = Disk::default();
    let wal = place.path.join("fresh");
    fs::create_dir(&wal).unwrap();
    let mut writer = Writer::begin(&disk, &wal, [0; 4], 0, None).unwrap();
    let records = |first, long| {
        let records = [vec![7; long]];
        Entry::Group(Group::new(first, &records).unwrap())
    };
    let sealed = Sealed {
        commitment: [1; 32],
        file: vec![2; 8],
    };
    let batch = [records(0, 3 << 10), Entry::Snapshot(1, sealed.into())];
    writer.append(batch.iter()).unwrap();
    writer.append([records(1, 3 << 10)].iter()).unwrap();
    let closed = writer.closed();
    assert!(!closed.has_old(1) && closed.has_old(2));
    closed
        .remove(&disk, 2, &Settle::of(&disk, &place.path).unwrap())
        .unwrap();
    writer.append([records(2, 8)].iter()).unwrap();
    // The second ends with a record, which alone it waits for.
    assert!(!closed.has_old(1) && closed.has_old(2));
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
    let commitment = attach(&journal, &long);
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
    attach(&journal, b"one");
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
