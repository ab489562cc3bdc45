//! Withdrawals, delegations and overrides in a log: a bare copy verifies, re-performs and satisfies its controls, and none of
//! it can be forged by whoever owns the log.

use std::path::Path;

use duty::{
    principal::Role,
    record::{Body, Record},
    request::{Request, SetAttributes},
    statement::{
        ApprovalStatement, Choice, DelegationEndStatement, DelegationStatement, WithdrawalStatement,
    },
    time::Time,
};
use evidence::{CaseFilter, Index, ReperformOptions, control, open, overrides, reperform, verify};

use crate::world::{Invoice, ORIGIN, World, log_key, name, publish, sign};

/// Dora signs for bob, bob takes it back, bob signs himself, and the delegation ends.
fn world(dir: &Path) -> World {
    let mut w = World::busy(dir);
    let set = SetAttributes {
        principal: name("gus"),
        attributes: [(name("department"), "finance".to_owned())].into(),
        reason: "moved".to_owned(),
    };
    w.must("admin", Request::SetAttributes(set));
    let delegation = DelegationStatement {
        statement: DelegationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        deputy: name("carla"),
        role: Role::Approver,
        starts: Time::from_millis(w.clock),
        until: Time::from_millis(w.clock + 86_400_000),
        reason: "on holiday".to_owned(),
        signer: name("bob"),
        credential: name("bob-1"),
    };
    let made = w.must("bob", Request::Delegate(sign(delegation, "bob")))[0].seq;
    let mut related = Invoice::of(9_100_000, "V-3");
    related.related = "zoe".to_owned();
    w.judged("deputy", &related);
    let yes = ApprovalStatement {
        on_behalf: Some(name("bob")),
        ..w.statement("deputy", "carla", Choice::Approve)
    };
    w.must("carla", Request::Approve(sign(yes, "carla")));
    w.approve("deputy", "gus", Choice::Approve);
    w.execute("deputy");

    w.judged("back", &Invoice::of(910_000, "V-2"));
    w.approve("back", "bob", Choice::Approve);
    let asked = w.statement("back", "bob", Choice::Approve);
    let withdrawal = WithdrawalStatement {
        statement: WithdrawalStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        approval: asked.approval,
        action: asked.action,
        reason: "another invoice".to_owned(),
        signer: name("bob"),
        credential: name("bob-1"),
    };
    w.must("bob", Request::Withdraw(sign(withdrawal, "bob")));
    let end = DelegationEndStatement {
        statement: DelegationEndStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        delegation: made,
        reason: "back".to_owned(),
        signer: name("bob"),
        credential: name("bob-1"),
    };
    w.must("bob", Request::EndDelegation(sign(end, "bob")));
    w
}

#[test]
fn withdrawals_and_deputies_verify_offline_and_satisfy_the_controls() {
    let dir = tempfile::tempdir().unwrap();
    let w = world(dir.path());
    w.publish(&log_key());
    let source = open(&dir.path().display().to_string()).unwrap();
    let vkey = log_key().verifier().vkey();
    verify(&*source, &vkey, None, None).unwrap();
    reperform(&*source, &ReperformOptions::default()).unwrap();
    let report = control::report(&*source, Some(&vkey)).unwrap();
    for c in &report.controls {
        assert_eq!(c.violations, 0, "{}: {:?}", c.control, c.first);
    }
    // The one that lost its yes waits again.
    let mut index = Index::in_memory().unwrap();
    index.catch_up(&*source).unwrap();
    let back = CaseFilter {
        case: Some("back".to_owned()),
        ..CaseFilter::default()
    };
    let back = &index.cases(&back).unwrap()[0];
    let asked = w.state.cases[&name("back")].approval.as_ref().unwrap();
    assert_eq!((back.stage.as_str(), back.yes), ("waiting", 0));
    assert_eq!(back.expires, Some(asked.expires));
}

