//! Older bundles on cold storage: the log is the same, the disk is not, and nothing is lost wherever a move stops.

use super::*;
use crate::archive::archive_on;
use crate::disk::fault::{Failure, Plan};

/// Records of the logs here: six full bundles and a part of one.
const RECORDS: u64 = 1_600;

fn filled() -> (Place, tempfile::TempDir) {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    journal
        .append(0, group(0, RECORDS))
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.close().unwrap();
    (place, tempfile::tempdir().unwrap())
}

fn bytes(place: &Place) -> usize {
    let files = place.files("log/tile/entries");
    files.values().map(Vec::len).sum()
}

#[test]
fn what_is_archived_is_read_where_it_is() {
    let (place, cold) = filled();
    let before = bytes(&place);
    let moved = crate::archive(&place.path, cold.path(), 1_100).unwrap();
    assert_eq!((moved.bundles, moved.moved), (4, 4));
    assert_eq!(before - bytes(&place), moved.freed as usize);
    assert!(bytes(&place) * 2 < before);
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len() as u64, RECORDS);
    assert!(numbered(&records));
    // It goes on, and a server may run meanwhile.
    journal
        .append(RECORDS, group(RECORDS, 300))
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.wait_published_blocking(RECORDS + 300).unwrap();
    let moved = crate::archive(&place.path, cold.path(), u64::MAX).unwrap();
    assert_eq!((moved.bundles, moved.moved), (7, 3));
    let again = crate::archive(&place.path, cold.path(), 10).unwrap();
    assert_eq!((again.bundles, again.moved, again.freed), (7, 0, 0));
    journal.close().unwrap();
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len() as u64, RECORDS + 300);
    drop(journal);
    // Both directories, one over the other, are the log as it was.
    let whole = tempfile::tempdir().unwrap();
    for from in [place.path.join("log"), cold.path().to_owned()] {
        let copied = std::process::Command::new("cp")
            .args(["-a", &format!("{}/.", from.display())])
            .arg(whole.path())
            .status();
        assert!(copied.unwrap().success());
    }
    let source = Directory::new(whole.path());
    let checked = ledger::verify::verify(&source, &place.verifier(), None, &mut |_, _| Ok(()));
    assert_eq!(checked.unwrap().size, RECORDS + 300);
}

#[test]
fn an_archive_that_is_away_or_changed_is_said() {
    let (place, cold) = filled();
    let there = cold.path().join("archive");
    crate::archive(&place.path, &there, 1_100).unwrap();
    let bundle = there.join("tile/entries/001");
    let right = fs::read(&bundle).unwrap();
    let mut wrong = right.clone();
    wrong[100] ^= 1;
    fs::write(&bundle, wrong).unwrap();
    assert!(matches!(
        place.open().err(),
        Some(StoreError::Corrupt { .. })
    ));
    fs::write(&bundle, right).unwrap();
    let away = cold.path().join("away");
    fs::rename(&there, &away).unwrap();
    let refused = place.open().err().unwrap().to_string();
    assert!(refused.contains("mount it there"), "{refused}");
    let other = crate::archive(&place.path, &away, 1_500);
    assert!(matches!(
        other,
        Err(StoreError::ArchivedElsewhere { bundles: 4, .. })
    ));
    fs::rename(&away, &there).unwrap();
    place.open().unwrap().0.close().unwrap();
}

#[test]
fn a_bundle_that_is_not_what_its_tile_says_is_not_moved() {
    let (place, cold) = filled();
    let bundle = place.path.join("log/tile/entries/002");
    let mut wrong = fs::read(&bundle).unwrap();
    wrong[100] ^= 1;
    fs::write(&bundle, wrong).unwrap();
    let refused = crate::archive(&place.path, cold.path(), u64::MAX).unwrap_err();
    assert!(refused.to_string().contains("tile/0/002"), "{refused}");
    for index in 0..6 {
        assert!(
            place
                .path
                .join(format!("log/tile/entries/{index:03}"))
                .exists()
        );
    }
    let own = place.path.join("cold");
    assert!(
        crate::archive(&place.path, &own, 300).is_err(),
        "inside the data directory"
    );
}

#[test]
fn a_move_that_stops_anywhere_loses_nothing_and_goes_on() {
    for failure in Failure::ALL {
        let mut steps = 0;
        for step in 0.. {
            let (place, cold) = filled();
            let disk = Disk::failing(Plan::new(step, failure));
            let plan = disk.fault.clone().unwrap();
            let tried = archive_on(&disk, &place.path, cold.path(), 1_500, 2);
            let (journal, records) = place.open().unwrap();
            assert!(numbered(&records), "{failure:?} at {step}");
            assert_eq!(records.len() as u64, RECORDS, "{failure:?} at {step}");
            drop(journal);
            let moved = crate::archive(&place.path, cold.path(), 1_500).unwrap();
            assert_eq!(moved.bundles, 5);
            for index in 0..5 {
                let here = place.path.join(format!("log/tile/entries/{index:03}"));
                assert!(!here.exists(), "{failure:?} at {step}");
            }
            let (journal, records) = place.open().unwrap();
            assert_eq!(records.len() as u64, RECORDS);
            drop(journal);
            if plan.left.load(Ordering::SeqCst) >= 0 {
                tried.unwrap();
                steps = step;
                break;
            }
            tried.unwrap_err();
        }
        assert!(steps > 25, "{failure:?}: {steps} operations");
    }
}
