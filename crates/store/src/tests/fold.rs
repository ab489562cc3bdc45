//! Folds: used only where nothing about them is wrong, and a start from one is as careful about what follows.

use super::*;
use crate::disk::fault::{Failure, Plan};
use crate::{Fold, Folds, NewKey};
use ledger::rotation::Act;

const CORE: &str = "test 1";

/// Opens the journal from record `known` on, and gathers what it hands on.
fn open_from(place: &Place, known: u64) -> Result<(Journal, Vec<Vec<u8>>), StoreError> {
    let mut records = Vec::new();
    let dir = place.take()?;
    let journal = Journal::open_from(&dir, known, &mut |index, record| {
        assert_eq!(index, known + records.len() as u64);
        assert_eq!(record, super::record(index));
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((journal, records))
}

fn append(journal: &Journal, first: u64, count: u64) {
    let ticket = journal.append(first, group(first, count)).unwrap();
    ticket.durable_blocking().unwrap();
    journal.wait_published_blocking(first + count).unwrap();
}

/// A log with folds at these sizes, whose states say their size.
fn folded(sizes: &[u64]) -> Place {
    let place = Place::new();
    let mut done = 0;
    for &size in sizes {
        let (journal, _) = place.open().unwrap();
        append(&journal, done, size - done);
        journal.close().unwrap();
        done = size;
        write(&place, size).unwrap();
    }
    place
}

fn write(place: &Place, size: u64) -> Result<(), StoreError> {
    let folds = Folds::of(&place.take()?, CORE);
    let head = folds.head()?;
    assert_eq!(head.size, size);
    folds.write(&Fold {
        size,
        root: head.root,
        state: state(size),
    })
}

fn state(size: u64) -> Vec<u8> {
    format!("the state of {size}\n\nrecords").into_bytes()
}

/// The size of the newest fold that is trusted, and why others are not.
fn trusted(place: &Place) -> (Option<u64>, Vec<String>) {
    let mut told = Vec::new();
    let folds = Folds::at(&place.path, CORE).unwrap();
    let mut read = |fold: &Fold| {
        assert_eq!(fold.state, state(fold.size));
        Ok(())
    };
    let found = folds.newest_trusted(&mut read, &mut |line| told.push(line));
    (found.unwrap().map(|(size, ())| size), told)
}

fn file(place: &Place, size: u64) -> PathBuf {
    place.path.join(format!("fold/{size:020}"))
}

#[test]
fn a_start_reads_what_comes_after_the_fold_alone() {
    for size in [1, 255, 256, 257, 700, 1024] {
        let place = folded(&[size]);
        assert_eq!(trusted(&place), (Some(size), Vec::new()));
        let (journal, records) = open_from(&place, size).unwrap();
        assert!(records.is_empty());
        append(&journal, size, 3);
        append(&journal, size + 3, 600);
        drop(journal);
        // What lies before the fold's own bundle is not needed at all.
        for index in 0..size / 256 {
            fs::remove_file(place.path.join(format!("log/tile/entries/{index:03}"))).unwrap();
        }
        let (journal, records) = open_from(&place, size).unwrap();
        assert_eq!(records.len(), 603, "from {size}");
        append(&journal, size + 603, 1);
        journal.close().unwrap();
        let (journal, records) = open_from(&place, size + 600).unwrap();
        assert_eq!(records.len(), 4);
        drop(journal);
    }
}

#[test]
fn a_log_that_differs_after_the_fold_is_refused() {
    let place = folded(&[700]);
    let (journal, _) = open_from(&place, 700).unwrap();
    append(&journal, 700, 600);
    journal.close().unwrap();
    for changed in [
        "tile/entries/003",
        "tile/entries/005.p/20",
        "tile/0/004",
        "tile/1/000.p/5",
    ] {
        let path = place.path.join("log").join(changed);
        let right = fs::read(&path).unwrap();
        let mut wrong = right.clone();
        wrong[10] ^= 1;
        fs::write(&path, wrong).unwrap();
        let found = open_from(&place, 700).err();
        assert!(
            matches!(found, Some(StoreError::Corrupt { .. })),
            "{changed}: {found:?}"
        );
        fs::write(&path, right).unwrap();
    }
    assert_eq!(open_from(&place, 700).unwrap().1.len(), 600);
}

#[test]
fn a_fold_that_was_changed_anywhere_is_not_used() {
    let place = folded(&[300, 900]);
    assert_eq!(trusted(&place), (Some(900), Vec::new()));
    let path = file(&place, 900);
    let right = fs::read(&path).unwrap();
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        fs::write(&path, wrong).unwrap();
        let (size, told) = trusted(&place);
        assert_eq!((size, told.len()), (Some(300), 1), "byte {at}: {told:?}");
        fs::write(&path, &right[..at]).unwrap();
        assert_eq!(trusted(&place).0, Some(300), "cut at {at}");
    }
    fs::write(&path, [&right[..], b"x"].concat()).unwrap();
    assert_eq!(trusted(&place).0, Some(300), "with more at its end");
    fs::copy(file(&place, 300), &path).unwrap();
    let (size, told) = trusted(&place);
    assert_eq!(size, Some(300));
    assert!(told[0].contains("the fold of 300 records"), "{told:?}");
    fs::remove_file(&path).unwrap();
    fs::write(place.path.join("fold/notes.txt"), "mine").unwrap();
    let (size, told) = trusted(&place);
    assert_eq!(size, Some(300));
    assert!(told[0].contains("is no fold"), "{told:?}");
}

#[test]
fn a_fold_of_another_log_tree_version_or_future_is_not_used() {
    let place = folded(&[300]);
    let other = folded(&[300]);
    fs::copy(file(&other, 300), file(&place, 300)).unwrap();
    let (size, told) = trusted(&place);
    assert_eq!(size, None);
    assert!(told[0].contains("of another log"), "{told:?}");
    // Signed by the right key, and of a tree that the log never had.
    let dir = place.take().unwrap();
    let folds = Folds::of(&dir, CORE);
    let mut wrong = Fold {
        size: 1_000,
        root: [7; 32],
        state: state(1_000),
    };
    folds.write(&wrong).unwrap();
    (wrong.size, wrong.state) = (300, state(300));
    folds.write(&wrong).unwrap();
    let (size, told) = trusted(&place);
    assert_eq!(size, None);
    assert!(told[0].contains("300 records only"), "{told:?}");
    assert!(told[1].contains("does not continue its tree"), "{told:?}");
    let folds = Folds::of(&dir, "test 2");
    wrong.root = folds.head().unwrap().root;
    folds.write(&wrong).unwrap();
    let told = trusted(&place).1;
    assert!(told[1].contains("version test 2"), "{told:?}");
}

#[test]
fn the_two_newest_are_kept() {
    let place = folded(&[10, 20, 300, 400]);
    let mut files: Vec<_> = place.files("fold").into_keys().collect();
    files.sort();
    assert_eq!(files, [format!("{:020}", 300), format!("{:020}", 400)]);
    fs::remove_file(file(&place, 400)).unwrap();
    assert_eq!(trusted(&place).0, Some(300));
}

#[test]
fn a_fold_outlives_its_key_unless_that_is_revoked() {
    for (act, trusts) in [(Act::Rotated, Some(300)), (Act::Revoked, None)] {
        let place = folded(&[300]);
        let dir = place.take().unwrap();
        let new = NewKey::File { passphrase: None };
        let staged = dir.stage_rotation(&new, act, "as a test").unwrap();
        staged.commit().unwrap();
        let (size, told) = trusted(&place);
        assert_eq!(size, trusts, "{told:?}");
        let (journal, records) = open_from(&place, 300).unwrap();
        assert!(records.is_empty());
        append(&journal, 300, 300);
        journal.close().unwrap();
        write(&place, 600).unwrap();
        assert_eq!(trusted(&place).0, Some(600));
        // The new key's word about what was before it counts for nothing.
        let dir = place.take().unwrap();
        let folds = Folds::of(&dir, CORE);
        let early = Fold {
            size: 300,
            root: folds.read(600, &folds.head().unwrap()).unwrap().root,
            state: state(300),
        };
        folds.write(&early).unwrap();
        let why = folds.read(300, &folds.head().unwrap()).unwrap_err();
        assert!(
            why.to_string().contains("not the log's at that size"),
            "{why}"
        );
    }
}

#[test]
fn a_fold_whose_writing_fails_anywhere_is_there_whole_or_not_at_all() {
    for failure in Failure::ALL {
        for step in 0.. {
            let place = folded(&[300, 600]);
            let (journal, _) = open_from(&place, 600).unwrap();
            append(&journal, 600, 400);
            journal.close().unwrap();
            let disk = Disk::failing(Plan::new(step, failure));
            let plan = disk.fault.clone().unwrap();
            let folds = Folds::of(&place.take().unwrap(), CORE).on(&disk);
            let head = folds.head().unwrap();
            let written = folds.write(&Fold {
                size: 1_000,
                root: head.root,
                state: state(1_000),
            });
            drop(folds);
            let over = plan.left.load(Ordering::SeqCst) >= 0;
            assert_eq!(written.is_ok(), over, "{failure:?} at {step}");
            let (size, told) = trusted(&place);
            assert!(told.is_empty(), "{failure:?} at {step}: {told:?}");
            assert!(
                [Some(600), Some(1_000)].contains(&size),
                "{failure:?} at {step}"
            );
            write(&place, 1_000).unwrap();
            assert_eq!(trusted(&place).0, Some(1_000));
            assert_eq!(place.files("fold").len(), 2, "{failure:?} at {step}");
            if over {
                assert!(
                    step >= 5,
                    "{failure:?}: the sweep ended after {step} operations"
                );
                break;
            }
        }
    }
}

/// The fault table's starts, from a fold.
#[test]
fn a_recovery_from_a_fold_that_fails_can_be_tried_again() {
    let place = folded(&[700]);
    let (log, wal) = (place.files("log"), place.files("wal"));
    let (journal, _) = open_from(&place, 700).unwrap();
    append(&journal, 700, 5);
    let ticket = journal.append(705, group(705, 600)).unwrap();
    ticket.durable_blocking().unwrap();
    let after = place.files("wal");
    drop(journal);
    assert_ne!(wal, after);
    for failure in Failure::ALL {
        for step in 0.. {
            place.forget();
            place.put_back("log", &log);
            place.put_back("wal", &after);
            let disk = Disk::failing(Plan::new(step, failure));
            let mut next = 700;
            let dir = place.take().unwrap();
            let opened = Journal::open_on(&disk, &dir, 700, &mut |index, bytes| {
                assert_eq!((index, bytes), (next, &*record(next)));
                next += 1;
                Ok(())
            });
            drop(dir);
            match opened {
                Ok(journal) => {
                    assert_eq!(next, 1_305);
                    drop(journal);
                }
                Err(StoreError::Full { .. } | StoreError::Io { .. }) => {}
                Err(other) => panic!("{failure:?} at {step}: {other}"),
            }
            let (journal, records) = open_from(&place, 700).unwrap();
            assert_eq!(records.len(), 605, "{failure:?} at {step}");
            drop(journal);
            if disk.fault.unwrap().left.load(Ordering::SeqCst) >= 0 {
                assert!(step > 20, "{failure:?}: the sweep ended after {step} steps");
                break;
            }
        }
    }
    assert_eq!(place.open().unwrap().1.len(), 1_305);
}
