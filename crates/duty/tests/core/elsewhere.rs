//! Decisions made elsewhere: taken down in a case of their own, which ends with them and authorises nothing.

use crate::world::{World, kinds, name, pay};
use duty::{
    canonical::Digest,
    principal::Duty,
    record::CaseOutcome,
    refusal::Code,
    request::{RecordDecision, Request, Stance},
};

fn decision(w: &World) -> RecordDecision {
    RecordDecision {
        case: name("c1"),
        stance: Stance::Proceed,
        action: Some(pay(5_000, "v1")),
        confidence: 95,
        rationale: "The limit was raised.".to_owned(),
        clauses: vec![w.rules.clauses["P-1"].clone()],
        model: "credit-scoring 7".to_owned(),
        system: "loans".to_owned(),
    }
}

#[test]
fn it_is_taken_down_and_its_case_ends() {
    let mut w = World::new();
    w.open("c1");
    let recorded = w.must("ana", Request::RecordDecision(decision(&w)));
    assert_eq!(kinds(&recorded), ["decision.recorded", "case.closed"]);
    assert_eq!(recorded[0].clauses, vec![w.rules.clauses["P-1"].clone()]);
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Recorded);
    // Nothing may be done on its strength.
    w.refused("exe", w.use_grant("c1", 5_000), Code::WrongState);
    w.refused(
        "ana",
        Request::RecordDecision(decision(&w)),
        Code::WrongState,
    );
}

#[test]
fn it_is_the_analysts_and_cites_what_exists() {
    let mut w = World::new();
    w.open("c1");
    for who in ["rev", "exe", "engine"] {
        w.refused(
            who,
            Request::RecordDecision(decision(&w)),
            Code::NotYourDuty,
        );
    }
    let none = RecordDecision {
        clauses: Vec::new(),
        ..decision(&w)
    };
    w.refused("ana", Request::RecordDecision(none), Code::BadCitation);
    let mut false_one = decision(&w);
    false_one.clauses[0].digest = Digest::of_bytes(b"another text");
    w.refused("ana", Request::RecordDecision(false_one), Code::BadCitation);
    for system in ["", "two\nlines", &"x".repeat(129)] {
        let odd = RecordDecision {
            system: system.to_owned(),
            ..decision(&w)
        };
        w.refused("ana", Request::RecordDecision(odd), Code::Malformed);
    }
}

#[test]
fn what_is_decided_here_is_not_taken_down_as_decided_elsewhere() {
    let mut w = World::new();
    w.open("c1");
    w.read("c1", "ana", "");
    w.retrieve("c1", "ana");
    let prepared = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    w.must("ana", Request::Recommend(prepared));
    w.refused(
        "ana",
        Request::RecordDecision(decision(&w)),
        Code::WrongState,
    );
}
