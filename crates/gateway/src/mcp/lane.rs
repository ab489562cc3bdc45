//! The case that an agent works in without naming one: one at a time for each agent, environment and subject.
//!
//! It opens at the agent's first call and takes its reads in. Its next effect ends it, since a case is about one action; the
//! call after that opens another. Where it stands is the log's to say: its id tells whose it is, and it is found again after
//! a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use duty::{
    action::Action,
    canonical::Digest,
    name::CaseId,
    release::Rules,
    request::{OpenCase, Request},
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
        let open = self.open(caller, source, &mut slot, ahead).await?;
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
            *slot = Some(Open::new(case.clone(), caller.release.digest()));
        }
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
            let found = self.standing(&tag, caller.release.digest());
            let lane = Arc::new(Slot::new(found));
            lanes.insert(tag, Arc::clone(&lane));
            lane
        })
    }

    /// A case of the lane that an earlier run opened and no effect has ended.
    fn standing(&self, tag: &str, release: Digest) -> Option<Open> {
        let from: CaseId = format!("{tag}0").parse().ok()?;
        let found = self.engine.read(|state| {
            let theirs = state.cases.range(from..);
            let mut theirs = theirs.take_while(|(id, _)| id.as_str().starts_with(tag));
            let open = theirs.find(|(_, case)| case.prepared.is_none() && case.release == release);
            open.map(|(id, _)| id.clone())
        });
        found.map(|case| Open::new(case, release))
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
        let open = Open::new(case, release);
        *slot = Some(open.clone());
        Ok(open)
    }
}

impl Open {
    fn new(case: CaseId, release: Digest) -> Self {
        Self {
            case,
            release,
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
