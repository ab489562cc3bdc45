//! The built-in team on the real engine, store and release, with a clock and a bank that do as the test says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod endpoint;
mod language;
mod replay;
mod rig;

use std::sync::atomic::Ordering;

use agents::Stop;
use duty::{
    record::CaseOutcome,
    refusal::Code,
    request::{Outcome, Request},
};
use engine::{EngineError, target::Answer};
use rig::{Rig, elevated_row, name, small_row};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_invoice_is_paid_once_under_its_grants_id() {
    let rig = Rig::new().await;
    assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Executed));
    let calls = rig.bank.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].1["idempotency_key"], "c1.g1");
    // What is over stays over.
    assert_eq!(rig.runner.advance(&name("c1")).await.unwrap(), Stop::Ended);
    assert_eq!(rig.bank.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unknown_until_the_bank_is_asked_and_never_sent_again() {
    let rig = Rig::new().await;
    rig.bank.say(Answer::Lost("the line went dead".to_owned()));
    assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Unknown);
    assert_eq!(
        rig.runner.advance(&name("c1")).await.unwrap(),
        Stop::Unknown
    );
    rig.bank.say(Answer::Succeed(json!({"found": false})));
    assert_eq!(
        rig.engine.settle(&name("c1.g1")).await.unwrap(),
        Outcome::Unknown
    );
    rig.bank.say(Answer::Fail("closed".to_owned()));
    assert_eq!(
        rig.engine.settle(&name("c1.g1")).await.unwrap(),
        Outcome::Unknown
    );
    rig.bank.say(Answer::Succeed(json!({"found": true})));
    assert_eq!(
        rig.engine.settle(&name("c1.g1")).await.unwrap(),
        Outcome::Succeeded
    );
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Executed));
    let sent = rig
        .bank
        .calls
        .lock()
        .unwrap()
        .iter()
        .filter(|(tool, _)| tool == "transfer_create")
        .count();
    assert_eq!(sent, 1, "the transfer was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_has_failed_and_frees_its_room() {
    let rig = Rig::new().await;
    rig.bank.say(Answer::NotSent("no such program".to_owned()));
    assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Failed));
    let (uses, exceptions) = rig.engine.read(|s| {
        let uses = s.thresholds.values().map(|t| t.uses.len()).sum::<usize>();
        (uses, s.exceptions.len())
    });
    assert_eq!((uses, exceptions), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_in_mid_call_leaves_an_unknown_outcome() {
    let rig = Rig::new().await;
    rig.bank.hang.store(true, Ordering::SeqCst);
    let runner = std::sync::Arc::clone(&rig.runner);
    rig.open("c1", &small_row()).await;
    let going = tokio::spawn(async move { runner.advance(&name("c1")).await });
    while rig.bank.calls.lock().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    going.abort();
    let _ = going.await;
    let rig = rig.reopened().await;
    let used = rig
        .engine
        .read(|s| s.cases[&name("c1")].grant.clone().unwrap().used);
    assert!(
        used.is_some(),
        "the grant was consumed before the call went out"
    );
    rig.bank.say(Answer::Succeed(json!({"found": true})));
    let recovered = rig.engine.recover().await.unwrap();
    assert_eq!(
        (recovered.unknown, recovered.settled, recovered.open),
        (1, 1, 0)
    );
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Executed));
    assert_eq!(
        rig.bank.calls.lock().unwrap().len(),
        1,
        "only the look-up is asked after the restart"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_what_waits_and_a_late_signature_is_refused() {
    let rig = Rig::new().await;
    assert_eq!(rig.run("c1", &elevated_row()).await.unwrap(), Stop::Waits);
    let late = rig.signed("c1", "amira");
    rig.clock.fetch_add(25 * 3_600_000, Ordering::SeqCst);
    let refused = rig
        .engine
        .submit(&rig.seat("amira"), late)
        .await
        .unwrap_err();
    assert!(matches!(refused, EngineError::Refused(r) if r.code == Code::Expired));
    assert_eq!(rig.engine.expire().await.unwrap(), 1);
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Expired));
    assert_eq!(rig.engine.expire().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_comes_to_no_verdict_ends() {
    let mut files = payables::release_files();
    let team = files.get_mut("team.toml").unwrap();
    team.push_str("\n[cases]\nopen_minutes = 60\nclause = \"PAY-1.1\"\n");
    let rig = Rig::with(files, None).await;
    rig.open("c1", "INV-1").await;
    assert_eq!(rig.engine.expire().await.unwrap(), 0);
    rig.clock.fetch_add(59 * 60_000, Ordering::SeqCst);
    rig.open("c2", "INV-2").await;
    assert_eq!(rig.engine.expire().await.unwrap(), 0);
    rig.clock.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(rig.engine.expire().await.unwrap(), 1);
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Lapsed));
    assert_eq!(rig.closed("c2"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_soon_is_told_once_and_then_stops_the_agents() {
    const DAY: i64 = 24 * 3_600_000;
    let rig = Rig::new().await;
    assert_eq!(rig.engine.announce().await.unwrap(), 0);
    rig.clock.fetch_add(340 * DAY, Ordering::SeqCst);
    // One approver, and five owners.
    assert_eq!(rig.engine.announce().await.unwrap(), 6);
    assert_eq!(rig.engine.announce().await.unwrap(), 0);
    let raised = rig.engine.read(|s| s.exceptions.len());
    assert_eq!(raised, 6);
    rig.clock.fetch_add(26 * DAY, Ordering::SeqCst);
    let refused = rig.run("c1", &small_row()).await.unwrap_err();
    assert!(refused.to_string().contains("owner-lapsed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_stands_back_stops_new_cases_until_it_has_caught_up() {
    let rig = Rig::new().await;
    rig.clock.fetch_sub(60_000, Ordering::SeqCst);
    let refused = rig.run("c1", &small_row()).await.unwrap_err();
    assert!(refused.to_string().contains("clock"), "{refused}");
    rig.clock.fetch_add(120_000, Ordering::SeqCst);
    assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_case_goes_on_and_the_rest_is_on_disk_when_answered() {
    let rig = Rig::new().await;
    assert_eq!(rig.run("c1", &elevated_row()).await.unwrap(), Stop::Waits);
    let signed = rig.signed("c1", "amira");
    assert!(matches!(signed, Request::Approve(_)));
    rig.engine.submit(&rig.seat("amira"), signed).await.unwrap();
    let size = rig.engine.read(|s| s.size);
    assert!(
        rig.engine.journal().committed() >= size,
        "answered before it was durable"
    );
    let rig = rig.reopened().await;
    assert_eq!(rig.engine.read(|s| s.size), size);
    assert_eq!(rig.runner.advance(&name("c1")).await.unwrap(), Stop::Ended);
    assert_eq!(rig.closed("c1"), Some(CaseOutcome::Executed));
}
