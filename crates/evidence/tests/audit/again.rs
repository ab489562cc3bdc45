//! Everything comes out the same again, and what does not is said.

use std::{fs, path::Path};

use duty::{
    record::{Body, Route},
    release::Rules,
    request::Request,
};
use evidence::{
    Disagreement, ReperformError, ReperformOptions, ReperformReport, open, reperform, replay,
};

use crate::world::{Invoice, World, log_key, name, release_dir};

fn perform(dir: &Path, options: &ReperformOptions) -> Result<ReperformReport, ReperformError> {
    reperform(&*open(&dir.display().to_string()).unwrap(), options)
}

fn with_snapshots(dir: &Path) -> ReperformOptions {
    ReperformOptions {
        release: None,
        snapshots: Some(dir.join("snapshots")),
        ..ReperformOptions::default()
    }
}

#[track_caller]
fn disagreement(result: Result<ReperformReport, ReperformError>) -> Disagreement {
    match result {
        Err(ReperformError::Disagrees(d)) => *d,
        other => panic!("it should disagree: {other:?}"),
    }
}

#[test]
fn a_log_of_the_core_is_re_performed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let report = perform(dir.path(), &with_snapshots(dir.path())).unwrap();
    assert_eq!(report.records, world.records.len() as u64);
    assert_eq!(report.refusals, 1);
    assert_eq!(report.verdicts, 8);
    assert_eq!(report.recommendations, 16);
    assert_eq!(report.retrievals, 16);
    assert_eq!(report.recommendations_not_here, 0);
    assert_eq!(report.by_kind["case.opened"], 8);
    assert_eq!(report.decisions, report.by_kind.values().sum::<u64>());
    // A bare copy of the log has no snapshots: the agents' decisions are counted as not run again, never as the same.
    let report = perform(&dir.path().join("log"), &ReperformOptions::default()).unwrap();
    assert_eq!(
        (report.recommendations, report.recommendations_not_here),
        (0, 16)
    );
}

#[test]
fn a_decision_at_a_clock_behind_the_log_is_re_performed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.clock -= 86_400_000;
    let open = duty::request::OpenCase {
        case: name("late"),
        environment: name("staging"),
        subject: "R-late".to_owned(),
        snapshot: duty::canonical::Digest::of_bytes(b"x"),
    };
    let refusal = world
        .ask("engine", Request::OpenCase(open))
        .refusal
        .unwrap();
    assert_eq!(refusal.code.word(), "clock-behind");
    world.publish(&log_key());
    let report = perform(dir.path(), &with_snapshots(dir.path())).unwrap();
    assert_eq!(report.by_code["clock-behind"], 1);
}

#[test]
fn a_forged_verdict_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    let at = world
        .records
        .iter()
        .position(|r| r.body.kind() == "verdict.reached")
        .unwrap();
    let cause = world.records[at].cause;
    let Body::VerdictReached(verdict) = &mut world.records[at].body else {
        panic!()
    };
    verdict.reasons.clear();
    verdict.route = Route::Threshold;
    world.publish(&log_key());
    let found = disagreement(perform(dir.path(), &with_snapshots(dir.path())));
    assert_eq!(Some(found.seq), cause);
    assert_eq!(found.what, "decision");
    assert_ne!(found.recorded, found.again);
    assert_eq!(found.inputs["principal"], "reviewer");
}

#[test]
fn a_consequence_left_out_at_the_end_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.judged("mid", &Invoice::of(900_000, "V-2"));
    world.records.pop();
    world.publish(&log_key());
    assert_eq!(
        disagreement(perform(dir.path(), &with_snapshots(dir.path()))).what,
        "decision"
    );
}

#[test]
fn an_agent_that_said_what_its_table_does_not_say_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.judged("small", &Invoice::of(40_000, "V-1"));
    // The decision itself is consistent: the analyst's record is changed, and all after it is decided by the core.
    let at = world
        .records
        .iter()
        .position(|r| r.body.kind() == "recommendation.made")
        .unwrap();
    let seq = world.records[at].seq;
    let Body::RecommendationMade(made) = &mut world.records[at].body else {
        panic!()
    };
    let Request::Recommend(recommend) = &mut made.request else {
        panic!()
    };
    recommend.confidence = 91;
    world.publish(&log_key());
    let found = disagreement(perform(dir.path(), &with_snapshots(dir.path())));
    assert_eq!((found.what, found.seq), ("recommendation", seq));
    assert!(
        found.inputs["facts"]["invoice"]["amount_cents"] == 40_000,
        "{found}"
    );
}

