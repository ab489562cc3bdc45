//! Stages and attributes, taking a yes back, reminders, mandatory human steps, reason codes.

use duty::{
    name::ItemId,
    principal::Role,
    quorum::{Attributes, Escalation, HumanStep, Order, Overrides, Stage},
    record::{Body, ExceptionSort, Record},
    refusal::Code,
    release::Tier,
    request::{Expire, NoteWaiting, Request, RevokePrincipal, SetAttributes, Stance, UseGrant},
    statement::{ApprovalStatement, Choice, WithdrawalStatement},
    time::Time,
};

use crate::world::{ORIGIN, World, human, kinds, name, pay, sign};

/// What puts a case to two humans.
pub(crate) const HIGH: i64 = 5_000;
/// What puts it to one.
const ELEVATED: i64 = 500;
/// What a threshold covers.
const LOW: i64 = 50;

pub(crate) fn finance() -> Attributes {
    [(name("department"), "finance".to_owned())].into()
}

pub(crate) fn stage(title: &str, humans: u32, attributes: Attributes) -> Stage {
    Stage {
        name: Some(name(title)),
        humans,
        role: Role::Approver,
        attributes,
        certification: name("pay"),
        clause: "P-2".to_owned(),
    }
}

/// One of finance and one of anybody; fay and walt are of finance.
pub(crate) fn staged(order: Order) -> World {
    let mut w = World::new();
    for who in ["fay", "walt"] {
        let mut person = human(who, Role::Approver);
        person.attributes = finance();
        w.must("admin", Request::AddPrincipal(person));
        let certify = duty::request::Certify {
            principal: name(who),
            course: name("pay"),
            expires: Time::from_millis(100_000_000),
        };
        w.must("admin", Request::Certify(certify));
    }
    let quorum = w.rules.team.approval.get_mut(&Tier::High).unwrap();
    quorum.order = order;
    quorum.stages = vec![
        stage("finance", 1, finance()),
        stage("second", 1, Attributes::new()),
    ];
    w
}

fn yes_in(w: &World, id: &str, person: &str, stage: &str) -> Request {
    let mut statement = w.approval(id, person, Choice::Approve);
    statement.stage = Some(name(stage));
    Request::Approve(sign(statement, person))
}

pub(crate) fn withdrawal(w: &World, id: &str, person: &str) -> Request {
    let asked = w.approval(id, person, Choice::Approve);
    let statement = WithdrawalStatement {
        statement: WithdrawalStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        approval: asked.approval,
        action: asked.action,
        reason: "it was another invoice".to_owned(),
        signer: name(person),
        credential: name(&format!("{person}-1")),
    };
    Request::Withdraw(sign(statement, person))
}

fn attributes(who: &str, attributes: Attributes) -> Request {
    Request::SetAttributes(SetAttributes {
        principal: name(who),
        attributes,
        reason: "moved".to_owned(),
    })
}

fn given(records: &[Record]) -> &duty::record::ApprovalGiven {
    match &records[0].body {
        Body::ApprovalGiven(b) => b,
        other => panic!("{}", other.kind()),
    }
}

fn use_second(id: &str, cents: i64) -> Request {
    Request::UseGrant(UseGrant {
        grant: name(&format!("{id}.g2")),
        action: pay(cents, "v1"),
        described: None,
    })
}

#[test]
fn stages_one_after_the_other_take_whoever_they_ask_for() {
    let mut w = staged(Order::Sequential);
    w.judged("c1", HIGH);
    // The second stage is not open, and the first asks for an attribute.
    w.refused("bob", w.approve("c1", "bob"), Code::WrongState);
    w.refused("bob", yes_in(&w, "c1", "bob", "finance"), Code::NotYourDuty);
    w.refused("fay", yes_in(&w, "c1", "fay", "second"), Code::WrongState);
    w.refused("fay", yes_in(&w, "c1", "fay", "third"), Code::WrongState);
    let records = w.must("fay", w.approve("c1", "fay"));
    assert_eq!(given(&records).stage, Some(name("finance")));
    assert_eq!((given(&records).have, given(&records).need), (1, 2));
    // One person counts in one stage only.
    w.refused("fay", w.approve("c1", "fay"), Code::Replayed);
    let records = w.must("bob", w.approve("c1", "bob"));
    assert_eq!(given(&records).stage, Some(name("second")));
    assert_eq!(kinds(&records), ["approval.given", "grant.issued"]);
    w.must("exe", w.use_grant("c1", HIGH));
}

