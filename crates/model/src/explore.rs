//! The exploration: every state that can be reached, each once, on all cores.
//!
//! Depth first, so that what waits stays small; what was seen is kept as 128-bit hashes.

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

use duty::{decide, decide_with, refusal::Code, release::Rules, request::Submission};
use serde::{Deserialize, Serialize};

use crate::{
    history::{Broken, History},
    kept::Kept,
    moves::{Bound, CASES, Move, Moves, When, besides, on_case},
    node::{Node, People, Step, numbers, way},
    world::{World, credential, moment, name},
};

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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) states: u64,
    pub(crate) transitions: u64,
    pub(crate) decisions: u64,
    pub(crate) depth: u32,
    /// Refusals by code.
    pub(crate) refused: BTreeMap<Code, u64>,
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
    /// What was left, and all that was seen, where that is to be kept.
    pub(crate) left: Option<Kept>,
}

/// How far an exploration goes in one go.
pub(crate) struct Limits {
    /// Stop after so many states, those of earlier parts among them.
    pub(crate) most: u64,
    /// Stop after so long.
    pub(crate) longest: Option<Duration>,
    pub(crate) threads: usize,
    /// Whether to hand over what is left.
    pub(crate) keep: bool,
    /// Say how far it has come, so often.
    pub(crate) every: Option<Duration>,
}

struct Search<'w> {
    world: &'w World,
    bound: &'w Bound,
    /// As they are at the beginning.
    people: People,
    limits: &'w Limits,
    began: Instant,
    seen: Vec<Mutex<Seen>>,
    states: AtomicU64,
    pool: Mutex<Vec<Node>>,
    news: Condvar,
    idle: AtomicUsize,
    over: AtomicBool,
    found: Mutex<Option<Found>>,
    counts: Mutex<Counts>,
}

/// Where every way begins.
fn root(world: &World, bound: &Bound) -> Node {
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
    Node {
        state,
        history: History::begin(!bound.signatures),
        moment: 0,
        path: None,
        depth: 0,
        cases: [0; CASES.len()],
    }
}

/// Explores the world up to its bound, from the beginning or from where an earlier part has left it.
pub(crate) fn explore(
    world: &World,
    bound: &Bound,
    limits: &Limits,
    earlier: Option<Kept>,
) -> Explored {
    let root = root(world, bound);
    let earlier = earlier.unwrap_or_else(|| Kept {
        left: vec![Vec::new()],
        ..Kept::default()
    });
    let shared = Search {
        world,
        bound,
        people: root.state.principals.clone(),
        limits,
        began: Instant::now(),
        seen: (0..SHARDS).map(|_| Mutex::default()).collect(),
        states: AtomicU64::new(earlier.counts.states),
        pool: Mutex::default(),
        news: Condvar::new(),
        idle: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        found: Mutex::new(None),
        counts: Mutex::new(earlier.counts),
    };
    for key in earlier.seen {
        shared.see(key);
    }
    let mut again = Worker::new(&shared);
    let left = earlier.left.iter().map(|way| again.follow(&root, way));
    *lock(&shared.pool) = left.collect();
    // Each worker holds an end of the channel, so that it closes with the last of them.
    let (working, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        for _ in 0..limits.threads {
            let (shared, working) = (&shared, working.clone());
            scope.spawn(move || {
                Worker::new(shared).run();
                drop(working);
            });
        }
        drop(working);
        let Some(every) = limits.every else { return };
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
            let states = shared.states.load(Ordering::Relaxed);
            let seconds = shared.began.elapsed().as_secs();
            eprintln!("{states} states after {seconds} s");
        }
    });
    shared.outcome()
}

