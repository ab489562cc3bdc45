//! One case through its duties, and every way round them refused.

use crate::world::{World, agent_of, human, kinds, name, pay, sign};
use duty::{
    canonical::Digest,
    principal::{Duty, Role},
    record::{Body, CaseOutcome},
    refusal::Code,
    release::ClauseRef,
    request::{Call, Expire, FoundBy, Outcome, Request, RevokePrincipal, Stance},
    statement::Choice,
};

#[test]
fn a_small_payment_goes_through_under_the_threshold() {
    let mut w = World::new();
    let verdict = w.judged("c1", 50);
    assert_eq!(
        kinds(&verdict),
        [
            "recommendation.made",
            "verdict.reached",
            "threshold.applied",
            "grant.issued"
        ]
    );
    assert_eq!(kinds(&w.must("exe", w.use_grant("c1", 50))), ["grant.used"]);
    let done = w.must(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
    );
    assert_eq!(kinds(&done), ["outcome.recorded", "case.closed"]);
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Executed);
    assert!(w.state.cases.is_empty());
}

#[test]
fn high_risk_needs_two_people() {
    let mut w = World::new();
    let verdict = w.judged("c1", 5_000);
    assert_eq!(verdict.last().unwrap().body.kind(), "approval.requested");
    w.refused("exe", w.use_grant("c1", 5_000), Code::WrongState);
    assert_eq!(
        kinds(&w.must("bob", w.approve("c1", "bob"))),
        ["approval.given"]
    );
    assert_eq!(w.stands_against("c1", "bob"), Some(Code::Replayed));
    assert_eq!(w.stands_against("c1", "gus"), None);
    w.refused("bob", w.approve("c1", "bob"), Code::Replayed);
    let last = w.must("gus", w.approve("c1", "gus"));
    assert_eq!(kinds(&last), ["approval.given", "grant.issued"]);
    w.refused("hal", w.approve("c1", "hal"), Code::Replayed);
    w.must("exe", w.use_grant("c1", 5_000));
    w.refused("exe", w.use_grant("c1", 5_000), Code::Replayed);
}

#[test]
fn no_agent_pays_approves_or_reviews_itself() {
    let mut w = World::new();
    w.open("c1");
    let call = |case: &str| {
        Request::Call(Call {
            case: name(case),
            action: pay(50, "v1"),
            described: None,
        })
    };
    w.refused("ana", call("c1"), Code::NotPermitted);
    w.refused("exe", call("c1"), Code::NeedsGrant);
    let own_review = w.recommendation("c1", Duty::Review, Stance::Proceed, 50);
    w.refused("ana", Request::Recommend(own_review), Code::NotYourDuty);
    w.judged("c2", 500);
    let mut statement = w.approval("c2", "bob", Choice::Approve);
    statement.signer = name("rev");
    statement.credential = name("rev-1");
    w.refused(
        "rev",
        Request::Approve(sign(statement, "bob")),
        Code::NotHuman,
    );
    w.refused("ana", w.approve("c2", "bob"), Code::NotHuman);
    w.refused("hal", w.approve("c2", "bob"), Code::WrongBinding);
}

