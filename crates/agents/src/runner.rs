//! The runner: takes a team through its cases. It keeps nothing of its own; where a case stands is read from the log's
//! state, so a run that was cut off anywhere goes on from there.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use duty::{
    freeze,
    name::{CaseId, Environment, ItemId, PrincipalId},
    principal::Duty,
    record::{ExceptionSort, Record},
    release::{ClauseRef, Rules},
    request::{OpenCase, Recommend, Request},
    shared::Shared,
    state::{CallAnswer, Case},
};
use engine::{Engine, EngineError, Executed, Seat};
use policy::Release;
use serde_json::Value;

use crate::{
    model::{Answered, Model, ModelError, Step, View},
    rules::RuleModel,
};

/// The most steps that one agent takes in one case: a model that never recommends is stopped.
const MOST_STEPS: usize = 64;

/// Where the runner leaves a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It ended.
    Ended,
    /// Humans must sign.
    Waits,
    /// The outcome is unknown; a human takes it up.
    Unknown,
    /// A freeze stops it, its grant is not at the level of durability that the release asks for, or a tool is not what the
    /// release pins, or cannot be seen; it can be taken up again.
    Held,
    /// Somebody else has it in hand.
    Busy,
}

/// How far a case came, and what came of it on the way.
#[derive(Debug)]
pub struct Progress {
    /// Where it stands now.
    pub stop: Stop,
    /// What the last recommendation made here came to.
    pub decided: Vec<Record>,
    /// What was executed here.
    pub executed: Option<Executed>,
}

/// Why a case cannot go on now. It stays as it is and can be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The shell.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Nobody here can act as this agent.
    #[error("no credential of agent `{0}` is here; add its token under `keys/agents`")]
    NoSeat(PrincipalId),
    /// Something that the log commits to is not here.
    #[error(
        "snapshot {0} is not here or does not match its commitment; restore `snapshots` from a copy"
    )]
    NoSnapshot(String),
    /// The model goes round in circles.
    #[error("`{0}` has taken {MOST_STEPS} steps in case `{1}` without recommending")]
    Endless(PrincipalId, CaseId),
}

/// Takes cases through a team.
pub struct Runner {
    engine: Arc<Engine>,
    seats: HashMap<PrincipalId, Seat>,
    models: Mutex<HashMap<(duty::canonical::Digest, PrincipalId), Arc<dyn Model>>>,
    in_hand: Mutex<HashSet<CaseId>>,
}

/// A case in hand: nobody else goes on with it until this is dropped.
pub struct Hold {
    runner: Arc<Runner>,
    case: CaseId,
}

/// As [`Hold`], for as long as the runner is borrowed.
struct InHand<'r> {
    runner: &'r Runner,
    case: &'r CaseId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.runner.let_go(self.case);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.runner.let_go(&self.case);
    }
}

impl Runner {
    /// A runner that can act as the agents whose seats it is given.
    #[must_use]
    pub fn new(engine: Arc<Engine>, seats: impl IntoIterator<Item = Seat>) -> Self {
        Self {
            engine,
            seats: seats
                .into_iter()
                .map(|s| (s.principal.clone(), s))
                .collect(),
            models: Mutex::new(HashMap::new()),
            in_hand: Mutex::default(),
        }
    }

    /// Opens a case over the bytes of its source.
    ///
    /// # Errors
    /// [`EngineError`], for instance where the id was used before.
    pub async fn open(
        &self,
        case: &CaseId,
        environment: &Environment,
        subject: &str,
        source: &[u8],
    ) -> Result<(), EngineError> {
        let request = Request::OpenCase(OpenCase {
            case: case.clone(),
            environment: environment.clone(),
            subject: subject.to_owned(),
            snapshot: self.engine.keep(subject, source.to_vec()).await?,
        });
        self.engine.submit(&Seat::engine(), request).await?;
        Ok(())
    }

