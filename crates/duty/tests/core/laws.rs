//! Laws over random histories: deciding is deterministic, folding the log gives the state, a slice decides as the whole
//! does (asserted at every step by the world), and the invariants hold over all records.

use std::collections::BTreeSet;

use crate::{
    approvals::{stage, withdrawal},
    delegations::{delegate, end, yes_for},
    world::{World, name, sign, subject},
};
use duty::{
    decide,
    name::{CaseId, ItemId, PrincipalId},
    principal::Duty,
    quorum::Order,
    record::{Basis, Body, Record},
    release::{Rules, Tier},
    release_for,
    request::{Expire, FoundBy, NoteWaiting, Outcome, Request, Stance, Submission},
    state::State,
    statement::Choice,
};
use proptest::prelude::*;

const PEOPLE: [&str; 5] = ["bob", "gus", "hal", "olivia", "carla"];
const AGENTS: [&str; 3] = ["ana", "rev", "exe"];
const CENTS: [i64; 6] = [1, 70, 99, 500, 5_000, 200_000];

/// One move of a random player, sensible or not.
#[derive(Clone, Debug)]
struct Move {
    case: u8,
    what: u8,
    who: usize,
    cents: usize,
    wait: i64,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (
        0..4_u8,
        0..25_u8,
        0..5_usize,
        0..6_usize,
        prop_oneof![9 => 0..5_000_i64, 1 => 0..4_000_000_i64],
    );
    let one = one.prop_map(|(case, what, who, cents, wait)| Move {
        case,
        what,
        who,
        cents,
        wait,
    });
    prop::collection::vec(one, 1..60)
}

fn play(w: &mut World, m: &Move) {
    w.clock += m.wait;
    let id = format!("c{}", m.case);
    let case = w.state.cases.get(&name::<CaseId>(&id)).cloned();
    let cents = CENTS[m.cents];
    let (person, agent) = (PEOPLE[m.who], AGENTS[m.who % 3]);
    let request = match (m.what, &case) {
        (0, None) => {
            let stance = [Stance::Proceed, Stance::Refuse, Stance::Refer][m.who % 3];
            if !w.state.closed.contains_key(&name(&id)) {
                w.judged_as(&id, cents, Stance::Proceed, stance);
            }
            return;
        }
        (1..=4, None) if !w.state.closed.contains_key(&name(&id)) => {
            w.judged(&id, cents);
            return;
        }
        (5..=6, Some(case)) if case.approval.is_some() => w.approve(&id, person),
        (7, Some(case)) if case.approval.is_some() => {
            Request::Approve(sign(w.approval(&id, person, Choice::Reject), person))
        }
        (8, Some(case)) => {
            let cents = case
                .action()
                .and_then(|a| a.integer("cents"))
                .unwrap_or(cents);
            let mut request = w.use_grant(&id, cents);
            if let (Request::UseGrant(using), Some(grant)) = (&mut request, &case.grant) {
                using.grant = grant.id.clone();
            }
            w.ask("exe", request);
            return;
        }
        (9, Some(_)) => {
            let outcome = [Outcome::Succeeded, Outcome::Failed, Outcome::Unknown][m.who % 3];
            let found_by = [FoundBy::Answer, FoundBy::Lookup, FoundBy::Recovery][m.cents % 3];
            let request = w.outcome(&id, outcome, found_by);
            w.ask("engine", request);
            return;
        }
        (12, _) => w.hold(&id, PEOPLE[m.cents % 5]),
        (13, _) => {
            let holds = w.state.holds.get(&subject(&id));
            let hold = holds.and_then(|h| h.keys().next().copied()).unwrap_or(0);
            w.lift(&id, hold, person)
        }
        (14 | 15, _) => w.erase(&id, person),
        (16 | 17, _) => w.confirm(&id, person),
        (18 | 19, Some(case)) if case.approval.is_some() => withdrawal(w, &id, person),
        (20, _) => delegate(w, person, PEOPLE[m.cents % 5]),
        (21 | 22, Some(case)) if case.approval.is_some() => {
            yes_for(w, &id, person, PEOPLE[m.cents % 5])
        }
        (23, _) => {
            let made = w.state.delegations.keys().nth(m.cents);
            end(made.copied().unwrap_or(0), person)
        }
        (24, _) => {
            let approval = name(&format!("{id}.a1"));
            w.ask("engine", Request::NoteWaiting(NoteWaiting { approval }));
            return;
        }
        (10, _) => {
            w.ask("engine", Request::Expire(Expire { case: name(&id) }));
            return;
        }
        _ => {
            let request =
                Request::Recommend(w.recommendation(&id, Duty::Review, Stance::Proceed, cents));
            w.ask(agent, request);
            return;
        }
    };
    w.ask(person, request);
}

