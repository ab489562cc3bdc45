//! Breaking the glass: who may, how few, for how long, and what follows.

use duty::principal::Role;
use duty::{
    name::ItemId,
    record::{Basis, Body, Record},
    refusal::Code,
    release::BreakGlass,
    request::{NoteOverdue, Request, Stance},
    statement::{Choice, GlassReviewStatement, GlassStatement},
};

use crate::world::{ORIGIN, World, name, sign};

fn world() -> World {
    let mut w = World::new();
    w.rules.team.break_glass = Some(BreakGlass {
        role: Role::Approver,
        certification: name("pay"),
        minutes: 5,
        review_minutes: 60,
        clause: "P-2".to_owned(),
    });
    w
}

fn statement(w: &World, id: &str, person: &str) -> GlassStatement {
    let asked = w.approval(id, person, Choice::Approve);
    GlassStatement {
        statement: GlassStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        approval: asked.approval,
        case: asked.case,
        action: asked.action,
        release: asked.release,
        env: asked.env,
        expires: asked.expires,
        reason: "the plant stops tonight".to_owned(),
        signer: asked.signer,
        credential: asked.credential,
    }
}

fn glass(w: &World, id: &str, person: &str) -> Request {
    Request::BreakGlass(sign(statement(w, id, person), person))
}

fn review(id: &str, person: &str) -> Request {
    let statement = GlassReviewStatement {
        statement: GlassReviewStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        grant: name(&format!("{id}.g1")),
        justified: true,
        finding: "it was right".to_owned(),
        signer: name(person),
        credential: name(&format!("{person}-1")),
    };
    Request::ReviewGlass(sign(statement, person))
}

fn broken(records: &[Record]) -> Option<&duty::record::GlassBroken> {
    records.iter().find_map(|r| match &r.body {
        Body::GlassBroken(b) => Some(b),
        _ => None,
    })
}

#[test]
fn one_person_and_an_alarm_where_the_risk_is_not_high() {
    let mut w = world();
    w.judged("c1", 500);
    let records = w.must("bob", glass(&w, "c1", "bob"));
    let kinds: Vec<_> = records.iter().map(|r| r.body.kind()).collect();
    assert_eq!(
        kinds,
        [
            "glass.signed",
            "exception.raised",
            "glass.broken",
            "grant.issued"
        ]
    );
    let broken = broken(&records).unwrap();
    let skipped: Vec<_> = broken.skipped.iter().map(|p| p.as_str()).collect();
    assert_eq!(skipped, ["gus", "hal"], "whoever was passed over is named");
    let Body::GrantIssued(grant) = &records[3].body else {
        panic!("no grant")
    };
    assert!(matches!(&grant.basis, Basis::Glass { signers, .. } if signers.len() == 1));
    assert_eq!(
        grant.expires,
        records[3].time.plus_minutes(5),
        "minutes, whatever other grants have"
    );
    w.must("exe", w.use_grant("c1", 500));
}

#[test]
fn high_risk_takes_two_and_what_they_stand_on_is_asked_again() {
    let mut w = world();
    w.judged("c1", 5_000);
    let first = w.must("bob", glass(&w, "c1", "bob"));
    assert!(broken(&first).is_none());
    w.refused("bob", glass(&w, "c1", "bob"), Code::Replayed);
    w.refused("exe", w.use_grant("c1", 5_000), Code::WrongState);
    assert!(broken(&w.must("gus", glass(&w, "c1", "gus"))).is_some());
    let revoke = duty::request::RevokePrincipal {
        principal: name("gus"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    w.refused("exe", w.use_grant("c1", 5_000), Code::QuorumMissing);
}

#[test]
fn it_is_no_way_round() {
    let mut w = world();
    w.judged("c1", 500);
    // Owners of agents, people without the role, agents, other actions.
    w.refused("olivia", glass(&w, "c1", "olivia"), Code::NotYourDuty);
    w.refused("ana", glass(&w, "c1", "ana"), Code::NotHuman);
    let mut other = statement(&w, "c1", "bob");
    other.action = duty::canonical::Digest::of_bytes(b"another");
    w.refused(
        "bob",
        Request::BreakGlass(sign(other, "bob")),
        Code::WrongBinding,
    );
    let mut mute = statement(&w, "c1", "bob");
    mute.reason = String::new();
    w.refused(
        "bob",
        Request::BreakGlass(sign(mute, "bob")),
        Code::ReasonMissing,
    );
    // Against an agent that would refuse, only an override helps.
    w.judged_as("c2", 500, Stance::Proceed, Stance::Refuse);
    w.refused("bob", glass(&w, "c2", "bob"), Code::GlassClosed);
    // A certification that is over.
    w.clock = 200_000_000;
    w.judged("c3", 500);
    w.refused("bob", glass(&w, "c3", "bob"), Code::NotCertified);
    // A release that knows no emergency.
    let mut w = World::new();
    w.judged("c1", 500);
    w.refused("bob", glass(&w, "c1", "bob"), Code::GlassClosed);
}

#[test]
fn nobody_breaks_it_again_before_somebody_else_has_reviewed_it() {
    let mut w = world();
    w.judged("c1", 500);
    w.judged("c2", 500);
    w.must("bob", glass(&w, "c1", "bob"));
    w.refused("bob", glass(&w, "c2", "bob"), Code::GlassClosed);
    w.refused("bob", review("c1", "bob"), Code::NotIndependent);
    w.refused("gus", review("c2", "gus"), Code::WrongState);
    let overdue = || {
        Request::NoteOverdue(NoteOverdue {
            grant: name::<ItemId>("c1.g1"),
        })
    };
    w.refused("engine", overdue(), Code::WrongState);
    w.clock += 61 * 60_000;
    w.refused("bob", overdue(), Code::NotYourDuty);
    let noted = w.must("engine", overdue());
    assert_eq!(noted[0].body.kind(), "glass.overdue");
    w.refused("engine", overdue(), Code::WrongState);
    w.judged("c3", 500);
    w.refused("bob", glass(&w, "c3", "bob"), Code::GlassClosed);
    w.must("dmitri", review("c1", "dmitri"));
    w.must("bob", glass(&w, "c3", "bob"));
}