    /// Takes a case in hand; none where somebody has it.
    #[must_use]
    pub fn hold(self: &Arc<Self>, case: &CaseId) -> Option<Hold> {
        self.grab(case).then(|| Hold {
            runner: Arc::clone(self),
            case: case.clone(),
        })
    }

    /// Takes a case as far as agents can, unless somebody has it in hand.
    ///
    /// # Errors
    /// [`RunError`]; the case stays where it was, and can be taken up again.
    pub async fn advance(&self, id: &CaseId) -> Result<Stop, RunError> {
        if !self.grab(id) {
            return Ok(Stop::Busy);
        }
        let _in_hand = InHand {
            runner: self,
            case: id,
        };
        Ok(self.go_on(id).await?.stop)
    }

    /// As [`Runner::advance`], for whoever has the case in hand.
    ///
    /// # Errors
    /// As [`Runner::advance`].
    pub async fn advance_held(&self, held: &Hold) -> Result<Progress, RunError> {
        self.go_on(&held.case).await
    }

    fn grab(&self, case: &CaseId) -> bool {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.insert(case.clone())
    }

    fn let_go(&self, case: &CaseId) {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.remove(case);
    }

    async fn go_on(&self, id: &CaseId) -> Result<Progress, RunError> {
        let (mut decided, mut executed) = (Vec::new(), None);
        let stop = loop {
            let Some(case) = self.case(id) else {
                break Stop::Ended;
            };
            if case.outcome.is_some() {
                break Stop::Unknown;
            }
            // Trying would be refused, and each refusal is a record.
            if self.frozen(&case)? || self.has_changed_tool(id, &case) {
                break Stop::Held;
            }
            // Whoever runs outside comes through a door by itself.
            if self.is_elsewhere(&case)? {
                break Stop::Waits;
            }
            if let Some(grant) = &case.grant {
                if grant.used.is_some() {
                    break Stop::Unknown;
                }
                match self.execute(&case, &grant.id).await {
                    Err(RunError::Engine(
                        EngineError::Unreleased { .. } | EngineError::Undescribed { .. },
                    )) => break Stop::Held,
                    // Its server describes the tool otherwise than the release: a human has been told.
                    Err(RunError::Engine(EngineError::Refused(_)))
                        if self
                            .case(id)
                            .is_some_and(|now| self.has_changed_tool(id, &now)) =>
                    {
                        break Stop::Held;
                    }
                    // Somebody took their yes back in the meantime: the case waits again.
                    Err(RunError::Engine(EngineError::Refused(_)))
                        if self.case(id).is_some_and(|now| now.grant.is_none()) => {}
                    done => executed = Some(done?),
                }
            } else if case.approval.is_some() {
                break Stop::Waits;
            } else if case.prepared.is_none() {
                decided = self.recommend(id, &case, Duty::Prepare).await?;
            } else if case.reviewed.is_none() {
                decided = self.recommend(id, &case, Duty::Review).await?;
            } else {
                break Stop::Waits;
            }
        };
        Ok(Progress {
            stop,
            decided,
            executed,
        })
    }

    /// Whether a freeze stops the agent whose turn it is.
    fn frozen(&self, case: &Case) -> Result<bool, RunError> {
        if self.engine.read(|s| s.freezes.is_empty()) {
            return Ok(false);
        }
        let (duty, tool) = match (&case.grant, &case.prepared) {
            (Some(_), _) => (Duty::Execute, case.action().map(|a| a.tool.clone())),
            (None, Some(_)) => (Duty::Review, None),
            (None, None) => (Duty::Prepare, None),
        };
        let release = self.release(case)?;
        let seat = self.seat(&release, duty)?;
        let step = freeze::Step {
            team: Some(release.team()),
            agent: Some(&seat.principal),
            tool: tool.as_deref(),
        };
        Ok(self.engine.read(|s| s.frozen(step).is_some()))
    }