#[test]
fn stages_at_once_are_signed_in_any_order_and_by_nobody_twice() {
    let mut w = staged(Order::Parallel);
    w.judged("c1", HIGH);
    w.must("bob", w.approve("c1", "bob"));
    // Two of the first kind are no quorum: the other stage is what is missing.
    w.refused("gus", w.approve("c1", "gus"), Code::WrongState);
    let records = w.must("fay", w.approve("c1", "fay"));
    assert_eq!(given(&records).stage, Some(name("finance")));
    w.must("exe", w.use_grant("c1", HIGH));

    // Whoever fits in two stages says in which.
    w.judged("c2", HIGH);
    w.refused("fay", w.approve("c2", "fay"), Code::WrongState);
    w.must("fay", yes_in(&w, "c2", "fay", "second"));
    w.refused("bob", w.approve("c2", "bob"), Code::WrongState);
    let records = w.must("walt", w.approve("c2", "walt"));
    assert_eq!(given(&records).stage, Some(name("finance")));
    w.must("exe", w.use_grant("c2", HIGH));
}

#[test]
fn a_stage_is_asked_again_when_the_grant_is_used() {
    let mut w = staged(Order::Sequential);
    w.judged("c1", HIGH);
    w.must("fay", w.approve("c1", "fay"));
    w.must("bob", w.approve("c1", "bob"));
    w.must("admin", attributes("fay", Attributes::new()));
    w.refused("exe", w.use_grant("c1", HIGH), Code::NotYourDuty);
    w.must("admin", attributes("fay", finance()));
    w.must("exe", w.use_grant("c1", HIGH));
}

#[test]
fn a_no_is_heard_from_every_stage_at_any_time() {
    let mut w = staged(Order::Sequential);
    w.judged("c1", HIGH);
    let no = sign(w.approval("c1", "bob", Choice::Reject), "bob");
    let records = w.must("bob", Request::Approve(no));
    assert_eq!(records.last().unwrap().body.kind(), "case.closed");
}

#[test]
fn attributes_change_by_an_admins_request_alone() {
    let mut w = staged(Order::Sequential);
    w.refused("engine", attributes("bob", finance()), Code::NotYourDuty);
    w.refused("admin", attributes("fay", finance()), Code::Malformed);
    w.refused(
        "admin",
        attributes("nobody", finance()),
        Code::UnknownPrincipal,
    );
    let bad = [(name("department"), " finance".to_owned())].into();
    w.refused("admin", attributes("bob", bad), Code::Malformed);
    let records = w.must("admin", attributes("bob", finance()));
    assert_eq!(kinds(&records), ["attributes.set"]);
    assert_eq!(w.state.principals[&name("bob")].attributes, finance());
    w.judged("c1", HIGH);
    w.must("bob", w.approve("c1", "bob"));
}

#[test]
fn who_may_sign_which_stage_is_told_before() {
    let mut w = staged(Order::Sequential);
    w.judged("c1", HIGH);
    let look = |w: &World| {
        let approval: ItemId = name("c1.a1");
        let now = Time::from_millis(w.clock);
        duty::stages(&w.state, &w.rules, &approval, now).unwrap()
    };
    let stages = look(&w);
    let open: Vec<_> = stages.iter().map(|s| s.open).collect();
    assert_eq!(open, [true, false]);
    assert_eq!(stages[0].may, [name("fay"), name("walt")]);
    assert_eq!(stages[0].who, "approver with department = finance");
    assert_eq!(w.stands_against("c1", "bob"), Some(Code::NotYourDuty));
    assert_eq!(w.stands_against("c1", "fay"), None);
    w.must("fay", w.approve("c1", "fay"));
    let stages = look(&w);
    assert_eq!(stages[0].have[0].who, name("fay"));
    assert!(!stages[0].open && stages[1].open);
    // Whoever signed one stage signs no other.
    let others = ["bob", "gus", "hal", "walt"].map(name);
    assert_eq!(stages[1].may, others);
}

