//! Questions: the index says what the log says, and the story of a case is whole.

use std::{collections::BTreeMap, fs, path::Path};

use duty::record::{Body, Record};
use evidence::{CaseFilter, Index, Query, case_story, describe, exceptions, open};
use ledger::Source;

use crate::world::{Invoice, World, log_key, name};

pub(crate) fn source(dir: &Path) -> Box<dyn Source + Send + Sync> {
    open(&dir.display().to_string()).unwrap()
}

fn seqs(index: &mut Index, source: &dyn ledger::Source, query: &Query) -> Vec<u64> {
    index
        .query(source, query)
        .unwrap()
        .into_iter()
        .map(|r| r.seq)
        .collect()
}

fn want(world: &World, f: impl Fn(&Record) -> bool) -> Vec<u64> {
    let seqs: Vec<_> = world
        .records
        .iter()
        .filter(|r| f(r))
        .map(|r| r.seq)
        .collect();
    assert!(
        !seqs.is_empty(),
        "the test should ask for something that is there"
    );
    seqs
}

#[test]
fn queries_find_what_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let mut index = Index::open(dir.path()).unwrap();
    assert_eq!(
        index.catch_up(&*source(dir.path())).unwrap(),
        world.records.len() as u64
    );
    let text = |s: &str| Some(s.to_owned());
    let all = seqs(&mut index, &*source(dir.path()), &Query::default());
    assert_eq!(all, want(&world, |_| true));
    let query = Query {
        clause: text("PAY-4.1"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| r.clauses.iter().any(|c| c.id == "PAY-4.1"))
    );
    assert!(
        index
            .query(&*source(dir.path()), &query)
            .unwrap()
            .iter()
            .all(|r| r.clauses.contains(&"PAY-4.1".to_owned()))
    );
    let query = Query {
        agent: text("reviewer"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| r.actor.id.as_str() == "reviewer")
    );
    let query = Query {
        principal: text("rashid"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| r
            .actor
            .owner
            .as_ref()
            .is_some_and(|o| o.as_str() == "rashid"))
    );
    let query = Query {
        principal: text("gus"),
        kind: text("approval.given"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| r.actor.id.as_str() == "gus"
            && r.body.kind() == "approval.given")
    );
    let small = ["small-0", "small-1", "small-2"];
    let of =
        |r: &Record, cases: &[&str]| r.case.as_ref().is_some_and(|c| cases.contains(&c.as_str()));
    let query = Query {
        field: Some(("vendor.id".to_owned(), "V-1".to_owned())),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| of(r, &small))
    );
    let query = Query {
        field: Some(("args.amount_cents".to_owned(), "40001".to_owned())),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| of(r, &["small-1"]))
    );
    let query = Query {
        outcome: text("rejected"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| of(r, &["no"]))
    );
    let query = Query {
        tier: text("high"),
        case: text("big"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| of(r, &["big"]))
    );
    let (from, to) = (world.records[40].time, world.records[80].time);
    let query = Query {
        from: Some(from),
        to: Some(to),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| r.time >= from && r.time < to)
    );
    let query = Query {
        limit: Some(3),
        newest_first: true,
        ..Query::default()
    };
    let newest: Vec<_> = all.iter().rev().take(3).copied().collect();
    assert_eq!(seqs(&mut index, &*source(dir.path()), &query), newest);
    let query = Query {
        refusal: text("replayed"),
        ..Query::default()
    };
    assert_eq!(
        seqs(&mut index, &*source(dir.path()), &query),
        want(&world, |r| matches!(r.body, Body::RequestRefused(_)))
    );
    let query = Query {
        kind: text("x' OR 1 = 1 --"),
        ..Query::default()
    };
    assert!(seqs(&mut index, &*source(dir.path()), &query).is_empty());
    for (row, record) in index
        .query(&*source(dir.path()), &Query::default())
        .unwrap()
        .iter()
        .zip(&world.records)
    {
        assert_eq!(
            (row.time, row.kind.as_str()),
            (record.time, record.body.kind())
        );
        assert_eq!(row.text, describe(record));
    }
}

