//! Erasing a data subject: two humans, no hold, no open work; and every way round that refused.

use crate::world::{ORIGIN, World, kinds, name, sign, subject};
use duty::{
    canonical::Digest,
    name::CaseId,
    record::{Body, Record},
    refusal::Code,
    request::{FoundBy, OpenCase, Outcome, Request, RevokePrincipal},
    statement::{ErasureStatement, Signed},
    subject::SubjectId,
};

/// A world with a case that has ended.
fn ended(id: &str) -> World {
    let mut w = World::new();
    run(&mut w, id);
    w
}

fn run(w: &mut World, id: &str) {
    w.judged(id, 50);
    w.must("exe", w.use_grant(id, 50));
    w.must("engine", w.outcome(id, Outcome::Succeeded, FoundBy::Answer));
}

#[test]
fn one_asks_another_confirms_and_nothing_names_the_subject() {
    let mut w = ended("c1");
    let asked = w.must("olivia", w.erase("c1", "olivia"));
    assert_eq!(kinds(&asked), ["erasure.requested"]);
    assert!(w.state.erased.is_empty(), "one person is not enough");
    let done = w.must("bob", w.confirm("c1", "bob"));
    assert_eq!(kinds(&done), ["erasure.confirmed", "subject.erased"]);
    let Body::SubjectErased(body) = &done[1].body else {
        panic!()
    };
    assert_eq!(body.asked, asked[0].seq);
    assert_eq!(body.by, [name("olivia"), name("bob")]);
    assert_eq!(w.state.erased[&subject("c1")], done[1].seq);
    assert!(w.state.asked.is_empty());
    for record in asked.iter().chain(&done) {
        let text = String::from_utf8(record.to_bytes().unwrap()).unwrap();
        assert!(!text.contains("R-c1"), "{text}");
        assert!(record.case.is_none());
    }
}

#[test]
fn the_same_person_does_not_confirm() {
    let mut w = ended("c1");
    w.must("olivia", w.erase("c1", "olivia"));
    w.refused("olivia", w.confirm("c1", "olivia"), Code::NotIndependent);
    w.refused("olivia", w.erase("c1", "olivia"), Code::Replayed);
    w.refused("bob", w.erase("c1", "bob"), Code::Replayed);
    w.must("bob", w.confirm("c1", "bob"));
}

#[test]
fn agents_and_services_neither_ask_nor_confirm_nor_hold() {
    let mut w = ended("c1");
    for who in ["ana", "admin", "engine"] {
        w.refused(who, w.erase("c1", who), Code::NotHuman);
        w.refused(who, w.hold("c1", who), Code::NotHuman);
    }
    w.must("olivia", w.erase("c1", "olivia"));
    w.refused("ana", w.confirm("c1", "ana"), Code::NotHuman);
    w.refused("ana", w.confirm("c1", "bob"), Code::NotHuman);
    // Nor does a person whose signature it is not.
    let Request::ConfirmErasure(mut forged) = w.confirm("c1", "bob") else {
        panic!()
    };
    forged.signature = sign(forged.statement.clone(), "gus").signature;
    w.refused("bob", Request::ConfirmErasure(forged), Code::BadSignature);
}

#[test]
fn an_auditor_holds_and_does_not_erase() {
    let mut w = ended("c1");
    let vera = crate::world::human("vera", duty::principal::Role::Auditor);
    w.must("admin", Request::AddPrincipal(vera));
    let held = w.must("vera", w.hold("c1", "vera"));
    let lift = w.lift("c1", held[0].seq, "vera");
    w.refused("vera", lift, Code::NotYourDuty);
    w.refused("vera", w.erase("c1", "vera"), Code::NotYourDuty);
}