#[test]
fn a_yes_is_taken_back_and_its_grant_is_void() {
    let mut w = World::new();
    w.judged("c1", HIGH);
    w.refused("bob", withdrawal(&w, "c1", "bob"), Code::WrongState);
    w.must("bob", w.approve("c1", "bob"));
    let Request::Withdraw(mut empty) = withdrawal(&w, "c1", "bob") else {
        unreachable!()
    };
    empty.statement.reason.clear();
    let empty = Request::Withdraw(sign(empty.statement, "bob"));
    w.refused("bob", empty, Code::ReasonMissing);
    w.must("gus", w.approve("c1", "gus"));
    w.refused("hal", withdrawal(&w, "c1", "hal"), Code::WrongState);
    let records = w.must("bob", withdrawal(&w, "c1", "bob"));
    assert_eq!(kinds(&records), ["approval.withdrawn", "grant.voided"]);
    w.refused("exe", w.use_grant("c1", HIGH), Code::WrongState);
    // The old yes does not come back, whoever sends it; a no of theirs is still heard, and others may sign.
    w.refused("bob", w.approve("c1", "bob"), Code::Replayed);
    let records = w.must("hal", w.approve("c1", "hal"));
    let Body::GrantIssued(issued) = &records[1].body else {
        panic!()
    };
    assert_eq!(issued.grant, name("c1.g2"));
    // The void one stays void: its id is never given again.
    w.refused("exe", w.use_grant("c1", HIGH), Code::WrongState);
    w.must("exe", use_second("c1", HIGH));
    w.refused("gus", withdrawal(&w, "c1", "gus"), Code::WrongState);
}

#[test]
fn whoever_took_a_yes_back_may_say_no_and_what_waits_again_expires() {
    let mut w = World::new();
    w.judged("c1", HIGH);
    w.must("bob", w.approve("c1", "bob"));
    w.must("bob", withdrawal(&w, "c1", "bob"));
    let no = sign(w.approval("c1", "bob", Choice::Reject), "bob");
    w.must("bob", Request::Approve(no));
    assert!(w.state.closed.contains_key(&name("c1")));

    w.judged("c2", ELEVATED);
    w.must("bob", w.approve("c2", "bob"));
    w.must("bob", withdrawal(&w, "c2", "bob"));
    assert_eq!(w.state.cases[&name("c2")].stage(), "waiting");
    w.clock += 61 * 60_000;
    let records = w.must("engine", Request::Expire(Expire { case: name("c2") }));
    assert_eq!(records[0].body.kind(), "approval.expired");
}

#[test]
fn a_yes_is_taken_back_also_when_the_environment_has_moved_on() {
    let mut w = World::new();
    w.judged("c1", ELEVATED);
    w.must("bob", w.approve("c1", "bob"));
    w.rules.digest = duty::canonical::Digest::of_bytes(b"gone");
    let records = w.must("bob", withdrawal(&w, "c1", "bob"));
    assert_eq!(kinds(&records), ["approval.withdrawn", "grant.voided"]);
}

fn reminding() -> World {
    let mut w = World::new();
    for tier in [Tier::Elevated, Tier::High] {
        let quorum = w.rules.team.approval.get_mut(&tier).unwrap();
        quorum.remind_minutes = Some(10);
        quorum.escalation = Some(Escalation {
            minutes: 20,
            role: Role::Owner,
            attributes: Attributes::new(),
        });
    }
    w
}

fn note(id: &str) -> Request {
    Request::NoteWaiting(NoteWaiting {
        approval: name(&format!("{id}.a1")),
    })
}

#[test]
fn who_is_waited_for_is_reminded_once_and_then_others_are_told_once() {
    let mut w = reminding();
    w.judged("c1", HIGH);
    w.must("bob", w.approve("c1", "bob"));
    w.refused("engine", note("c1"), Code::WrongState);
    w.clock += 10 * 60_000;
    w.refused("admin", note("c1"), Code::NotYourDuty);
    let records = w.must("engine", note("c1"));
    let Body::ApprovalReminded(reminded) = &records[0].body else {
        panic!()
    };
    // Not bob, who signed.
    assert_eq!(reminded.to, [name("gus"), name("hal")]);
    w.refused("engine", note("c1"), Code::WrongState);
    w.clock += 10 * 60_000;
    let records = w.must("engine", note("c1"));
    assert_eq!(kinds(&records), ["approval.escalated", "exception.raised"]);
    let Body::ApprovalEscalated(escalated) = &records[0].body else {
        panic!()
    };
    assert!(escalated.to.contains(&name("carla")));
    assert!(!escalated.to.contains(&name("gus")));
    let Body::ExceptionRaised(raised) = &records[1].body else {
        panic!()
    };
    assert_eq!(raised.sort, ExceptionSort::Escalated);
    w.refused("engine", note("c1"), Code::WrongState);
    // It lowers no quorum: whoever was told signs nothing.
    w.refused("carla", w.approve("c1", "carla"), Code::NotYourDuty);
    let records = w.must("gus", w.approve("c1", "gus"));
    assert_eq!(records.len(), 2);
    w.refused("engine", note("c1"), Code::Replayed);
}

