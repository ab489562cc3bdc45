//! Freezes: what each scope stops, what goes on, and who may lift one.

use duty::{
    freeze::Scope,
    refusal::Code,
    request::{FoundBy, Freeze, OpenCase, Outcome, Request},
    statement::UnfreezeStatement,
};

use crate::world::{ORIGIN, World, name, sign};

fn freeze(w: &mut World, scope: Scope) -> u64 {
    let request = Freeze {
        scope,
        reason: "it misbehaves".to_owned(),
    };
    w.must("admin", Request::Freeze(request))[0].seq
}

fn lift(freeze: u64, person: &str, reason: &str) -> Request {
    let statement = UnfreezeStatement {
        statement: UnfreezeStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        freeze,
        reason: reason.to_owned(),
        signer: name(person),
        credential: name(&format!("{person}-1")),
    };
    Request::Unfreeze(sign(statement, person))
}

fn opening(id: &str) -> Request {
    Request::OpenCase(OpenCase {
        case: name(id),
        environment: name("staging"),
        subject: "s".to_owned(),
        snapshot: duty::canonical::Digest::of_bytes(b"source"),
    })
}

#[test]
fn a_freeze_of_everything_stops_agents_and_openings_and_loses_no_outcome() {
    for scope in [
        Scope::Everything,
        Scope::Team {
            team: "team".to_owned(),
        },
    ] {
        let mut w = World::new();
        w.judged("c1", 50);
        w.judged("c2", 50);
        w.must("exe", w.use_grant("c1", 50));
        let frozen = freeze(&mut w, scope);
        w.refused("engine", opening("c3"), Code::Frozen);
        w.refused("exe", w.use_grant("c2", 50), Code::Frozen);
        w.must(
            "engine",
            w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
        );
        w.must("carla", lift(frozen, "carla", "looked into"));
        w.must("exe", w.use_grant("c2", 50));
        w.refused("carla", lift(frozen, "carla", "again"), Code::WrongState);
    }
}

#[test]
fn a_freeze_of_one_agent_or_tool_leaves_the_others() {
    let mut w = World::new();
    w.judged("c1", 50);
    let agent = freeze(&mut w, Scope::Agent { agent: name("rev") });
    w.must("exe", w.use_grant("c1", 50));
    w.open("c2");
    w.read("c2", "ana", "");
    w.must("carla", lift(agent, "carla", "looked into"));
    w.judged("c3", 50);
    let tool = Scope::Tool {
        tool: "bank.pay".to_owned(),
    };
    freeze(&mut w, tool);
    w.refused("exe", w.use_grant("c3", 50), Code::Frozen);
    w.open("c4");
    w.read("c4", "ana", "");
}

#[test]
fn stopping_is_easy_and_lifting_is_not() {
    let mut w = World::new();
    let request = |reason: &str| {
        Request::Freeze(Freeze {
            scope: Scope::Everything,
            reason: reason.to_owned(),
        })
    };
    w.refused("admin", request(""), Code::ReasonMissing);
    w.refused("engine", request("because"), Code::NotYourDuty);
    // A clock that stands behind stops no stop.
    let clock = w.clock;
    w.clock = 0;
    w.must("admin", request("because"));
    w.clock = clock + 10_000;
    let frozen = freeze(&mut w, Scope::Agent { agent: name("ana") });
    w.refused(
        "olivia",
        lift(frozen, "olivia", "she is fine"),
        Code::Conflicted,
    );
    w.refused("bob", lift(frozen, "bob", "she is fine"), Code::NotYourDuty);
    w.refused("rashid", lift(frozen, "rashid", ""), Code::ReasonMissing);
    w.must("rashid", lift(frozen, "rashid", "the prompt was mended"));
}
