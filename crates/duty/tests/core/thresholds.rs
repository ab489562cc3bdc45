//! Thresholds: parts of a whole are found, what comes near its edge is told once, and a signature lasts as long as its key.

use crate::world::{World, kinds, name, sign};
use duty::{
    headroom,
    principal::Duty,
    record::{Body, ExceptionSort, Record},
    refusal::Code,
    release::{Cap, Split, Threshold, Unit},
    request::{FoundBy, NoteEnding, Outcome, Request, RevokeCredential, Stance},
    statement::{Choice, TriageStatement},
    time::Time,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn roomy(t: &mut Threshold) {
    let cap = Cap {
        window_minutes: 60,
        count: 100,
        sum: Some(100_000),
    };
    t.caps.all = cap;
    t.caps.per_key = Some(cap);
}

/// Caps the count alone, over all actions together.
fn counting(t: &mut Threshold) {
    roomy(t);
    (t.sum_field, t.single_limit, t.key_field, t.caps.per_key) = (None, None, None, None);
    t.caps.all.sum = None;
    t.caps.all.count = 3;
}

/// Sums the same argument with its fraction.
fn fractional(t: &mut Threshold) {
    roomy(t);
    t.unit = Some(Unit::TenThousandths);
    t.single_limit = Some(995_000);
    t.caps.all.sum = Some(2_000_000);
    t.caps.per_key.as_mut().unwrap().sum = Some(5_000_000);
}

fn watchful() -> World {
    World::with_threshold(|t| {
        roomy(t);
        t.split = Some(Split {
            window_minutes: 30,
            sum: None,
            count: Some(4),
        });
    })
}

fn raised(records: &[Record], sort: ExceptionSort) -> Vec<String> {
    let texts = records.iter().filter_map(|r| match &r.body {
        Body::ExceptionRaised(b) if b.sort == sort => Some(b.text.clone()),
        _ => None,
    });
    texts.collect()
}

fn route(records: &[Record]) -> &'static str {
    let verdict = records.iter().find_map(|r| match &r.body {
        Body::VerdictReached(v) => Some(v.route.word()),
        _ => None,
    });
    verdict.unwrap()
}

#[test]
fn parts_of_a_whole_go_to_a_human_and_are_named() {
    let mut w = watchful();
    for id in ["c1", "c2"] {
        assert_eq!(route(&w.judged(id, 50)), "threshold");
    }
    // Executed or only reserved, it counts.
    w.must("exe", w.use_grant("c1", 50));
    w.must(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
    );
    let third = w.judged("c3", 1);
    assert_eq!(route(&third), "approval");
    let told = raised(&third, ExceptionSort::SplitSuspected);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`c1`, `c2`"), "{}", told[0]);
    assert!(told[0].contains("101"), "{}", told[0]);
    // The third, which waits for a human, counts as well.
    let fourth = w.judged("c4", 1);
    let told = raised(&fourth, ExceptionSort::SplitSuspected);
    assert!(told[0].contains("`c3`"), "{}", told[0]);
    // Beyond the window nothing of it counts, and nothing of it is kept.
    w.clock += 31 * MINUTE;
    assert_eq!(route(&w.judged("c5", 100)), "threshold");
    assert_eq!(w.state.thresholds[&name("small")].asked.len(), 1);
}

#[test]
fn what_was_only_asked_for_counts_until_it_comes_to_nothing() {
    let mut w = watchful();
    let first = w.judged_as("c1", 90, Stance::Proceed, Stance::Refer);
    assert_eq!(route(&first), "approval");
    let second = w.judged("c2", 20);
    assert_eq!(route(&second), "approval");
    assert!(raised(&second, ExceptionSort::SplitSuspected)[0].contains("`c1`"));
    for id in ["c1", "c2"] {
        let no = sign(w.approval(id, "bob", Choice::Reject), "bob");
        w.must("bob", Request::Approve(no));
    }
    assert_eq!(route(&w.judged("c3", 20)), "threshold");
}

