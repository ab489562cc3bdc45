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
    release::Rules,
    request::{AnswerModel, ModelResult, OpenCase, Recommend, Request},
    shared::Shared,
    state::Case,
};
use engine::{Ahead, Engine, EngineError, Executed, Pending, Seat};
use policy::Release;
use telemetry::span;
use tracing::Instrument as _;

use crate::{
    desk::Desk,
    endpoint::Endpoints,
    escalation,
    language::LanguageModel,
    model::{Answered, Model, ModelError, Said, Step},
    rules::RuleModel,
    view::{Place, Refused, may_say_again, view},
};

/// The most steps that one agent takes in one case: a model that never recommends is stopped.
pub(crate) const MOST_STEPS: usize = 64;

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

impl RunError {
    /// In a word, for logs and traces: its message may repeat what a request held.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Engine(e) => e.word(),
            Self::Model(_) => "model",
            Self::NoSeat(_) => "no-seat",
            Self::NoSnapshot(_) => "no-snapshot",
            Self::Endless(..) => "endless",
        }
    }

    /// For logs: its message, unless that may repeat what a request held; then its word.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Engine(e) => e.plain(),
            other => other.to_string(),
        }
    }
}

/// Takes cases through a team.
pub struct Runner {
    engine: Arc<Engine>,
    seats: HashMap<PrincipalId, Seat>,
    models: Mutex<HashMap<(duty::canonical::Digest, PrincipalId), Arc<dyn Model>>>,
    endpoints: Arc<Endpoints>,
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
            endpoints: Arc::default(),
            in_hand: Mutex::default(),
        }
    }

    /// The same, with endpoints where language models are asked.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Arc<Endpoints>) -> Self {
        self.endpoints = endpoints;
        self
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
        let progress = self.go_on(id).await?.durable(&self.engine).await?;
        Ok(progress.stop)
    }

    /// As [`Runner::advance`], for whoever has the case in hand, and may take further steps before it waits for the records of
    /// these.
    ///
    /// # Errors
    /// As [`Runner::advance`].
    pub async fn advance_held(&self, held: &Hold) -> Result<Pending<Progress>, RunError> {
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

    /// Each step is taken ahead: the executor's waits for the records of all before it.
    async fn go_on(&self, id: &CaseId) -> Result<Pending<Progress>, RunError> {
        let (mut decided, mut executed) = (Vec::new(), None);
        let mut ahead = Ahead::default();
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
                let recommended = self.recommend(id, &case, Duty::Prepare).await?;
                decided = recommended.onto(&mut ahead);
            } else if case.reviewed.is_none() {
                let recommended = self.recommend(id, &case, Duty::Review).await?;
                decided = recommended.onto(&mut ahead);
            } else {
                break Stop::Waits;
            }
        };
        Ok(ahead.with(Progress {
            stop,
            decided,
            executed,
        }))
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
    ) -> Result<Pending<Vec<Record>>, RunError> {
        let release = self.release(opened)?;
        let seat = self.seat(&release, duty)?;
        let (agent, environment) = (seat.principal.as_str(), opened.env.as_str());
        let digest = release.digest().to_string();
        let span = span::invoke_agent(agent, duty.word(), id.as_str(), environment, &digest);
        let steps = self.steps(id, opened, duty, &release, seat);
        let said = steps.instrument(span.clone()).await;
        if let Err(e) = &said {
            span::failed(&span, e.word());
        }
        said
    }

    async fn steps(
        &self,
        id: &CaseId,
        opened: &Case,
        duty: Duty,
        release: &Arc<Release>,
        seat: &Seat,
    ) -> Result<Pending<Vec<Record>>, RunError> {
        let model = self.model(release, &seat.principal)?;
        self.close_calls(id, opened, &seat.principal).await?;
        let desk = Desk {
            engine: &self.engine,
            seat,
            case: id,
            subject: &opened.subject,
        };
        let speaks = release
            .agent(&seat.principal)
            .is_some_and(|plan| plan.language.is_some());
        let mut refused = Refused::default();
        let mut ahead = Ahead::default();
        for _ in 0..MOST_STEPS {
            let Some(case) = self.case(id) else {
                return Ok(ahead.with(Vec::new()));
            };
            let place = Place {
                id,
                case: &case,
                release,
                agent: &seat.principal,
                duty,
            };
            let view = view(&place, &refused, &|digest| self.snapshot(digest))?;
            for step in model.next(&view, &desk).await? {
                match step {
                    Step::Call(action) => {
                        match self.engine.call_ahead(seat, id, action.clone()).await {
                            Ok(called) => drop(called.onto(&mut ahead)),
                            Err(EngineError::Refused(refusal)) => refused.calls.push(Answered {
                                action,
                                answer: Err(refusal.to_string()),
                            }),
                            Err(e) => return Err(e.into()),
                        }
                    }
                    Step::Retrieve(query) => {
                        let found = self.engine.retrieve_ahead(seat, id, &query).await?;
                        found.onto(&mut ahead);
                    }
                    Step::Recommend(said) => {
                        match self.say(id, release, seat, duty, &model, *said).await {
                            Err(EngineError::Refused(refusal))
                                if speaks && may_say_again(&refusal) =>
                            {
                                refused.said.push(refusal.to_string());
                            }
                            said => {
                                let decided = said?.onto(&mut ahead);
                                return Ok(ahead.with(decided));
                            }
                        }
                    }
                    Step::Escalate(why) => {
                        return self.escalate(id, release, seat, duty, &model, &why).await;
                    }
                }
            }
        }
        if !speaks {
            return Err(RunError::Endless(seat.principal.clone(), id.clone()));
        }
        let why = endless(&seat.principal, id);
        self.escalate(id, release, seat, duty, &model, &why).await
    }

    /// Has a human decide, where a model says nothing that can be used. A later record than all before it.
    async fn escalate(
        &self,
        id: &CaseId,
        release: &Release,
        seat: &Seat,
        duty: Duty,
        model: &Arc<dyn Model>,
        why: &str,
    ) -> Result<Pending<Vec<Record>>, RunError> {
        let said = self.escalation(id, release, seat, why).await?;
        Ok(self.say(id, release, seat, duty, model, said).await?)
    }

    /// Recommends, as the agent.
    async fn say(
        &self,
        id: &CaseId,
        release: &Release,
        seat: &Seat,
        duty: Duty,
        model: &Arc<dyn Model>,
        said: Said,
    ) -> Result<Pending<Vec<Record>>, EngineError> {
        let inputs = self
            .case(id)
            .map(|case| inputs(&case, &seat.principal))
            .unwrap_or_default();
        let request = Request::Recommend(Recommend {
            case: id.clone(),
            duty,
            stance: said.stance,
            action: said.action,
            confidence: said.confidence,
            rationale: said.rationale,
            clauses: said.clauses,
            quotes: said.quotes,
            model: model.id().to_owned(),
            prompt: release.team().agent(&seat.principal).map(|a| a.prompt),
            row: said.row,
            inputs,
        });
        self.engine.submit_ahead(seat, request).await
    }

    /// What is recommended where a model says nothing that can be used: that a human decides. It rests on the clause that
    /// sends doubtful cases to a human, which is looked for like any other.
    async fn escalation(
        &self,
        id: &CaseId,
        release: &Release,
        seat: &Seat,
        why: &str,
    ) -> Result<Said, RunError> {
        let query = escalation::query(release, self.engine.now());
        let found = self.engine.retrieve(seat, id, &query).await?;
        let cited = escalation::cited(release, &found, |f| &f.clause.id);
        Ok(escalation::said(cited.map(|f| f.clause.clone()), why))
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
        for (i, call) in case.models.iter().enumerate() {
            if call.agent != *agent || call.answer.is_some() {
                continue;
            }
            if let Ok(call) = format!("{id}.m{}", i + 1).parse() {
                let request = Request::AnswerModel(AnswerModel {
                    call,
                    result: ModelResult::Lost,
                    snapshot: None,
                    model: None,
                    tokens: None,
                    status: None,
                    latency_ms: 0,
                    problem: Some("the process ended before the answer".to_owned()),
                });
                self.engine.submit(&Seat::engine(), request).await?;
            }
        }
        Ok(())
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
        let language = LanguageModel::new(Arc::clone(release), agent, Arc::clone(&self.endpoints));
        let model: Arc<dyn Model> = match language {
            Some(model) => Arc::new(model),
            None => {
                let model = RuleModel::new(Arc::clone(release), agent);
                Arc::new(model.ok_or_else(|| ModelError::Cannot {
                    model: format!("of {agent}"),
                    why: "the release gives this agent no model".to_owned(),
                })?)
            }
        };
        models.insert(key, Arc::clone(&model));
        Ok(model)
    }
}

/// Why a language model that goes round in circles is stopped.
pub(crate) fn endless(agent: &PrincipalId, case: &CaseId) -> String {
    RunError::Endless(agent.clone(), case.clone()).to_string()
}

/// Commitments to everything that the agent was shown, and to what its language model said last.
fn inputs(case: &Case, agent: &PrincipalId) -> Vec<duty::canonical::Digest> {
    let last = case.models.iter().rfind(|m| m.agent == *agent);
    let heard = last.and_then(|m| m.answer.as_ref()?.snapshot);
    std::iter::once(case.snapshot)
        .chain(case.answers_to(agent))
        .chain(heard)
        .collect()
}
