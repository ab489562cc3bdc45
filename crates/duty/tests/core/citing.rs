//! What a recommendation quotes and cites.

use duty::{
    canonical::Digest,
    edition::Edition,
    principal::Duty,
    refusal::Code,
    release::ClauseRef,
    request::{Quote, Ranked, Recommend, Request, Retrieve, Stance},
    time::Time,
};

use crate::world::{World, always, name};

fn quoting(w: &World, clause: &str, words: &str) -> Recommend {
    let mut made = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    made.quotes.push(Quote {
        clause: clause.to_owned(),
        words: words.to_owned(),
    });
    made
}

#[test]
fn what_is_quoted_stands_in_the_clause_that_is_cited() {
    let mut w = World::new();
    w.open("c1");
    w.retrieve("c1", "ana");
    for (clause, words, why) in [
        ("P-1", "a payment is released", "case counts"),
        ("P-1", "released after two persons", "words are left out"),
        ("P-1", "A payment is release", "a word is cut"),
        ("P-1", "on sign", "words are cut at both ends"),
        ("P-1", " \u{200b}\n", "nothing is said"),
        ("P-2", "A payment is released", "the clause is not cited"),
    ] {
        let refusal = w.refused(
            "ana",
            Request::Recommend(quoting(&w, clause, words)),
            Code::BadCitation,
        );
        assert_eq!(refusal.clause.as_deref(), Some(clause), "{why}: {refusal}");
    }
    let made = quoting(&w, "P-1", "released only\u{a0}after \"two persons\"\nhave");
    w.must("ana", Request::Recommend(made));
}

/// Edition `version` of a clause.
fn clause(id: &str, version: &str) -> ClauseRef {
    ClauseRef {
        id: id.to_owned(),
        version: version.to_owned(),
        digest: Digest::of_bytes(format!("{id} {version}").as_bytes()),
    }
}

fn retrieving(clause: &ClauseRef, as_of: Option<Time>) -> Request {
    Request::Retrieve(Retrieve {
        case: name("c1"),
        query: "small".to_owned(),
        vector: None,
        as_of,
        ranking: vec![Ranked {
            clause: clause.clone(),
            score_milli: 1,
        }],
    })
}

#[test]
fn a_clause_is_cited_in_the_edition_that_is_in_force() {
    let mut w = World::new();
    let change = Time::from_millis(w.clock + 3_600_000);
    let end = Time::from_millis(w.clock + 7_200_000);
    let (old, new) = (clause("E-1", "1"), clause("E-1", "2"));
    let editions = vec![
        Edition {
            until: Some(change),
            ..always(old.clone())
        },
        Edition {
            clause: new.clone(),
            from: change,
            until: Some(end),
        },
    ];
    w.rules.editions.insert("E-1".to_owned(), editions);
    w.open("c1");
    let citing = |w: &World, cited: &ClauseRef| {
        let mut made = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
        made.clauses = vec![cited.clone()];
        Request::Recommend(made)
    };
    let early = w.refused("ana", retrieving(&new, None), Code::BadCitation);
    assert!(early.why.contains("comes into force at"), "{early}");
    assert_eq!(early.remedy, "cite version 1, which is in force");
    w.must("ana", retrieving(&old, None));
    w.refused("ana", citing(&w, &new), Code::BadCitation);
    w.clock = change.millis();
    let late = w.refused("ana", citing(&w, &old), Code::BadCitation);
    assert!(late.why.contains("out of force since"), "{late}");
    // The new edition is in force, and nobody has read it yet.
    let unread = w.refused("ana", citing(&w, &new), Code::BadCitation);
    assert_eq!(unread.remedy, "retrieve before citing", "{unread}");
    // What was searched before it came into force did not find it.
    let before = Time::from_millis(change.millis() - 1);
    w.must("ana", retrieving(&new, Some(before)));
    w.refused("ana", citing(&w, &new), Code::BadCitation);
    let ahead = Time::from_millis(w.clock + 60_000);
    w.refused("ana", retrieving(&new, Some(ahead)), Code::Malformed);
    w.must("ana", retrieving(&new, None));
    w.must("ana", citing(&w, &new));
    w.clock = end.millis();
    let gone = w.refused("rev", retrieving(&new, None), Code::BadCitation);
    assert_eq!(gone.remedy, "cite a clause that is in force");
}

#[test]
fn what_is_bound_to_a_tool_is_cited_by_whoever_recommends_it() {
    let mut w = World::new();
    w.rules
        .bound
        .push(("bank.pay".to_owned(), "P-2".to_owned()));
    w.rules
        .bound
        .push(("books.vendor".to_owned(), "P-1".to_owned()));
    w.open("c1");
    w.retrieve("c1", "ana");
    let mut made = w.recommendation("c1", Duty::Prepare, Stance::Refuse, 50);
    let refusal = w.refused("ana", Request::Recommend(made.clone()), Code::BadCitation);
    assert_eq!(refusal.clause.as_deref(), Some("P-2"));
    assert_eq!(refusal.rule.as_deref(), Some("bind"));
    assert!(refusal.remedy.starts_with("cite `P-2` too"), "{refusal}");
    // Nothing is recommended to be done with the tool.
    let mut idle = made.clone();
    idle.action = None;
    let p2 = w.rules.clauses["P-2"].clone();
    w.must("ana", retrieving(&p2, None));
    made.clauses.push(p2);
    w.must("ana", Request::Recommend(made));
    w.open("c2");
    w.retrieve("c2", "ana");
    idle.case = name("c2");
    w.must("ana", Request::Recommend(idle));
}

#[test]
fn what_is_bound_and_not_in_force_binds_nobody() {
    let mut w = World::new();
    let later = Edition {
        from: Time::from_millis(w.clock + 3_600_000),
        ..always(clause("E-1", "1"))
    };
    w.rules.editions.insert("E-1".to_owned(), vec![later]);
    w.rules
        .bound
        .push(("bank.pay".to_owned(), "E-1".to_owned()));
    w.open("c1");
    w.retrieve("c1", "ana");
    let made = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    w.must("ana", Request::Recommend(made));
}
