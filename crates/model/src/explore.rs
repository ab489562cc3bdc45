//! The exploration: every state that can be reached, each once, on all cores.
//!
//! Depth first, so that what waits stays small; what was seen is kept as 128-bit hashes. A state's key holds all that a
//! decision of the alphabet can read: cases, what ended, exceptions, thresholds, environments, who was revoked, freezes, the
//! clock, and the history beside it. Left out are the log's length and the numbers of records, which decisions write down
//! and none compares but with the record that they name, and what never changes after the beginning.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use duty::{
    decide,
    name::{CaseId, Environment, ItemId, PrincipalId, ThresholdId},
    record::CaseOutcome,
    release::Rules,
    request::{Request, Submission},
    state::{Case, Delegation, Exception, Glass, State, Subject, ThresholdState},
    subject::SubjectId,
    time::Time,
};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    history::{Broken, History},
    moves::{Bound, Move, moves},
    world::{World, credential, moment, name},
};

/// A state with its history, and how it was reached.
#[derive(Clone)]
struct Node {
    state: State,
    history: History,
    moment: usize,
    path: Option<Arc<Step>>,
    depth: u32,
}

struct Step {
    before: Option<Arc<Step>>,
    /// None where time went on.
    made: Option<Move>,
}

#[derive(Serialize)]
struct Key<'s> {
    cases: &'s BTreeMap<CaseId, Case>,
    closed: &'s BTreeMap<CaseId, CaseOutcome>,
    exceptions: &'s BTreeMap<ItemId, Exception>,
    thresholds: &'s BTreeMap<ThresholdId, ThresholdState>,
    environments: &'s BTreeMap<Environment, duty::canonical::Digest>,
    subjects: &'s BTreeMap<SubjectId, Subject>,
    revoked: Vec<&'s PrincipalId>,
    glass: &'s BTreeMap<ItemId, Glass>,
    delegations: Vec<&'s Delegation>,
    frozen: usize,
    tested: usize,
    time: Time,
    moment: usize,
    history: &'s History,
}

impl Node {
    fn key(&self, buffer: &mut Vec<u8>) -> u128 {
        buffer.clear();
        let state = &self.state;
        let revoked = state.principals.iter().filter(|(_, p)| p.revoked);
        let key = Key {
            cases: &state.cases,
            closed: &state.closed,
            exceptions: &state.exceptions,
            thresholds: &state.thresholds,
            environments: &state.environments,
            subjects: &state.subjects,
            revoked: revoked.map(|(id, _)| id).collect(),
            glass: &state.glass,
            delegations: delegations(state),
            frozen: state.freezes.len(),
            tested: state.tested.len(),
            time: state.time,
            moment: self.moment,
            history: &self.history,
        };
        serde_json::to_writer(&mut *buffer, &key).expect("INVARIANT: a state can be written");
        xxh3_128(buffer)
    }
}

/// Without the records that hold them, and in an order of their own.
fn delegations(state: &State) -> Vec<&Delegation> {
    let mut all: Vec<_> = state.delegations.values().collect();
    all.sort_by_key(|d| (&d.delegator, &d.deputy, d.ended));
    all
}

/// A hash is its own hash.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        let mut low = [0; 8];
        let n = bytes.len().min(8);
        low[..n].copy_from_slice(&bytes[..n]);
        self.0 ^= u64::from_le_bytes(low);
    }
}

type Seen = HashSet<u128, BuildHasherDefault<Own>>;

const SHARDS: usize = 64;

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) states: u64,
    pub(crate) transitions: u64,
    pub(crate) decisions: u64,
    pub(crate) depth: u32,
    /// Refusals by code.
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

/// A law broken, with the way there.
pub(crate) struct Found {
    pub(crate) broken: Broken,
    pub(crate) steps: Vec<String>,
}

/// What came of it.
pub(crate) struct Explored {
    pub(crate) counts: Counts,
    pub(crate) found: Option<Found>,
    /// Whether nothing was left.
    pub(crate) whole: bool,
}

