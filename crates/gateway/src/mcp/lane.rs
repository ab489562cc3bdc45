//! The case that an agent works in without naming one: one at a time for each agent, environment and subject.
//!
//! It opens at the agent's first call and takes its reads in. Its next effect ends it, since a case is about one action; the
//! call after that opens another, and so does a read where the case holds as many as it may. Where it stands is the log's to say: its id tells whose it is, and it is found again after
//! a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use duty::{
    action::Action,
    canonical::Digest,
    name::{CaseId, PrincipalId},
    release::Rules,
    request::{Expire, OpenCase, Request},
    state::Case,
};
use engine::{Ahead, Engine, EngineError, Seat};
use serde_json::json;
use tokio::sync::{Mutex as Slot, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{caller::Caller, crowd::Crowd, reply::Reply};

/// The lanes of all agents.
pub(super) struct Lanes {
    engine: Arc<Engine>,
    crowd: Arc<Crowd>,
    lanes: Mutex<HashMap<Tag, Arc<Lane>>>,
}

type Lane = Slot<Option<Open>>;

/// What the ids of a lane's cases begin with.
type Tag = String;

/// A case that takes reads in.
#[derive(Clone)]
struct Open {
    case: CaseId,
    release: Digest,
    /// Reads that it has taken in at most, those under way among them.
    taken: usize,
    /// Held for reading by each read under way, so that an effect waits for what it rests on.
    reads: Arc<RwLock<()>>,
}

/// What a lane's case opens over: the call that opened it.
pub(super) struct Source<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) action: &'a Action,
}

impl Lanes {
    pub(super) fn of(engine: &Arc<Engine>, crowd: &Arc<Crowd>) -> Self {
        Self {
            engine: Arc::clone(engine),
            crowd: Arc::clone(crowd),
            lanes: Mutex::default(),
        }
    }

    /// The caller's case to read in. An effect waits until the guard is dropped.
    pub(super) async fn join(
        &self,
        caller: &Caller,
        source: &Source<'_>,
        ahead: &mut Ahead,
    ) -> Result<(CaseId, OwnedRwLockReadGuard<()>), Reply> {
        let lane = self.lane(caller, source);
        let mut slot = lane.lock().await;
        self.make_room(caller, &mut slot, ahead).await?;
        let mut open = self.open(caller, source, &mut slot, ahead).await?;
        open.taken += 1;
        *slot = Some(open.clone());
        // Under the lane's lock: no effect may take the case in between.
        Ok((open.case, open.reads.read_owned().await))
    }

    /// The caller's case for an effect, which ends it; reads under way come to their end first.
    pub(super) async fn take(
        &self,
        caller: &Caller,
        source: &Source<'_>,
        ahead: &mut Ahead,
    ) -> Result<(CaseId, OwnedRwLockWriteGuard<()>), Reply> {
        let lane = self.lane(caller, source);
        let open = {
            let mut slot = lane.lock().await;
            // Each effect that was refused before it was prepared has looked for clauses once.
            let looked = slot
                .as_ref()
                .map(|open| self.times(caller, &open.case, Case::lookups_of));
            if looked.is_some_and(|times| times >= Case::MOST_READS) {
                self.retire(&mut slot, ahead).await?;
            }
            let open = self.open(caller, source, &mut slot, ahead).await?;
            *slot = None;
            open
        };
        Ok((open.case, open.reads.write_owned().await))
    }

    /// Puts a case back that an effect took and that it did not end.
    pub(super) async fn give_back(&self, caller: &Caller, source: &Source<'_>, case: &CaseId) {
        let lane = self.lane(caller, source);
        let mut slot = lane.lock().await;
        if slot.is_none() {
            let (release, taken) = (
                caller.release.digest(),
                self.times(caller, case, Case::calls_of),
            );
            *slot = Some(Open::new(case.clone(), release, taken));
        }
    }

    /// Has the lane's case end where it is full, so that another opens.
    async fn make_room(
        &self,
        caller: &Caller,
        slot: &mut Option<Open>,
        ahead: &mut Ahead,
    ) -> Result<(), EngineError> {
        let Some(open) = slot.as_mut() else {
            return Ok(());
        };
        if open.taken < Case::MOST_READS {
            return Ok(());
        }
        // Reads that were refused, or never came so far, took no room; only after those under way is that known.
        drop(open.reads.clone().write_owned().await);
        open.taken = self.times(caller, &open.case, Case::calls_of);
        if open.taken < Case::MOST_READS {
            return Ok(());
        }
        self.retire(slot, ahead).await
    }