#[test]
fn many_small_parts_are_found_by_their_number() {
    let mut w = watchful();
    for id in ["c1", "c2", "c3", "c4"] {
        assert_eq!(route(&w.judged(id, 1)), "threshold");
    }
    let fifth = w.judged("c5", 1);
    assert_eq!(route(&fifth), "approval");
    assert!(raised(&fifth, ExceptionSort::SplitSuspected)[0].contains("over 4 actions"));
}

#[test]
fn without_a_split_rule_nothing_is_counted() {
    let mut w = World::with_threshold(roomy);
    for id in ["c1", "c2", "c3"] {
        assert_eq!(route(&w.judged(id, 90)), "threshold");
    }
    assert!(w.state.thresholds[&name("small")].asked.is_empty());
}

#[test]
fn a_cap_that_comes_near_is_told_once_in_its_window() {
    let mut w = World::with_threshold(|t| {
        roomy(t);
        t.near_percent = 60;
        t.caps.all.count = 5;
    });
    let mut told = Vec::new();
    for n in 1..=5 {
        let verdict = w.judged(&format!("c{n}"), 1);
        told.push(raised(&verdict, ExceptionSort::ThresholdNear).len());
    }
    // 3 of 5 is 60 percent.
    assert_eq!(told, [0, 0, 1, 0, 0]);
    w.clock += 61 * MINUTE;
    for n in 6..=8 {
        let verdict = w.judged(&format!("c{n}"), 1);
        told.push(raised(&verdict, ExceptionSort::ThresholdNear).len());
    }
    assert_eq!(told[5..], [0, 0, 1]);
    // By sum and per key as well.
    let mut w = World::with_threshold(|t| {
        roomy(t);
        t.near_percent = 90;
        t.caps.per_key.as_mut().unwrap().sum = Some(150);
    });
    assert!(raised(&w.judged("c1", 80), ExceptionSort::ThresholdNear).is_empty());
    let text = raised(&w.judged("c2", 60), ExceptionSort::ThresholdNear);
    assert!(text[0].contains("140 of 150 for `v1`"), "{text:?}");
}

#[test]
fn the_end_of_a_threshold_is_told_once_ahead_of_it() {
    let mut w = World::with_threshold(|t| t.warn_days = Some(2));
    let expires = w.rules.thresholds[0].0.expires;
    let note = || {
        Request::NoteEnding(NoteEnding {
            environment: name("staging"),
            threshold: name("small"),
        })
    };
    let due = |w: &World| duty::ending(&w.state, &w.rules, Time::from_millis(w.clock));
    w.clock = expires.millis() - 2 * DAY - 1;
    assert!(due(&w).is_empty());
    w.refused("engine", note(), Code::WrongState);
    w.clock = expires.millis() - 2 * DAY;
    assert_eq!(due(&w), [name("small")]);
    w.refused("bob", note(), Code::NotYourDuty);
    let told = w.must("engine", note());
    assert_eq!(kinds(&told), ["threshold.ending", "exception.raised"]);
    assert!(due(&w).is_empty());
    w.refused("engine", note(), Code::WrongState);
    // It belongs to no case, and is triaged all the same.
    let exception = w.state.exceptions.keys().next().unwrap().clone();
    assert_eq!(exception.case(), None);
    let statement = TriageStatement {
        statement: TriageStatement::TYPE.to_owned(),
        log: crate::world::ORIGIN.to_owned(),
        exception,
        finding: "to be signed anew".to_owned(),
        signer: name("carla"),
        credential: name("carla-1"),
    };
    w.must("carla", Request::Triage(sign(statement, "carla")));
    assert!(w.state.exceptions.is_empty());
}