/// Splits a log into decisions.
fn groups(records: &[Record]) -> Vec<&[Record]> {
    records.chunk_by(|_, next| next.cause.is_some()).collect()
}

fn reperform(w: &World) {
    let mut state = State::default();
    for group in groups(&w.records) {
        let first = &group[0];
        let clock = match &first.body {
            Body::RequestRefused(b) => b.clock.unwrap_or(first.time),
            _ => first.time,
        };
        let submission = Submission {
            clock,
            principal: first.actor.id.clone(),
            credential: first.actor.credential.clone(),
            request: first.body.request().unwrap().clone(),
        };
        let rules: Option<&dyn Rules> = Some(&w.rules);
        let rules = rules.filter(|r| Some(r.digest()) == release_for(&state, &submission.request));
        let again = decide(&state, rules, &submission);
        assert_eq!(again.records, group);
        for record in group {
            state.apply(record).unwrap();
        }
    }
    assert_eq!(state, w.state, "the fold of the log is the state");
}

/// A state that is written down anywhere and read again comes to the same as the whole history, and has one form.
fn resumes(w: &World, at: usize) {
    let (before, after) = w.records.split_at(at % (w.records.len() + 1));
    let fold = |mut state: State, records: &[Record]| {
        for record in records {
            state.apply(record).unwrap();
        }
        state
    };
    let there = fold(State::default(), before);
    let bytes = serde_json::to_vec(&there).unwrap();
    let read: State = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read, there);
    assert_eq!(serde_json::to_vec(&read).unwrap(), bytes);
    let resumed = fold(read, after);
    assert_eq!(resumed, w.state);
    assert_eq!(
        serde_json::to_vec(&resumed).unwrap(),
        serde_json::to_vec(&fold(State::default(), &w.records)).unwrap()
    );
}

/// What the state of one history looks like when it is written down. A change here is a change of [`duty::CORE`].
#[test]
fn the_form_of_a_written_state_changes_with_its_version_alone() {
    let mut w = World::new();
    for id in ["c0", "c1", "c2"] {
        w.judged(id, 50);
    }
    w.must("exe", w.use_grant("c0", 50));
    w.must(
        "engine",
        w.outcome("c0", Outcome::Succeeded, FoundBy::Answer),
    );
    w.ask("hal", w.hold("c0", "hal"));
    w.open("c3");
    // From their bytes, as starts read them: maps of arguments are then in canonical order, however JSON maps are built.
    let mut state = State::default();
    for record in &w.records {
        let read = Record::from_bytes(&record.to_bytes().unwrap()).unwrap();
        state.apply(&read).unwrap();
    }
    let bytes = serde_json::to_vec(&state).unwrap();
    let digest = duty::canonical::Digest::of_bytes(&bytes).to_string();
    assert_eq!(
        (duty::CORE, digest.as_str()),
        (
            "0.1.0 state 5",
            "327eb65ba4ecf5126c9e3977b6b7c75954e6e4a45116bf085842baa8d336dd59"
        ),
        "the state is written otherwise: raise the number in `duty::CORE`, unless this test's own history changed"
    );
}