    /// Has the lane's case end, which is full; another opens in its place.
    async fn retire(&self, slot: &mut Option<Open>, ahead: &mut Ahead) -> Result<(), EngineError> {
        let Some(full) = slot.take() else {
            return Ok(());
        };
        let request = Request::Expire(Expire { case: full.case });
        match self.engine.submit_ahead(&Seat::engine(), request).await {
            Ok(ended) => {
                ended.onto(ahead);
                Ok(())
            }
            // It ended meanwhile, or waits for an answer and lapses in its time.
            Err(EngineError::Refused(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// How often the caller has done something in a case.
    fn times(
        &self,
        caller: &Caller,
        case: &CaseId,
        counted: fn(&Case, &PrincipalId) -> usize,
    ) -> usize {
        let agent = &caller.seat.principal;
        self.engine.read(|state| {
            let case = state.cases.get(case);
            case.map_or(0, |case| counted(case, agent))
        })
    }

    fn lane(&self, caller: &Caller, source: &Source<'_>) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = tag(caller, source);
        let known = lanes.get(&tag).map(Arc::clone);
        known.unwrap_or_else(|| {
            // Nobody waits for a lane that nobody holds, and an open case is found again.
            if lanes.len() >= MOST {
                lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            }
            let found = self.standing(&tag, caller);
            let lane = Arc::new(Slot::new(found));
            lanes.insert(tag, Arc::clone(&lane));
            lane
        })
    }

    /// A case of the lane that an earlier run opened and no effect has ended.
    fn standing(&self, tag: &str, caller: &Caller) -> Option<Open> {
        let release = caller.release.digest();
        let from: CaseId = format!("{tag}0").parse().ok()?;
        let found = self.engine.read(|state| {
            let theirs = state.cases.range(from..);
            let mut theirs = theirs.take_while(|(id, _)| id.as_str().starts_with(tag));
            let open = theirs.find(|(_, case)| case.prepared.is_none() && case.release == release);
            open.map(|(id, case)| (id.clone(), case.calls_of(&caller.seat.principal)))
        });
        found.map(|(case, taken)| Open::new(case, release, taken))
    }

    /// Whether a call may still go into a case: one that is about to lapse would end under it.
    fn takes_more(&self, caller: &Caller, case: &CaseId) -> bool {
        let opened = self
            .engine
            .read(|state| state.cases.get(case).map(|case| case.opened));
        let patience = caller.release.team().patience.as_ref();
        opened.is_some_and(|opened| {
            patience.is_none_or(|p| {
                let spare = GRACE.min(p.minutes / 2);
                self.engine.now().plus_minutes(spare) < p.end(opened)
            })
        })
    }

    async fn open(
        &self,
        caller: &Caller,
        source: &Source<'_>,
        slot: &mut Option<Open>,
        ahead: &mut Ahead,
    ) -> Result<Open, Reply> {
        let release = caller.release.digest();
        if let Some(open) = slot.as_ref()
            && open.release == release
            && self.takes_more(caller, &open.case)
        {
            return Ok(open.clone());
        }
        self.crowd.admit(&caller.seat.principal)?;
        let case = new_id(&tag(caller, source))?;
        let subject = source
            .subject
            .unwrap_or_else(|| caller.seat.principal.as_str())
            .to_owned();
        let words =
            json!({"agent": caller.seat.principal, "through": "mcp", "call": source.action});
        let snapshot = self.engine.keep(&subject, words.to_string().into_bytes());
        let request = Request::OpenCase(OpenCase {
            case: case.clone(),
            environment: caller.environment.clone(),
            snapshot: snapshot.await?,
            subject,
        });
        let opened = self.engine.submit_ahead(&Seat::engine(), request).await?;
        opened.onto(ahead);
        self.crowd.note(&caller.seat.principal, &case);
        let open = Open::new(case, release, 0);
        *slot = Some(open.clone());
        Ok(open)
    }
}

impl Open {
    fn new(case: CaseId, release: Digest, taken: usize) -> Self {
        Self {
            case,
            release,
            taken,
            reads: Arc::default(),
        }
    }
}

fn tag(caller: &Caller, source: &Source<'_>) -> Tag {
    let (who, whence) = (&caller.seat.principal, &caller.environment);
    let subject = source.subject.unwrap_or_default();
    let digest = Digest::of_bytes(format!("mcp\n{who}\n{whence}\n{subject}").as_bytes());
    format!("mcp-{}-", &digest.to_string()[..16])
}

/// An id that nobody has, with this beginning.
pub(super) fn new_id(tag: &str) -> Result<CaseId, EngineError> {
    let mut random = [0_u8; 12];
    getrandom::fill(&mut random).map_err(|e| EngineError::Retrieval(e.to_string()))?;
    let id = format!("{tag}{}", hex::encode(random));
    Ok(id
        .parse()
        .expect("INVARIANT: hexadecimal digits make a name"))
}

/// So many minutes before its case lapses an agent gets another one.
const GRACE: u32 = 1;

/// Lanes that are remembered beyond those in use.
const MOST: usize = 10_000;
