//! Effects that the user of a grant carries out: used first, reported after, by the same executor, once.

use crate::world::{World, agent_of, kinds, name};
use duty::{
    principal::{PrincipalKind, Role},
    record::{Body, CaseOutcome},
    refusal::Code,
    request::{FoundBy, OpenCase, Outcome, Request},
    time::Time,
};

/// A case whose grant is used, under a release in which whoever uses it carries the payment out.
fn used() -> World {
    let mut w = World::new();
    w.rules.team.tools.get_mut("bank.pay").unwrap().by_caller = true;
    w.judged("c1", 50);
    let records = w.must("exe", w.use_grant("c1", 50));
    let Body::GrantUsed(used) = &records[0].body else {
        panic!("not used")
    };
    let by = records[0].time.plus_minutes(w.rules.team.grant_minutes);
    assert_eq!(used.report_by, Some(by));
    w
}

#[test]
fn the_executor_reports_what_it_did() {
    let mut w = used();
    let done = w.must("exe", w.outcome("c1", Outcome::Succeeded, FoundBy::Caller));
    assert_eq!(kinds(&done), ["outcome.recorded", "case.closed"]);
    assert_eq!(done[0].actor.role, Some(Role::Executor));
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Executed);
    let mut w = used();
    let done = w.must("exe", w.outcome("c1", Outcome::Failed, FoundBy::Caller));
    assert_eq!(
        kinds(&done),
        [
            "outcome.recorded",
            "threshold.released",
            "exception.raised",
            "case.closed"
        ]
    );
}

#[test]
fn nobody_else_reports_and_nothing_is_done_twice() {
    let mut w = used();
    for who in ["ana", "rev", "engine"] {
        let report = w.outcome("c1", Outcome::Succeeded, FoundBy::Caller);
        w.refused(who, report, Code::NotYourDuty);
    }
    let mut other = agent_of("exf", Role::Executor, "ines");
    other.id = name("exf");
    w.must("admin", Request::AddPrincipal(other));
    let report = w.outcome("c1", Outcome::Succeeded, FoundBy::Caller);
    w.refused("exf", report, Code::NotYourDuty);
    w.refused("exe", w.use_grant("c1", 50), Code::Replayed);
    // What the engine may say of its own calls it may not say of another's.
    for found_by in [FoundBy::Answer, FoundBy::Recovery, FoundBy::Simulated] {
        let report = w.outcome("c1", Outcome::Unknown, found_by);
        w.refused("engine", report, Code::WrongState);
    }
    for found_by in [FoundBy::Answer, FoundBy::Overdue] {
        let report = w.outcome("c1", Outcome::Succeeded, found_by);
        w.refused("exe", report, Code::NotYourDuty);
    }
}

#[test]
fn an_executor_reports_nothing_where_the_engine_calls() {
    let mut w = World::new();
    w.judged("c1", 50);
    w.must("exe", w.use_grant("c1", 50));
    for found_by in [FoundBy::Caller, FoundBy::Answer] {
        let report = w.outcome("c1", Outcome::Succeeded, found_by);
        w.refused("exe", report, Code::NotYourDuty);
    }
    let overdue = w.outcome("c1", Outcome::Unknown, FoundBy::Overdue);
    w.refused("engine", overdue, Code::WrongState);
}

#[test]
fn what_is_not_reported_in_time_is_unknown_until_its_executor_says_more() {
    let mut w = used();
    let overdue = w.outcome("c1", Outcome::Unknown, FoundBy::Overdue);
    w.refused("engine", overdue.clone(), Code::WrongState);
    let case = &w.state.cases[&name("c1")];
    let by = case.grant.as_ref().unwrap().report_by.unwrap();
    w.clock = by.millis();
    assert!(by > Time::EPOCH);
    let noted = w.must("engine", overdue.clone());
    assert_eq!(kinds(&noted), ["outcome.recorded", "exception.raised"]);
    w.refused("engine", overdue, Code::WrongState);
    w.refused("exe", w.use_grant("c1", 50), Code::Replayed);
    let unknown = w.outcome("c1", Outcome::Unknown, FoundBy::Caller);
    w.refused("exe", unknown, Code::WrongState);
    w.must("exe", w.outcome("c1", Outcome::Succeeded, FoundBy::Caller));
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Executed);
}

#[test]
fn an_unused_grant_has_nothing_to_report() {
    let mut w = World::new();
    w.rules.team.tools.get_mut("bank.pay").unwrap().by_caller = true;
    w.judged("c1", 50);
    let report = w.outcome("c1", Outcome::Succeeded, FoundBy::Caller);
    w.refused("exe", report, Code::NotYourDuty);
}

#[test]
fn intakes_open_cases_and_do_nothing_else() {
    let mut w = World::new();
    let mut intake = agent_of("inn", Role::Intake, "olivia");
    intake.kind = PrincipalKind::Service;
    intake.owner = None;
    w.must("admin", Request::AddPrincipal(intake));
    let open = |id: &str| {
        Request::OpenCase(OpenCase {
            case: name(id),
            environment: name("staging"),
            subject: format!("R-{id}"),
            snapshot: duty::canonical::Digest::of_bytes(b"source"),
        })
    };
    let opened = w.must("inn", open("c1"));
    assert_eq!(opened[0].actor.role, Some(Role::Intake));
    w.refused("ana", open("c2"), Code::NotYourDuty);
    w.recommended(
        "c1",
        50,
        duty::request::Stance::Proceed,
        duty::request::Stance::Proceed,
    );
    w.must("exe", w.use_grant("c1", 50));
    let answer = w.outcome("c1", Outcome::Succeeded, FoundBy::Answer);
    w.refused("inn", answer, Code::NotYourDuty);
    let mut person = crate::world::human("ida", Role::Intake);
    person.roles = vec![Role::Intake];
    w.refused("admin", Request::AddPrincipal(person), Code::NotYourDuty);
}
