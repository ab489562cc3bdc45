//! How fast deciding is, and an auditor: records verified, decisions performed again, records indexed, each per second.
//!
//! `cargo bench -p evidence`; the number of cases may follow `--` (22 records each; 3,000 where none is given).

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

mod everything;
#[path = "../tests/audit/world.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::{
    collections::BTreeMap,
    num::NonZero,
    time::{Duration, Instant},
};

use duty::{decide, release::Rules, release_for, request::Submission, state::State};
use evidence::{Index, Query, ReperformOptions, Vault, case_story, open, reperform, verify};

use crate::{everything::History, world::name};

/// As the binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often decisions are performed again: the machine is never quite the same.
const RUNS: usize = 5;

fn main() {
    let cases = std::env::args()
        .find_map(|a| a.parse::<usize>().ok())
        .unwrap_or(3_000);
    let dir = tempfile::tempdir().unwrap();
    let history = everything::happen(dir.path(), cases);
    let world = &history.world;
    history.publish();
    let kinds = history.kinds();
    let said = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
    println!("{}", said.collect::<Vec<_>>().join(", "));
    let missing: Vec<_> = kinds.iter().filter(|(_, n)| *n == 0).collect();
    assert!(missing.is_empty(), "not in this history: {missing:?}");
    let count = world.records.len();
    let bytes: usize = world
        .records
        .iter()
        .map(|r| r.to_bytes().unwrap().len())
        .sum();
    println!(
        "{cases} cases, {count} records, {} bytes on average",
        bytes / count
    );
    let decisions = world.records.iter().filter(|r| r.cause.is_none()).count();
    deciding(&history);
    let source = open(&dir.path().display().to_string()).unwrap();
    let snapshots = dir.path().join("snapshots");
    let vkey = history.key.verifier().vkey();
    drop(history);

    rate("verify, log alone", "records", count, || {
        verify(&*source, &vkey, None, None).unwrap();
    });
    rate("verify, with snapshots", "records", count, || {
        verify(&*source, &vkey, None, Some(&snapshots)).unwrap();
    });
    for (threads, what) in [
        (Some(NonZero::<usize>::MIN), "one thread ahead"),
        (None, "all cores"),
    ] {
        let options = ReperformOptions {
            threads,
            ..ReperformOptions::default()
        };
        for _ in 0..RUNS {
            rate(
                &format!("reperform, log alone, {what}"),
                "decisions",
                decisions,
                || {
                    reperform(&*source, &options).unwrap();
                },
            );
        }
    }
    let options = ReperformOptions {
        release: None,
        snapshots: Some(snapshots.clone()),
        ..ReperformOptions::default()
    };
    rate("reperform, with agents", "decisions", decisions, || {
        reperform(&*source, &options).unwrap();
    });
    let mut index = Index::open(dir.path()).unwrap();
    rate("index", "records", count, || {
        index.catch_up(&*source).unwrap();
    });
    let by_field = Query {
        field: Some(("vendor.id".to_owned(), "V-7".to_owned())),
        ..Query::default()
    };
    let by_clause = Query {
        clause: Some("PAY-4.1".to_owned()),
        agent: Some("reviewer".to_owned()),
        newest_first: true,
        limit: Some(100),
        ..Query::default()
    };
    let by_time = Query {
        limit: Some(100),
        kind: Some("verdict.reached".to_owned()),
        newest_first: true,
        ..Query::default()
    };
    for (what, query) in [
        ("field", by_field),
        ("clause and agent", by_clause),
        ("kind, newest 100", by_time),
    ] {
        let start = Instant::now();
        let found = index.query(&*source, &query).unwrap().len();
        println!("query by {what}: {found} rows in {:?}", start.elapsed());
    }
    let start = Instant::now();
    case_story(&*source, Some(&index), &name("case-7")).unwrap();
    println!("story of a case, with the index: {:?}", start.elapsed());
    let start = Instant::now();
    evidence::replay(&*source, Some(&Vault::new(snapshots)), &name("case-7")).unwrap();
    println!("replay of a case: {:?}", start.elapsed());
}

/// How long `decide` alone takes, by what was asked: every decision of the log once more, on the state before it.
fn deciding(history: &History) {
    let mut state = State::default();
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for group in history
        .world
        .records
        .chunk_by(|_, next| next.cause.is_some())
    {
        let first = &group[0];
        let submission = Submission {
            clock: first.time,
            principal: first.actor.id.clone(),
            credential: first.actor.credential.clone(),
            request: first.body.request().unwrap().clone(),
        };
        let rules = release_for(&state, &submission.request).and_then(|d| history.release(d));
        let rules = rules.map(|r| r as &dyn Rules);
        let start = Instant::now();
        let decision = decide(&state, rules, &submission);
        let elapsed = start.elapsed();
        assert_eq!(decision.records.len(), group.len());
        let verdict = group.iter().any(|r| r.body.kind() == "verdict.reached");
        let what = if verdict {
            "a review with its verdict"
        } else {
            first.body.kind()
        };
        took.entry(what).or_default().push(elapsed);
        for record in group {
            state.apply(record).unwrap();
        }
    }
    let all: Vec<Duration> = took.values().flatten().copied().collect();
    took.insert("all decisions", all);
    for (what, mut times) in took {
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "decide, {what}: p50 {:?}, p99 {:?} of {}",
            at(50),
            at(99),
            times.len()
        );
    }
}

fn rate(what: &str, unit: &str, count: usize, f: impl FnOnce()) {
    let start = Instant::now();
    f();
    let elapsed = start.elapsed();
    println!(
        "{what}: {:.0} {unit}/s ({count} in {elapsed:?})",
        count as f64 / elapsed.as_secs_f64()
    );
}
