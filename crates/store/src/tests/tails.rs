//! Write-ahead logs that end, or were changed, anywhere.

use super::*;

/// A directory whose write-ahead log holds groups of 2, 3 and 4 records that are not published, and the path and bytes of
/// its one segment, without those that are there to be overwritten.
fn unpublished() -> (Place, String, Vec<u8>, BTreeMap<String, Vec<u8>>) {
    let place = Place::new();
    let log = place.files("log");
    let (journal, _) = place.open().unwrap();
    for (first, count) in [(0, 2), (2, 3), (5, 4)] {
        journal
            .append(first, group(first, count))
            .unwrap()
            .durable_blocking()
            .unwrap();
    }
    drop(journal);
    place.put_back("log", &log);
    let segment = place
        .files("wal")
        .into_iter()
        .find(|(file, _)| file.ends_with(".wal"))
        .unwrap();
    let last = frames(&segment.1)[2];
    let length = segment.1[last + 4..].first_chunk().unwrap();
    let end = last + 32 + u32::from_be_bytes(*length) as usize;
    assert!(segment.1[end..].iter().all(|byte| *byte == 0));
    (place, segment.0, segment.1[..end].to_vec(), log)
}

fn frames(bytes: &[u8]) -> Vec<usize> {
    bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"CFWF")
        .map(|(place, _)| place)
        .collect()
}

#[test]
fn a_torn_tail_is_dropped_whole_at_every_length() {
    let (place, segment, bytes, log) = unpublished();
    let last = frames(&bytes)[2];
    // A file system may have grown the file before it wrote the bytes; they may have been written ahead; and the file may
    // have been an older segment's.
    let (_, _, older, _) = unpublished();
    let zeros = vec![0; bytes.len() + 100];
    let older = older.repeat(2);
    for length in last..=bytes.len() {
        let behinds = [&[][..], &zeros[..bytes.len()], &zeros, &older];
        // Bytes behind do not change what is found: every fifth length does for them.
        let behinds = &behinds[..if length % 5 == 0 { 4 } else { 1 }];
        for behind in behinds {
            let mut torn = bytes[..length].to_vec();
            torn.extend(behind.get(length..).unwrap_or_default());
            place.forget();
            place.put_back("log", &log);
            place.put_back("wal", &[(segment.clone(), torn.clone())].into());
            let (journal, records) = place.open().unwrap();
            let whole = torn.starts_with(&bytes);
            assert_eq!(records.len(), if whole { 9 } else { 5 }, "cut at {length}");
            assert!(numbered(&records));
            let size = records.len() as u64;
            journal
                .append(size, group(size, 1))
                .unwrap()
                .durable_blocking()
                .unwrap();
            drop(journal);
            let (journal, records) = place.open().unwrap();
            assert_eq!(records.len() as u64, size + 1);
            drop(journal);
            place.verify();
        }
    }
}

#[test]
fn damage_before_the_last_batch_is_refused() {
    let (place, segment, bytes, log) = unpublished();
    let last = frames(&bytes)[2];
    for at in 0..last {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        place.put_back("log", &log);
        place.put_back("wal", &[(segment.clone(), changed)].into());
        let refused = place.open().err();
        assert!(
            matches!(refused, Some(StoreError::Corrupt { .. })),
            "byte {at}: {refused:?}"
        );
    }
}

#[test]
fn refuses_a_write_ahead_log_or_a_log_put_back_from_an_older_copy() {
    let place = Place::new();
    let old_log = place.files("log");
    let old_wal = place.files("wal");
    let (journal, _) = place.open().unwrap();
    journal
        .append(0, group(0, 300))
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.close().unwrap();
    let (journal, _) = place.open().unwrap();
    journal.close().unwrap();
    let log = place.files("log");
    let wal = place.files("wal");
    let refused = |what: &str| match place.open().err() {
        Some(StoreError::Corrupt { why, .. }) => assert!(why.contains(what), "{why}"),
        other => panic!("{other:?}"),
    };
    place.put_back("wal", &old_wal);
    refused("an older copy of it was put back");
    place.put_back("wal", &BTreeMap::new());
    refused("may be gone");
    place.put_back("wal", &wal);
    place.put_back("log", &old_log);
    refused("an older copy of the log was put back");
    place.put_back("log", &log);
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len(), 300);
    drop(journal);
    fs::remove_file(place.path.join("log/tile/entries/001.p/44")).unwrap();
    refused("missing");
}

#[test]
fn refuses_what_disagrees_with_the_write_ahead_log() {
    // Another log of the same key: its checkpoint is signed, but its records are others than those committed here.
    let place = Place::new();
    let (log, wal) = (place.files("log"), place.files("wal"));
    let (journal, _) = place.open().unwrap();
    journal
        .append(0, vec![b"fork".to_vec()])
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.wait_published_blocking(1).unwrap();
    drop(journal);
    let fork = place.files("log");
    place.forget();
    place.put_back("log", &log);
    place.put_back("wal", &wal);
    let (journal, _) = place.open().unwrap();
    journal
        .append(0, group(0, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    drop(journal);
    place.forget();
    place.put_back("log", &fork);
    match place.open().err() {
        Some(StoreError::Corrupt { why, .. }) => assert!(why.contains("other bytes"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_the_write_ahead_log_of_another_key() {
    let (one, two) = (Place::new(), Place::new());
    two.put_back("wal", &one.files("wal"));
    assert!(matches!(two.open().err(), Some(StoreError::Corrupt { .. })));
}
