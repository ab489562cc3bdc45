//! Delegation between humans: who may sign for whom, and that it moves nobody's vote and makes none.

use duty::{
    principal::{PrincipalKind, Role},
    record::Body,
    refusal::Code,
    release::Tier,
    request::{Certify, Request},
    statement::{ApprovalStatement, Choice, DelegationEndStatement, DelegationStatement},
    time::Time,
};

use crate::{
    approvals::{HIGH, finance, stage, withdrawal},
    world::{ORIGIN, World, human, kinds, name, sign},
};

const DAY: i64 = 86_400_000;

type Change<'a> = &'a dyn Fn(&mut DelegationStatement);

pub(crate) fn statement(w: &World, from: &str, to: &str) -> DelegationStatement {
    DelegationStatement {
        statement: DelegationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        deputy: name(to),
        role: Role::Approver,
        starts: Time::from_millis(w.clock),
        until: Time::from_millis(w.clock + 7 * DAY),
        reason: "on holiday".to_owned(),
        signer: name(from),
        credential: name(&format!("{from}-1")),
    }
}

pub(crate) fn delegate(w: &World, from: &str, to: &str) -> Request {
    Request::Delegate(sign(statement(w, from, to), from))
}

pub(crate) fn end(record: u64, who: &str) -> Request {
    let statement = DelegationEndStatement {
        statement: DelegationEndStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        delegation: record,
        reason: "back again".to_owned(),
        signer: name(who),
        credential: name(&format!("{who}-1")),
    };
    Request::EndDelegation(sign(statement, who))
}

pub(crate) fn yes_for(w: &World, id: &str, deputy: &str, root: &str) -> Request {
    let yes = w.approval(id, deputy, Choice::Approve);
    let on_behalf = Some(name(root));
    Request::Approve(sign(ApprovalStatement { on_behalf, ..yes }, deputy))
}

/// tess is no approver, and certified; nina is neither.
fn world() -> World {
    let mut w = World::new();
    for who in ["tess", "nina"] {
        w.must("admin", Request::AddPrincipal(human(who, Role::Owner)));
    }
    certify(&mut w, "tess");
    w
}

fn certify(w: &mut World, who: &str) {
    let certify = Certify {
        principal: name(who),
        course: name("pay"),
        expires: Time::from_millis(100 * DAY),
    };
    w.must("admin", Request::Certify(certify));
}

#[test]
fn a_deputy_signs_in_their_own_name_for_another() {
    let mut w = world();
    w.judged("c1", HIGH);
    w.refused("tess", yes_for(&w, "c1", "tess", "bob"), Code::NotDelegated);
    let records = w.must("bob", delegate(&w, "bob", "tess"));
    assert_eq!(kinds(&records), ["delegation.made"]);
    // Not in their own right, and not for anybody else.
    w.refused("tess", w.approve("c1", "tess"), Code::NotYourDuty);
    w.refused("tess", yes_for(&w, "c1", "tess", "gus"), Code::NotDelegated);
    w.must("tess", yes_for(&w, "c1", "tess", "bob"));
    // Deputy and delegator are one person in the quorum.
    w.refused("bob", w.approve("c1", "bob"), Code::Replayed);
    let records = w.must("gus", w.approve("c1", "gus"));
    let Body::GrantIssued(grant) = &records[1].body else {
        panic!()
    };
    let duty::record::Basis::Approval { signers, .. } = &grant.basis else {
        panic!()
    };
    assert_eq!(*signers, [name("tess"), name("gus")]);
    w.must("exe", w.use_grant("c1", HIGH));
}

#[test]
fn delegating_makes_no_second_vote_out_of_one() {
    let mut w = world();
    w.must("bob", delegate(&w, "bob", "tess"));
    w.must("bob", delegate(&w, "bob", "hal"));
    w.must("gus", delegate(&w, "gus", "bob"));
    w.judged("c1", HIGH);
    w.must("tess", yes_for(&w, "c1", "tess", "bob"));
    // Another deputy of the same person, that person for another, the deputy again for another.
    w.refused("hal", yes_for(&w, "c1", "hal", "bob"), Code::Replayed);
    w.refused("bob", yes_for(&w, "c1", "bob", "gus"), Code::Replayed);
    w.must("gus", delegate(&w, "gus", "tess"));
    w.refused("tess", yes_for(&w, "c1", "tess", "gus"), Code::Replayed);
    assert!(w.state.cases[&name("c1")].grant.is_none());
    // hal in their own right is another person.
    w.must("hal", w.approve("c1", "hal"));
    w.must("exe", w.use_grant("c1", HIGH));
}