#[test]
fn nobody_is_reminded_of_what_expired() {
    let mut w = reminding();
    w.judged("c1", ELEVATED);
    w.clock += 61 * 60_000;
    w.refused("engine", note("c1"), Code::Expired);
}

fn step(humans: u32) -> HumanStep {
    HumanStep {
        tool: "bank.pay".to_owned(),
        when: None,
        humans,
        clause: "P-2".to_owned(),
    }
}

#[test]
fn a_mandatory_human_step_passes_over_thresholds() {
    let mut w = World::new();
    w.rules.team.human_steps = vec![step(1)];
    let records = w.judged("c1", LOW);
    let Body::VerdictReached(verdict) = &records[1].body else {
        panic!()
    };
    assert_eq!(verdict.route, duty::record::Route::Approval);
    let said = verdict
        .reasons
        .iter()
        .find(|r| r.rule == "human step")
        .unwrap();
    assert_eq!(said.clause.as_deref(), Some("P-2"));
    w.must("bob", w.approve("c1", "bob"));
    w.must("exe", w.use_grant("c1", LOW));
}

#[test]
fn a_mandatory_human_step_holds_at_use_too_and_asks_for_its_number() {
    let mut w = World::new();
    w.judged("c1", LOW);
    // The same release would not have let it through; a core that forgot it at the verdict is stopped here.
    w.rules.team.human_steps = vec![step(2)];
    w.refused("exe", w.use_grant("c1", LOW), Code::HumanStep);
    w.judged("c2", LOW);
    w.must("bob", w.approve("c2", "bob"));
    assert!(w.state.cases[&name("c2")].grant.is_none());
    w.must("gus", w.approve("c2", "gus"));
    w.rules.team.human_steps = vec![step(3)];
    w.refused("exe", w.use_grant("c2", LOW), Code::QuorumMissing);
    w.rules.team.human_steps = vec![step(2)];
    w.must("exe", w.use_grant("c2", LOW));
}

fn coded(statement: ApprovalStatement, code: Option<&str>) -> Request {
    let who = statement.signer.to_string();
    let code = code.map(name);
    Request::Approve(sign(ApprovalStatement { code, ..statement }, &who))
}

#[test]
fn an_override_carries_a_code_of_the_releases_list() {
    let mut w = World::new();
    w.rules.team.overrides = Some(Overrides {
        codes: [name("wrong-vendor"), name("duplicate")].into(),
        clause: "P-2".to_owned(),
    });
    w.judged_as("c1", ELEVATED, Stance::Proceed, Stance::Refuse);
    let yes = w.approval("c1", "bob", Choice::Approve);
    assert!(yes.overrides);
    w.refused("bob", coded(yes.clone(), None), Code::CodeMissing);
    w.refused(
        "bob",
        coded(yes.clone(), Some("because")),
        Code::CodeMissing,
    );
    let mut silent = yes.clone();
    silent.reason.clear();
    w.refused("bob", coded(silent, Some("duplicate")), Code::ReasonMissing);
    let records = w.must("bob", coded(yes, Some("wrong-vendor")));
    let Body::OverrideRecorded(recorded) = &records[1].body else {
        panic!()
    };
    assert_eq!(recorded.code, Some(name("wrong-vendor")));
    assert_eq!(records[1].clauses[0].id, "P-2");
    // What is no override carries none.
    w.judged("c2", ELEVATED);
    let yes = w.approval("c2", "bob", Choice::Approve);
    w.refused(
        "bob",
        coded(yes.clone(), Some("duplicate")),
        Code::CodeMissing,
    );
    w.must("bob", coded(yes, None));
}

#[test]
fn a_code_is_refused_where_the_release_lists_none() {
    let mut w = World::new();
    w.judged("c1", ELEVATED);
    let no = w.approval("c1", "bob", Choice::Reject);
    w.refused(
        "bob",
        coded(no.clone(), Some("duplicate")),
        Code::CodeMissing,
    );
    w.must("bob", coded(no, None));
}

#[test]
fn a_revoked_signer_reopens_their_stage() {
    let mut w = staged(Order::Sequential);
    w.judged("c1", HIGH);
    w.must("fay", w.approve("c1", "fay"));
    let revoke = RevokePrincipal {
        principal: name("fay"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    w.refused("bob", w.approve("c1", "bob"), Code::WrongState);
    w.must("walt", w.approve("c1", "walt"));
    w.must("bob", w.approve("c1", "bob"));
    w.must("exe", w.use_grant("c1", HIGH));
}
