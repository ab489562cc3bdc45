//! How many cases of one agent are under way: what waits for people is held in memory until they answer, so that an agent which
//! calls and calls must come to a bound, also where its release sets none (`attention.max_waiting`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use duty::{
    name::{CaseId, PrincipalId},
    state::State,
};
use engine::Engine;

use super::reply::Reply;
use crate::http::Meter;

/// Between two looks which cases have ended, for an agent that is at its bound.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Cases that came by this door, by agent.
pub(super) struct Crowd {
    engine: Arc<Engine>,
    meter: Arc<Meter>,
    agents: Mutex<HashMap<PrincipalId, Own>>,
}

struct Own {
    cases: HashSet<CaseId>,
    /// When it was last looked which of them have ended.
    looked: Instant,
}

impl Crowd {
    pub(super) fn new(engine: &Arc<Engine>, meter: &Arc<Meter>) -> Self {
        Self {
            engine: Arc::clone(engine),
            meter: Arc::clone(meter),
            agents: Mutex::default(),
        }
    }

    /// Lets an agent have one case more, or says that it has too many.
    pub(super) fn admit(&self, agent: &PrincipalId) -> Result<(), Reply> {
        let most = self.meter.most_cases(agent);
        let engine = &self.engine;
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let own = agents.entry(agent.clone()).or_insert_with(|| Own {
            // Those of an earlier run.
            cases: engine.read(|state| theirs(state, agent)),
            looked: Instant::now(),
        });
        if own.cases.len() >= most && own.looked.elapsed() >= LOOK_AGAIN {
            engine.read(|state| own.cases.retain(|case| state.cases.contains_key(case)));
            own.looked = Instant::now();
        }
        if own.cases.len() < most {
            return Ok(());
        }
        Err(Reply::Unavailable(format!(
            "{most} cases of `{agent}` are under way; it may open another when one of them has ended: people must answer what waits for them"
        )))
    }

    /// Notes a case that an agent opened.
    pub(super) fn note(&self, agent: &PrincipalId, case: &CaseId) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = agents.get_mut(agent) {
            own.cases.insert(case.clone());
        }
    }
}

/// Cases under way that an agent has called in, or recommended in.
fn theirs(state: &State, agent: &PrincipalId) -> HashSet<CaseId> {
    let cases = state.cases.iter().filter(|(_, case)| {
        let prepared = case.prepared.as_ref().is_some_and(|(who, _)| who == agent);
        prepared || case.calls.iter().any(|call| call.agent == *agent)
    });
    cases.map(|(id, _)| id.clone()).collect()
}