#[test]
fn a_ranking_that_retrieval_does_not_give_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.judged("small", &Invoice::of(40_000, "V-1"));
    let at = world
        .records
        .iter()
        .position(|r| r.body.kind() == "clauses.retrieved")
        .unwrap();
    let Body::ClausesRetrieved(body) = &mut world.records[at].body else {
        panic!()
    };
    let Request::Retrieve(retrieve) = &mut body.request else {
        panic!()
    };
    retrieve.ranking[0].score_milli += 1;
    world.publish(&log_key());
    assert_eq!(
        disagreement(perform(dir.path(), &with_snapshots(dir.path()))).what,
        "retrieval"
    );
}

#[test]
fn a_changed_snapshot_stops_re_performance() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.judged("small", &Invoice::of(40_000, "V-1"));
    world.publish(&log_key());
    let commitment = world.state.cases[&name("small")].calls[0].answer.clone();
    let Some(duty::state::CallAnswer::Snapshot(commitment)) = commitment else {
        panic!()
    };
    let path = evidence::Vault::new(dir.path().join("snapshots")).path(&commitment);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
    let result = perform(dir.path(), &with_snapshots(dir.path()));
    let Err(ReperformError::Evidence(error)) = result else {
        panic!("a changed snapshot should be found: {result:?}")
    };
    assert!(
        error.is_fault() && error.to_string().contains("was changed"),
        "{error}"
    );
}

#[test]
fn another_release_shows_what_would_have_been_decided() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let other = dir.path().join("other");
    for (path, text) in world.release.files() {
        let path = other.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let options = ReperformOptions {
        release: Some(other.clone()),
        snapshots: Some(dir.path().join("snapshots")),
        ..ReperformOptions::default()
    };
    assert_eq!(perform(dir.path(), &options).unwrap().differing, 0);
    // With a lower limit the small invoices go to a human.
    let path = other.join("thresholds/small-invoices.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("amount_cents <= 250000", "amount_cents <= 40000");
    fs::write(&path, text).unwrap();
    let report = perform(dir.path(), &options).unwrap();
    assert_eq!(report.differing, 2, "{:?}", report.differences);
    let routes: Vec<_> = report
        .differences
        .iter()
        .map(|d| &d.again[1]["body"]["route"])
        .collect();
    assert_eq!(routes, ["approval", "approval"]);
    let gone = ReperformOptions {
        release: Some(dir.path().join("nowhere")),
        snapshots: None,
        ..ReperformOptions::default()
    };
    assert!(perform(dir.path(), &gone).is_err());
    assert_eq!(
        policy::Release::from_dir(&release_dir()).unwrap().digest(),
        world.release.digest()
    );
}

#[test]
fn a_case_replays_with_what_each_agent_saw() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let source = open(&dir.path().display().to_string()).unwrap();
    let vault = evidence::Vault::new(dir.path().join("snapshots"));
    let steps = replay(&*source, Some(&vault), &name("big")).unwrap();
    assert!(
        steps
            .iter()
            .all(|s| s.decision == evidence::replay::Again::Same)
    );
    let review = steps
        .iter()
        .find(|s| s.actor.as_str() == "reviewer" && s.kind == "recommendation.made")
        .unwrap();
    assert_eq!(review.agent, Some(evidence::replay::Again::Same));
    let text = review.to_string();
    assert!(
        text.contains("saw the answer of books.vendor_read"),
        "{text}"
    );
    assert!(
        text.contains("Jane Doe Ltd"),
        "snapshots hold what records do not: {text}"
    );
    assert!(text.contains("invoice big"), "{text}");
    let bare = replay(&*source, None, &name("big")).unwrap();
    assert!(bare.iter().any(|s| s.to_string().contains("not here")));
    assert!(replay(&*source, None, &name("none")).is_err());
}