#[test]
fn cases_and_counts_are_those_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let mut index = Index::in_memory().unwrap();
    index.catch_up(&*source(dir.path())).unwrap();
    let summary = index.summary().unwrap();
    let outcome = |words: &[(&str, u64)]| -> BTreeMap<String, u64> {
        words.iter().map(|(w, n)| ((*w).to_owned(), *n)).collect()
    };
    assert_eq!(
        summary.by_outcome,
        outcome(&[("executed", 5), ("refused", 1), ("rejected", 1)])
    );
    assert_eq!(summary.by_threshold, outcome(&[("small-invoices", 3)]));
    assert_eq!(summary.refusals, outcome(&[("replayed", 1)]));
    assert_eq!((summary.cases, summary.waiting), (8, 1));
    assert_eq!(
        summary.exceptions.values().sum::<u64>(),
        world.state.exceptions.len() as u64
    );
    let waiting = CaseFilter {
        stage: Some("waiting".to_owned()),
        ..CaseFilter::default()
    };
    let waiting = index.cases(&waiting).unwrap();
    assert_eq!(waiting.len(), 1);
    let case = &world.state.cases[&name("waits")];
    assert_eq!(waiting[0].id, "waits");
    assert_eq!(waiting[0].tier.as_deref(), case.tier.map(|t| t.word()));
    assert_eq!(
        waiting[0].expires,
        case.approval.as_ref().map(|a| a.expires)
    );
    let big = CaseFilter {
        case: Some("big".to_owned()),
        ..CaseFilter::default()
    };
    let big = &index.cases(&big).unwrap()[0];
    assert_eq!((big.humans, big.yes), (Some(2), 2));
    let listed = exceptions(&*source(dir.path())).unwrap();
    assert_eq!(index.exceptions(false).unwrap(), listed);
    assert_eq!(listed.iter().filter(|e| e.triage.is_some()).count(), 1);
    let open: Vec<_> = index
        .exceptions(true)
        .unwrap()
        .into_iter()
        .map(|e| e.id)
        .collect();
    assert_eq!(open.len(), world.state.exceptions.len());
    assert!(
        open.iter()
            .all(|id| world.state.exceptions.contains_key(id))
    );
}

#[test]
fn the_index_catches_up_and_builds_itself_anew_for_another_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.publish(&log_key());
    let mut index = Index::open(dir.path()).unwrap();
    index.catch_up(&*source(dir.path())).unwrap();
    world.judged("later", &Invoice::of(41_000, "V-1"));
    world.publish(&log_key());
    drop(index);
    let mut index = Index::open(dir.path()).unwrap();
    index.catch_up(&*source(dir.path())).unwrap();
    let rows = index
        .query(&*source(dir.path()), &Query::default())
        .unwrap();
    let mut fresh = Index::in_memory().unwrap();
    fresh.catch_up(&*source(dir.path())).unwrap();
    assert_eq!(
        rows,
        fresh
            .query(&*source(dir.path()), &Query::default())
            .unwrap()
    );
    assert_eq!(rows.len(), world.records.len());
    // The same origin, another history.
    let mut other = World::new(dir.path());
    for n in 0..30 {
        other.judged(&format!("other-{n}"), &Invoice::of(1_000, "V-9"));
    }
    other.publish(&log_key());
    index.catch_up(&*source(dir.path())).unwrap();
    let rows = index
        .query(&*source(dir.path()), &Query::default())
        .unwrap();
    assert_eq!(rows.len(), other.records.len());
    assert_eq!(index.cases(&CaseFilter::default()).unwrap().len(), 30);
    // A shorter one.
    World::new(dir.path()).publish(&log_key());
    index.catch_up(&*source(dir.path())).unwrap();
    assert!(index.cases(&CaseFilter::default()).unwrap().is_empty());
    drop(index);
    fs::write(
        dir.path().join("index.db"),
        b"this is no database, and long enough to be looked at as one",
    )
    .unwrap();
    let error = Index::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("delete it"), "{error}");
}

#[test]
fn the_story_of_a_case_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let source = source(dir.path());
    let mut index = Index::in_memory().unwrap();
    index.catch_up(&*source).unwrap();
    for case in ["small-0", "mid", "big", "sanctioned", "no", "waits"] {
        let story = case_story(&*source, None, &name(case)).unwrap();
        assert_eq!(
            story,
            case_story(&*source, Some(&index), &name(case)).unwrap()
        );
        let count = world
            .records
            .iter()
            .filter(|r| r.case.as_ref().is_some_and(|c| c.as_str() == case))
            .count();
        assert_eq!(story.events.len(), count);
        let text = story.to_string();
        assert!(!text.contains("NOT the signer's"), "{text}");
        for clause in story.clauses.keys() {
            let exact = &world.release.clause_text(clause).unwrap().text;
            assert!(exact.lines().all(|line| text.contains(line)), "{clause}");
        }
        serde_json::to_string(&story).unwrap();
    }
    let big = case_story(&*source, Some(&index), &name("big"))
        .unwrap()
        .to_string();
    assert_eq!(big.matches("signature verified").count(), 2, "{big}");
    assert!(big.contains("signed by gus with gus-1"), "{big}");
    let small = case_story(&*source, Some(&index), &name("small-0"))
        .unwrap()
        .to_string();
    assert!(small.contains("signed by carla with carla-1"), "{small}");
    assert!(small.contains("PAY-4.1"), "{small}");
    let error = case_story(&*source, None, &name("none")).unwrap_err();
    assert!(error.to_string().contains("`none`"), "{error}");
}

#[test]
fn a_place_without_a_log_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&dir.path().display().to_string()).err().unwrap();
    assert!(error.to_string().contains("neither"), "{error}");
}
