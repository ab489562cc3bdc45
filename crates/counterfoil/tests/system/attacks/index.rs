//! The index edited, and not the log: no listing is wrong, and it is told.

use rusqlite::Connection;

use crate::rig::{Example, expect};

#[test]
fn an_index_that_was_edited_is_told_of_and_answers_as_the_log_does() {
    let example = Example::new(20);
    let dir = example.arg();
    let refusals = [
        "audit",
        "query",
        "--kind",
        "call.permitted",
        "--json",
        "--dir",
        &dir,
    ];
    let listing = ["case", "list", "--json", "--dir", &dir];
    let right = (expect(0, &refusals).0, expect(0, &listing).0);
    assert!(right.0.lines().count() > 20 && right.1.lines().count() == 20);
    let check = ["audit", "query", "--check", "--limit", "1", "--dir", &dir];
    let (_, said) = expect(0, &check);
    assert!(said.contains("says what the log says"), "{said}");
    let vkey = format!("{dir}/log.vkey");
    for edit in [
        "UPDATE records SET actor = 'executor' WHERE kind = 'call.permitted'",
        "DELETE FROM records WHERE kind = 'call.permitted' AND actor = 'analyst'",
        "INSERT INTO records SELECT 7777777, time, kind, case_id, env, actor, role, owner, release, refusal, text
         FROM records WHERE kind = 'call.permitted' LIMIT 1",
        "UPDATE cases SET outcome = 'rejected', stage = 'closed' WHERE outcome = 'executed' OR stage = 'waiting'",
        "DELETE FROM cases WHERE stage = 'waiting'",
        "ALTER TABLE cases RENAME TO hidden; CREATE VIEW cases AS SELECT * FROM hidden WHERE outcome = 'executed'",
    ] {
        let edited = || {
            let db = Connection::open(example.dir().join("index.db")).unwrap();
            db.execute_batch(edit).unwrap();
        };
        edited();
        // Who looks is told, and has the log's answer; afterwards there is nothing to tell.
        let (out, said) = expect(0, &refusals);
        assert_eq!(out, right.0, "{edit}");
        assert!(said.contains("it was edited, and is built anew"), "{edit}: {said}");
        let (out, said) = expect(0, &listing);
        assert_eq!((out, said.contains("edited")), (right.1.clone(), false), "{edit}");
        edited();
        let (out, said) = expect(0, &listing);
        assert_eq!((out, said.contains("edited")), (right.1.clone(), true), "{edit}");
        // An auditor's check ends with 1, and leaves what it found.
        edited();
        for _ in 0..2 {
            let (_, said) = expect(1, &check);
            assert!(said.contains("not what the log says"), "{edit}: {said}");
        }
        expect(0, &refusals);
        expect(0, &check);
        // The log itself was never touched.
        expect(0, &["log", "verify", &dir, "--vkey", &vkey]);
    }
}