#[test]
fn a_signature_binds_to_everything_it_names() {
    let mut w = World::new();
    w.judged("c1", 500);
    let good = w.approval("c1", "bob", Choice::Approve);
    let changed = |change: &dyn Fn(&mut duty::statement::ApprovalStatement)| {
        let mut statement = good.clone();
        change(&mut statement);
        Request::Approve(sign(statement, "bob"))
    };
    let other = Digest::of_bytes(b"other");
    w.refused("bob", changed(&|s| s.action = other), Code::WrongBinding);
    w.refused("bob", changed(&|s| s.release = other), Code::WrongBinding);
    w.refused(
        "bob",
        changed(&|s| s.env = name("prod")),
        Code::WrongBinding,
    );
    w.refused(
        "bob",
        changed(&|s| s.log = "other".to_owned()),
        Code::WrongBinding,
    );
    w.refused(
        "bob",
        changed(&|s| s.expires = s.expires.plus_minutes(1)),
        Code::WrongBinding,
    );
    w.refused(
        "bob",
        changed(&|s| s.statement = "x".to_owned()),
        Code::WrongBinding,
    );
    w.refused(
        "bob",
        Request::Approve(sign(good.clone(), "gus")),
        Code::BadSignature,
    );
    let mut tampered = sign(good.clone(), "bob");
    tampered.statement.reason = "another".to_owned();
    w.refused("bob", Request::Approve(tampered), Code::BadSignature);
    w.must("bob", Request::Approve(sign(good, "bob")));
    w.refused("exe", w.use_grant("c1", 501), Code::WrongBinding);
    w.must("exe", w.use_grant("c1", 500));
}

#[test]
fn approvers_are_certified_disinterested_and_own_no_agent() {
    let mut w = World::new();
    w.must(
        "admin",
        Request::AddPrincipal(human("xena", Role::Approver)),
    );
    w.judged("c1", 500);
    assert_eq!(w.stands_against("c1", "xena"), Some(Code::NotCertified));
    assert_eq!(w.stands_against("c1", "olivia"), Some(Code::NotYourDuty));
    assert_eq!(w.stands_against("c1", "bob"), None);
    w.refused("xena", w.approve("c1", "xena"), Code::NotCertified);
    w.refused("olivia", w.approve("c1", "olivia"), Code::NotYourDuty);
    w.open("c2");
    w.read("c2", "ana", "bob");
    w.retrieve("c2", "ana");
    let prepared = w.recommendation("c2", Duty::Prepare, Stance::Proceed, 500);
    w.must("ana", Request::Recommend(prepared));
    w.retrieve("c2", "rev");
    let reviewed = w.recommendation("c2", Duty::Review, Stance::Proceed, 500);
    w.must("rev", Request::Recommend(reviewed));
    assert_eq!(w.stands_against("c2", "bob"), Some(Code::Conflicted));
    w.refused("bob", w.approve("c2", "bob"), Code::Conflicted);
    w.must("gus", w.approve("c2", "gus"));
}

#[test]
fn an_owner_of_an_agent_cannot_approve_even_with_the_role() {
    let mut w = World::new();
    let mut both = human("yuri", Role::Approver);
    both.roles = vec![Role::Approver, Role::Owner];
    w.must("admin", Request::AddPrincipal(both));
    let certify = duty::request::Certify {
        principal: name("yuri"),
        course: name("pay"),
        expires: duty::time::Time::from_millis(100_000_000),
    };
    w.must("admin", Request::Certify(certify));
    w.rules.team.agents[0].owner = name("yuri");
    w.must(
        "admin",
        Request::AddPrincipal(agent_of("zed", Role::Analyst, "yuri")),
    );
    w.rules.team.agents[0].id = name("zed");
    w.open("c1");
    w.retrieve("c1", "zed");
    let prepared = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 500);
    w.must("zed", Request::Recommend(prepared));
    w.retrieve("c1", "rev");
    let reviewed = w.recommendation("c1", Duty::Review, Stance::Proceed, 500);
    w.must("rev", Request::Recommend(reviewed));
    w.refused("yuri", w.approve("c1", "yuri"), Code::Conflicted);
}

