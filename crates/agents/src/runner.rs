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
    refusal::{Code, Refusal},
    release::{ClauseRef, Rules},
    request::{AnswerModel, ModelResult, OpenCase, Recommend, Request, Stance},
    shared::Shared,
    state::{CallAnswer, Case},
};
use engine::{Engine, EngineError, Executed, Seat};
use policy::Release;
use serde_json::Value;
use telemetry::span;
use tracing::Instrument as _;

use crate::{
    desk::Desk,
    endpoint::Endpoints,
    language::LanguageModel,
    model::{Answered, Model, ModelError, Said, Step, Unusable, View},
    rules::RuleModel,
};

/// The most steps that one agent takes in one case: a model that never recommends is stopped.
const MOST_STEPS: usize = 64;

/// What stands in a recommendation's `row` where the runner refers the case, since the agent's model said nothing usable.
pub const ESCALATED: &str = "escalated";

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
    ) -> Result<Vec<Record>, RunError> {
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
        for _ in 0..MOST_STEPS {
            let Some(case) = self.case(id) else {
                return Ok(Vec::new());
            };
            let view = self.view(id, &case, release, seat, duty, &refused)?;
            for step in model.next(&view, &desk).await? {
                match step {
                    Step::Call(action) => match self.engine.call(seat, id, action.clone()).await {
                        Ok(_) => {}
                        Err(EngineError::Refused(refusal)) => refused.calls.push(Answered {
                            action,
                            answer: Err(refusal.to_string()),
                        }),
                        Err(e) => return Err(e.into()),
                    },
                    Step::Retrieve(query) => {
                        self.engine.retrieve(seat, id, &query).await?;
                    }
                    Step::Recommend(said) => {
                        match self.say(id, release, seat, duty, &model, *said).await {
                            Err(EngineError::Refused(refusal))
                                if speaks && may_say_again(&refusal) =>
                            {
                                refused.said.push(refusal.to_string());
                            }
                            said => return Ok(said?),
                        }
                    }
                    Step::Escalate(why) => {
                        let said = self.escalation(id, release, seat, &why).await?;
                        return Ok(self.say(id, release, seat, duty, &model, said).await?);
                    }
                }
            }
        }
        let endless = RunError::Endless(seat.principal.clone(), id.clone());
        if !speaks {
            return Err(endless);
        }
        let said = self
            .escalation(id, release, seat, &endless.to_string())
            .await?;
        Ok(self.say(id, release, seat, duty, &model, said).await?)
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
    ) -> Result<Vec<Record>, EngineError> {
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
        self.engine.submit(seat, request).await
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
        let wanted = &release.team().confidence_clause;
        let at = self.engine.now();
        let query = release
            .clause_at(wanted, at)
            .map(|clause| format!("{} {}", clause.title, clause.text));
        let query: String = query
            .unwrap_or_else(|| wanted.clone())
            .chars()
            .take(400)
            .collect();
        let found = self.engine.retrieve(seat, id, &query).await?;
        let best = found
            .iter()
            .find(|f| f.clause.id == *wanted)
            .or(found.first());
        let why = format!("A human decides: {why}");
        Ok(Said {
            stance: Stance::Refer,
            action: None,
            confidence: 0,
            rationale: why.chars().take(600).collect(),
            clauses: best.map(|f| f.clause.clone()).into_iter().collect(),
            quotes: Vec::new(),
            row: Some(ESCALATED.to_owned()),
        })
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

    fn view(
        &self,
        id: &CaseId,
        case: &Case,
        release: &Release,
        seat: &Seat,
        duty: Duty,
        refused: &Refused,
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
        answers.extend_from_slice(&refused.calls);
        let mut unusable = self.unusable(case, &seat.principal)?;
        unusable.extend(refused.said.iter().map(|why| Unusable {
            said: Vec::new(),
            why: why.clone(),
        }));
        let plan = release.agent(&seat.principal);
        Ok(View {
            case: id.clone(),
            environment: case.env.clone(),
            duty,
            prompt: plan.map(|p| p.prompt.clone()).unwrap_or_default(),
            subject: case.subject.clone(),
            source: self.snapshot(&case.snapshot)?,
            answers,
            found: found(case, release, &seat.principal),
            proposal: match duty {
                Duty::Review => case.prepared.as_ref().map(|(_, said)| said.clone()),
                Duty::Prepare | Duty::Approve | Duty::Execute => None,
            },
            unusable,
            attempt: next_attempt(case, &seat.principal),
        })
    }

    /// What the agent's model said in the case that could not be used.
    fn unusable(&self, case: &Case, agent: &PrincipalId) -> Result<Vec<Unusable>, RunError> {
        let own = case.models.iter().filter(|m| m.agent == *agent);
        let heard = own.filter_map(|m| m.answer.as_ref());
        let unusable = heard.filter(|a| a.result == ModelResult::Malformed);
        unusable
            .map(|a| {
                let said = a.snapshot.as_ref().map(|s| self.snapshot(s)).transpose()?;
                Ok(Unusable {
                    said: said.unwrap_or_default(),
                    why: a.problem.clone().unwrap_or_default(),
                })
            })
            .collect()
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

/// What the core refused in one part. It is in the log as refusals and not as calls, so the model is told of it here.
#[derive(Default)]
struct Refused {
    calls: Vec<Answered>,
    said: Vec<String>,
}

/// Whether a language model may say otherwise what was refused: what it cites is its own to mend, and it is told what was
/// wrong.
fn may_say_again(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Code::BadCitation | Code::NotPermitted | Code::Malformed
    )
}

/// The how manieth time an agent's model is asked the same, when it is asked next.
fn next_attempt(case: &Case, agent: &PrincipalId) -> u32 {
    let last = case.models.iter().rfind(|m| m.agent == *agent);
    let failed = last.filter(|m| m.answer.as_ref().is_some_and(|a| a.result.failed()));
    failed.map_or(1, |m| m.attempt.saturating_add(1))
}

/// Commitments to everything that the agent was shown, and to what its language model said last.
fn inputs(case: &Case, agent: &PrincipalId) -> Vec<duty::canonical::Digest> {
    let own = case.calls.iter().filter(|c| c.agent == *agent);
    let answers = own.filter_map(|c| match c.answer {
        Some(CallAnswer::Snapshot(digest)) => Some(digest),
        _ => None,
    });
    let last = case.models.iter().rfind(|m| m.agent == *agent);
    let heard = last.and_then(|m| m.answer.as_ref()?.snapshot);
    std::iter::once(case.snapshot)
        .chain(answers)
        .chain(heard)
        .collect()
}

fn found(case: &Case, release: &Release, agent: &PrincipalId) -> Vec<(String, Vec<ClauseRef>)> {
    let own = case.retrieved.get(agent).into_iter().flatten();
    own.map(|retrieval| {
        let clauses = retrieval
            .clauses
            .iter()
            .filter_map(|id| release.clause(id, retrieval.at).cloned());
        (retrieval.query.clone(), clauses.collect())
    })
    .collect()
}