    /// Whether a human still has to look at a tool that is not what the release pins.
    fn has_changed_tool(&self, id: &CaseId, case: &Case) -> bool {
        let sort = ExceptionSort::ToolChanged;
        self.engine.read(|state| state.is_raised(id, case, sort))
    }

    /// Whether the next step is that of an agent that runs outside, or an effect that its caller carries out.
    fn is_elsewhere(&self, case: &Case) -> Result<bool, RunError> {
        let release = self.release(case)?;
        let by_caller = |tool: &str| release.team().tools.get(tool).is_some_and(|t| t.by_caller);
        let duty = match (&case.grant, &case.approval, &case.prepared) {
            (Some(_), ..) if case.action().is_some_and(|a| by_caller(&a.tool)) => return Ok(true),
            (Some(_), ..) => Duty::Execute,
            (None, Some(_), _) => return Ok(false),
            (None, None, Some(_)) => Duty::Review,
            (None, None, None) => Duty::Prepare,
        };
        let plans = release.team().with_duty(duty);
        let mut plans = plans.filter_map(|agent| release.agent(&agent.id));
        Ok(plans.any(|plan| plan.external))
    }

    async fn execute(&self, case: &Case, grant: &ItemId) -> Result<Executed, RunError> {
        let release = self.release(case)?;
        let seat = self.seat(&release, Duty::Execute)?;
        let action = case.action().cloned();
        let action = action.ok_or_else(|| EngineError::Missing(grant.clone()))?;
        Ok(self.engine.execute(seat, grant, action).await?)
    }

    /// One agent's whole part: steps until it recommends. Answers what that came to.
    async fn recommend(
        &self,
        id: &CaseId,
        opened: &Case,
        duty: Duty,
    ) -> Result<Vec<Record>, RunError> {
        let release = self.release(opened)?;
        let seat = self.seat(&release, duty)?;
        let model = self.model(&release, &seat.principal)?;
        self.close_calls(id, opened, &seat.principal).await?;
        // What was refused is in the log as a refusal and not as a call, so the model is told of it here.
        let mut refused = Vec::new();
        for _ in 0..MOST_STEPS {
            let Some(case) = self.case(id) else {
                return Ok(Vec::new());
            };
            let view = self.view(id, &case, &release, seat, duty, &refused)?;
            match model.next(&view).await? {
                Step::Call(action) => match self.engine.call(seat, id, action.clone()).await {
                    Ok(_) => {}
                    Err(EngineError::Refused(refusal)) => refused.push(Answered {
                        action,
                        answer: Err(refusal.to_string()),
                    }),
                    Err(e) => return Err(e.into()),
                },
                Step::Retrieve(query) => {
                    self.engine.retrieve(seat, id, &query).await?;
                }
                Step::Recommend {
                    stance,
                    action,
                    confidence,
                    rationale,
                    clauses,
                    row,
                } => {
                    let request = Request::Recommend(Recommend {
                        case: id.clone(),
                        duty,
                        stance,
                        action,
                        confidence,
                        rationale,
                        clauses,
                        quotes: Vec::new(),
                        model: model.id().to_owned(),
                        prompt: release.team().agent(&seat.principal).map(|a| a.prompt),
                        row,
                        inputs: inputs(&case, &seat.principal),
                    });
                    return Ok(self.engine.submit(seat, request).await?);
                }
            }
        }
        Err(RunError::Endless(seat.principal.clone(), id.clone()))
    }

    /// Calls of this agent that an earlier run left without an answer are answered now.
    async fn close_calls(
        &self,
        id: &CaseId,
        case: &Case,
        agent: &PrincipalId,
    ) -> Result<(), RunError> {
        for (i, call) in case.calls.iter().enumerate() {
            if call.agent == *agent && call.answer.is_none() {
                let call: Result<ItemId, _> = format!("{id}.c{}", i + 1).parse();
                if let Ok(call) = call {
                    self.engine.answer_call(&call).await?;
                }
            }
        }
        Ok(())
    }

