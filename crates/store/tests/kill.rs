//! A process that appends, and writes folds, is killed a thousand times at any instant; every start finds what was
//! acknowledged, and no fold that is half written.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use ledger::{Checkpoint, Directory, Verifier, verify::verify_with};
use store::{DataDir, Fold, Folds, Journal};

/// Names the directory to the child.
const CHILD: &str = "STORE_KILL_CHILD";

/// Tells it to start from the newest fold, and to write folds.
const FOLDS: &str = "STORE_KILL_FOLDS";

const KILLS: u64 = 1000;

fn record(number: u64) -> Vec<u8> {
    format!("record {number} {}", "x".repeat(number as usize % 300)).into_bytes()
}

/// What the child does: opens, checks every record, then appends groups and says what is durable.
#[test]
#[ignore = "the other half of `a_thousand_kills_lose_nothing`"]
fn child() {
    let Some(home) = env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let dir = DataDir::open(&home.join("data"), &home.join("guards")).unwrap();
    let folds = env::var_os(FOLDS).map(|_| Folds::of(&dir, "kill 1"));
    let known = folds.as_ref().map_or(0, newest);
    let journal = Journal::open_from(&dir, known, &mut |number, bytes| {
        (bytes == record(number))
            .then_some(())
            .ok_or_else(|| "another record".to_owned())
    })
    .unwrap();
    let mut out = std::io::stdout();
    let mut next = journal.committed();
    writeln!(out, "\nopened {next}").unwrap();
    loop {
        let count = 1 + next % 5;
        let group = (next..next + count).map(record).collect();
        journal
            .append(next, group)
            .unwrap()
            .durable_blocking()
            .unwrap();
        next += count;
        writeln!(out, "durable {next}").unwrap();
        if let Some(folds) = &folds
            && next.is_multiple_of(7)
        {
            let head = folds.head().unwrap();
            let (size, root) = (head.size, head.root);
            let state = state(size);
            folds.write(&Fold { size, root, state }).unwrap();
        }
    }
}

/// Long enough for a kill to come in its middle.
fn state(size: u64) -> Vec<u8> {
    format!("{size} ").repeat(20_000).into_bytes()
}

/// Records of the newest fold. Each that is there is whole.
fn newest(folds: &Folds) -> u64 {
    let mut read = |fold: &Fold| {
        assert_eq!(fold.state, state(fold.size));
        Ok(fold.size)
    };
    let found = folds.newest_trusted(&mut read, &mut |line| panic!("{line}"));
    found.unwrap().map_or(0, |(size, _)| size)
}

#[test]
fn a_thousand_kills_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    DataDir::init(&data, "log.example/kill").unwrap();
    let key =
        Verifier::from_vkey(&std::fs::read_to_string(data.join("log.vkey")).unwrap()).unwrap();
    let (mut acknowledged, mut seen, mut published) = (0, None, 0);
    let mut random: u64 = 88_172_645_463_325_252;
    for kill in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Most in the first milliseconds, when a start writes; some while it appends and publishes.
        let wait = Duration::from_micros(match kill % 3 {
            0 => random % 3_000,
            1 => random % 15_000,
            _ => random % 40_000,
        });
        let (opened, durable) = run(home.path(), wait, kill % 4 == 0, kill % 3 == 2);
        if let Some(opened) = opened {
            assert!(
                opened >= acknowledged,
                "kill {kill}: {opened} of {acknowledged} are left"
            );
        }
        acknowledged = acknowledged
            .max(durable.unwrap_or(0))
            .max(opened.unwrap_or(0));
        let note = std::fs::read(data.join("log/checkpoint")).unwrap();
        let head = Checkpoint::open(&note, &key, false).unwrap();
        assert!(
            head.size >= published,
            "kill {kill}: the checkpoint went back"
        );
        published = head.size;
        if kill % 100 == 99 {
            check(&data, &key, seen.as_deref());
            seen = Some(note);
        }
    }
    // A last start, undisturbed.
    let dir = DataDir::open(&data, &home.path().join("guards")).unwrap();
    let journal = Journal::open(&dir, &mut |number, bytes| {
        assert_eq!(bytes, record(number));
        Ok(())
    });
    let journal = journal.unwrap();
    assert!(journal.committed() >= acknowledged && acknowledged > KILLS);
    journal.close().unwrap();
    check(&data, &key, seen.as_deref());
    assert!(newest(&Folds::at(&data, "kill 1").unwrap()) > 0);
}

/// The log verifies, and continues a checkpoint seen before. Files that the kill left beyond the checkpoint are no fault.
fn check(data: &Path, key: &Verifier, seen: Option<&[u8]>) {
    let options = ledger::Options {
        ignore_strays: true,
        ..ledger::Options::default()
    };
    let source = Directory::new(&data.join("log"));
    verify_with(&source, key, seen, options, &mut |_, _| Ok(())).unwrap();
}

/// Runs a child and kills it `wait` after it was started, or after it was opened. Answers how many records it found and
/// how many it acknowledged.
fn run(home: &Path, wait: Duration, from_start: bool, folds: bool) -> (Option<u64>, Option<u64>) {
    let mut command = Command::new(env::current_exe().unwrap());
    if folds {
        command.env(FOLDS, "1");
    }
    let mut child = command
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(CHILD, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: &str, word: &str| line.strip_prefix(word)?.trim().parse::<u64>().ok();
    let mut opened = None;
    if !from_start {
        opened = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| number(&line, "opened"));
        assert!(
            opened.is_some(),
            "the child does not open: {:?}",
            child.wait()
        );
    }
    std::thread::sleep(wait);
    child.kill().unwrap();
    let mut durable = None;
    for line in lines.map_while(Result::ok) {
        opened = opened.or_else(|| number(&line, "opened"));
        durable = number(&line, "durable").or(durable);
    }
    child.wait().unwrap();
    (opened, durable)
}