#[test]
fn what_was_delegated_is_not_delegated_on() {
    let mut w = world();
    w.must("bob", delegate(&w, "bob", "tess"));
    w.refused("tess", delegate(&w, "tess", "nina"), Code::NotYourDuty);
    // An approver who is a deputy passes on what is theirs, and not what is another's.
    w.must("bob", delegate(&w, "bob", "hal"));
    w.must("hal", delegate(&w, "hal", "gus"));
    w.judged("c1", HIGH);
    w.refused("gus", yes_for(&w, "c1", "gus", "bob"), Code::NotDelegated);
}

#[test]
fn a_deputy_is_certified_disinterested_and_owns_no_agent_and_so_is_the_delegator() {
    let mut w = world();
    w.must("bob", delegate(&w, "bob", "nina"));
    w.must("bob", delegate(&w, "bob", "olivia"));
    w.must("bob", delegate(&w, "bob", "tess"));
    w.judged("c1", HIGH);
    w.refused("nina", yes_for(&w, "c1", "nina", "bob"), Code::NotCertified);
    certify(&mut w, "olivia");
    w.refused(
        "olivia",
        yes_for(&w, "c1", "olivia", "bob"),
        Code::Conflicted,
    );
    for interested in ["tess", "bob"] {
        let id = format!("i-{interested}");
        w.open(&id);
        w.read(&id, "ana", interested);
        w.retrieve(&id, "ana");
        let prepared = w.recommendation(
            &id,
            duty::principal::Duty::Prepare,
            duty::request::Stance::Proceed,
            HIGH,
        );
        w.must("ana", Request::Recommend(prepared));
        w.retrieve(&id, "rev");
        let reviewed = w.recommendation(
            &id,
            duty::principal::Duty::Review,
            duty::request::Stance::Proceed,
            HIGH,
        );
        w.must("rev", Request::Recommend(reviewed));
        w.refused("tess", yes_for(&w, &id, "tess", "bob"), Code::Conflicted);
    }
}

#[test]
fn what_a_stage_asks_for_is_the_delegators() {
    let mut w = world();
    let quorum = w.rules.team.approval.get_mut(&Tier::High).unwrap();
    quorum.stages = vec![stage("finance", 1, finance())];
    w.must("bob", delegate(&w, "bob", "tess"));
    w.judged("c1", HIGH);
    w.refused("tess", yes_for(&w, "c1", "tess", "bob"), Code::NotYourDuty);
    let request = duty::request::SetAttributes {
        principal: name("bob"),
        attributes: finance(),
        reason: "moved".to_owned(),
    };
    w.must("admin", Request::SetAttributes(request));
    w.must("tess", yes_for(&w, "c1", "tess", "bob"));
    w.must("exe", w.use_grant("c1", HIGH));
}

