//! What happens among people: training, groups, deputies, second thoughts, and waiting.

use duty::{
    canonical::Digest,
    name::PrincipalId,
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    release::Rules as _,
    request::{
        Complete, CreateGroup, EndCertification, JoinGroup, LeaveGroup, NoteExpiring, NoteWaiting,
        RecordDecision, Request, SetAttributes, Stance,
    },
    statement::{
        Choice, CompletionStatement, DelegationEndStatement, DelegationStatement,
        WithdrawalStatement,
    },
    time::Time,
};

use super::DAY;
use crate::world::{ORIGIN, World, name, sign};

/// Somebody new passes the course of approvers, is told that it ends, and loses it.
pub(super) fn training(world: &mut World, n: usize) {
    let who = format!("zed-{n}");
    let key = ed25519_dalek::SigningKey::from_bytes(Digest::of_bytes(who.as_bytes()).as_bytes());
    let new = NewPrincipal {
        id: name(&who),
        kind: PrincipalKind::Human,
        roles: vec![Role::Approver],
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: name(&format!("{who}-1")),
            proof: Proof::Ed25519 {
                public: PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap(),
            },
        }],
    };
    world.must("admin", Request::AddPrincipal(new));
    let course = name("payment-approval");
    let content = world.release.team().course(&course).unwrap().content;
    let completed = world.state.time;
    let complete = Complete {
        principal: name(&who),
        course: course.clone(),
        content,
        completed,
        expires: completed.plus_minutes(10 * 1_440),
        assessor: name("carla"),
    };
    world.must("admin", Request::Complete(complete));
    let assessed = CompletionStatement {
        statement: CompletionStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        trainee: name(&who),
        course: course.clone(),
        content,
        completed,
        expires: completed.plus_minutes(20 * 1_440),
        signer: name("carla"),
        credential: name("carla-1"),
    };
    world.must("carla", Request::Assess(sign(assessed, "carla")));
    let note = NoteExpiring {
        environment: name("staging"),
        principal: name(&who),
        course: course.clone(),
    };
    world.must("engine", Request::NoteExpiring(note));
    let end = EndCertification {
        principal: name(&who),
        course,
        reason: "left the department".to_owned(),
    };
    world.must("admin", Request::EndCertification(end));
}

/// Somebody comes into a group and leaves it; what is said of somebody changes.
pub(super) fn group(world: &mut World, n: usize) {
    let group = name(&format!("approvers-{n}"));
    let create = CreateGroup {
        group,
        roles: vec![Role::Approver],
    };
    let group = create.group.clone();
    world.must("admin", Request::CreateGroup(create));
    let principal: PrincipalId = name("gus");
    let join = JoinGroup {
        group: group.clone(),
        principal: principal.clone(),
    };
    world.must("admin", Request::JoinGroup(join));
    let set = SetAttributes {
        principal: principal.clone(),
        attributes: [(name("floor"), n.to_string())].into(),
        reason: "moved".to_owned(),
    };
    world.must("admin", Request::SetAttributes(set));
    let leave = LeaveGroup {
        group,
        principal,
        reason: "elsewhere now".to_owned(),
    };
    world.must("admin", Request::LeaveGroup(leave));
}

/// A deputy signs for an approver, whose word then ends.
pub(super) fn deputy(world: &mut World, id: &str) {
    let starts = world.state.time;
    let word = DelegationStatement {
        statement: DelegationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        deputy: name("carla"),
        role: Role::Approver,
        starts,
        until: Time::from_millis(world.clock + DAY),
        reason: "away".to_owned(),
        signer: name("gus"),
        credential: name("gus-1"),
    };
    let delegation = world.must("gus", Request::Delegate(sign(word, "gus")))[0].seq;
    let mut yes = world.statement(id, "carla", Choice::Approve);
    yes.on_behalf = Some(name("gus"));
    world.must("carla", Request::Approve(sign(yes, "carla")));
    world.execute(id);
    let end = DelegationEndStatement {
        statement: DelegationEndStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        delegation,
        reason: "back".to_owned(),
        signer: name("gus"),
        credential: name("gus-1"),
    };
    world.must("gus", Request::EndDelegation(sign(end, "gus")));
}

/// A yes is taken back, so that its grant is void; another's takes its place.
pub(super) fn second_thoughts(world: &mut World, id: &str) {
    world.approve(id, "bob", Choice::Approve);
    let asked = world.statement(id, "bob", Choice::Approve);
    let back = WithdrawalStatement {
        statement: WithdrawalStatement::TYPE.to_owned(),
        log: asked.log,
        approval: asked.approval,
        action: asked.action,
        reason: "looked again".to_owned(),
        signer: asked.signer,
        credential: asked.credential,
    };
    world.must("bob", Request::Withdraw(sign(back, "bob")));
    world.approve(id, "gus", Choice::Approve);
    world.execute(id);
}

/// Nobody signs for a while: who could is reminded, and then others are told.
pub(super) fn waiting(world: &mut World, id: &str) {
    for _ in 0..2 {
        world.clock += 61 * 60_000;
        let note = NoteWaiting {
            approval: name(&format!("{id}.a1")),
        };
        world.must("engine", Request::NoteWaiting(note));
    }
    world.approve(id, "bob", Choice::Approve);
    world.execute(id);
}

/// A decision that was made elsewhere is taken down.
pub(super) fn elsewhere(world: &mut World, id: &str) {
    world.open(id);
    let clause = world.release.clauses()[0].reference();
    let decision = RecordDecision {
        case: name(id),
        stance: Stance::Refuse,
        action: None,
        confidence: 91,
        rationale: "it was refused there".to_owned(),
        clauses: vec![clause],
        model: "gpt/5".to_owned(),
        system: "the old desk".to_owned(),
    };
    world.must("analyst", Request::RecordDecision(decision));
}