#[test]
fn a_hold_wins_at_both_steps_and_each_hold_ends_for_itself() {
    let mut w = ended("c1");
    w.must("olivia", w.erase("c1", "olivia"));
    let one = w.must("bob", w.hold("c1", "bob"))[0].seq;
    let two = w.must("gus", w.hold("c1", "gus"))[0].seq;
    w.refused("bob", w.confirm("c1", "bob"), Code::LegalHold);
    w.must("hal", w.lift("c1", one, "hal"));
    w.refused("hal", w.lift("c1", one, "hal"), Code::WrongState);
    w.refused("bob", w.confirm("c1", "bob"), Code::LegalHold);
    w.must("hal", w.lift("c1", two, "hal"));
    assert!(w.state.holds.is_empty());
    w.must("bob", w.confirm("c1", "bob"));
    w.refused("bob", w.hold("c1", "bob"), Code::NothingToErase);

    let mut w = ended("c2");
    let hold = w.must("bob", w.hold("c2", "bob"))[0].seq;
    w.refused("olivia", w.erase("c2", "olivia"), Code::LegalHold);
    // Another subject's hold is no key to this one's.
    run(&mut w, "c3");
    w.refused("hal", w.lift("c3", hold, "hal"), Code::WrongState);
    w.must("olivia", w.erase("c3", "olivia"));
    w.must("bob", w.confirm("c3", "bob"));
}

#[test]
fn a_hold_may_come_before_the_first_case() {
    let mut w = World::new();
    w.must("bob", w.hold("c1", "bob"));
    run(&mut w, "c1");
    w.refused("olivia", w.erase("c1", "olivia"), Code::LegalHold);
}

#[test]
fn open_work_keeps_its_sources() {
    let mut w = World::new();
    w.judged("c1", 50);
    w.refused("olivia", w.erase("c1", "olivia"), Code::WorkOpen);
    w.must("exe", w.use_grant("c1", 50));
    // An effect that nobody knows the end of is open work too.
    let unknown = w.outcome("c1", Outcome::Unknown, FoundBy::Answer);
    w.must("engine", unknown);
    w.refused("olivia", w.erase("c1", "olivia"), Code::WorkOpen);
    let settled = w.outcome("c1", Outcome::Succeeded, FoundBy::Lookup);
    w.must("engine", settled);
    w.must("olivia", w.erase("c1", "olivia"));
    // A second case about the same subject, between request and confirmation.
    w.must("engine", open("c2", "R-c1"));
    w.refused("bob", w.confirm("c1", "bob"), Code::WorkOpen);
}

#[test]
fn nothing_to_erase_is_said() {
    let mut w = ended("c1");
    w.refused("olivia", w.erase("c9", "olivia"), Code::NothingToErase);
    w.refused("bob", w.confirm("c1", "bob"), Code::WrongState);
    w.must("olivia", w.erase("c1", "olivia"));
    w.must("bob", w.confirm("c1", "bob"));
    w.refused("olivia", w.erase("c1", "olivia"), Code::NothingToErase);
    w.refused("gus", w.confirm("c1", "gus"), Code::NothingToErase);
}

#[test]
fn a_confirmation_is_of_one_request_of_one_log() {
    let mut w = ended("c1");
    let asked = w.must("olivia", w.erase("c1", "olivia"))[0].seq;
    let other = w.confirm_record("c1", asked - 1, "bob");
    w.refused("bob", other, Code::WrongBinding);
    let mut elsewhere: ErasureStatement = w.erasure("c1", "bob");
    elsewhere.log = "other.example/log".to_owned();
    let elsewhere = Request::RequestErasure(sign(elsewhere, "bob"));
    w.refused("bob", elsewhere, Code::WrongBinding);
    // A statement of another sort does not pass for this one.
    let mut posing: Signed<ErasureStatement> = sign(w.erasure("c1", "bob"), "bob");
    posing.statement.statement = "counterfoil/hold/v1".to_owned();
    let posing = Request::RequestErasure(sign(posing.statement, "bob"));
    w.refused("bob", posing, Code::WrongBinding);
}

