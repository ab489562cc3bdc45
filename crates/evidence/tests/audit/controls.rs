//! Controls: what the example's release holds, and that a log which violates one is told.

use std::collections::BTreeSet;

use duty::{
    name::PrincipalId,
    record::{Body, Record},
    request::Request,
};
use evidence::control::{self, CATALOGUE};
use policy::Release;

use crate::world::{World, log_key, name, publish, release_dir};

#[test]
fn every_attempt_on_the_example_is_refused_or_seen() {
    let release = Release::from_dir(&release_dir()).unwrap();
    let tested = control::test(&release);
    for t in &tested {
        // What the example leaves out is tried below.
        let left_out = t.test == "a yes sooner than reading, and one too many";
        assert_eq!(
            t.passed,
            (!left_out).then_some(true),
            "{} {}: {}",
            t.control,
            t.test,
            t.detail
        );
    }
    let controls: BTreeSet<_> = tested.iter().map(|t| t.control).collect();
    assert_eq!(controls.len(), CATALOGUE.len(), "every control has a test");
}

#[test]
fn every_attempt_is_refused_where_a_release_bounds_people_and_knows_emergencies() {
    let mut files = Release::from_dir(&release_dir()).unwrap().files().clone();
    let team = files.get_mut("team.toml").unwrap();
    *team = team
        .replace("[approval.high]", "[approval.high]\nmin_seconds = 1")
        .replace(
            "[approval.elevated]",
            "[approval.elevated]\nmin_seconds = 600",
        );
    team.push_str(
        "\n[attention]\nmax_per_hour = 1\nmax_waiting = 1\nclause = \"PAY-3.2\"\n\n[break_glass]\n\
         role = \"approver\"\ncertification = \"payment-approval\"\nminutes = 15\nreview_minutes = 60\nclause = \"PAY-3.2\"\n",
    );
    let release = Release::from_files(files).unwrap();
    for t in control::test(&release) {
        assert_eq!(
            t.passed,
            Some(true),
            "{} {}: {}",
            t.control,
            t.test,
            t.detail
        );
    }
}

#[test]
fn an_honest_log_satisfies_every_control() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let source = evidence::open(&dir.path().display().to_string()).unwrap();
    let report = control::report(&*source, Some(&log_key().verifier().vkey())).unwrap();
    for c in &report.controls {
        assert_eq!(c.violations, 0, "{}: {:?}", c.control, c.first);
    }
    assert!(report.sound() && report.root.is_some());
    let exercised = |id: &str| {
        let found = report.controls.iter().find(|c| c.control == id).unwrap();
        assert_eq!(found.result(), "satisfied", "{id}");
    };
    for id in [
        "SOD-01", "SOD-02", "SOD-04", "SOD-05", "POL-01", "POL-02", "CHG-01", "THR-01", "HUM-01",
        "LOG-01", "LOG-02", "RPL-01", "TRN-01",
    ] {
        exercised(id);
    }
    let without = control::report(&*source, None).unwrap();
    let log = without
        .controls
        .iter()
        .find(|c| c.control == "LOG-01")
        .unwrap();
    assert_eq!(log.result(), "not-assessed");
}

/// What a control says when the log's records are changed and the log is written anew: the assertion does not trust
/// whatever decided.
fn told(control: &str, change: impl Fn(&mut Record)) {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.records.iter_mut().for_each(change);
    let entries: Vec<_> = world
        .records
        .iter()
        .map(|r| r.to_bytes().unwrap())
        .collect();
    publish(&dir.path().join("log"), &entries, &log_key());
    let source = evidence::open(&dir.path().display().to_string()).unwrap();
    let report = control::report(&*source, None).unwrap();
    let found = report
        .controls
        .iter()
        .find(|c| c.control == control)
        .unwrap();
    assert!(found.violations > 0, "{control} tells nothing");
    assert!(!report.sound());
}

fn request(record: &mut Record) -> Option<&mut Request> {
    match &mut record.body {
        Body::ApprovalGiven(b) => Some(&mut b.request),
        Body::RecommendationMade(b) => Some(&mut b.request),
        Body::ReleasePromoted(b) => Some(&mut b.request),
        _ => None,
    }
}

#[test]
fn a_log_that_violates_a_control_is_told() {
    let olivia: PrincipalId = name("olivia");
    told("SOD-01", |r| {
        if let Some(Request::Approve(signed)) = request(r) {
            signed.statement.signer = olivia.clone();
        }
    });
    told("HUM-01", |r| {
        if let Some(Request::Approve(signed)) = request(r) {
            signed.statement.reason.push('x');
        }
    });
    told("CHG-01", |r| {
        if let Some(Request::Recommend(made)) = request(r) {
            made.model.push('x');
        }
    });
    told("POL-01", |r| {
        if let Some(Request::Recommend(made)) = request(r) {
            made.clauses[0].version.push('x');
        }
    });
    told("POL-02", |r| {
        if let Some(Request::PromoteSigned(signed)) = request(r) {
            signed.statement.signer = name("dmitri");
        }
    });
    told("SOD-02", |r| {
        if let Body::GrantUsed(_) = &r.body {
            r.actor.id = name("reviewer");
        }
    });
    told("ACC-02", |r| {
        if let Body::CallPermitted(_) = &r.body {
            r.actor.credential = name("somebody-elses");
        }
    });
    told("THR-01", |r| {
        if let Body::ThresholdApplied(b) = &mut r.body {
            b.amount = Some(1 << 50);
        }
    });
    told("SOD-05", |r| {
        if let Body::GrantIssued(b) = &mut r.body
            && let duty::record::Basis::Approval { signers, .. } = &mut b.basis
        {
            signers.clear();
        }
    });
    told("SOD-03", |r| {
        if let Body::PrincipalAdded(b) = &mut r.body
            && let Request::AddPrincipal(new) = &mut b.request
            && new.id.as_str() == "analyst"
        {
            new.roles.push(duty::principal::Role::Reviewer);
        }
    });
}
