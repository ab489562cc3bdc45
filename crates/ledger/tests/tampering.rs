//! Every change to a log is found.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::num::NonZero;

use common::{Log, Map, entries};
use ledger::verify::{Options, verify, verify_in_parallel, verify_with};
use ledger::{Fault, Verified, Verifier, bundle};

/// Checks a log on one thread and on several, which must say the same.
fn check(files: &Map, verifier: &Verifier) -> Result<Verified, Fault> {
    let alone = verify(files, verifier, None, &mut |_, _| Ok(()));
    assert_eq!(together(files, verifier, None), alone);
    alone
}

/// Checks a log on several threads, which must give its entries in order.
fn together(files: &Map, verifier: &Verifier, since: Option<&[u8]>) -> Result<Verified, Fault> {
    let mut next = 0;
    let threads = NonZero::new(3).unwrap();
    let read = |first: u64, entries: &[&[u8]]| (first, entries.len() as u64);
    verify_in_parallel(files, verifier, since, threads, &read, &mut |(
        first,
        count,
    )| {
        assert_eq!(first, next);
        next += count;
        Ok(())
    })
}

/// A log of three checkpoints, so that partial files of earlier sizes are there too.
fn log() -> Log {
    let entries = entries(270);
    let mut log = Log::of(&entries[..3]);
    log.append(&entries[3..259]);
    log.append(&entries[259..]);
    log
}

#[test]
fn a_right_log_is_right_and_gives_its_entries() {
    let log = log();
    let mut seen = Vec::new();
    let verified = verify(
        &log.files,
        &log.signer.verifier(),
        None,
        &mut |index, entry| {
            assert_eq!(index, seen.len() as u64);
            seen.push(entry.to_vec());
            Ok(())
        },
    );
    let verified = verified.unwrap();
    assert_eq!((verified.size, verified.root), (270, log.tree.root()));
    assert_eq!(verified.frontier, log.tree);
    assert_eq!(seen, entries(270));
    check(&Log::of(&[]).files, &log.signer.verifier()).unwrap();
}

#[test]
fn any_changed_byte_of_any_file_is_found() {
    let log = log();
    let verifier = log.signer.verifier();
    let mut names = Vec::new();
    let mut files = log.files.clone();
    for (name, bytes) in &log.files.0 {
        names.push(&name[..]);
        for place in 0..bytes.len() {
            for change in [0x01, 0x80] {
                files.0.get_mut(name).unwrap()[place] ^= change;
                assert!(check(&files, &verifier).is_err(), "{name} byte {place}");
                files.0.get_mut(name).unwrap()[place] ^= change;
            }
        }
        for changed in [
            &bytes[..bytes.len() - 1],
            &[&bytes[..], b"\0"].concat(),
            b"",
        ] {
            files.0.insert(name.clone(), changed.to_vec());
            assert!(check(&files, &verifier).is_err(), "{name} cut or longer");
        }
        files.0.insert(name.clone(), bytes.clone());
    }
    check(&files, &verifier).unwrap();
    // The sweep covered files of every sort.
    let partials = [
        "tile/0/000.p/3",
        "tile/0/001.p/14",
        "tile/0/001.p/3",
        "tile/1/000.p/1",
    ];
    let bundles = [
        "tile/entries/000",
        "tile/entries/000.p/3",
        "tile/entries/001.p/14",
    ];
    for name in partials
        .iter()
        .chain(&bundles)
        .chain(&["checkpoint", "tile/0/000"])
    {
        assert!(names.contains(name), "{name} in {names:?}");
    }
}

#[test]
fn says_where_the_fault_is() {
    let log = log();
    let mut files = log.files.clone();
    files.0.get_mut("tile/0/000").unwrap()[100] ^= 1;
    let fault = check(&files, &log.signer.verifier()).unwrap_err();
    assert_eq!(fault.place, "tile/0/000 byte 100");
    let fault = verify(
        &log.files,
        &log.signer.verifier(),
        None,
        &mut |index, _| match index {
            260 => Err("no".to_owned()),
            _ => Ok(()),
        },
    );
    assert_eq!(
        fault.unwrap_err().to_string(),
        "entry 260 in tile/entries/001.p/14: no"
    );
}

#[test]
fn missing_and_stray_files_are_found() {
    let log = log();
    let verifier = log.signer.verifier();
    for name in log.files.0.keys() {
        let mut files = log.files.clone();
        files.0.remove(name);
        // Partial files of earlier sizes may go when they are superseded; all others are needed.
        let superseded = name.contains("000.p/3") || name.contains("001.p/3");
        assert_eq!(check(&files, &verifier).is_ok(), superseded, "{name}");
    }
    for stray in [
        "notes.txt",
        "tile/0/002",
        "tile/0/001.p/15",
        "tile/0/001",
        "tile/2/000.p/1",
        "tile/entries/002.p/1",
        "tile/0/0",
        "checkpoint~",
    ] {
        let mut files = log.files.clone();
        files.0.insert(stray.to_owned(), vec![0; 32]);
        let fault = check(&files, &verifier).unwrap_err();
        assert!(fault.why.contains("does not belong"), "{stray}: {fault}");
        let options = Options {
            ignore_strays: true,
            ..Options::default()
        };
        verify_with(&files, &verifier, None, options, &mut |_, _| Ok(())).unwrap();
    }
}