#[test]
fn whoever_was_revoked_has_asked_for_nothing() {
    let mut w = ended("c1");
    w.must("olivia", w.erase("c1", "olivia"));
    let revoke = RevokePrincipal {
        principal: name("olivia"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    w.refused("bob", w.confirm("c1", "bob"), Code::Revoked);
    w.must("gus", w.erase("c1", "gus"));
    w.must("bob", w.confirm("c1", "bob"));
}

#[test]
fn a_reason_is_asked_for() {
    let mut w = ended("c1");
    let mut silent = w.erasure("c1", "olivia");
    silent.reason = " ".to_owned();
    let silent = Request::RequestErasure(sign(silent, "olivia"));
    w.refused("olivia", silent, Code::ReasonMissing);
}

#[test]
fn no_case_opens_about_an_erased_subject() {
    let mut w = ended("c1");
    w.must("olivia", w.erase("c1", "olivia"));
    w.must("bob", w.confirm("c1", "bob"));
    w.refused("engine", open("c2", "R-c1"), Code::SubjectErased);
    w.must("engine", open("c2", "R-other"));
}

fn open(id: &str, about: &str) -> Request {
    Request::OpenCase(OpenCase {
        case: name::<CaseId>(id),
        environment: name("staging"),
        subject: about.to_owned(),
        snapshot: Digest::of_bytes(b"source"),
    })
}

#[test]
fn the_fold_takes_no_erasure_that_nobody_confirmed() {
    let mut w = ended("c1");
    w.must("olivia", w.erase("c1", "olivia"));
    let before = w.state.clone();
    let done = w.must("bob", w.confirm("c1", "bob"));
    let forged = Record {
        seq: before.size,
        cause: Some(before.size - 1),
        ..done[1].clone()
    };
    assert!(before.clone().apply(&forged).is_err(), "not confirmed");
    let mut state = before;
    state.apply(&done[0]).unwrap();
    for change in [
        |b: &mut duty::record::SubjectErased| b.by.reverse(),
        |b: &mut duty::record::SubjectErased| b.asked -= 1,
        |b: &mut duty::record::SubjectErased| b.subject = SubjectId::of(ORIGIN, "R-c2"),
    ] {
        let mut forged = done[1].clone();
        let Body::SubjectErased(body) = &mut forged.body else {
            panic!()
        };
        change(body);
        assert!(state.clone().apply(&forged).is_err());
    }
    state.apply(&done[1]).unwrap();
}

/// Milliseconds of a day; the test release keeps for 30.
const DAY: i64 = 86_400_000;

#[test]
fn what_is_kept_goes_when_its_retention_is_over() {
    let mut w = ended("c1");
    let end = w.end_retention("c1");
    w.refused("engine", end.clone(), Code::RetentionRuns);
    w.clock += 30 * DAY;
    w.refused("olivia", end.clone(), Code::NotYourDuty);
    let done = w.must("engine", end.clone());
    assert_eq!(kinds(&done), ["retention.ended", "subject.erased"]);
    let Body::SubjectErased(body) = &done[1].body else {
        panic!()
    };
    assert_eq!((body.asked, &body.by[..]), (done[0].seq, &[][..]));
    for record in &done {
        let cited: Vec<_> = record.clauses.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(cited, ["P-2"]);
        assert_eq!(record.release, Some(w.rules.digest));
    }
    w.refused("engine", end, Code::NothingToErase);
}

#[test]
fn a_later_case_a_hold_and_open_work_prolong_retention() {
    let mut w = ended("c1");
    w.clock += 29 * DAY;
    w.must("engine", open("c2", "R-c1"));
    w.clock += 5 * DAY;
    w.refused("engine", w.end_retention("c1"), Code::WorkOpen);

    let mut w = ended("c1");
    let hold = w.must("bob", w.hold("c1", "bob"))[0].seq;
    w.clock += 40 * DAY;
    w.refused("engine", w.end_retention("c1"), Code::LegalHold);
    w.must("hal", w.lift("c1", hold, "hal"));
    // Somebody's request that nobody has confirmed does not stand in the way, and ends with it.
    w.must("olivia", w.erase("c1", "olivia"));
    w.must("engine", w.end_retention("c1"));
    assert!(w.state.asked.is_empty());
    w.refused("bob", w.confirm("c1", "bob"), Code::NothingToErase);
}

#[test]
fn a_release_without_retention_keeps() {
    let mut w = ended("c1");
    w.rules.team.retention = None;
    w.clock += 9_999 * DAY;
    w.refused("engine", w.end_retention("c1"), Code::RetentionRuns);
    w.refused("engine", w.end_retention("c9"), Code::NothingToErase);
}
