//! Courses: what counts as passed is the release's to say, each time that it matters; owners are asked as approvers are.

use std::collections::BTreeSet;

use crate::world::{ORIGIN, World, kinds, name, sign};
use duty::{
    canonical::Digest,
    course::{CourseRule, expiring},
    principal::Role,
    refusal::Code,
    request::{
        Complete, EndCertification, FoundBy, NoteExpiring, Outcome, RecordFile, Request,
        RevokePrincipal,
    },
    statement::CompletionStatement,
    time::Time,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const CONTENT: &str = "what an approver has to know";

fn content() -> Digest {
    Digest::of_bytes(CONTENT.as_bytes())
}

fn course(id: &str, roles: &[Role]) -> CourseRule {
    CourseRule {
        id: name(id),
        title: id.to_owned(),
        content: content(),
        accepts: BTreeSet::new(),
        valid_days: 10,
        warn_days: 2,
        assessors: BTreeSet::from([Role::Owner]),
        signed: true,
        roles: roles.iter().copied().collect(),
        clause: "P-2".to_owned(),
    }
}

/// A world whose release declares courses; their content is in the log.
fn world(courses: Vec<CourseRule>) -> World {
    let mut w = World::new();
    w.rules.team.courses = courses;
    record(&mut w, CONTENT);
    w
}

fn record(w: &mut World, content: &str) {
    let content = content.to_owned();
    w.must("admin", Request::RecordFile(RecordFile { content }));
}

fn passed(w: &World, who: &str, course: &str, by: &str) -> CompletionStatement {
    let now = Time::from_millis(w.clock);
    CompletionStatement {
        statement: CompletionStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        trainee: name(who),
        course: name(course),
        content: content(),
        completed: now,
        expires: now.plus_minutes(1_000_000),
        signer: name(by),
        credential: name(&format!("{by}-1")),
    }
}

fn assess(w: &mut World, statement: CompletionStatement) {
    let by = statement.signer.to_string();
    w.must(&by, Request::Assess(sign(statement, &by)));
}

#[test]
fn a_declared_course_is_passed_as_the_release_has_it() {
    let mut w = world(vec![course("pay", &[Role::Approver])]);
    w.judged("c1", 500);
    // What was recorded before says nothing of the content.
    w.refused("bob", w.approve("c1", "bob"), Code::NotCertified);
    let complete = |who: &str, by: &str, clock: i64| {
        Request::Complete(Complete {
            principal: name(who),
            course: name("pay"),
            content: content(),
            completed: Time::from_millis(clock),
            expires: Time::from_millis(clock + 100 * DAY),
            assessor: name(by),
        })
    };
    // Nobody assesses themselves, no agent does, nothing is passed in the future, and no content that is not there.
    w.refused(
        "admin",
        complete("bob", "bob", w.clock),
        Code::NotIndependent,
    );
    w.refused("admin", complete("bob", "ana", w.clock), Code::NotHuman);
    w.refused(
        "admin",
        complete("bob", "carla", w.clock + DAY),
        Code::Malformed,
    );
    w.refused(
        "carla",
        complete("bob", "carla", w.clock),
        Code::NotYourDuty,
    );
    let mut other = passed(&w, "bob", "pay", "carla");
    other.content = Digest::of_bytes(b"nothing that is there");
    w.refused(
        "carla",
        Request::Assess(sign(other, "carla")),
        Code::PolicyMissing,
    );
    let own = passed(&w, "bob", "pay", "bob");
    w.refused(
        "bob",
        Request::Assess(sign(own, "bob")),
        Code::NotIndependent,
    );
    let forged = passed(&w, "bob", "pay", "carla");
    w.refused(
        "carla",
        Request::Assess(sign(forged, "bob")),
        Code::BadSignature,
    );
    // Taken down by an admin it is not signed, which this release asks for.
    w.must("admin", complete("bob", "carla", w.clock));
    w.refused("bob", w.approve("c1", "bob"), Code::NotCertified);
    // Signed by one whose role does not assess.
    let by_gus = passed(&w, "bob", "pay", "gus");
    assess(&mut w, by_gus);
    w.refused("bob", w.approve("c1", "bob"), Code::NotCertified);
    let good = passed(&w, "bob", "pay", "carla");
    assess(&mut w, good);
    w.must("bob", w.approve("c1", "bob"));
    w.must("exe", w.use_grant("c1", 500));
}

#[test]
fn it_counts_for_the_days_of_the_release_whatever_was_recorded() {
    let mut w = world(vec![course("pay", &[Role::Approver])]);
    for who in ["bob", "gus"] {
        let good = passed(&w, who, "pay", "carla");
        assess(&mut w, good);
    }
    w.judged("c1", 500);
    w.clock += 10 * DAY;
    w.judged("c2", 500);
    w.refused("bob", w.approve("c2", "bob"), Code::NotCertified);
    // What was passed long ago and is taken down late does not count either.
    let mut late = passed(&w, "bob", "pay", "carla");
    late.completed = Time::from_millis(w.clock - 10 * DAY);
    assess(&mut w, late);
    w.refused("bob", w.approve("c2", "bob"), Code::NotCertified);
    // Between signing and use it is asked again.
    let again = passed(&w, "bob", "pay", "carla");
    assess(&mut w, again);
    w.must("bob", w.approve("c2", "bob"));
    let end = EndCertification {
        principal: name("bob"),
        course: name("pay"),
        reason: "it was somebody else in the room".to_owned(),
    };
    w.must("admin", Request::EndCertification(end.clone()));
    w.refused("admin", Request::EndCertification(end), Code::WrongState);
    w.refused("exe", w.use_grant("c2", 500), Code::NotCertified);
}

#[test]
fn another_content_counts_where_the_release_accepts_it() {
    let mut w = world(vec![course("pay", &[Role::Approver])]);
    record(&mut w, "the edition before");
    let before = Digest::of_bytes(b"the edition before");
    let mut old = passed(&w, "bob", "pay", "carla");
    old.content = before;
    assess(&mut w, old);
    w.judged("c1", 500);
    let decision = w.ask("bob", w.approve("c1", "bob"));
    let refusal = decision.refusal.unwrap();
    assert_eq!(refusal.code, Code::NotCertified);
    assert!(refusal.why.contains(&before.short()), "{refusal}");
    assert!(refusal.remedy.contains("accept"), "{refusal}");
    assert_eq!(refusal.clause.as_deref(), Some("P-2"));
    w.rules.team.courses[0].accepts.insert(before);
    w.must("bob", w.approve("c1", "bob"));
}

#[test]
fn an_owner_who_lapsed_stops_the_agent_at_every_step() {
    let mut w = world(vec![course("own", &[Role::Owner])]);
    w.open("c1");
    w.refused("ana", w.call("c1"), Code::OwnerLapsed);
    for owner in ["olivia", "rashid", "ines", "dmitri"] {
        let good = passed(&w, owner, "own", "carla");
        assess(&mut w, good);
    }
    let good = passed(&w, "carla", "own", "dmitri");
    assess(&mut w, good);
    assert_eq!(
        w.judged("c2", 50).last().unwrap().body.kind(),
        "grant.issued"
    );
    // It is over between the grant and its use.
    let olivia = EndCertification {
        principal: name("ines"),
        course: name("own"),
        reason: "cheated".to_owned(),
    };
    w.must("admin", Request::EndCertification(olivia));
    w.refused("exe", w.use_grant("c2", 50), Code::OwnerLapsed);
    let again = passed(&w, "ines", "own", "carla");
    assess(&mut w, again);
    w.must("exe", w.use_grant("c2", 50));
    // What has happened is taken down whoever lapsed.
    w.clock += 11 * DAY;
    w.must(
        "engine",
        w.outcome("c2", Outcome::Succeeded, FoundBy::Answer),
    );
    w.refused("ana", w.call("c1"), Code::OwnerLapsed);
}

#[test]
fn whoever_signs_a_threshold_is_held_to_what_owners_are() {
    let mut w = world(vec![course("own", &[Role::Owner])]);
    for owner in ["olivia", "rashid", "ines", "dmitri"] {
        let good = passed(&w, owner, "own", "carla");
        assess(&mut w, good);
    }
    // Carla has signed, and has not passed it.
    assert_eq!(
        w.judged("c1", 50).last().unwrap().body.kind(),
        "approval.requested"
    );
    let good = passed(&w, "carla", "own", "dmitri");
    assess(&mut w, good);
    assert_eq!(
        w.judged("c2", 50).last().unwrap().body.kind(),
        "grant.issued"
    );
}

#[test]
fn an_agent_of_an_owner_who_was_revoked_does_nothing_more() {
    let mut w = World::new();
    w.open("c1");
    let revoke = RevokePrincipal {
        principal: name("olivia"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    w.refused("ana", w.call("c1"), Code::OwnerLapsed);
}

#[test]
fn that_a_certification_is_over_soon_is_told_once() {
    let mut w = world(vec![course("pay", &[Role::Approver])]);
    let good = passed(&w, "bob", "pay", "carla");
    let begun = w.clock;
    assess(&mut w, good);
    let note = || {
        Request::NoteExpiring(NoteExpiring {
            environment: name("staging"),
            principal: name("bob"),
            course: name("pay"),
        })
    };
    let due = |w: &World| expiring(&w.state, &w.rules, Time::from_millis(w.clock));
    w.refused("engine", note(), Code::WrongState);
    assert!(due(&w).is_empty());
    w.clock = begun + 8 * DAY;
    assert_eq!(due(&w), [(name("bob"), name("pay"))]);
    w.refused("carla", note(), Code::NotYourDuty);
    let told = w.must("engine", note());
    assert_eq!(kinds(&told), ["certification.expiring", "exception.raised"]);
    w.refused("engine", note(), Code::WrongState);
    assert!(due(&w).is_empty());
    // Passed anew, it is told of the new end.
    let again = passed(&w, "bob", "pay", "carla");
    assess(&mut w, again);
    assert!(due(&w).is_empty());
    w.clock += 8 * DAY;
    w.must("engine", note());
}