#[test]
fn an_unsigned_threshold_has_no_end_worth_telling() {
    let mut w = World::bare();
    w.clock = w.rules.thresholds[0].0.expires.millis();
    assert!(duty::ending(&w.state, &w.rules, Time::from_millis(w.clock)).is_empty());
}

#[test]
fn a_threshold_stays_signed_as_long_as_its_credentials_do() {
    let mut w = World::new();
    assert_eq!(route(&w.judged("c1", 50)), "threshold");
    let revoke = RevokeCredential {
        credential: name("carla-1"),
        reason: "lost".to_owned(),
    };
    w.must("admin", Request::RevokeCredential(revoke));
    // Neither what comes, nor what was granted and not used.
    w.refused("exe", w.use_grant("c1", 50), Code::ThresholdClosed);
    let verdict = w.judged("c2", 20);
    assert_eq!(route(&verdict), "approval");
    let said = serde_json::to_string(&verdict.iter().map(|r| &r.body).collect::<Vec<_>>());
    assert!(
        said.unwrap()
            .contains("`carla-1`, with which `carla` signed, was revoked")
    );
}

#[test]
fn headroom_is_what_the_caps_leave() {
    let mut w = World::new();
    w.judged("c1", 50);
    w.judged("c2", 40);
    w.must("exe", w.use_grant("c1", 50));
    let look = |w: &World| {
        let (threshold, digest) = &w.rules.thresholds[0];
        let now = Time::from_millis(w.clock);
        headroom(
            &w.state,
            &w.rules,
            (threshold, *digest),
            &name("staging"),
            now,
        )
    };
    let h = look(&w);
    assert_eq!(h.why_not, None);
    assert_eq!(h.signatures.len(), 2);
    let (count, sum) = (h.all.count, h.all.sum.unwrap());
    assert_eq!((count.used, count.reserved, count.left), (1, 1, 1));
    assert_eq!((sum.used, sum.reserved, sum.left), (50, 40, 160));
    let key = h.keys["v1"];
    assert_eq!((key.count.left, key.sum.unwrap().left), (0, 60));
    assert!(key.near && !h.all.near);
    // Another environment counts by itself, and windows pass.
    let (threshold, digest) = &w.rules.thresholds[0];
    let now = Time::from_millis(w.clock);
    let dev = headroom(&w.state, &w.rules, (threshold, *digest), &name("dev"), now);
    assert_eq!(dev.all.count.left, 3);
    w.clock += 61 * MINUTE;
    assert_eq!(look(&w).all.sum.unwrap().left, 250);
    assert!(look(&w).keys.is_empty());
}

#[test]
fn a_count_alone_is_capped_exactly() {
    let mut w = World::with_threshold(counting);
    // Whatever its argument is: nothing of it is summed.
    for (n, cents) in [1, 99, 77].into_iter().enumerate() {
        let records = w.judged(&format!("c{n}"), cents);
        assert_eq!(route(&records), "threshold");
        let applied = records.iter().find_map(|r| match &r.body {
            Body::ThresholdApplied(b) => Some(b.clone()),
            _ => None,
        });
        let applied = applied.unwrap();
        assert_eq!(
            (applied.amount, applied.key, applied.unit),
            (None, None, None)
        );
        assert_eq!(applied.used.all_count as usize, n + 1);
        assert_eq!((applied.used.all_sum, applied.used.key_count), (None, None));
    }
    let records = w.judged("c3", 1);
    assert_eq!(route(&records), "approval");
    let full = raised(&records, ExceptionSort::ThresholdFull);
    assert!(
        full[0].contains("3 actions within 60 minutes has no room: this would make 4"),
        "{full:?}"
    );
    let (threshold, digest) = &w.rules.thresholds[0];
    let h = headroom(
        &w.state,
        &w.rules,
        (threshold, *digest),
        &name("staging"),
        Time::from_millis(w.clock),
    );
    assert_eq!(
        (h.all.count.left, h.all.count.reserved, h.all.sum),
        (0, 3, None)
    );
    assert!(h.keys.is_empty() && h.all.near);
    w.clock += 61 * MINUTE;
    assert_eq!(route(&w.judged("c4", 1)), "threshold");
}

