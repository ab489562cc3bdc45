//! Approval fatigue: what people can have read, how much a person signs, and how much an agent asks of them.

use duty::{
    record::{Body, CaseOutcome, ExceptionSort, Record},
    refusal::Code,
    release::{Attention, Pace, Tier},
    request::{Request, Stance},
    statement::{ApprovalStatement, Choice},
    time::Time,
};

use crate::world::{World, kinds, name, sign};

/// Seconds that a high risk has to be read; an elevated one too, and there a hasty yes counts.
const SECONDS: u32 = 30;

fn world(attention: Option<(Option<u32>, Option<u32>)>) -> World {
    let mut w = World::new();
    for (tier, refuse) in [(Tier::High, true), (Tier::Elevated, false)] {
        let quorum = w.rules.team.approval.get_mut(&tier).unwrap();
        quorum.pace = Some(Pace {
            seconds: SECONDS,
            refuse,
        });
    }
    w.rules.team.attention = attention.map(|(max_per_hour, max_waiting)| Attention {
        max_per_hour,
        max_waiting,
        clause: "P-2".to_owned(),
    });
    w
}

fn seconds(w: &mut World, n: i64) {
    w.clock += n * 1_000;
}

fn raised(records: &[Record], sort: ExceptionSort) -> bool {
    records
        .iter()
        .any(|r| matches!(&r.body, Body::ExceptionRaised(b) if b.sort == sort))
}

#[test]
fn a_yes_that_cannot_have_been_read_is_refused() {
    let mut w = world(None);
    w.judged("c1", 5_000);
    assert_eq!(w.stands_against("c1", "bob"), Some(Code::TooSoon));
    w.refused("bob", w.approve("c1", "bob"), Code::TooSoon);
    // The refusal says from when on it passes, and that is exact: a second has gone by with each request.
    seconds(&mut w, i64::from(SECONDS) - 3);
    w.refused("bob", w.approve("c1", "bob"), Code::TooSoon);
    w.must("bob", w.approve("c1", "bob"));
    assert_eq!(w.stands_against("c1", "gus"), None);
    w.must("gus", w.approve("c1", "gus"));
    w.must("exe", w.use_grant("c1", 5_000));
}

#[test]
fn a_yes_that_was_signed_too_soon_does_not_ripen() {
    let mut w = world(None);
    w.judged("c1", 5_000);
    let hasty = w.approve("c1", "bob");
    w.refused("bob", hasty.clone(), Code::TooSoon);
    seconds(&mut w, 600);
    w.refused("bob", hasty, Code::TooSoon);
    w.must("bob", w.approve("c1", "bob"));
}

#[test]
fn the_time_of_a_signature_lies_between_the_request_and_now() {
    let mut w = world(None);
    seconds(&mut w, 600);
    w.judged("c1", 5_000);
    let asked = w.state.cases[&name("c1")].approval.as_ref().unwrap().asked;
    seconds(&mut w, 600);
    let at = |w: &World, signed| {
        let yes = w.approval("c1", "bob", Choice::Approve);
        Request::Approve(sign(ApprovalStatement { signed, ..yes }, "bob"))
    };
    // Clocks may be a minute apart.
    w.refused("bob", at(&w, asked.minus_seconds(61)), Code::WrongBinding);
    let ahead = w.clock + 60_001;
    w.refused("bob", at(&w, Time::from_millis(ahead)), Code::WrongBinding);
    let ahead = w.clock + 60_000;
    w.must("bob", at(&w, Time::from_millis(ahead)));
}

#[test]
fn the_second_of_two_old_requests_needs_its_own_time() {
    let mut w = world(None);
    for case in ["c1", "c2"] {
        w.judged(case, 5_000);
    }
    seconds(&mut w, 600);
    w.must("bob", w.approve("c1", "bob"));
    w.refused("bob", w.approve("c2", "bob"), Code::TooSoon);
    // Another person's time is their own.
    w.must("gus", w.approve("c2", "gus"));
    seconds(&mut w, i64::from(SECONDS));
    w.must("bob", w.approve("c2", "bob"));
}