#[test]
fn a_delegation_is_bounded_and_made_to_a_fit_human() {
    let mut w = world();
    let changed = |w: &World, change: &dyn Fn(&mut DelegationStatement)| {
        let mut s = statement(w, "bob", "tess");
        change(&mut s);
        Request::Delegate(sign(s, "bob"))
    };
    let millis = |t: Time, more: i64| Time::from_millis(t.millis() + more);
    let cases: [(Change<'_>, Code); 8] = [
        (
            &|s| s.until = millis(s.starts, 30 * DAY + 1),
            Code::NotDelegated,
        ),
        (&|s| s.until = s.starts, Code::Malformed),
        (
            &|s| (s.starts, s.until) = (Time::EPOCH, Time::from_millis(500)),
            Code::Malformed,
        ),
        (&|s| s.deputy = name("bob"), Code::Malformed),
        (&|s| s.deputy = name("ana"), Code::NotHuman),
        (&|s| s.deputy = name("nobody"), Code::NotHuman),
        (&|s| s.role = Role::Owner, Code::NotDelegated),
        (&|s| s.reason.clear(), Code::ReasonMissing),
    ];
    for (change, code) in cases {
        w.refused("bob", changed(&w, change), code);
    }
    // Nobody approves and audits, under whatever name.
    let mut auditor = human("uma", Role::Auditor);
    auditor.kind = PrincipalKind::Human;
    w.must("admin", Request::AddPrincipal(auditor));
    w.refused("bob", delegate(&w, "bob", "uma"), Code::NotIndependent);
    w.must("bob", delegate(&w, "bob", "tess"));
    w.refused("bob", delegate(&w, "bob", "tess"), Code::Replayed);
}

#[test]
fn a_delegation_ends_and_its_yes_with_it_and_is_not_brought_back() {
    let mut w = world();
    let made = delegate(&w, "bob", "tess");
    let record = w.must("bob", made.clone())[0].seq;
    w.judged("c1", HIGH);
    w.must("tess", yes_for(&w, "c1", "tess", "bob"));
    w.must("gus", w.approve("c1", "gus"));
    w.refused("gus", end(record, "gus"), Code::NotYourDuty);
    w.must("bob", end(record, "bob"));
    w.refused("exe", w.use_grant("c1", HIGH), Code::NotDelegated);
    w.refused("bob", end(record, "bob"), Code::WrongState);
    // The old statement, sent again, counts no second time.
    w.refused("bob", made, Code::Replayed);
    // The deputy may give it back, too.
    let record = w.must("bob", delegate(&w, "bob", "tess"))[0].seq;
    w.must("tess", end(record, "tess"));
}

#[test]
fn a_delegation_is_over_in_time_between_signing_and_use_too() {
    let mut w = world();
    let mut short = statement(&w, "bob", "tess");
    short.until = Time::from_millis(w.clock + 60_000);
    w.must("bob", Request::Delegate(sign(short, "bob")));
    w.judged("c1", HIGH);
    w.must("tess", yes_for(&w, "c1", "tess", "bob"));
    w.must("gus", w.approve("c1", "gus"));
    w.clock += 60_000;
    w.refused("exe", w.use_grant("c1", HIGH), Code::NotDelegated);
    // The next one is taken down, and the one that is over is forgotten.
    w.must("bob", delegate(&w, "bob", "tess"));
    assert_eq!(w.state.delegations.len(), 1);
}

#[test]
fn what_was_signed_in_ones_name_is_taken_back_by_either() {
    for who in ["bob", "tess"] {
        let mut w = world();
        w.must("bob", delegate(&w, "bob", "tess"));
        w.judged("c1", HIGH);
        w.must("tess", yes_for(&w, "c1", "tess", "bob"));
        w.must("gus", w.approve("c1", "gus"));
        let records = w.must(who, withdrawal(&w, "c1", who));
        assert_eq!(kinds(&records), ["approval.withdrawn", "grant.voided"]);
        w.refused("bob", w.approve("c1", "bob"), Code::Replayed);
        w.refused("tess", yes_for(&w, "c1", "tess", "bob"), Code::Replayed);
    }
}

#[test]
fn a_way_to_sign_is_told_for_deputies_too() {
    let mut w = world();
    w.must("bob", delegate(&w, "bob", "tess"));
    w.judged("c1", HIGH);
    let approval = name("c1.a1");
    let now = Time::from_millis(w.clock);
    let ways = duty::may_sign(&w.state, &w.rules, &approval, &name("tess"), now).unwrap();
    assert_eq!(ways.len(), 1);
    assert_eq!(ways[0].on_behalf, Some(name("bob")));
    let stages = duty::stages(&w.state, &w.rules, &approval, now).unwrap();
    assert!(stages[0].may.contains(&name("tess")));
    w.must("bob", w.approve("c1", "bob"));
    assert_eq!(w.stands_against("c1", "tess"), Some(Code::NotYourDuty));
}