/// Whoever owns the log and its key rewrites one statement.
fn forged(w: &World, change: impl Fn(&mut Record) -> bool) -> String {
    let mut records = w.records.clone();
    assert!(records.iter_mut().any(change), "nothing was changed");
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<_> = records.iter().map(|r| r.to_bytes().unwrap()).collect();
    publish(&dir.path().join("log"), &entries, &log_key());
    let source = open(&dir.path().display().to_string()).unwrap();
    let vkey = log_key().verifier().vkey();
    verify(&*source, &vkey, None, None).unwrap_err().to_string()
}

#[test]
fn a_forged_withdrawal_or_delegation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let w = world(dir.path());
    let withdrawal = forged(&w, |r| match &mut r.body {
        Body::ApprovalWithdrawn(b) => match &mut b.request {
            Request::Withdraw(r) => {
                r.statement.reason = "another reason".to_owned();
                true
            }
            _ => false,
        },
        _ => false,
    });
    assert!(withdrawal.contains("signature"), "{withdrawal}");
    let delegation = forged(&w, |r| match &mut r.body {
        Body::DelegationMade(b) => match &mut b.request {
            Request::Delegate(r) => {
                r.statement.deputy = name("ines");
                true
            }
            _ => false,
        },
        _ => false,
    });
    assert!(delegation.contains("signature"), "{delegation}");
    let end = forged(&w, |r| match &mut r.body {
        Body::DelegationEnded(b) => match &mut b.request {
            Request::EndDelegation(r) => {
                r.statement.reason = "another".to_owned();
                true
            }
            _ => false,
        },
        _ => false,
    });
    assert!(end.contains("signature"), "{end}");
}

#[test]
fn a_quorum_that_counts_one_person_twice_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let w = world(dir.path());
    // As if gus had signed for bob, too: then carla and gus are one.
    let mut records = w.records.clone();
    let changed = records.iter_mut().any(|r| match &mut r.body {
        Body::ApprovalGiven(b) => match &mut b.request {
            Request::Approve(r)
                if r.statement.signer == name("gus") && r.statement.case == name("deputy") =>
            {
                r.statement.on_behalf = Some(name("bob"));
                true
            }
            _ => false,
        },
        _ => false,
    });
    assert!(changed);
    let entries: Vec<_> = records.iter().map(|r| r.to_bytes().unwrap()).collect();
    publish(&dir.path().join("log"), &entries, &log_key());
    let source = open(&dir.path().display().to_string()).unwrap();
    let report = control::report(&*source, None).unwrap();
    for id in ["SOD-04", "SOD-05"] {
        let found = report.controls.iter().find(|c| c.control == id).unwrap();
        assert!(found.violations > 0, "{id}");
    }
}

#[test]
fn overrides_are_counted_by_agent_direction_code_and_clause() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::busy(dir.path());
    // Nobody could override what went through or waits: one case was rejected against both agents.
    w.judged("again", &Invoice::of(810_000, "V-2"));
    w.approve("again", "bob", Choice::Reject);
    w.publish(&log_key());
    let source = open(&dir.path().display().to_string()).unwrap();
    let found = overrides(&*source).unwrap();
    assert_eq!(found.size, w.records.len() as u64);
    for agent in ["analyst", "reviewer"] {
        let of = &found.agents[&name(agent)];
        let made = w
            .records
            .iter()
            .filter(|r| r.body.kind() == "recommendation.made" && r.actor.id == name(agent));
        assert_eq!(of.all.made(), made.count() as u64);
        assert_eq!((of.all.rejected, of.all.approved), (2, 0));
        assert_eq!(of.all.codes["not-owed"], 2);
        let cited: u64 = of.clauses.values().map(|t| t.rejected).sum();
        assert!(cited >= 2, "each was rejected under the clauses it cites");
        assert!(of.clauses.values().all(|t| t.made() <= of.all.made()));
    }
    assert!(!found.agents.contains_key(&name("executor")));
}