/// I1 to I5 over the whole population of records.
fn invariants(w: &World) {
    let mut granted = BTreeSet::new();
    let mut used = BTreeSet::new();
    // Who stands behind each request, with whoever they signed for.
    let mut signed: std::collections::BTreeMap<ItemId, Vec<BTreeSet<PrincipalId>>> =
        Default::default();
    let mut voided = BTreeSet::new();
    for record in &w.records {
        match &record.body {
            Body::ApprovalGiven(b) => {
                let Request::Approve(request) = &b.request else {
                    unreachable!()
                };
                let s = &request.statement;
                let people: BTreeSet<_> = [&s.signer]
                    .into_iter()
                    .chain(&s.on_behalf)
                    .cloned()
                    .collect();
                for who in &people {
                    let owner = ["olivia", "rashid", "ines"].contains(&who.as_str());
                    assert!(!owner, "an owner approved");
                }
                if s.decision == Choice::Approve {
                    let before = signed.entry(s.approval.clone()).or_default();
                    let again = before.iter().any(|b| !b.is_disjoint(&people));
                    assert!(!again, "one person counts twice");
                    before.push(people);
                }
            }
            Body::ApprovalWithdrawn(b) => {
                let Request::Withdraw(request) = &b.request else {
                    unreachable!()
                };
                let s = &request.statement;
                let before = signed.get_mut(&s.approval).unwrap();
                before.retain(|people| !people.contains(&s.signer));
            }
            Body::GrantVoided(b) => {
                assert!(granted.contains(&b.grant) && !used.contains(&b.grant));
                voided.insert(b.grant.clone());
            }
            Body::ApprovalRequested(b) => assert!(b.humans >= 1),
            Body::GrantIssued(b) => {
                assert!(granted.insert(b.grant.clone()), "a second grant");
                if let Basis::Approval { approval, signers } = &b.basis {
                    let behind = &signed[approval];
                    assert_eq!(signers.len(), behind.len());
                    for who in signers {
                        assert_eq!(behind.iter().filter(|b| b.contains(who)).count(), 1);
                    }
                }
            }
            Body::GrantUsed(b) => {
                let Request::UseGrant(request) = &b.request else {
                    unreachable!()
                };
                assert!(granted.contains(&request.grant), "used without a grant");
                assert!(!voided.contains(&request.grant), "used although void");
                assert!(used.insert(request.grant.clone()), "used twice");
                assert_eq!(request.action.digest().unwrap(), b.digest);
            }
            Body::ThresholdApplied(b) => {
                assert!(b.used.all_count <= 3 && b.used.all_sum.unwrap() <= 250);
                assert!(b.used.key_count.unwrap() <= 2 && b.used.key_sum.unwrap() <= 150);
            }
            _ => {}
        }
    }
    for case in w.state.cases.values() {
        let mut people = BTreeSet::new();
        for (duty, principal) in &case.parts {
            assert!(
                *duty == Duty::Approve || people.insert(principal),
                "one principal under two duties"
            );
        }
    }
}