struct Shared<'w> {
    world: &'w World,
    bound: &'w Bound,
    most: u64,
    seen: Vec<Mutex<Seen>>,
    states: AtomicU64,
    pool: Mutex<Vec<Node>>,
    news: Condvar,
    idle: AtomicUsize,
    workers: usize,
    over: AtomicBool,
    cut: AtomicBool,
    found: Mutex<Option<Found>>,
    counts: Mutex<Counts>,
}

/// Explores the world up to its bound, or up to so many states.
pub(crate) fn explore(world: &World, bound: &Bound, most: u64, workers: usize) -> Explored {
    let mut state = world.begin();
    if !bound.signatures {
        for who in ["carla", "dmitri"] {
            let request = crate::world::threshold_signature(world, who);
            let submission = submission(&state, 0, who, request, false);
            let decision = decide(&state, None, &submission);
            for record in &decision.records {
                state
                    .apply(record)
                    .expect("INVARIANT: the core's own records follow");
            }
        }
    }
    let root = Node {
        state,
        history: History::begin(!bound.signatures),
        moment: 0,
        path: None,
        depth: 0,
    };
    let shared = Shared {
        world,
        bound,
        most,
        seen: (0..SHARDS).map(|_| Mutex::default()).collect(),
        states: AtomicU64::new(0),
        pool: Mutex::new(vec![root]),
        news: Condvar::new(),
        idle: AtomicUsize::new(0),
        workers,
        over: AtomicBool::new(false),
        cut: AtomicBool::new(false),
        found: Mutex::new(None),
        counts: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| Worker::new(&shared).run());
        }
    });
    let mut counts = shared
        .counts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    counts.states = shared.states.load(Ordering::Relaxed);
    Explored {
        counts,
        found: shared
            .found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        whole: !shared.cut.load(Ordering::Relaxed),
    }
}

struct Worker<'s, 'w> {
    shared: &'s Shared<'w>,
    stack: Vec<Node>,
    counts: Counts,
    buffer: Vec<u8>,
}

impl<'s, 'w> Worker<'s, 'w> {
    fn new(shared: &'s Shared<'w>) -> Self {
        Self {
            shared,
            stack: Vec::new(),
            counts: Counts::default(),
            buffer: Vec::new(),
        }
    }

    fn run(mut self) {
        while let Some(node) = self.next() {
            if let Err(found) = self.expand(&node) {
                *lock(&self.shared.found) = Some(found);
                self.shared.over.store(true, Ordering::Relaxed);
            }
            if self.shared.states.load(Ordering::Relaxed) >= self.shared.most {
                self.shared.cut.store(true, Ordering::Relaxed);
                self.shared.over.store(true, Ordering::Relaxed);
            }
            if self.shared.over.load(Ordering::Relaxed) {
                break;
            }
        }
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.news.notify_all();
        let mut all = lock(&self.shared.counts);
        all.transitions += self.counts.transitions;
        all.decisions += self.counts.decisions;
        all.depth = all.depth.max(self.counts.depth);
        for (code, n) in &self.counts.refused {
            *all.refused.entry(code).or_default() += n;
        }
    }