#[test]
fn a_no_is_taken_at_once_and_counts_as_a_signature() {
    let mut w = world(None);
    for case in ["c1", "c2"] {
        w.judged(case, 5_000);
    }
    seconds(&mut w, 600);
    let no = |w: &World, case: &str| {
        Request::Approve(sign(w.approval(case, "bob", Choice::Reject), "bob"))
    };
    w.must("bob", no(&w, "c1"));
    w.refused("bob", w.approve("c2", "bob"), Code::TooSoon);
    w.must("bob", no(&w, "c2"));
    assert_eq!(w.state.closed[&name("c2")], CaseOutcome::Rejected);
}

#[test]
fn where_the_release_takes_a_hasty_yes_it_is_an_exception() {
    let mut w = world(None);
    w.judged("c1", 500);
    assert_eq!(w.stands_against("c1", "bob"), None);
    let records = w.must("bob", w.approve("c1", "bob"));
    assert!(
        raised(&records, ExceptionSort::HastyApproval),
        "{:?}",
        kinds(&records)
    );
    w.must("exe", w.use_grant("c1", 500));
    w.judged("c2", 500);
    seconds(&mut w, i64::from(SECONDS));
    let records = w.must("bob", w.approve("c2", "bob"));
    assert!(!raised(&records, ExceptionSort::HastyApproval));
}

#[test]
fn a_flood_does_not_go_through_one_person() {
    let mut w = world(Some((Some(3), None)));
    for n in 0..5 {
        w.judged(&format!("c{n}"), 500);
    }
    seconds(&mut w, 300);
    for n in 0..3 {
        w.must("bob", w.approve(&format!("c{n}"), "bob"));
        seconds(&mut w, 60);
    }
    assert_eq!(w.stands_against("c3", "bob"), Some(Code::TooMany));
    w.refused("bob", w.approve("c3", "bob"), Code::TooMany);
    // Somebody else may; and the person again when the first of the three is an hour old.
    w.must("gus", w.approve("c3", "gus"));
    w.judged("late", 500);
    let first = w.state.principals[&name("bob")].signed[0];
    w.clock = first.plus_seconds(3_600).millis() - 1_000;
    w.refused("bob", w.approve("late", "bob"), Code::TooMany);
    w.clock = first.plus_seconds(3_600).millis();
    w.must("bob", w.approve("late", "bob"));
    // No more is remembered than the hour.
    assert_eq!(w.state.principals[&name("bob")].signed.len(), 3);
}

#[test]
fn what_no_release_asks_for_is_not_remembered() {
    let mut w = World::new();
    w.judged("c1", 500);
    w.must("bob", w.approve("c1", "bob"));
    assert!(w.state.principals[&name("bob")].signed.is_empty());
}

#[test]
fn an_agent_cannot_bury_people_in_requests() {
    let mut w = world(Some((None, Some(2))));
    for case in ["c1", "c2"] {
        assert!(kinds(&w.judged(case, 500)).contains(&"approval.requested"));
    }
    let records = w.judged("c3", 500);
    assert!(raised(&records, ExceptionSort::ApprovalFlood));
    assert!(!kinds(&records).contains(&"approval.requested"));
    assert_eq!(w.state.closed[&name("c3")], CaseOutcome::Refused);
    // What a threshold covers, and what the agents refuse, asks nothing of anybody.
    assert!(kinds(&w.judged("c4", 50)).contains(&"grant.issued"));
    let records = w.judged_as("c5", 500, Stance::Refuse, Stance::Refuse);
    assert!(!raised(&records, ExceptionSort::ApprovalFlood));
    // With one decided, and with one expired, there is room again.
    seconds(&mut w, 60);
    w.must("bob", w.approve("c1", "bob"));
    assert!(kinds(&w.judged("c6", 500)).contains(&"approval.requested"));
    assert!(raised(&w.judged("c7", 500), ExceptionSort::ApprovalFlood));
    seconds(&mut w, 3_600);
    for case in ["c2", "c6"] {
        let expire = duty::request::Expire { case: name(case) };
        w.must("engine", Request::Expire(expire));
    }
    assert!(w.state.waiting.is_empty());
    assert!(kinds(&w.judged("c8", 500)).contains(&"approval.requested"));
}
