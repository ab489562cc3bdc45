//! What a start owes to the run before it, and what time brings about.

use std::collections::BTreeMap;

use duty::{
    name::{CaseId, ItemId},
    release::Rules,
    request::{Expire, FoundBy, NoteOverdue, NoteWaiting, Outcome, Request},
    state::{Case, State},
};

use crate::{Engine, EngineError, Seat};

/// What recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Grants found used without an outcome, recorded as unknown.
    pub unknown: usize,
    /// Unknown outcomes that the target could settle.
    pub settled: usize,
    /// Unknown outcomes that stay so.
    pub open: usize,
}

impl Engine {
    /// Takes up what an earlier run left: a grant that was used and has no outcome is unknown, and is looked up.
    ///
    /// # Errors
    /// [`EngineError`] where the log or the target's configuration does not allow it.
    pub async fn recover(&self) -> Result<Recovered, EngineError> {
        let mut done = Recovered::default();
        for grant in self.read(|state| grants(state, None, false)) {
            if self.simulated(&grant)? {
                self.simulate(&grant).await?;
                continue;
            }
            let why =
                "the process ended between using the grant and recording the outcome".to_owned();
            self.record_outcome(&grant, Outcome::Unknown, FoundBy::Recovery, why, None)
                .await?;
            done.unknown += 1;
        }
        for grant in self.read(|state| grants(state, Some(Outcome::Unknown), true)) {
            match self.settle(&grant).await? {
                Outcome::Unknown => done.open += 1,
                Outcome::Succeeded | Outcome::Failed => done.settled += 1,
            }
        }
        Ok(done)
    }

    /// Ends approvals and grants whose time is over and cases that can come to no verdict, notes emergencies that nobody reviewed in time, and has those reminded and
    /// told whose signatures are waited for; returns how many cases it ended.
    ///
    /// # Errors
    /// [`EngineError`] where an expiry could not be recorded.
    pub async fn expire(&self) -> Result<usize, EngineError> {
        let now = self.now();
        let pointed: BTreeMap<_, _> = self.read(|state| state.environments.clone());
        let mut patience = BTreeMap::new();
        for digest in pointed.into_values() {
            // One that cannot be read keeps its own cases open, and nobody else's.
            let release = self.release(digest).ok().flatten();
            patience.insert(digest, release.and_then(|r| r.team().patience.clone()));
        }
        let due: Vec<CaseId> = self.read(|state| {
            let over = |case: &Case| match (&case.grant, &case.approval) {
                (Some(grant), _) => grant.used.is_none() && now >= grant.expires,
                (None, Some(approval)) => now >= approval.expires,
                (None, None) if case.awaits_answer() => false,
                (None, None) => {
                    let in_force = state.environments.get(&case.env) == Some(&case.release);
                    let patience = patience.get(&case.release).and_then(Option::as_ref);
                    !in_force || patience.is_some_and(|p| now >= p.end(case.opened))
                }
            };
            let due = state.cases.iter().filter(|(_, case)| over(case));
            due.map(|(id, _)| id.clone()).collect()
        });
        let over: Vec<ItemId> = self.read(|state| {
            let due = state
                .glass
                .iter()
                .filter(|(_, g)| !g.overdue && now >= g.review_by);
            due.map(|(grant, _)| grant.clone()).collect()
        });
        let waited: Vec<ItemId> = self.read(|state| {
            let waits = state.cases.values().filter(|case| {
                let moved = state.environments.get(&case.env) != Some(&case.release);
                case.grant.is_none() && !moved
            });
            let waits = waits.filter_map(|case| case.approval.as_ref());
            let due = waits.filter(|a| {
                let past = |at: Option<duty::time::Time>| at.is_some_and(|at| now >= at);
                now < a.expires && (past(a.remind) || past(a.escalate))
            });
            due.map(|a| a.id.clone()).collect()
        });
        let over = over
            .into_iter()
            .map(|grant| Request::NoteOverdue(NoteOverdue { grant }));
        let waited = waited
            .into_iter()
            .map(|approval| Request::NoteWaiting(NoteWaiting { approval }));
        for request in over.chain(waited) {
            match self.submit(&Seat::engine(), request).await {
                // Reviewed or signed in the meantime, or stopped: the refusal is in the log.
                Ok(_) | Err(EngineError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        self.note_unreported(now).await?;
        let mut ended = 0;
        for case in due {
            match self
                .submit(&Seat::engine(), Request::Expire(Expire { case }))
                .await
            {
                Ok(_) => ended += 1,
                // Somebody signed or executed in the meantime: the refusal is in the log, and nothing expired.
                Err(EngineError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(ended)
    }
}

/// Used grants with this outcome; those whose user carries the effect out only where they are wanted `too`: while its time to
/// report runs it may still be at work.
fn grants(state: &State, outcome: Option<Outcome>, too: bool) -> Vec<ItemId> {
    let cases = state.cases.values().filter(|case| case.outcome == outcome);
    let used = cases.filter_map(|case| {
        case.grant
            .as_ref()
            .filter(|g| g.used.is_some() && (too || g.report_by.is_none()))
    });
    used.map(|g| g.id.clone()).collect()
}
