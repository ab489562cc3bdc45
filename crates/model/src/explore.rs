//! The exploration: every state that can be reached, each once, on all cores.
//!
//! Depth first, so that what waits stays small; what was seen is kept as 128-bit hashes. A state's key holds all that a
//! decision of the alphabet can read: cases, what ended, exceptions, thresholds, environments, people who changed, freezes, the
//! clock, and the history beside it. Left out are the log's length and the numbers of records, which decisions write down
//! and none compares but with the record that they name, and what never changes after the beginning.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use duty::{
    decide, decide_with,
    name::{Environment, ItemId, PrincipalId, ThresholdId},
    record::CaseOutcome,
    release::Rules,
    request::Submission,
    shared::Shared,
    state::{Case, Delegation, Exception, Glass, Principal, State, Subject, ThresholdState},
    subject::SubjectId,
    time::Time,
};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    history::{Broken, History, Past},
    moves::{Bound, CASES, Move, Moves, When, besides, on_case},
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
    /// For each case what it comes to, with its past.
    cases: [u128; CASES.len()],
}

type People = Shared<BTreeMap<PrincipalId, Shared<Principal>>>;

struct Step {
    before: Option<Arc<Step>>,
    /// None where time went on.
    made: Option<Arc<Move>>,
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
    fn look(&mut self, before: &Self, buffer: &mut Vec<u8>) {
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

    fn key(&self, began: &People, buffer: &mut Vec<u8>) -> u128 {
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

struct Search<'w> {
    world: &'w World,
    bound: &'w Bound,
    /// As they are at the beginning.
    people: People,
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

/// Explores the world up to its bound, or up to so many states; says `every` so often how far it has come.
pub(crate) fn explore(
    world: &World,
    bound: &Bound,
    most: u64,
    workers: usize,
    every: Option<Duration>,
) -> Explored {
    let mut state = world.begin();
    if !bound.signatures {
        for who in ["carla", "dmitri"] {
            let request = crate::world::threshold_signature(world, who);
            let submission = Submission {
                clock: moment(0),
                principal: name(who),
                credential: credential(who),
                request,
            };
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
        cases: [0; CASES.len()],
    };
    let shared = Search {
        world,
        bound,
        people: root.state.principals.clone(),
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
    // Each worker holds an end of the channel, so that it closes with the last of them.
    let (working, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (shared, working) = (&shared, working.clone());
            scope.spawn(move || {
                Worker::new(shared).run();
                drop(working);
            });
        }
        drop(working);
        let Some(every) = every else { return };
        let began = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
            let states = shared.states.load(Ordering::Relaxed);
            eprintln!("{states} states after {} s", began.elapsed().as_secs());
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
    shared: &'s Search<'w>,
    stack: Vec<Node>,
    counts: Counts,
    buffer: Vec<u8>,
    known: Known,
}

/// Requests that were made before: most states differ from others in one case alone.
#[derive(Default)]
struct Known {
    on_case: HashMap<(&'static str, When, u128), Moves>,
}

impl Known {
    /// How many are kept.
    const MOST: usize = 20_000;

    fn on_case(&mut self, key: (&'static str, When, u128), make: impl FnOnce() -> Moves) -> Moves {
        if self.on_case.len() >= Self::MOST {
            self.on_case.clear();
        }
        self.on_case.entry(key).or_insert_with(make).clone()
    }
}

impl<'s, 'w> Worker<'s, 'w> {
    fn new(shared: &'s Search<'w>) -> Self {
        Self {
            shared,
            stack: Vec::new(),
            counts: Counts::default(),
            buffer: Vec::new(),
            known: Known::default(),
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
        let Search { world, bound, .. } = *self.shared;
        let state = &node.state;
        let when = When {
            clock: moment(node.moment).max(state.time),
            last: state.time,
        };
        for (n, id) in CASES[..bound.cases].iter().enumerate() {
            let make = || on_case(world, state, bound, when, id);
            for made in self.known.on_case((id, when, node.cases[n]), make).iter() {
                self.try_one(node, made)?;
            }
        }
        for made in besides(world, state, bound, when).iter() {
            self.try_one(node, made)?;
        }
        Ok(())
    }

    fn try_one(&mut self, node: &Node, made: &Arc<Move>) -> Result<(), Found> {
        let state = &node.state;
        let submission = &made.submission;
        let checked = made.checked.as_deref();
        let rules = self.shared.world.rules(state, &submission.request);
        let rules = rules.as_ref().map(|r| r as &dyn Rules);
        let decision = decide_with(state, rules, submission, checked);
        self.counts.decisions += 1;
        let fail = |broken: Broken| Found {
            broken,
            steps: way(node.path.as_ref(), Some(made)),
        };
        let own = |what: &str| {
            fail(Broken {
                invariant: "I8",
                what: what.to_owned(),
            })
        };
        // The slice decides as the whole does, and deciding again comes to the same: always where something came of it.
        if decision.refusal.is_none() || self.counts.decisions.is_multiple_of(8) {
            let again = decide_with(&state.slice(submission), rules, submission, checked);
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
            cases: node.cases,
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
            made: Some(Arc::clone(made)),
        }));
        after.look(node, &mut self.buffer);
        self.keep(after);
        Ok(())
    }

    fn keep(&mut self, node: Node) {
        let key = node.key(&self.shared.people, &mut self.buffer);
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

/// The way to a state, in words.
fn way(path: Option<&Arc<Step>>, last: Option<&Move>) -> Vec<String> {
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
