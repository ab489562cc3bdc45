//! Acting: calls to target systems, each after its record is durable, each answered by another record.

use std::{sync::Arc, time::Duration};

use duty::{
    action::Action,
    canonical::Digest,
    freeze::Step,
    name::{CaseId, ItemId, PrincipalId},
    record::Body,
    release::{Level, Rules},
    request::{Answer, Call, FoundBy, Outcome, Ranked, RecordOutcome, Request, Retrieve, UseGrant},
    state::Case,
    subject::SubjectId,
};
use policy::{Query, Release, Vector};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{Engine, EngineError, Seat, pending::Pending, target};

/// How long a grant waits for its level before it is used, which can be tried again; and how long its use waits, which
/// cannot.
pub(crate) const BEFORE: Duration = Duration::from_secs(5);
pub(crate) const AFTER: Duration = Duration::from_secs(30);

/// How many clauses a retrieval records.
const FOUND: usize = 8;

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Called {
    /// The call.
    pub call: ItemId,
    /// The answer, or why there is none.
    pub answer: Result<Value, String>,
    /// Commitment to the answer's bytes.
    pub snapshot: Option<Digest>,
}

/// What came of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// What is known.
    pub outcome: Outcome,
    /// The target's words.
    pub detail: String,
    /// The target's answer, where it gave one just now.
    pub answer: Option<Value>,
}

impl Engine {
    /// Calls a tool without effect, as an agent: permitted, then called, then answered in the log.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the agent may not; that the tool does not answer is no error but an answer.
    pub async fn call(
        &self,
        seat: &Seat,
        case: &CaseId,
        action: Action,
    ) -> Result<Called, EngineError> {
        self.call_ahead(seat, case, action)
            .await?
            .durable(self)
            .await
    }

    /// See [`Engine::call_ahead`].
    pub(crate) async fn call_now(
        &self,
        seat: &Seat,
        case: &CaseId,
        action: Action,
    ) -> Result<Pending<Called>, EngineError> {
        let release = self.read(|state| state.cases.get(case).map(|c| c.release));
        let release = release.map(|digest| self.release(digest)).transpose()?;
        let described = match release.flatten() {
            Some(release) => self.described(&release, &action.tool).await?,
            None => None,
        };
        let request = Request::Call(Call {
            case: case.clone(),
            action,
            described,
        });
        let records = self.submit(seat, request).await?;
        let call = records.iter().find_map(|r| match &r.body {
            Body::CallPermitted(body) => Some(body.call.clone()),
            _ => None,
        });
        self.answer_ahead(&call.expect("INVARIANT: a call that is not refused is permitted"))
            .await
    }

    /// Asks the target what a permitted call asks, and records the answer: also for a call that a crash left open, since a
    /// call without effect may be made again.
    ///
    /// # Errors
    /// [`EngineError::Missing`] where no such call is open; [`EngineError::NoTarget`] where nobody can be asked.
    pub async fn answer_call(&self, call: &ItemId) -> Result<Called, EngineError> {
        // The call may be in the state and not on the disk yet.
        self.look(|_| ()).durable(self).await?;
        self.answer_ahead(call).await?.durable(self).await
    }

    async fn answer_ahead(&self, call: &ItemId) -> Result<Pending<Called>, EngineError> {
        let (action, subject, release) = self.open_call(call)?;
        let tool = release.team().tools.get(&action.tool).cloned();
        let (target, name) = self.target(&action.tool)?;
        let pinned = tool.as_ref().and_then(|t| t.pinned);
        let answer = match send(&*target, &name, pinned, action.arguments).await {
            target::Answer::Succeed(value) => Ok(value),
            target::Answer::Fail(why)
            | target::Answer::NotSent(why)
            | target::Answer::Lost(why) => Err(why),
        };
        let mut facts = duty::facts::Facts::default();
        let mut snapshot = None;
        if let Ok(value) = &answer {
            snapshot = Some(self.keep(&subject, json(value)).await?);
            if let (Some(tool), Value::Object(fields)) = (&tool, value) {
                facts = tool.facts_of(fields);
            }
        }
        let request = Request::Answer(Answer {
            call: call.clone(),
            snapshot,
            facts,
            problem: answer.as_ref().err().map(|why| shorten(why)),
        });
        let answered = self.submit_ahead(&Seat::engine(), request).await?;
        Ok(answered.map(|_| Called {
            call: call.clone(),
            answer,
            snapshot,
        }))
    }

