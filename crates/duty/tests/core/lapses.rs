//! Cases that come to no verdict: they end when their time is over, or when their release is in force no more.

use duty::{
    canonical::Digest,
    principal::Duty,
    record::{Body, CaseOutcome, ExceptionSort},
    refusal::Code,
    request::{Answer, Expire, Request, Retrieve, Stance},
    state::Case,
};

use crate::world::{World, kinds, name};

fn expire(case: &str) -> Request {
    Request::Expire(Expire { case: name(case) })
}

#[test]
fn a_case_that_nobody_prepares_ends_when_its_time_is_over() {
    let mut w = World::new();
    w.open("c1");
    w.refused("engine", expire("c1"), Code::WrongState);
    w.clock += 119 * 60_000;
    w.refused("engine", expire("c1"), Code::WrongState);
    w.clock += 60_000;
    // Time is the engine's to tell.
    w.refused("ana", expire("c1"), Code::NotYourDuty);
    let records = w.must("engine", expire("c1"));
    assert_eq!(kinds(&records), ["case.lapsed", "case.closed"]);
    assert_eq!(records[0].clauses[0].id, "P-2");
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Lapsed);
    w.refused("ana", w.call("c1"), Code::WrongState);
}

#[test]
fn a_human_is_told_where_something_was_prepared() {
    let mut w = World::new();
    w.open("c1");
    w.retrieve("c1", "ana");
    let prepared = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    w.must("ana", Request::Recommend(prepared));
    w.clock += 120 * 60_000;
    let records = w.must("engine", expire("c1"));
    assert_eq!(
        kinds(&records),
        ["case.lapsed", "exception.raised", "case.closed"]
    );
    let Body::ExceptionRaised(raised) = &records[1].body else {
        panic!("nothing raised")
    };
    assert_eq!(raised.sort, ExceptionSort::Expired);
}

#[test]
fn an_answer_under_way_is_waited_for() {
    let mut w = World::new();
    w.open("c1");
    w.must("ana", w.call("c1"));
    w.clock += 500 * 60_000;
    w.refused("engine", expire("c1"), Code::WrongState);
    let lost = Request::Answer(Answer {
        call: name("c1.c1"),
        snapshot: None,
        facts: Default::default(),
        problem: Some("lost".to_owned()),
    });
    w.must("engine", lost);
    w.must("engine", expire("c1"));
}

#[test]
fn a_release_that_is_in_force_no_more_ends_what_it_has_not_decided() {
    let mut w = World::new();
    w.open("c1");
    w.judged("c2", 50);
    w.judged("c3", 500);
    let other = Digest::of_bytes(b"another release");
    w.state.environments.insert(name("staging"), other);
    let records = w.must("engine", expire("c1"));
    assert_eq!(kinds(&records), ["case.lapsed", "case.closed"]);
    // What was decided ends in its own time.
    w.refused("engine", expire("c2"), Code::WrongState);
    w.refused("engine", expire("c3"), Code::WrongState);
}

#[test]
fn without_a_bound_a_case_waits_as_long_as_its_release_is_in_force() {
    let mut w = World::new();
    w.rules.team.patience = None;
    w.open("c1");
    w.clock += 1_000_000 * 60_000;
    w.refused("engine", expire("c1"), Code::WrongState);
}

#[test]
fn an_agent_reads_so_often_in_a_case_and_a_full_case_ends() {
    let mut w = World::new();
    w.open("c1");
    for _ in 1..Case::MOST_READS {
        w.read("c1", "ana", "");
    }
    w.refused("engine", expire("c1"), Code::WrongState);
    w.read("c1", "ana", "");
    w.refused("ana", w.call("c1"), Code::CaseFull);
    let records = w.must("engine", expire("c1"));
    assert_eq!(kinds(&records), ["case.lapsed", "case.closed"]);
}

#[test]
fn a_full_case_is_still_prepared_and_reviewed() {
    let mut w = World::new();
    w.open("c1");
    for _ in 0..Case::MOST_READS {
        w.read("c1", "ana", "");
        w.retrieve("c1", "ana");
    }
    let again = Request::Retrieve(Retrieve {
        case: name("c1"),
        query: "small payments".to_owned(),
        vector: None,
        as_of: None,
        ranking: Vec::new(),
    });
    w.refused("ana", again, Code::CaseFull);
    let prepared = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    w.must("ana", Request::Recommend(prepared));
    // What the one has read leaves the other's room alone, and a case with a recommendation is no idle one.
    w.read("c1", "rev", "");
    w.refused("engine", expire("c1"), Code::WrongState);
}

#[test]
fn a_case_is_full_of_lookups_too() {
    let mut w = World::new();
    w.open("c1");
    for _ in 1..Case::MOST_READS {
        w.retrieve("c1", "ana");
    }
    w.refused("engine", expire("c1"), Code::WrongState);
    w.retrieve("c1", "ana");
    w.must("engine", expire("c1"));
}
