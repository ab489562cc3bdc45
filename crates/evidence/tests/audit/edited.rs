//! An index that somebody edited never gives a wrong answer; and how people sign.

use std::path::Path;

use evidence::{CaseFilter, Index, Query, Reliance, approvers};
use rusqlite::Connection;

use crate::{
    asked::source,
    world::{World, log_key},
};

/// Edits of `index.db`, each as an attacker with SQLite at hand would make it.
const EDITS: &[(&str, &str)] = &[
    (
        "a row changed",
        "UPDATE records SET actor = 'reviewer' WHERE kind = 'approval.given'",
    ),
    ("a text changed", "UPDATE records SET text = 'all is well' WHERE kind = 'request.refused'"),
    ("a row taken away", "DELETE FROM records WHERE kind = 'request.refused'"),
    (
        "a row added",
        "INSERT INTO records SELECT 99999999, time, kind, case_id, env, actor, role, owner, release, refusal, text
         FROM records WHERE kind = 'approval.given' LIMIT 1",
    ),
    ("a citation taken away", "DELETE FROM record_clauses WHERE clause = 'PAY-4.1'"),
    ("a person taken away", "DELETE FROM principals WHERE principal = 'bob'"),
    ("a case ended otherwise", "UPDATE cases SET outcome = 'refused' WHERE outcome = 'executed'"),
    ("a case taken away", "DELETE FROM cases WHERE stage = 'waiting'"),
    ("an exception gone", "DELETE FROM exceptions"),
    ("a fact changed", "UPDATE OR REPLACE fields SET value = 'x'"),
    (
        "a view in a table's place",
        "ALTER TABLE cases RENAME TO real_cases; CREATE VIEW cases AS SELECT * FROM real_cases WHERE 0",
    ),
    (
        "a trigger that spoils what comes",
        "CREATE TRIGGER spoil AFTER INSERT ON records BEGIN DELETE FROM records WHERE seq = new.seq; END",
    ),
    ("the mark set forward", "UPDATE meta SET size = size"),
];

fn answers(index: &mut Index, dir: &Path) -> (Vec<evidence::Row>, Vec<evidence::CaseRow>, usize) {
    let rows = index.query(&*source(dir), &Query::default()).unwrap();
    let cases = index.cases(&CaseFilter::default()).unwrap();
    (rows, cases, index.exceptions(false).unwrap().len())
}

#[test]
fn an_edited_index_is_found_and_never_answers_wrongly() {
    let dir = tempfile::tempdir().unwrap();
    World::busy(dir.path()).publish(&log_key());
    let mut fresh = Index::in_memory().unwrap();
    fresh.catch_up(&*source(dir.path())).unwrap();
    let right = answers(&mut fresh, dir.path());
    let mut index = Index::open(dir.path()).unwrap();
    assert_eq!(
        index.rely(&*source(dir.path())).unwrap(),
        Reliance::Compared
    );
    assert_eq!(index.notes(), Vec::<String>::new());
    drop(index);
    for (what, sql) in EDITS {
        let db = Connection::open(dir.path().join("index.db")).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let changes = *what != "the mark set forward";
        let mut index = Index::open(dir.path()).unwrap();
        let differs = index.differences(&*source(dir.path())).unwrap();
        assert_eq!(!differs.is_empty(), changes, "{what}: {differs:?}");
        index.rely(&*source(dir.path())).unwrap();
        assert_eq!(index.notes().len(), usize::from(changes), "{what}");
        assert_eq!(answers(&mut index, dir.path()), right, "{what}");
        assert!(
            index.differences(&*source(dir.path())).unwrap().is_empty(),
            "{what}"
        );
    }
}

#[test]
fn an_edit_behind_an_open_index_is_found() {
    let dir = tempfile::tempdir().unwrap();
    World::busy(dir.path()).publish(&log_key());
    let mut index = Index::open(dir.path()).unwrap();
    index.rely(&*source(dir.path())).unwrap();
    let right = answers(&mut index, dir.path());
    let db = Connection::open(dir.path().join("index.db")).unwrap();
    db.execute_batch("UPDATE records SET text = 'all is well' WHERE kind = 'request.refused'")
        .unwrap();
    // Even without comparing it whole, what a row says is read again from the log.
    assert_eq!(answers(&mut index, dir.path()), right);
    assert_eq!(index.notes().len(), 1);
    db.execute_batch("DELETE FROM records WHERE kind = 'request.refused'")
        .unwrap();
    index.rely(&*source(dir.path())).unwrap();
    assert_eq!(answers(&mut index, dir.path()), right);
    assert_eq!(index.notes().len(), 1);
}

#[test]
fn how_people_sign_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let people = approvers(&*source(dir.path()), 30).unwrap();
    let signed: u64 = people.iter().map(|p| p.signed).sum();
    let given = |r: &&duty::record::Record| r.body.kind() == "approval.given";
    assert_eq!(signed, world.records.iter().filter(given).count() as u64);
    for p in &people {
        assert_eq!(p.signed, p.yes + p.no, "{p:?}");
        assert!(p.hasty <= p.yes && p.most_in_an_hour <= p.signed, "{p:?}");
    }
    // One request needed two: each of them is the other's partner, always.
    let pairs: Vec<_> = people.iter().filter_map(|p| p.partner.as_ref()).collect();
    assert_eq!(pairs.len(), 2, "{people:?}");
    assert!(pairs.iter().all(|p| (p.together, p.percent) == (1, 100)));
    // Everything came at once in this log, whatever reading takes; nothing did where it takes no time.
    assert!(people.iter().map(|p| p.hasty).sum::<u64>() > 0);
    let patient = approvers(&*source(dir.path()), 0).unwrap();
    assert_eq!(patient.iter().map(|p| p.hasty).sum::<u64>(), 0);
}