    /// See [`Engine::execute`].
    pub(crate) async fn execute_now(
        &self,
        seat: &Seat,
        grant: &ItemId,
        action: Action,
    ) -> Result<Executed, EngineError> {
        if self.is_by_caller(grant, &action.tool)? {
            return Err(EngineError::ByCaller(action.tool));
        }
        if self.simulated(grant)? {
            let (grant, action) = (grant.clone(), action);
            let used = grant.clone();
            let request = Request::UseGrant(UseGrant {
                grant,
                action,
                described: None,
            });
            self.submit(seat, request).await?;
            return self.simulate(&used).await;
        }
        let (target, name) = self.target(&action.tool)?;
        let release = self.release_of(grant)?;
        let tool = release.team().tools.get(&action.tool);
        let idempotency = tool.and_then(|t| t.idempotency.clone());
        let pinned = tool.and_then(|t| t.pinned);
        let level = self.level(grant)?;
        // What authorises it first, so that nothing is consumed while witnesses are away.
        self.reach(level, BEFORE)
            .await
            .map_err(|why| EngineError::Unreleased { level, why })?;
        let request = Request::UseGrant(UseGrant {
            grant: grant.clone(),
            action: action.clone(),
            described: self.described(&release, &action.tool).await?,
        });
        self.submit(seat, request).await?;
        if let Err(why) = self.reach(level, AFTER).await {
            let detail = format!("never sent: its record is not {}: {why}", level.word());
            return self
                .record_outcome(grant, Outcome::Failed, FoundBy::Answer, detail, None)
                .await;
        }
        // It may have been stopped while its record went to the witnesses.
        let stopped = match self.take_orders().await {
            Ok(_) => self.stopped(grant, &seat.principal, &action.tool)?,
            Err(e) => Some(e.to_string()),
        };
        if let Some(why) = stopped {
            let detail = format!("never sent: {why}");
            return self
                .record_outcome(grant, Outcome::Failed, FoundBy::Answer, detail, None)
                .await;
        }
        let mut arguments = action.arguments;
        if let Some(field) = idempotency {
            arguments.insert(field, Value::from(grant.as_str()));
        }
        let (outcome, detail, value) = match send(&*target, &name, pinned, arguments).await {
            target::Answer::Succeed(value) => (Outcome::Succeeded, "done".to_owned(), Some(value)),
            target::Answer::Fail(why) => (Outcome::Failed, why, None),
            target::Answer::NotSent(why) => (Outcome::Failed, format!("never sent: {why}"), None),
            target::Answer::Lost(why) => (Outcome::Unknown, why, None),
        };
        self.record_outcome(grant, outcome, FoundBy::Answer, detail, value)
            .await
    }

    /// What freeze stops the call that a used grant stands for, in words.
    pub(crate) fn stopped(
        &self,
        grant: &ItemId,
        agent: &PrincipalId,
        tool: &str,
    ) -> Result<Option<String>, EngineError> {
        let release = self.release_of(grant)?;
        let step = Step {
            team: Some(release.team()),
            agent: Some(agent),
            tool: Some(tool),
        };
        Ok(self.read(|state| {
            let frozen = state.frozen(step);
            frozen.map(|(record, freeze)| format!("{} is frozen by record {record}", freeze.scope))
        }))
    }

    /// Whether effects are simulated where this grant belongs; the core says the same in the record of its use.
    pub(crate) fn simulated(&self, grant: &ItemId) -> Result<bool, EngineError> {
        self.with_case(grant, |case| case.env.simulated())
    }

    /// Records the outcome of a grant that was used where effects are simulated: nobody is called.
    pub(crate) async fn simulate(&self, grant: &ItemId) -> Result<Executed, EngineError> {
        let detail = "simulated: no target was called".to_owned();
        self.record_outcome(grant, Outcome::Succeeded, FoundBy::Simulated, detail, None)
            .await
    }

    /// Looks up at the target what became of a grant whose outcome is unknown. The action is never repeated (I10): where
    /// the target does not know it either, the outcome stays unknown, since a call in flight may still arrive.
    ///
    /// # Errors
    /// [`EngineError::Missing`] where the outcome of this grant is not unknown.
    pub async fn settle(&self, grant: &ItemId) -> Result<Outcome, EngineError> {
        let tool = self.with_case(grant, |case| {
            let unknown = case.outcome == Some(Outcome::Unknown);
            unknown
                .then(|| case.action().map(|a| a.tool.clone()))
                .flatten()
        })?;
        let tool = tool.ok_or_else(|| EngineError::Missing(grant.clone()))?;
        let release = self.release_of(grant)?;
        let plan = release.team().tools.get(&tool).cloned();
        let Some((field, lookup)) = plan.and_then(|t| Some((t.idempotency?, t.lookup?))) else {
            return Ok(Outcome::Unknown);
        };
        let (target, name) = self.target(&lookup)?;
        let arguments = Map::from_iter([(field, Value::from(grant.as_str()))]);
        let pinned = release.team().tools.get(&lookup).and_then(|t| t.pinned);
        match send(&*target, &name, pinned, arguments).await {
            target::Answer::Succeed(value) if value.get("found") == Some(&Value::Bool(true)) => {
                let detail = "found at the target by the grant's id".to_owned();
                let done = self
                    .record_outcome(
                        grant,
                        Outcome::Succeeded,
                        FoundBy::Lookup,
                        detail,
                        Some(value),
                    )
                    .await?;
                Ok(done.outcome)
            }
            _ => Ok(Outcome::Unknown),
        }
    }

