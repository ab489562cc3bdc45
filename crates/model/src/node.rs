//! A state with its history, what it is told apart by, and how it was reached.
//!
//! A state's key holds all that a decision of the alphabet can read: cases, what ended, exceptions, thresholds, environments, people
//! who changed, freezes, the clock, and the history beside it. Left out are the log's length and the numbers of records, which
//! decisions write down and none compares but with the record that they name, and what never changes after the beginning.

use std::{collections::BTreeMap, sync::Arc};

use duty::{
    name::{Environment, ItemId, PrincipalId, ThresholdId},
    record::CaseOutcome,
    shared::Shared,
    state::{Case, Delegation, Exception, Glass, Principal, State, Subject, ThresholdState},
    subject::SubjectId,
    time::Time,
};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    history::{History, Past},
    moves::{CASES, Move},
    world::name,
};

/// A state with its history, and how it was reached.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) state: State,
    pub(crate) history: History,
    pub(crate) moment: usize,
    pub(crate) path: Option<Arc<Step>>,
    pub(crate) depth: u32,
    /// For each case what it comes to, with its past.
    pub(crate) cases: [u128; CASES.len()],
}

pub(crate) type People = Shared<BTreeMap<PrincipalId, Shared<Principal>>>;

pub(crate) struct Step {
    pub(crate) before: Option<Arc<Step>>,
    /// None where time went on.
    pub(crate) made: Option<Arc<Move>>,
    /// The how manieth of what is tried at a state, from 1; 0 where time went on.
    pub(crate) number: u32,
}

#[derive(Serialize)]
struct Key<'s> {
    cases: [u128; CASES.len()],
    exceptions: &'s BTreeMap<ItemId, Exception>,
    thresholds: &'s BTreeMap<ThresholdId, ThresholdState>,
    environments: &'s BTreeMap<Environment, duty::canonical::Digest>,
    subjects: &'s BTreeMap<SubjectId, Subject>,
    changed: Vec<(&'s PrincipalId, &'s Shared<Principal>)>,
    glass: &'s BTreeMap<ItemId, Glass>,
    delegations: Vec<&'s Delegation>,
    frozen: usize,
    tested: usize,
    time: Time,
    moment: usize,
    history: &'s History,
}

impl Node {
    /// Looks at its cases again; what none has changed since `before` comes to what it came to there.
    pub(crate) fn look(&mut self, before: &Self, buffer: &mut Vec<u8>) {
        for (n, id) in CASES.iter().enumerate() {
            let (now, then) = (self.case(id), before.case(id));
            if !now.is(&then) {
                self.cases[n] = hash(buffer, &now);
            }
        }
    }

    fn case(&self, id: &str) -> OneCase<'_> {
        let past = self.history.past_of(id);
        let id = name(id);
        OneCase {
            case: self.state.cases.get(&id),
            closed: self.state.closed.get(&id),
            past,
        }
    }

    pub(crate) fn key(&self, began: &People, buffer: &mut Vec<u8>) -> u128 {
        let state = &self.state;
        let changed = state.principals.iter().filter(|(id, p)| {
            let before = began.get(*id);
            before.is_none_or(|before| !before.is(p))
        });
        let key = Key {
            cases: self.cases,
            exceptions: &state.exceptions,
            thresholds: &state.thresholds,
            environments: &state.environments,
            subjects: &state.subjects,
            changed: changed.collect(),
            glass: &state.glass,
            delegations: delegations(state),
            frozen: state.freezes.len(),
            tested: state.tested.len(),
            time: state.time,
            moment: self.moment,
            history: &self.history,
        };
        hash(buffer, &key)
    }
}

/// A case as it stands, or how it ended, and what came to pass in it; nothing before it opens.
#[derive(Serialize)]
struct OneCase<'n> {
    case: Option<&'n Shared<Case>>,
    closed: Option<&'n CaseOutcome>,
    past: Option<&'n Shared<Past>>,
}

impl OneCase<'_> {
    /// Whether nothing has changed between the two, as far as that is seen without looking inside.
    fn is(&self, other: &OneCase<'_>) -> bool {
        fn same<T>(a: Option<&Shared<T>>, b: Option<&Shared<T>>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => a.is(b),
                (a, b) => a.is_none() && b.is_none(),
            }
        }
        same(self.case, other.case) && self.closed == other.closed && same(self.past, other.past)
    }
}

fn hash(buffer: &mut Vec<u8>, value: &impl Serialize) -> u128 {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, value).expect("INVARIANT: a state can be written");
    xxh3_128(buffer)
}

/// Without the records that hold them, and in an order of their own.
fn delegations(state: &State) -> Vec<&Delegation> {
    let mut all: Vec<_> = state.delegations.values().collect();
    all.sort_by_key(|d| (&d.delegator, &d.deputy, d.ended));
    all
}

/// The way to a state, as numbers of what was tried.
pub(crate) fn numbers(path: Option<&Arc<Step>>) -> Vec<u32> {
    let back = std::iter::successors(path, |step| step.before.as_ref());
    let mut numbers: Vec<_> = back.map(|step| step.number).collect();
    numbers.reverse();
    numbers
}

/// The way to a state, in words.
pub(crate) fn way(path: Option<&Arc<Step>>, last: Option<&Move>) -> Vec<String> {
    let words = |made: &Move| {
        let behind = if made.behind {
            ", with the clock set back"
        } else {
            ""
        };
        let asked = &made.submission;
        let request = serde_json::to_string(&asked.request).unwrap_or_default();
        format!("{}{behind}: {request}", asked.principal)
    };
    let mut steps: Vec<String> = last.map(words).into_iter().collect();
    let mut at = path;
    while let Some(step) = at {
        steps.push(
            step.made
                .as_deref()
                .map_or_else(|| "time goes on".to_owned(), words),
        );
        at = step.before.as_ref();
    }
    steps.reverse();
    steps
}