#[test]
fn reordered_removed_replaced_and_added_entries_are_found() {
    let log = log();
    let good = entries(270);
    let last = |entries: &[Vec<u8>]| {
        let mut bundle = Vec::new();
        for entry in &entries[256..] {
            bundle::push(&mut bundle, entry).unwrap();
        }
        bundle
    };
    let tampered = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut entries = good.clone();
        change(&mut entries);
        let mut files = log.files.clone();
        files
            .0
            .insert("tile/entries/001.p/14".to_owned(), last(&entries));
        let only_bundle = check(&files, &log.signer.verifier()).is_err();
        // The same with every tile rebuilt to fit, but without the key: the old checkpoint stays.
        let mut files = Log::of(&entries).files;
        files
            .0
            .insert("checkpoint".to_owned(), log.files.0["checkpoint"].clone());
        only_bundle && check(&files, &log.signer.verifier()).is_err()
    };
    assert!(tampered(&|entries| entries.swap(256, 257)));
    assert!(tampered(&|entries| drop(entries.remove(260))));
    assert!(tampered(&|entries| entries[269] = b"another".to_vec()));
    assert!(tampered(&|entries| entries.push(b"one more".to_vec())));
}

#[test]
fn a_log_rewritten_with_its_key_is_found_by_an_earlier_checkpoint() {
    let good = entries(600);
    let verifier = Log::new().signer.verifier();
    let since = |old: &Log, now: &Log| {
        let old = old.files.0["checkpoint"].clone();
        let alone = verify(&now.files, &verifier, Some(&old), &mut |_, _| Ok(()));
        assert_eq!(together(&now.files, &verifier, Some(&old)), alone);
        alone
    };
    for size in [0, 1, 256, 300, 600] {
        since(&Log::of(&good[..size]), &Log::of(&good)).unwrap();
    }
    let fault = since(&Log::of(&good), &Log::of(&good[..599])).unwrap_err();
    assert!(fault.why.contains("the log was truncated"), "{fault}");
    let mut other = good.clone();
    other[7] = b"rewritten".to_vec();
    let fault = since(&Log::of(&good[..300]), &Log::of(&other)).unwrap_err();
    assert!(fault.why.contains("the log was rewritten"), "{fault}");
    since(&Log::of(&good[..7]), &Log::of(&other)).unwrap();
    let unsigned = verify(
        &Log::of(&good).files,
        &verifier,
        Some(b"nothing"),
        &mut |_, _| Ok(()),
    );
    assert_eq!(unsigned.unwrap_err().place, "the earlier checkpoint");
}

#[test]
fn another_key_or_signature_is_refused_unless_allowed() {
    let mut log = log();
    let witness = ledger::Signer::from_seed("witness.example", &[9; 32]).unwrap();
    assert!(check(&log.files, &witness.verifier()).is_err());
    let note = log.files.0.get_mut("checkpoint").unwrap();
    let text = ledger::note::Note::parse(note).unwrap().text;
    let line = witness.sign(&text).unwrap().split_off(text.len() + 1);
    note.extend_from_slice(&line);
    assert!(check(&log.files, &log.signer.verifier()).is_err());
    let options = Options {
        allow_other_signatures: true,
        ..Options::default()
    };
    verify_with(
        &log.files,
        &log.signer.verifier(),
        None,
        options,
        &mut |_, _| Ok(()),
    )
    .unwrap();
}

#[test]
fn a_log_that_grew_meanwhile_is_no_fault() {
    /// Answers the older checkpoint at first.
    struct Growing(Map, std::cell::RefCell<Option<Vec<u8>>>);
    impl ledger::Source for Growing {
        fn read(&self, path: &str) -> Result<Vec<u8>, ledger::SourceError> {
            match (path, self.1.take()) {
                ("checkpoint", Some(old)) => Ok(old),
                _ => self.0.read(path),
            }
        }
        fn list(&self) -> Result<Option<Vec<String>>, ledger::SourceError> {
            self.0.list()
        }
    }
    let entries = entries(600);
    let mut log = Log::of(&entries[..300]);
    let old = log.files.0["checkpoint"].clone();
    log.append(&entries[300..]);
    log.files.0.retain(|file, _| !file.contains("001.p/"));
    let growing = Growing(log.files, Some(old).into());
    let verified = verify(&growing, &log.signer.verifier(), None, &mut |_, _| Ok(())).unwrap();
    assert_eq!(verified.size, 300);
}