#[test]
fn splitting_is_found_by_count_alone() {
    let mut w = World::with_threshold(|t| {
        counting(t);
        t.caps.all.count = 50;
        t.split = Some(Split {
            window_minutes: 30,
            sum: None,
            count: Some(2),
        });
    });
    assert_eq!(route(&w.judged("c1", 1)), "threshold");
    assert_eq!(route(&w.judged("c2", 1)), "threshold");
    let third = w.judged("c3", 1);
    assert_eq!(route(&third), "approval");
    let text = raised(&third, ExceptionSort::SplitSuspected);
    assert!(
        text[0].contains("it comes to 3 actions, over 2 actions"),
        "{text:?}"
    );
}

#[test]
fn fractions_are_summed_exactly() {
    let mut w = World::with_threshold(fractional);
    let cents = |n: f64| serde_json::Value::from(n);
    let mut judge = |id: &str, value: serde_json::Value| {
        w.open(id);
        w.read(id, "ana", "");
        let mut records = Vec::new();
        for (agent, duty) in [("ana", Duty::Prepare), ("rev", Duty::Review)] {
            w.retrieve(id, agent);
            let mut made = w.recommendation(id, duty, Stance::Proceed, 1);
            let action = made.action.as_mut().unwrap();
            action.arguments.insert("cents".to_owned(), value.clone());
            records = w.must(agent, Request::Recommend(made));
        }
        (route(&records), records)
    };
    assert_eq!(judge("over", cents(99.5001)).0, "approval");
    assert_eq!(judge("fine", cents(99.5)).0, "threshold");
    assert_eq!(judge("digits", cents(0.000_01)).0, "approval");
    assert_eq!(judge("minus", cents(-0.5)).0, "approval");
    assert_eq!(judge("none", 0.into()).0, "approval");
    assert_eq!(judge("more", cents(66.3)).0, "threshold");
    assert_eq!(judge("rest", cents(34.2)).0, "threshold");
    let (went, records) = judge("last", cents(0.0001));
    assert_eq!(went, "approval");
    let full = raised(&records, ExceptionSort::ThresholdFull);
    assert!(
        full[0].contains(
            "100 actions and 200 within 60 minutes has no room: this would make 4 and 200.0001"
        ),
        "{full:?}"
    );
}

#[test]
fn a_sum_without_a_limit_or_a_limit_without_a_sum_covers_nothing() {
    let broken: [fn(&mut Threshold); 6] = [
        |t| t.single_limit = None,
        |t| t.sum_field = None,
        |t| t.caps.all.sum = None,
        |t| t.caps.per_key.as_mut().unwrap().sum = None,
        |t| t.caps.per_key = None,
        |t| t.key_field = None,
    ];
    for (n, change) in broken.into_iter().enumerate() {
        let mut w = World::with_threshold(change);
        assert_eq!(route(&w.judged("c1", 1)), "approval", "{n}");
    }
    let mut w = World::with_threshold(|_| {});
    assert_eq!(route(&w.judged("c1", 1)), "threshold");
}

/// What is signed is all of it: the unit, and that nothing is summed, are in the digest.
#[test]
fn each_part_of_a_threshold_is_in_what_is_signed() {
    let digest = |change: fn(&mut Threshold)| World::with_threshold(change).rules.thresholds[0].1;
    let all = [
        digest(|_| {}),
        digest(roomy),
        digest(counting),
        digest(fractional),
        digest(|t| t.unit = Some(Unit::TenThousandths)),
        digest(|t| t.sum_field = None),
        digest(|t| t.key_field = None),
        digest(|t| t.single_limit = None),
        digest(|t| t.caps.per_key = None),
        digest(|t| t.caps.all.sum = None),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}