    fn view(
        &self,
        id: &CaseId,
        case: &Case,
        release: &Release,
        seat: &Seat,
        duty: Duty,
        refused: &[Answered],
    ) -> Result<View, RunError> {
        let mut answers = Vec::new();
        for call in case.calls.iter().filter(|c| c.agent == seat.principal) {
            let answer = match &call.answer {
                None => continue,
                Some(CallAnswer::Problem(why)) => Err(why.clone()),
                Some(CallAnswer::Snapshot(digest)) => {
                    let bytes = self.snapshot(digest)?;
                    serde_json::from_slice::<Value>(&bytes).map_err(|e| e.to_string())
                }
            };
            answers.push(Answered {
                action: call.action.clone(),
                answer,
            });
        }
        answers.extend_from_slice(refused);
        let plan = release.agent(&seat.principal);
        Ok(View {
            case: id.clone(),
            environment: case.env.clone(),
            duty,
            prompt: plan.map(|p| p.prompt.clone()).unwrap_or_default(),
            subject: case.subject.clone(),
            source: self.snapshot(&case.snapshot)?,
            answers,
            found: last_found(case, release, &seat.principal),
        })
    }

    fn snapshot(&self, digest: &duty::canonical::Digest) -> Result<Vec<u8>, RunError> {
        let bytes = self.engine.snapshots().get(digest.as_bytes());
        let bytes = bytes.map_err(EngineError::from)?;
        bytes.ok_or_else(|| RunError::NoSnapshot(digest.short()))
    }

    fn case(&self, id: &CaseId) -> Option<Shared<Case>> {
        self.engine.read(|state| state.cases.get(id).cloned())
    }

    fn release(&self, case: &Case) -> Result<Arc<Release>, RunError> {
        let release = self.engine.release(case.release)?;
        release.ok_or_else(|| RunError::NoSnapshot(format!("of release {}", case.release.short())))
    }

    fn seat(&self, release: &Release, duty: Duty) -> Result<&Seat, RunError> {
        let mut agents = release.team().with_duty(duty);
        let known = agents.find_map(|agent| self.seats.get(&agent.id));
        known.ok_or_else(|| {
            let agent = release.team().with_duty(duty).next().map(|a| a.id.clone());
            RunError::NoSeat(agent.unwrap_or_else(|| Seat::engine().principal))
        })
    }

    fn model(
        &self,
        release: &Arc<Release>,
        agent: &PrincipalId,
    ) -> Result<Arc<dyn Model>, RunError> {
        let key = (release.digest(), agent.clone());
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(&key) {
            return Ok(Arc::clone(model));
        }
        let model = RuleModel::new(Arc::clone(release), agent).ok_or_else(|| ModelError {
            model: format!("of {agent}"),
            why: "the release gives this agent no model".to_owned(),
        })?;
        let model: Arc<dyn Model> = Arc::new(model);
        models.insert(key, Arc::clone(&model));
        Ok(model)
    }
}

/// Commitments to everything that the agent was shown.
fn inputs(case: &Case, agent: &PrincipalId) -> Vec<duty::canonical::Digest> {
    let own = case.calls.iter().filter(|c| c.agent == *agent);
    let answers = own.filter_map(|c| match c.answer {
        Some(CallAnswer::Snapshot(digest)) => Some(digest),
        _ => None,
    });
    std::iter::once(case.snapshot).chain(answers).collect()
}

fn last_found(
    case: &Case,
    release: &Release,
    agent: &PrincipalId,
) -> Option<(String, Vec<ClauseRef>)> {
    let last = case.retrieved.get(agent)?.last()?;
    let clauses = last
        .clauses
        .iter()
        .filter_map(|id| release.clause(id, last.at).cloned());
    Some((last.query.clone(), clauses.collect()))
}
