//! Thresholds: parts of a whole are found, what comes near its edge is told once, and a signature lasts as long as its key.

use crate::world::{World, kinds, name, sign};
use duty::{
    headroom,
    record::{Body, ExceptionSort, Record},
    refusal::Code,
    release::{Cap, Split, Threshold},
    request::{FoundBy, NoteEnding, Outcome, Request, RevokeCredential, Stance},
    statement::{Choice, TriageStatement},
    time::Time,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn roomy(t: &mut Threshold) {
    for cap in [&mut t.caps.all, &mut t.caps.per_key] {
        *cap = Cap {
            window_minutes: 60,
            count: 100,
            sum: 100_000,
        };
    }
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
        t.caps.per_key.sum = 150;
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
    let (count, sum) = (h.all.count, h.all.sum);
    assert_eq!((count.used, count.reserved, count.left), (1, 1, 1));
    assert_eq!((sum.used, sum.reserved, sum.left), (50, 40, 160));
    let key = h.keys["v1"];
    assert_eq!((key.count.left, key.sum.left), (0, 60));
    assert!(key.near && !h.all.near);
    // Another environment counts by itself, and windows pass.
    let (threshold, digest) = &w.rules.thresholds[0];
    let now = Time::from_millis(w.clock);
    let dev = headroom(&w.state, &w.rules, (threshold, *digest), &name("dev"), now);
    assert_eq!(dev.all.count.left, 3);
    w.clock += 61 * MINUTE;
    assert_eq!(look(&w).all.sum.left, 250);
    assert!(look(&w).keys.is_empty());
}