    /// The next state: one's own, or another's; none when nobody has any.
    fn next(&mut self) -> Option<Node> {
        let shared = self.shared;
        if shared.idle.load(Ordering::Relaxed) > 0 && self.stack.len() > 16 {
            // The oldest, from which most can still be reached.
            let given: Vec<_> = self.stack.drain(..8).collect();
            lock(&shared.pool).extend(given);
            shared.news.notify_all();
        }
        if let Some(node) = self.stack.pop() {
            return Some(node);
        }
        let mut pool = lock(&shared.pool);
        shared.idle.fetch_add(1, Ordering::Relaxed);
        loop {
            if let Some(node) = pool.pop() {
                shared.idle.fetch_sub(1, Ordering::Relaxed);
                return Some(node);
            }
            let all_idle = shared.idle.load(Ordering::Relaxed) == shared.workers;
            if all_idle || shared.over.load(Ordering::Relaxed) {
                shared.over.store(true, Ordering::Relaxed);
                shared.news.notify_all();
                return None;
            }
            pool = shared
                .news
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn expand(&mut self, node: &Node) -> Result<(), Found> {
        self.counts.depth = self.counts.depth.max(node.depth);
        if node.moment + 1 < self.shared.bound.moments {
            let later = Node {
                moment: node.moment + 1,
                path: Some(Arc::new(Step {
                    before: node.path.clone(),
                    made: None,
                })),
                depth: node.depth + 1,
                ..node.clone()
            };
            self.keep(later);
        }
        for made in moves(self.shared.world, &node.state, self.shared.bound) {
            self.try_one(node, made)?;
        }
        Ok(())
    }

    fn try_one(&mut self, node: &Node, made: Move) -> Result<(), Found> {
        let state = &node.state;
        let submission = submission(
            state,
            node.moment,
            made.who,
            made.request.clone(),
            made.behind,
        );
        let rules = self.shared.world.rules(state, &submission.request);
        let rules = rules.as_ref().map(|r| r as &dyn Rules);
        let decision = decide(state, rules, &submission);
        self.counts.decisions += 1;
        let fail = |broken: Broken| Found {
            broken,
            steps: way(node.path.as_ref(), Some(&made)),
        };
        let own = |what: &str| {
            fail(Broken {
                invariant: "I8",
                what: what.to_owned(),
            })
        };
        // The slice decides as the whole does, and deciding again comes to the same: always where something came of it.
        if decision.refusal.is_none() || self.counts.decisions.is_multiple_of(8) {
            let again = decide(&state.slice(&submission), rules, &submission);
            if again != decision {
                return Err(own("the slice decides otherwise"));
            }
        }
        if let Some(refusal) = &decision.refusal {
            *self.counts.refused.entry(refusal.code.word()).or_default() += 1;
            let alone =
                decision.records.len() == 1 && decision.records[0].body.kind() == "request.refused";
            return if alone {
                Ok(())
            } else {
                Err(own("a refusal left more than its record"))
            };
        }
        let mut after = Node {
            state: state.clone(),
            history: node.history.clone(),
            moment: node.moment,
            path: None,
            depth: node.depth + 1,
        };
        for record in &decision.records {
            if let Err(e) = after.state.apply(record) {
                return Err(own(&format!("a record does not follow: {e}")));
            }
        }
        if let Err(broken) = after
            .history
            .take(self.shared.world, &decision.records, made.behind)
        {
            return Err(fail(broken));
        }
        self.counts.transitions += 1;
        after.path = Some(Arc::new(Step {
            before: node.path.clone(),
            made: Some(made),
        }));
        self.keep(after);
        Ok(())
    }

    fn keep(&mut self, node: Node) {
        let key = node.key(&mut self.buffer);
        let shard = &self.shared.seen[(key >> 64) as usize % SHARDS];
        if lock(shard).insert(key) {
            self.shared.states.fetch_add(1, Ordering::Relaxed);
            self.stack.push(node);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn submission(state: &State, at: usize, who: &str, request: Request, behind: bool) -> Submission {
    let now = moment(at).max(state.time);
    Submission {
        clock: if behind {
            state.time.minus_minutes(1)
        } else {
            now
        },
        principal: name(who),
        credential: credential(who),
        request,
    }
}

/// The way to a state, in words.
fn way(path: Option<&Arc<Step>>, last: Option<&Move>) -> Vec<String> {
    let words = |made: &Move| {
        let behind = if made.behind {
            ", with the clock set back"
        } else {
            ""
        };
        let request = serde_json::to_string(&made.request).unwrap_or_default();
        format!("{}{behind}: {request}", made.who)
    };
    let mut steps: Vec<String> = last.map(words).into_iter().collect();
    let mut at = path;
    while let Some(step) = at {
        steps.push(
            step.made
                .as_ref()
                .map_or_else(|| "time goes on".to_owned(), words),
        );
        at = step.before.as_ref();
    }
    steps.reverse();
    steps
}