impl Search<'_> {
    /// Whether a key is new.
    fn see(&self, key: u128) -> bool {
        lock(&self.seen[(key >> 64) as usize % SHARDS]).insert(key)
    }

    fn outcome(self) -> Explored {
        let mut counts = self
            .counts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        counts.states = self.states.into_inner();
        let pool = self
            .pool
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let found = self
            .found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let shards = self.seen.into_iter();
        let whole = pool.is_empty();
        let left = (self.limits.keep && !whole).then(|| Kept {
            counts: counts.clone(),
            left: pool.iter().map(|n| numbers(n.path.as_ref())).collect(),
            seen: shards
                .flat_map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner))
                .collect(),
        });
        Explored {
            counts,
            found,
            whole,
            left,
        }
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
            let limits = self.shared.limits;
            let enough = self.shared.states.load(Ordering::Relaxed) >= limits.most;
            let late = limits
                .longest
                .is_some_and(|most| self.shared.began.elapsed() >= most);
            if enough || late {
                self.shared.over.store(true, Ordering::Relaxed);
            }
        }
        self.shared.news.notify_all();
        lock(&self.shared.pool).append(&mut self.stack);
        let mut all = lock(&self.shared.counts);
        all.transitions += self.counts.transitions;
        all.decisions += self.counts.decisions;
        all.depth = all.depth.max(self.counts.depth);
        for (code, n) in &self.counts.refused {
            *all.refused.entry(*code).or_default() += n;
        }
    }

    /// The next state: one's own, or another's; none when nobody has any.
    fn next(&mut self) -> Option<Node> {
        let shared = self.shared;
        if shared.over.load(Ordering::Relaxed) {
            return None;
        }
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
            let over = shared.over.load(Ordering::Relaxed);
            if !over && let Some(node) = pool.pop() {
                shared.idle.fetch_sub(1, Ordering::Relaxed);
                return Some(node);
            }
            let all_idle = shared.idle.load(Ordering::Relaxed) == shared.limits.threads;
            if all_idle || over {
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
        if let Some(later) = self.later(node) {
            self.keep(later);
        }
        let mut number = 0;
        for list in self.tried(node) {
            for made in list.iter() {
                number += 1;
                if let Some(after) = self.try_one(node, made, number)? {
                    self.keep(after);
                }
            }
        }
        Ok(())
    }

    /// The state when time has gone on.
    fn later(&self, node: &Node) -> Option<Node> {
        (node.moment + 1 < self.shared.bound.moments).then(|| Node {
            moment: node.moment + 1,
            path: Some(Arc::new(Step {
                before: node.path.clone(),
                made: None,
                number: 0,
            })),
            depth: node.depth + 1,
            ..node.clone()
        })
    }

    /// What is tried at a state, in order.
    fn tried(&mut self, node: &Node) -> Vec<Moves> {
        let Search { world, bound, .. } = *self.shared;
        let state = &node.state;
        let when = When {
            clock: moment(node.moment).max(state.time),
            last: state.time,
        };
        let mut lists = Vec::with_capacity(CASES.len() + 1);
        for (n, id) in CASES[..bound.cases].iter().enumerate() {
            let make = || on_case(world, state, bound, when, id);
            lists.push(self.known.on_case((id, when, node.cases[n]), make));
        }
        lists.push(besides(world, state, bound, when));
        lists
    }

    /// The state that a way leads to.
    fn follow(&mut self, root: &Node, way: &[u32]) -> Node {
        let mut node = root.clone();
        for &number in way {
            let next = match (number as usize).checked_sub(1) {
                None => self.later(&node),
                Some(n) => {
                    let made = self
                        .tried(&node)
                        .iter()
                        .flat_map(|l| l.iter())
                        .nth(n)
                        .cloned();
                    let made = made.expect("INVARIANT: the file was written by this program");
                    self.try_one(&node, &made, number).unwrap_or_default()
                }
            };
            node = next.expect("INVARIANT: what was let through once is let through again");
        }
        node
    }

    /// Tries one request; the state after it, where it was let through.
    fn try_one(
        &mut self,
        node: &Node,
        made: &Arc<Move>,
        number: u32,
    ) -> Result<Option<Node>, Found> {
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
            *self.counts.refused.entry(refusal.code).or_default() += 1;
            let alone =
                decision.records.len() == 1 && decision.records[0].body.kind() == "request.refused";
            return if alone {
                Ok(None)
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
            number,
        }));
        after.look(node, &mut self.buffer);
        Ok(Some(after))
    }

    fn keep(&mut self, node: Node) {
        let key = node.key(&self.shared.people, &mut self.buffer);
        if self.shared.see(key) {
            self.shared.states.fetch_add(1, Ordering::Relaxed);
            self.stack.push(node);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