    /// Looks for clauses in the case's release, as an agent, and records what was found.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where it is not the agent's turn; [`EngineError::Retrieval`] where the index fails.
    pub async fn retrieve(
        &self,
        seat: &Seat,
        case: &CaseId,
        query: &str,
    ) -> Result<Vec<Ranked>, EngineError> {
        self.retrieve_ahead(seat, case, query)
            .await?
            .durable(self)
            .await
    }

    /// As [`Engine::retrieve`], for a step on which another follows.
    ///
    /// # Errors
    /// As [`Engine::retrieve`].
    pub async fn retrieve_ahead(
        &self,
        seat: &Seat,
        case: &CaseId,
        query: &str,
    ) -> Result<Pending<Vec<Ranked>>, EngineError> {
        let release = self.read(|state| state.cases.get(case).map(|c| c.release));
        let release = match release {
            Some(digest) => self.release(digest)?,
            None => None,
        };
        let (mut found, mut vector, mut as_of) = (Vec::new(), None, None);
        if let Some(release) = release {
            let at = self.read(|state| state.time).max(self.now());
            vector = self.vector_of(&release, query).await?;
            let asked = Query {
                text: query,
                vector: vector.as_ref(),
                at,
            };
            found = release
                .search(&asked, FOUND)
                .map_err(EngineError::Retrieval)?;
            // Where no edition will change any more, the record's own time finds the same.
            as_of = release.next_change(at).map(|_| at);
        }
        let ranked = found.into_iter().map(|f| Ranked {
            clause: f.clause,
            score_milli: f.score_milli,
        });
        let ranking: Vec<_> = ranked.collect();
        let request = Request::Retrieve(Retrieve {
            case: case.clone(),
            query: query.to_owned(),
            vector: vector.map(|v| v.written()),
            as_of,
            ranking: ranking.clone(),
        });
        let retrieved = self.submit_ahead(seat, request).await?;
        Ok(retrieved.map(|_| ranking))
    }

