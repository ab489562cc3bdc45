//! A check that goes on where an earlier one had come to says what one from the beginning says.

use std::{
    cell::Cell,
    fs, panic,
    path::{Path, PathBuf},
};

use evidence::{Fault, VerifyOptions, VerifyReport, open, verify_with};
use ledger::Signer;

use crate::world::{Invoice, World, log_key, name, publish};

/// A log in a directory, and the state of whoever checks it beside it.
struct Checked {
    dir: tempfile::TempDir,
    world: World,
    entries: Vec<Vec<u8>>,
}

impl Checked {
    fn new(cases: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::busy(dir.path());
        for n in 0..cases {
            let id = format!("more-{n}");
            world.judged(&id, &Invoice::of(50_000, &format!("V-{}", 100 + n)));
            // Where the threshold has no room left, the case waits.
            let case = world.state.cases.get(&name(&id));
            if case.is_some_and(|case| case.grant.is_some()) {
                world.execute(&id);
            }
        }
        let entries = world.records.iter().map(|r| r.to_bytes().unwrap());
        let entries = entries.collect();
        Self {
            dir,
            world,
            entries,
        }
    }

    fn publish(&self, size: usize) {
        self.publish_by(&self.entries[..size], &log_key());
    }

    fn publish_by(&self, entries: &[Vec<u8>], signer: &Signer) {
        publish(&self.dir.path().join("log"), entries, signer);
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("audit.state")
    }

    fn options(&self) -> (PathBuf, PathBuf) {
        (self.state(), self.dir.path().join("snapshots"))
    }

    fn check(&self, state: Option<&Path>) -> Result<VerifyReport, Fault> {
        let (_, snapshots) = self.options();
        let options = VerifyOptions {
            state,
            snapshots: Some(&snapshots),
            keep_every: Some(1),
            ..VerifyOptions::default()
        };
        self.check_with(options)
    }

    fn check_with(&self, options: VerifyOptions<'_>) -> Result<VerifyReport, Fault> {
        let source = open(&self.dir.path().display().to_string()).unwrap();
        verify_with(&*source, &log_key().verifier().vkey(), options)
    }

    /// Both ways say the same.
    #[track_caller]
    fn same(&self) -> Result<VerifyReport, Fault> {
        let whole = self.check(None);
        assert_eq!(self.check(Some(&self.state())), whole);
        whole
    }
}

#[test]
fn a_log_that_grows_is_checked_piece_by_piece() {
    let log = Checked::new(60);
    let all = log.entries.len();
    assert!(all > 1_500, "{all}");
    for size in [100, 256, 257, 300, 511, 512, 1_000, 1_000, 1_300, all] {
        log.publish(size);
        assert_eq!(log.same().unwrap().size, size as u64);
    }
}

#[test]
fn what_was_checked_is_not_read_again() {
    let log = Checked::new(60);
    log.publish(1_100);
    log.same().unwrap();
    log.publish(1_400);
    let bundle = log.dir.path().join("log/tile/entries/001");
    fs::write(&bundle, b"gone").unwrap();
    log.check(Some(&log.state())).unwrap();
    log.check(None).unwrap_err();
    let seen = Cell::new(Vec::new());
    let progress = |done, size| {
        let mut all = seen.take();
        all.push((done, size));
        seen.set(all);
    };
    let state = log.state();
    let options = VerifyOptions {
        state: Some(&state),
        progress: Some(&progress),
        ..VerifyOptions::default()
    };
    log.check_with(options).unwrap();
    assert_eq!(seen.take(), [(1_280, 1_400), (1_400, 1_400)]);
}

#[test]
fn a_check_that_is_ended_anywhere_goes_on_to_the_same_report() {
    let log = Checked::new(60);
    log.publish(log.entries.len());
    let whole = log.check(None).unwrap();
    let (state, snapshots) = log.options();
    for stop in 0..7 {
        fs::remove_file(&state).ok();
        let progress = |done: u64, _| assert!(done < stop * 256, "ended");
        let options = VerifyOptions {
            state: Some(&state),
            snapshots: Some(&snapshots),
            keep_every: Some(2),
            progress: Some(&progress),
            ..VerifyOptions::default()
        };
        // The process does not get to tidy anything up.
        let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| log.check_with(options)));
        ended.unwrap_err();
        assert_eq!(log.check(Some(&state)), Ok(whole.clone()), "{stop}");
    }
}