#[test]
fn revocation_and_expiry_between_signing_and_use_void_the_grant() {
    let mut w = World::new();
    w.judged("c1", 500);
    w.must("bob", w.approve("c1", "bob"));
    let revoke = RevokePrincipal {
        principal: name("bob"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    w.refused("exe", w.use_grant("c1", 500), Code::Revoked);
    w.judged("c2", 500);
    w.must("gus", w.approve("c2", "gus"));
    w.clock += 11 * 60_000;
    w.refused("exe", w.use_grant("c2", 500), Code::Expired);
    let expire = Request::Expire(Expire { case: name("c2") });
    assert_eq!(
        kinds(&w.must("engine", expire)),
        ["grant.expired", "exception.raised", "case.closed"]
    );
    w.judged("c3", 500);
    w.clock += 61 * 60_000;
    w.refused("gus", w.approve("c3", "gus"), Code::Expired);
    let expire = Request::Expire(Expire { case: name("c3") });
    assert_eq!(w.must("engine", expire)[0].body.kind(), "approval.expired");
}

#[test]
fn citations_models_and_sources_are_checked() {
    let mut w = World::new();
    w.open("c1");
    let good = w.recommendation("c1", Duty::Prepare, Stance::Proceed, 50);
    w.refused("ana", Request::Recommend(good.clone()), Code::BadCitation);
    w.retrieve("c1", "ana");
    let mut none = good.clone();
    none.clauses.clear();
    w.refused("ana", Request::Recommend(none), Code::BadCitation);
    let mut unknown = good.clone();
    unknown.clauses.push(ClauseRef {
        id: "P-9".to_owned(),
        version: "1".to_owned(),
        digest: Digest::of_bytes(b"P-9"),
    });
    w.refused("ana", Request::Recommend(unknown), Code::BadCitation);
    let mut altered = good.clone();
    altered.clauses[0].digest = Digest::of_bytes(b"altered");
    w.refused("ana", Request::Recommend(altered), Code::BadCitation);
    let mut drifted = good.clone();
    drifted.model = "rules/b".to_owned();
    w.refused("ana", Request::Recommend(drifted), Code::ModelDrifted);
    w.must("ana", Request::Recommend(good));
    w.retrieve("c1", "rev");
    let mut blind = w.recommendation("c1", Duty::Review, Stance::Proceed, 50);
    blind.inputs.clear();
    w.refused("rev", Request::Recommend(blind), Code::SourcesMissing);
}

#[test]
fn caps_are_exact_and_come_free_on_failure() {
    let mut w = World::new();
    let route = |records: &[duty::record::Record]| {
        records.iter().find_map(|r| match &r.body {
            Body::VerdictReached(v) => Some(v.route.word()),
            _ => None,
        })
    };
    assert_eq!(route(&w.judged("c1", 80)), Some("threshold"));
    // 80 + 71 is over the 150 per key.
    assert_eq!(route(&w.judged("c2", 71)), Some("approval"));
    assert_eq!(route(&w.judged("c3", 70)), Some("threshold"));
    // Two of two for this key.
    assert_eq!(route(&w.judged("c4", 1)), Some("approval"));
    w.must("exe", w.use_grant("c1", 80));
    let failed = w.must("engine", w.outcome("c1", Outcome::Failed, FoundBy::Answer));
    assert!(kinds(&failed).contains(&"threshold.released"));
    assert_eq!(route(&w.judged("c5", 80)), Some("threshold"));
    w.clock += 61 * 60_000;
    assert_eq!(route(&w.judged("c6", 90)), Some("threshold"));
}

#[test]
fn an_unsigned_threshold_covers_nothing() {
    let mut w = World::bare();
    assert_eq!(
        w.judged("c1", 50).last().unwrap().body.kind(),
        "approval.requested"
    );
    let signed = w.threshold_signature("carla");
    w.must("carla", Request::SignThreshold(signed.clone()));
    w.refused("carla", Request::SignThreshold(signed), Code::Replayed);
    assert_eq!(
        w.judged("c2", 50).last().unwrap().body.kind(),
        "approval.requested"
    );
    let signed = w.threshold_signature("dmitri");
    w.must("dmitri", Request::SignThreshold(signed));
    assert_eq!(
        w.judged("c3", 50).last().unwrap().body.kind(),
        "grant.issued"
    );
}

#[test]
fn doubt_goes_to_a_human_and_refusal_ends_the_case() {
    let mut w = World::new();
    let split = w.judged_as("c1", 50, Stance::Proceed, Stance::Refuse);
    assert!(kinds(&split).contains(&"exception.raised"));
    assert_eq!(split.last().unwrap().body.kind(), "approval.requested");
    let mut plain = w.approval("c1", "bob", Choice::Approve);
    plain.overrides = false;
    w.refused(
        "bob",
        Request::Approve(sign(plain, "bob")),
        Code::ReasonMissing,
    );
    let mut silent = w.approval("c1", "bob", Choice::Approve);
    silent.reason = " ".to_owned();
    w.refused(
        "bob",
        Request::Approve(sign(silent, "bob")),
        Code::ReasonMissing,
    );
    let overridden = w.must("bob", w.approve("c1", "bob"));
    assert!(kinds(&overridden).contains(&"override.recorded"));
    w.judged_as("c2", 50, Stance::Refuse, Stance::Refuse);
    assert_eq!(w.state.closed[&name("c2")], CaseOutcome::Refused);
    // Forbidden to the executor: no human can make it pass.
    w.judged("c3", 200_000);
    assert_eq!(w.state.closed[&name("c3")], CaseOutcome::Refused);
    w.judged("c4", 500);
    let rejection = sign(w.approval("c4", "gus", Choice::Reject), "gus");
    w.must("gus", Request::Approve(rejection));
    assert_eq!(w.state.closed[&name("c4")], CaseOutcome::Rejected);
}

#[test]
fn an_unknown_outcome_stays_until_it_is_looked_up() {
    let mut w = World::new();
    w.judged("c1", 50);
    w.must("exe", w.use_grant("c1", 50));
    w.must(
        "engine",
        w.outcome("c1", Outcome::Unknown, FoundBy::Recovery),
    );
    w.refused("exe", w.use_grant("c1", 50), Code::Replayed);
    w.refused(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
        Code::WrongState,
    );
    w.must(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Lookup),
    );
    assert_eq!(w.state.closed[&name("c1")], CaseOutcome::Executed);
}

#[test]
fn a_clock_behind_the_log_grants_nothing_and_loses_nothing() {
    let mut w = World::new();
    w.judged("c1", 50);
    w.judged("c2", 60);
    w.must("exe", w.use_grant("c1", 50));
    w.clock -= 3_600_000;
    w.refused("exe", w.use_grant("c2", 60), Code::ClockBehind);
    w.must(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
    );
}

#[test]
fn conflicting_roles_and_shared_credentials_are_refused_when_assigned() {
    let mut w = World::new();
    let mut both = human("xena", Role::Approver);
    both.roles = vec![Role::Approver, Role::Admin];
    w.refused("admin", Request::AddPrincipal(both), Code::NotIndependent);
    let mut twin = human("zoe", Role::Approver);
    twin.credentials[0].proof = human("bob", Role::Approver).credentials[0].proof.clone();
    w.refused("admin", Request::AddPrincipal(twin), Code::NotIndependent);
    let robot = agent_of("robo", Role::Approver, "olivia");
    w.refused("admin", Request::AddPrincipal(robot), Code::NotHuman);
    w.refused(
        "ana",
        Request::AddPrincipal(human("zoe", Role::Approver)),
        Code::NotYourDuty,
    );
    // A signing key cannot be used for what carries no signature.
    w.refused(
        "bob",
        Request::AddPrincipal(human("zoe", Role::Approver)),
        Code::NotYourDuty,
    );
}

#[test]
fn the_page_on_records_lists_every_kind_and_every_code() {
    let page = include_str!("../../../../docs/records.md");
    for word in Body::KINDS
        .iter()
        .copied()
        .chain(Code::ALL.iter().map(|c| c.word()))
    {
        assert!(
            page.contains(&format!("`{word}`")),
            "`{word}` is not in docs/records.md"
        );
    }
}