    /// The vector of a query, where the release ranks by meaning and does not hold it.
    async fn vector_of(
        &self,
        release: &Release,
        query: &str,
    ) -> Result<Option<Vector>, EngineError> {
        let Some(wanted) = release.embedder() else {
            return Ok(None);
        };
        if release.vector_of(query).is_some() {
            return Ok(None);
        }
        let away = |why: String| EngineError::Embedder(format!("`{wanted}` {why}"));
        let embedder = match self.embedder() {
            Some(embedder) if embedder.name() == wanted => Arc::clone(embedder),
            Some(other) => {
                let why = format!(
                    "is wanted by the release, and `{}` is configured",
                    other.name()
                );
                return Err(away(why));
            }
            None => {
                return Err(away(
                    "is wanted by the release, and none is configured".to_owned(),
                ));
            }
        };
        let text = query.to_owned();
        let made = tokio::task::spawn_blocking(move || embedder.embed(&[&text])).await;
        let made = match made {
            Ok(made) => made.map_err(away)?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        Ok(made.into_iter().next())
    }

    /// Keeps bytes as a snapshot, sealed with the key of whom they are about: the subject of their case, which has one also
    /// before it opens. What belongs to no case goes under the empty subject, the log's own. It is durable no later than the
    /// record that names it.
    ///
    /// # Errors
    /// [`EngineError::Store`] where they cannot be written.
    pub async fn keep(&self, subject: &str, bytes: Vec<u8>) -> Result<Digest, EngineError> {
        let subject = SubjectId::of(self.dir().origin(), subject);
        let at_once = self.snapshots().write_at_once(subject.as_bytes(), &bytes)?;
        let written = match at_once {
            Some(written) => written,
            None => {
                let snapshots = self.snapshots().clone();
                // It may wait for the disk: on a thread for that, so that others can wait beside it.
                let write = move || snapshots.write(subject.as_bytes(), &bytes);
                match tokio::task::spawn_blocking(write).await {
                    Ok(written) => written?,
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                }
            }
        };
        Ok(Digest::from_bytes(self.journal().attach(written)?))
    }

    pub(crate) async fn record_outcome(
        &self,
        grant: &ItemId,
        outcome: Outcome,
        found_by: FoundBy,
        detail: String,
        value: Option<Value>,
    ) -> Result<Executed, EngineError> {
        let snapshot = match &value {
            Some(value) => {
                let subject = self.with_case(grant, |case| case.subject.clone())?;
                Some(self.keep(&subject, json(value)).await?)
            }
            None => None,
        };
        let detail = shorten(&detail);
        let request = Request::RecordOutcome(RecordOutcome {
            grant: grant.clone(),
            outcome,
            found_by,
            detail: detail.clone(),
            snapshot,
        });
        self.submit(&Seat::engine(), request).await?;
        Ok(Executed {
            outcome,
            detail,
            answer: value,
        })
    }

    fn open_call(&self, call: &ItemId) -> Result<(Action, String, Arc<Release>), EngineError> {
        let found = self.with_case(call, |case| {
            let number = call.as_str().rsplit_once(".c")?.1.parse::<usize>().ok()?;
            let open = case.calls.get(number.checked_sub(1)?)?;
            open.answer
                .is_none()
                .then(|| (open.action.clone(), case.subject.clone()))
        })?;
        let (action, subject) = found.ok_or_else(|| EngineError::Missing(call.clone()))?;
        Ok((action, subject, self.release_of(call)?))
    }

    /// The level of durability that the release asks for before this grant is used.
    pub(crate) fn level(&self, grant: &ItemId) -> Result<Level, EngineError> {
        let tier = self.with_case(grant, |case| case.tier)?;
        Ok(self.release_of(grant)?.team().level(tier))
    }

    /// Waits until all that is decided now is at a level; the reason where it does not come to that in time. The lowest is
    /// not waited for: whoever goes on waits for a later record.
    pub(crate) async fn reach(&self, level: Level, patience: Duration) -> Result<(), String> {
        let journal = self.journal();
        let size = self.read(|state| state.size);
        let waited = match level {
            Level::Committed => return Ok(()),
            Level::Checkpointed => timeout(patience, journal.wait_published(size)).await,
            Level::Witnessed => timeout(patience, journal.wait_witnessed(size)).await,
        };
        match waited {
            Ok(reached) => reached.map_err(|why| why.to_string()),
            Err(_) => {
                let problem = journal.witnessed().problem;
                let problem = problem.filter(|_| level == Level::Witnessed);
                Err(problem.unwrap_or_else(|| format!("not within {} s", patience.as_secs())))
            }
        }
    }

    /// How a tool's server describes it now, where the release pins it: what the core compares.
    async fn described(
        &self,
        release: &Release,
        tool: &str,
    ) -> Result<Option<Digest>, EngineError> {
        let known = release.team().tools.get(tool);
        if known.and_then(|t| t.pinned).is_none() {
            return Ok(None);
        }
        let (target, name) = self.target(tool)?;
        let described = target.describe(&name).await;
        described.map_err(|why| EngineError::Undescribed {
            tool: tool.to_owned(),
            why,
        })
    }

    pub(crate) fn release_of(&self, item: &ItemId) -> Result<Arc<Release>, EngineError> {
        let digest = self.with_case(item, |case| case.release)?;
        self.release(digest)?
            .ok_or_else(|| EngineError::Missing(item.clone()))
    }

    pub(crate) fn with_case<T>(
        &self,
        item: &ItemId,
        look: impl FnOnce(&Case) -> T,
    ) -> Result<T, EngineError> {
        self.read(|state| Some(look(state.cases.get(&item.case()?)?)))
            .ok_or_else(|| EngineError::Missing(item.clone()))
    }
}

/// Calls a target; where the release pins the tool, only as it is pinned: the target may have been connected anew since the
/// core was asked.
async fn send(
    target: &dyn target::Target,
    name: &str,
    pinned: Option<Digest>,
    arguments: Map<String, Value>,
) -> target::Answer {
    match pinned {
        Some(pinned) => target.call_described(name, pinned, arguments).await,
        None => target.call(name, arguments).await,
    }
}

/// A target's words as they stand in a record: one line, not long.
pub(crate) fn shorten(words: &str) -> String {
    let line: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    line.trim().to_owned()
}

/// The answer's bytes. Not canonical JSON: a target may answer with fractions, which have no exact form there.
pub(crate) fn json(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