#[test]
fn faults_are_the_same_wherever_the_check_begins() {
    let log = Checked::new(60);
    let mut entries = log.entries.clone();
    // A consequence, whose actor must be that of its cause.
    let consequence = (1_100..1_280)
        .rev()
        .find(|at| log.world.records[*at].cause.is_some());
    for (at, change) in [(700, "seq"), (900, "time"), (consequence.unwrap(), "actor")] {
        log.publish(600);
        fs::remove_file(log.state()).ok();
        log.same().unwrap();
        let text = String::from_utf8(log.entries[at].clone()).unwrap();
        let changed = match change {
            "seq" => text.replace(&format!("\"seq\":{at}"), "\"seq\":1"),
            "time" => text.replace("\"time\":\"2026", "\"time\":\"2025"),
            _ => text.replace(
                "{\"actor\":{\"credential\":\"",
                "{\"actor\":{\"credential\":\"x",
            ),
        };
        assert_ne!(changed, text);
        entries[at] = changed.into_bytes();
        log.publish_by(&entries, &log_key());
        let fault = log.same().unwrap_err();
        assert_eq!(fault.record, Some(at as u64), "{fault}");
        // What was found wrong stays wrong, also for the state as it is now.
        assert_eq!(log.same().unwrap_err(), fault);
        entries = log.entries.clone();
    }
}

#[test]
fn an_older_log_and_another_one_are_refused() {
    let log = Checked::new(60);
    log.publish(1_300);
    log.same().unwrap();
    // Older: also where only the last, partial tile is gone.
    for size in [1_299, 1_000] {
        log.publish(size);
        let fault = log.check(Some(&log.state())).unwrap_err();
        assert!(fault.why.contains("truncated"), "{fault}");
        assert!(!fault.unreadable);
    }
    // Another, which parts from ours before and after the last tile that was checked.
    for at in [30, 1_290] {
        let mut entries = log.entries.clone();
        let last = entries[at].pop().unwrap();
        entries[at].extend([b' ', last]);
        log.publish_by(&entries[..1_400], &log_key());
        log.check(Some(&log.state())).unwrap_err();
    }
    // The log's key has signed two histories now, and whoever has seen both is not talked out of it.
    log.publish(1_400);
    let fault = log.check(Some(&log.state())).unwrap_err();
    assert!(fault.why.contains("rewritten"), "{fault}");
    log.check(None).unwrap();
}

#[test]
fn an_earlier_checkpoint_is_compared_though_its_place_was_passed() {
    let log = Checked::new(60);
    let read = || fs::read(log.dir.path().join("log/checkpoint")).unwrap();
    log.publish(333);
    let right = read();
    let mut other = log.entries[..333].to_vec();
    other[5].push(b' ');
    log.publish_by(&other, &log_key());
    let wrong = read();
    log.publish(1_300);
    log.same().unwrap();
    let state = log.state();
    let since = |note| {
        log.check_with(VerifyOptions {
            since: Some(note),
            state: Some(&state),
            ..VerifyOptions::default()
        })
    };
    since(&right).unwrap();
    let fault = since(&wrong).unwrap_err();
    assert!(fault.why.contains("rewritten"), "{fault}");
}

#[test]
fn a_state_that_cannot_be_used_says_nothing_against_the_log() {
    let log = Checked::new(20);
    log.publish(600);
    log.same().unwrap();
    let right = fs::read_to_string(log.state()).unwrap();
    let (head, rest) = right.split_once('\n').unwrap();
    let other = rest.replacen(crate::world::ORIGIN, "other.example/log", 1);
    for wrong in [
        String::new(),
        head.to_owned(),
        right[..right.len() - 9].to_owned(),
        format!("{}\n{rest}", head.replacen("\"v\":1", "\"v\":2", 1)),
        format!(
            "{}\n{rest}",
            head.replacen("\"size\":512", "\"size\":256", 1)
        ),
        format!("{head}\n{other}"),
    ] {
        assert_ne!(wrong, right);
        fs::write(log.state(), wrong).unwrap();
        let fault = log.check(Some(&log.state())).unwrap_err();
        assert!(
            fault.unreadable && fault.why.contains("remove it"),
            "{fault}"
        );
    }
    // Nothing is read past what an edited state hides from: its hashes are compared with what follows.
    let digit = head.find("\"levels\":[[],[\"").unwrap() + 15;
    let mut edited = right.clone().into_bytes();
    edited[digit] = if edited[digit] == b'0' { b'1' } else { b'0' };
    fs::write(log.state(), edited).unwrap();
    log.check(Some(&log.state())).unwrap_err();
    fs::write(log.state(), right).unwrap();
    log.same().unwrap();
    assert!(log.world.records.len() > 600);
}

#[test]
fn a_case_that_ended_is_not_opened_again() {
    let mut log = Checked::new(60);
    let opened = log
        .world
        .records
        .iter()
        .rfind(|r| r.body.kind() == "case.opened");
    let mut again = opened.unwrap().clone();
    log.world.judged("last", &Invoice::of(50_000, "V-1"));
    let end = log.world.records.len();
    again.seq = end as u64;
    again.time = log.world.records[end - 1].time;
    let entries = log.world.records.iter().chain([&again]);
    let entries: Vec<_> = entries.map(|r| r.to_bytes().unwrap()).collect();
    log.publish_by(&entries[..end], &log_key());
    log.same().unwrap();
    log.publish_by(&entries, &log_key());
    let fault = log.same().unwrap_err();
    assert_eq!(fault.record, Some(end as u64));
    assert!(fault.why.contains("was opened before"), "{fault}");
}