/// What a threshold covers is no part of a larger whole: with all that counts in its window, of its key, it is within the
/// limit of the parts.
fn never_split(w: &World) {
    let (threshold, _) = &w.rules.thresholds[0];
    let Some(split) = threshold.split else { return };
    let (mut counted, mut gone) = (Vec::new(), BTreeSet::new());
    for record in &w.records {
        let since = record.time.minus_minutes(split.window_minutes);
        match &record.body {
            Body::VerdictReached(b) => {
                let own = b.counted.first();
                counted.extend(own.map(|c| (record.time, c.amount, record.case.clone())));
            }
            Body::CaseClosed(b) if b.outcome != duty::record::CaseOutcome::Executed => {
                gone.insert(record.case.clone());
            }
            Body::ThresholdApplied(_) => {
                let within = counted
                    .iter()
                    .filter(|(t, _, case)| *t > since && !gone.contains(case));
                let parts: Vec<_> = within.map(|(_, amount, _)| amount.unwrap()).collect();
                let whole: i64 = parts.iter().sum();
                let limit = threshold.most_of_parts().unwrap();
                assert!(
                    parts.len() == 1 || whole <= limit,
                    "{parts:?} are over {limit}"
                );
            }
            _ => {}
        }
    }
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Erasure takes two humans or the end of a retention, wins over no hold and no open work, and is for good.
fn erased_rightly(w: &World) {
    let mut state = State::default();
    for record in &w.records {
        match &record.body {
            Body::SubjectErased(b) => {
                let cases = &state.subjects[&b.subject];
                if b.by.is_empty() {
                    let days =
                        (record.time.millis() - cases.last.as_ref().unwrap().time.millis()) / DAY;
                    assert!(days >= 30, "kept for {days} days only");
                } else {
                    assert_eq!(b.by.len(), 2);
                    assert_ne!(b.by[0], b.by[1], "one person erased");
                }
                assert!(!state.holds.contains_key(&b.subject), "a hold was broken");
                assert!(cases.open == 0 && cases.ended > 0, "{cases:?}");
                assert!(!state.erased.contains_key(&b.subject), "erased twice");
            }
            Body::CaseOpened(_) => {
                let id = record.case.as_ref().unwrap();
                let subject = subject(id.as_str());
                assert!(!state.erased.contains_key(&subject), "opened after its end");
            }
            _ => {}
        }
        state.apply(record).unwrap();
        for (id, cases) in &state.subjects {
            let open = state.cases.keys().filter(|c| subject(c.as_str()) == *id);
            assert_eq!(open.count(), cases.open as usize);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn random_histories_keep_the_laws(moves in moves(), at in any::<usize>(), watch in any::<bool>()) {
        let mut w = World::with_threshold(|t| {
            t.split = watch.then_some(duty::release::Split { window_minutes: 30, sum: Some(120), count: None });
        });
        let quorum = w.rules.team.approval.get_mut(&Tier::High).unwrap();
        quorum.order = Order::Sequential;
        quorum.stages = vec![
            stage("first", 1, Default::default()),
            stage("second", 1, Default::default()),
        ];
        for quorum in w.rules.team.approval.values_mut() {
            quorum.remind_minutes = Some(5);
        }
        for m in &moves {
            play(&mut w, m);
        }
        reperform(&w);
        resumes(&w, at);
        invariants(&w);
        never_split(&w);
        erased_rightly(&w);
    }

    /// Cases that have ended, one that has not, and people who hold, lift, ask and confirm in any order.
    #[test]
    fn random_erasures_keep_the_laws(
        moves in prop::collection::vec((0..3_u8, 0..6_u8, 0..5_usize), 1..30),
        at in any::<usize>(),
    ) {
        let mut w = World::new();
        for id in ["c0", "c1"] {
            w.judged(id, 50);
            w.must("exe", w.use_grant(id, 50));
            w.must("engine", w.outcome(id, Outcome::Succeeded, FoundBy::Answer));
        }
        w.open("c2");
        for (case, what, who) in moves {
            let (id, person) = (format!("c{case}"), PEOPLE[who]);
            let holds = w.state.holds.get(&subject(&id));
            let hold = holds.and_then(|h| h.keys().next().copied()).unwrap_or(0);
            let request = match what {
                0 => w.hold(&id, person),
                1 => w.lift(&id, hold, person),
                2 => w.erase(&id, person),
                3 => w.confirm(&id, person),
                _ => {
                    w.clock += who as i64 * 8 * DAY;
                    w.ask("engine", w.end_retention(&id));
                    continue;
                }
            };
            w.ask(person, request);
        }
        reperform(&w);
        resumes(&w, at);
        erased_rightly(&w);
    }
}
