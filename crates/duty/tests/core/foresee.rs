//! What is foreseen is what a verdict then says, and nothing changes by asking.

use duty::{
    Foresight, Room,
    action::Action,
    facts::Facts,
    foresee,
    refusal::{Code, Refusal},
    release::{Ask, Tier},
    time::Time,
};

use crate::world::{World, name, pay};

fn foreseen(w: &World, who: &str, action: &Action) -> Result<Foresight, Refusal> {
    let ask = Ask {
        principal: &name(who),
        action,
        case: "c9",
        subject: "R-c9",
        environment: &name("staging"),
        facts: &Facts::default(),
    };
    foresee(&w.state, &w.rules, ask, Time::from_millis(w.clock))
}

/// The route of the verdict, as `judged` comes to it.
fn went(w: &mut World, id: &str, cents: i64) -> String {
    let records = w.judged(id, cents);
    let verdict = records
        .iter()
        .map(|r| serde_json::to_value(r).unwrap())
        .find(|r| r["kind"] == "verdict.reached")
        .unwrap();
    verdict["body"]["route"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_foreseen_is_what_the_verdict_says() {
    let mut w = World::new();
    for (n, cents) in [50, 5_000, 80, 500, 71, 20, 101, 100]
        .into_iter()
        .enumerate()
    {
        let foresight = foreseen(&w, "exe", &pay(cents, "v1")).unwrap();
        let covered = foresight.covered_by.is_some();
        let route = went(&mut w, &format!("c{n}"), cents);
        let expected = if covered { "threshold" } else { "approval" };
        assert_eq!(route, expected, "{cents}: {foresight:?}");
    }
}

#[test]
fn room_is_what_is_left_after_the_action() {
    let mut w = World::new();
    let room = |w: &World| foreseen(w, "exe", &pay(50, "v1")).unwrap().thresholds[0].room;
    let left = |count, sum, key_count, key_sum| Room {
        count,
        sum: Some(sum),
        unit: None,
        key_count: Some(key_count),
        key_sum: Some(key_sum),
    };
    assert_eq!(room(&w), Some(left(2, 200, 1, 100)));
    assert_eq!(went(&mut w, "c1", 80), "threshold");
    assert_eq!(room(&w), Some(left(1, 120, 0, 20)));
    assert_eq!(went(&mut w, "c2", 60), "threshold");
    let full = foreseen(&w, "exe", &pay(50, "v1")).unwrap();
    assert_eq!(full.covered_by, None);
    let why = full.thresholds[0].why_not.as_deref().unwrap();
    assert!(why.contains("has no room"), "{why}");
}

#[test]
fn a_threshold_says_why_it_does_not_cover() {
    let why = |w: &World, cents| {
        let foresight = foreseen(w, "exe", &pay(cents, "v1")).unwrap();
        assert_eq!(foresight.covered_by, None);
        foresight.thresholds[0].why_not.clone().unwrap()
    };
    let unsigned = World::bare();
    assert!(why(&unsigned, 50).contains("0 of 2 people"));
    let w = World::new();
    assert!(why(&w, 500).contains("elevated"));
    let signing = foreseen(&w, "exe", &pay(5_000, "v1")).unwrap();
    assert_eq!(signing.risk.tier, Tier::High);
    assert_eq!(signing.signing.unwrap().humans, 2);
}

#[test]
fn refusals_are_those_of_the_core() {
    let w = World::new();
    let forbidden = foreseen(&w, "exe", &pay(200_000, "v1")).unwrap();
    let refusal = forbidden.permission.unwrap_err();
    assert_eq!(refusal.code, Code::NotPermitted);
    assert_eq!(refusal.rule.as_deref(), Some("exe#too-much"));
    assert_eq!(
        refusal.remedy,
        "it would be refused no more if `cents > 100000` did not hold; ask the bank; nobody's approval lifts a forbid"
    );
    let silent = foreseen(&w, "ana", &pay(50, "v1")).unwrap();
    let refusal = silent.permission.unwrap_err();
    assert!(refusal.remedy.contains("bank.pay"), "{refusal}");
    let mut unknown = pay(50, "v1");
    unknown.tool = "bank.steal".to_owned();
    let refusal = foreseen(&w, "exe", &unknown).unwrap_err();
    assert_eq!(refusal.code, Code::NotPermitted);
    let mut keyed = pay(50, "v1");
    keyed.arguments.insert("key".to_owned(), "x".into());
    let refusal = foreseen(&w, "exe", &keyed).unwrap_err();
    assert_eq!(refusal.code, Code::Malformed);
}
