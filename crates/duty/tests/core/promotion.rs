//! Releases on their way into force (I7), and environments without effects.

use duty::{
    canonical::Digest,
    name::Environment,
    record::Body,
    refusal::Code,
    request::{
        BuildRelease, FoundBy, OpenCase, Outcome, Promote, RecordControlTests, RecordFile, Request,
        Stance,
    },
};

use crate::world::{World, name, sign, tested};

/// A second release in the log; nobody has signed or tested it.
fn built(w: &mut World) -> Digest {
    let content = "team two".to_owned();
    let digest = Digest::of_bytes(content.as_bytes());
    w.must("admin", Request::RecordFile(RecordFile { content }));
    let files = [("team.toml".to_owned(), digest)].into_iter().collect();
    let release = Digest::of(&files).unwrap();
    w.must("admin", Request::BuildRelease(BuildRelease { files }));
    release
}

fn unsigned(env: &str, release: Digest) -> Request {
    Request::Promote(Promote {
        environment: name(env),
        release,
    })
}

#[test]
fn an_author_does_not_promote_and_somebody_else_may() {
    let mut w = World::new();
    let release = built(&mut w);
    w.refused(
        "carla",
        w.promotion("carla", "prod", release),
        Code::AuthorMissing,
    );
    w.must("carla", w.authored("carla", release));
    w.refused("carla", w.authored("carla", release), Code::Replayed);
    w.must("engine", tested(release, true));
    w.refused(
        "carla",
        w.promotion("carla", "prod", release),
        Code::AuthorPromotes,
    );
    w.refused(
        "bob",
        w.promotion("bob", "prod", release),
        Code::NotYourDuty,
    );
    // Whoever signs as an author afterwards cannot promote either.
    w.must("olivia", w.authored("olivia", release));
    w.refused(
        "olivia",
        w.promotion("olivia", "prod", release),
        Code::AuthorPromotes,
    );
    let records = w.must("dmitri", w.promotion("dmitri", "prod", release));
    assert_eq!(records[0].body.kind(), "release.promoted");
    assert_eq!(w.state.environments[&name::<Environment>("prod")], release);
    w.refused(
        "dmitri",
        w.promotion("dmitri", "prod", release),
        Code::Replayed,
    );
}

#[test]
fn tests_must_have_passed_for_exactly_this_release_and_be_the_newest() {
    let mut w = World::new();
    let release = built(&mut w);
    w.must("carla", w.authored("carla", release));
    // Those of the other release do not count.
    w.refused(
        "dmitri",
        w.promotion("dmitri", "prod", release),
        Code::TestsMissing,
    );
    w.must("engine", tested(release, false));
    w.refused(
        "dmitri",
        w.promotion("dmitri", "prod", release),
        Code::TestsMissing,
    );
    w.must("engine", tested(release, true));
    let signed = w.promotion("dmitri", "prod", release);
    w.must("engine", tested(release, true));
    w.refused("dmitri", signed, Code::WrongBinding);
    w.must("dmitri", w.promotion("dmitri", "prod", release));
    // Nothing run is nothing passed, and nobody but the platform says what was run.
    let mut none = tested(release, true);
    if let Request::RecordControlTests(RecordControlTests { results, .. }) = &mut none {
        results.clear();
    }
    w.refused("engine", none, Code::Malformed);
    w.refused("admin", tested(release, true), Code::NotYourDuty);
    w.refused(
        "engine",
        tested(Digest::of_bytes(b"no"), true),
        Code::PolicyMissing,
    );
}

#[test]
fn what_was_signed_replaces_exactly_what_is_in_force() {
    let mut w = World::new();
    let (first, release) = (w.rules.digest, built(&mut w));
    w.must("carla", w.authored("carla", release));
    w.must("engine", tested(release, true));
    let mut stale = w.promotion_statement("dmitri", "staging", release);
    stale.replaces = None;
    w.refused(
        "dmitri",
        Request::PromoteSigned(sign(stale, "dmitri")),
        Code::WrongBinding,
    );
    let mut mute = w.promotion_statement("dmitri", "staging", release);
    mute.reason = String::new();
    w.refused(
        "dmitri",
        Request::PromoteSigned(sign(mute, "dmitri")),
        Code::ReasonMissing,
    );
    w.must("dmitri", w.promotion("dmitri", "staging", release));
    // Back again: a promotion like any other, by somebody who did not write that one.
    let staging = name::<Environment>("staging");
    assert_eq!(w.state.earlier[&staging], [first]);
    w.refused(
        "dmitri",
        w.promotion("dmitri", "staging", first),
        Code::AuthorPromotes,
    );
    w.must("carla", w.promotion("carla", "staging", first));
    assert_eq!(w.state.environments[&staging], first);
    assert_eq!(w.state.earlier[&staging], [release]);
}

#[test]
fn an_approval_of_the_release_before_is_void() {
    let mut w = World::new();
    w.judged("c1", 500);
    let release = built(&mut w);
    w.must("carla", w.authored("carla", release));
    w.must("engine", tested(release, true));
    let yes = w.approve("c1", "bob");
    w.must("dmitri", w.promotion("dmitri", "staging", release));
    w.refused("bob", yes, Code::ReleaseMoved);
}

#[test]
fn without_a_signature_only_dev_moves() {
    let mut w = World::new();
    let release = built(&mut w);
    for env in ["prod", "staging", "devil", "DEV"] {
        w.refused("admin", unsigned(env, release), Code::NotHuman);
    }
    w.refused("engine", unsigned("dev", release), Code::NotYourDuty);
    w.must("admin", unsigned("dev", release));
    w.must("admin", unsigned("dev-2", release));
}

/// Opens a case in `dev` under the world's release and takes it to its grant.
fn granted_in_dev(w: &mut World) {
    let release = w.rules.digest;
    w.must("admin", unsigned("dev", release));
    let open = OpenCase {
        case: name("d1"),
        environment: name("dev"),
        subject: "R-d1".to_owned(),
        snapshot: Digest::of_bytes(b"source"),
    };
    w.must("engine", Request::OpenCase(open));
    w.recommended("d1", 50, Stance::Proceed, Stance::Proceed);
}

#[test]
fn in_dev_nothing_is_called_and_the_records_say_so() {
    let mut w = World::new();
    granted_in_dev(&mut w);
    let used = w.must("exe", w.use_grant("d1", 50));
    let Body::GrantUsed(body) = &used[0].body else {
        panic!("not used")
    };
    assert!(body.simulated);
    w.refused(
        "engine",
        w.outcome("d1", Outcome::Succeeded, FoundBy::Answer),
        Code::WrongState,
    );
    w.must(
        "engine",
        w.outcome("d1", Outcome::Succeeded, FoundBy::Simulated),
    );
    // Where effects are real nobody simulates an outcome.
    w.judged("c1", 50);
    let used = w.must("exe", w.use_grant("c1", 50));
    assert!(matches!(&used[0].body, Body::GrantUsed(b) if !b.simulated));
    w.refused(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Simulated),
        Code::WrongState,
    );
}

#[test]
fn what_is_simulated_takes_no_room_under_caps() {
    let mut w = World::new();
    granted_in_dev(&mut w);
    // The cap per key has room for two.
    w.judged("c1", 50);
    let second = w.judged("c2", 50);
    assert!(second.iter().any(|r| r.body.kind() == "grant.issued"));
    let third = w.judged("c3", 50);
    assert!(third.iter().any(|r| r.body.kind() == "approval.requested"));
}
