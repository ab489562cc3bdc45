//! The questions of one case to language models, made again from the log, and the recorded answers read again: what the models
//! were asked, what was made of what they said, and whether that is what happened then.
//!
//! The core cannot look into a question: it is a snapshot, and the core reads records. So what a runner asks, and that it takes the
//! steps that the answer says, is shown here, by whoever has the log and the snapshots.

mod differ;
mod follow;
pub mod live;
mod show;

use std::{collections::BTreeMap, rc::Rc};

use duty::{
    canonical::Digest,
    name::{CaseId, ItemId, PrincipalId},
    record::{Body, Record},
    refusal::Code,
    release::Rules,
    request::{AnswerModel, CallModel, ModelResult, Request},
    state::{Case, State},
    subject::SubjectId,
    time::Time,
};
use evidence::{EvidenceError, Group, Kept, Vault};
use ledger::Source;
use policy::{LanguagePlan, Release};
use serde::Serialize;
use serde_json::Value;

use crate::{
    language::{Composed, Judged, compose, judge},
    model::{Step, View},
    view::{Place, view},
};
use follow::{Did, Follow};

/// What comparing one thing came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verdict {
    /// The same as recorded.
    Same,
    /// Something else.
    Differs {
        /// Each difference.
        differences: Vec<Difference>,
    },
    /// The snapshot that is needed was changed.
    Damaged {
        /// What is wrong with it.
        why: String,
    },
    /// The run ended before it came to this, or the log does.
    NotTaken {
        /// What was to come.
        due: String,
    },
    /// A snapshot that is needed is not here, or its key.
    NotHere {
        /// Which.
        what: String,
        /// The record under which it was erased, where it was.
        #[serde(skip_serializing_if = "Option::is_none")]
        erased: Option<u64>,
    },
}

/// Something that comes out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// What the log and its snapshots say.
    pub recorded: Value,
    /// What comes out now.
    pub again: Value,
}

/// One question to a model.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The call, `<case>.m<n>`.
    pub call: ItemId,
    /// Its record.
    pub seq: u64,
    /// When it was recorded.
    pub time: Time,
    /// Who asked.
    pub agent: PrincipalId,
    /// The model, as the release pins it.
    pub model: String,
    /// The how manieth time the question was sent.
    pub attempt: u32,
    /// Whether the body made again is the one that was recorded, byte for byte.
    pub question: Verdict,
    /// What came of it, as recorded; none where the log says nothing of it.
    pub heard: Option<Heard>,
    /// Whether the recorded answer, read again, is what the record says of it; none where no answer came.
    pub answer: Option<Verdict>,
    /// The steps that the answer says, in words.
    pub says: Vec<String>,
    /// Whether those steps are what the log says happened next.
    pub then: Verdict,
    /// What it takes to ask again; none where something is not here.
    #[serde(skip)]
    material: Option<Material>,
}

/// What is recorded of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// In a word.
    pub result: ModelResult,
    /// The name under which the model answered.
    pub model: Option<String>,
    /// Tokens in and out.
    pub tokens: Option<(u32, u32)>,
    /// Milliseconds.
    pub latency_ms: u32,
}

/// What a question was made of.
#[derive(Debug)]
struct Material {
    release: Rc<Release>,
    view: View,
    /// As recorded.
    body: Vec<u8>,
    /// As recorded, read again.
    steps: Option<Result<Vec<Step>, String>>,
}

/// A case's questions, made again.
#[derive(Debug)]
pub struct Replayed {
    /// In order.
    pub asked: Vec<Asked>,
    /// Steps of agents on language models that no answer said, before any question.
    pub unsaid: Vec<Difference>,
    /// The state at the end of the log.
    pub state: State,
}

impl Replayed {
    /// Whether anything comes out otherwise than recorded.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.unsaid.is_empty() || self.verdicts().any(Verdict::differs)
    }

    /// Snapshots that are neither here nor erased: what rests on them is not compared.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.verdicts().filter_map(|verdict| match verdict {
            Verdict::NotHere { what, erased: None } => Some(what.as_str()),
            _ => None,
        })
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.asked.iter().flat_map(Asked::verdicts)
    }
}

impl Asked {
    /// All that was compared.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        [&self.question, &self.then].into_iter().chain(&self.answer)
    }
}

impl Verdict {
    /// Whether it says that something is otherwise than recorded.
    #[must_use]
    pub fn differs(&self) -> bool {
        match self {
            Self::Differs { .. } | Self::Damaged { .. } => true,
            Self::Same | Self::NotTaken { .. } | Self::NotHere { .. } => false,
        }
    }

    fn of(differences: Vec<Difference>) -> Self {
        match differences.is_empty() {
            true => Self::Same,
            false => Self::Differs { differences },
        }
    }

    /// Adds a difference.
    fn add(&mut self, difference: Difference) {
        match self {
            Self::Differs { differences } => differences.push(difference),
            _ => *self = Self::of(vec![difference]),
        }
    }
}

/// Makes all questions of a case again, and reads the recorded answers again. Nobody is asked anything.
///
/// # Errors
/// [`EvidenceError::NoCase`] where the log holds no such case; what cannot be read.
pub fn replay(
    source: &(dyn Source + Sync),
    snapshots: Option<&Vault>,
    case: &CaseId,
) -> Result<Replayed, EvidenceError> {
    let mut walk = Walk {
        id: case,
        snapshots,
        subject: None,
        asked: Vec::new(),
        unsaid: Vec::new(),
        agents: BTreeMap::new(),
    };
    let state = evidence::for_each_group(source, &mut |group| walk.take(&group))?;
    let subject = walk
        .subject
        .ok_or_else(|| EvidenceError::NoCase(case.to_string()))?;
    let erased = state.erased.get(&subject).copied();
    for (agent, follow) in &mut walk.agents {
        let last = walk.asked.iter_mut().rfind(|a| a.agent == *agent);
        if let Some((last, due)) = last.zip(follow.due()) {
            last.then = Verdict::NotTaken { due };
        }
    }
    for asked in &mut walk.asked {
        asked.erased(erased);
    }
    Ok(Replayed {
        asked: walk.asked,
        unsaid: walk.unsaid,
        state,
    })
}

/// Why bytes cannot be had.
enum Gone {
    NotHere(Digest),
    Damaged(String),
    Unreadable(EvidenceError),
}

struct Walk<'a> {
    id: &'a CaseId,
    snapshots: Option<&'a Vault>,
    subject: Option<SubjectId>,
    asked: Vec<Asked>,
    unsaid: Vec<Difference>,
    agents: BTreeMap<PrincipalId, Follow>,
}

impl Walk<'_> {
    fn take(&mut self, group: &Group<'_>) -> Result<(), EvidenceError> {
        let head = &group.records[0];
        let Some(request) = head.body.request() else {
            return Ok(());
        };
        if request.case().as_ref() != Some(self.id) {
            return Ok(());
        }
        if let (Request::OpenCase(r), Body::CaseOpened(_)) = (request, &head.body) {
            let origin = group.before.origin.as_deref().unwrap_or_default();
            self.subject = Some(SubjectId::of(origin, &r.subject));
        }
        let Some(case) = group.before.cases.get(self.id) else {
            return Ok(());
        };
        let release = group.release(case.release)?;
        if let (Body::ModelAnswered(b), Request::AnswerModel(r)) = (&head.body, request) {
            return self.answered(case, &release, b.drift.as_deref(), r);
        }
        let agent = &head.actor.id;
        let speaks = release.agent(agent).and_then(|plan| plan.language.as_ref());
        let Some(plan) = speaks else { return Ok(()) };
        if let (Body::ModelCalled(b), Request::CallModel(r)) = (&head.body, request) {
            return self.called(&b.call, head, case, &release, r);
        }
        self.did(head, request, case, &release, plan);
        Ok(())
    }

    /// A question: made again, from the state before it.
    fn called(
        &mut self,
        call: &ItemId,
        head: &Record,
        case: &Case,
        release: &Rc<Release>,
        request: &CallModel,
    ) -> Result<(), EvidenceError> {
        let agent = &head.actor.id;
        let follow = self.agents.entry(agent.clone()).or_default();
        let then = follow.asks();
        if let Some(last) = self.asked.iter_mut().rfind(|a| a.agent == *agent) {
            match then {
                Ok(None) => {}
                Ok(Some(due)) => last.then = Verdict::NotTaken { due },
                Err(due) => last.then.add(Difference {
                    what: "what the agent did next".to_owned(),
                    recorded: Value::from("asked its model again"),
                    again: Value::from(due),
                }),
            }
        }
        let (question, material) = match self.again(agent, case, release, request) {
            Ok((question, material)) => (question, Some(material)),
            Err(Gone::NotHere(what)) => (not_here("a snapshot", what), None),
            Err(Gone::Damaged(why)) => (Verdict::Damaged { why }, None),
            Err(Gone::Unreadable(e)) => return Err(e),
        };
        self.asked.push(Asked {
            call: call.clone(),
            seq: head.seq,
            time: head.time,
            agent: agent.clone(),
            model: request.model.clone(),
            attempt: request.attempt,
            question,
            heard: None,
            answer: None,
            says: Vec::new(),
            then: Verdict::Same,
            material,
        });
        Ok(())
    }

    /// The question made again and compared, and what an answer is to be read with.
    fn again(
        &self,
        agent: &PrincipalId,
        case: &Case,
        release: &Rc<Release>,
        request: &CallModel,
    ) -> Result<(Verdict, Material), Gone> {
        let recorded = self.read(&request.snapshot)?;
        let duty = release.team().agent(agent).map(|a| a.duty);
        let place = Place {
            id: self.id,
            case,
            release,
            agent,
            duty: duty.unwrap_or(duty::principal::Duty::Prepare),
        };
        let refused = self.agents.get(agent).map(Follow::refused);
        let mut first = None;
        // A run that was cut off has forgotten what was refused to the one before it.
        for refused in refused.unwrap_or_else(|| vec![Default::default()]) {
            let view = view(&place, &refused, &|digest| self.read(digest))?;
            let composed = compose(release, agent, &view);
            let verdict = match &composed {
                Ok(composed) => differ::question(composed, &recorded, request),
                Err(why) => Verdict::of(vec![Difference {
                    what: "the question".to_owned(),
                    recorded: Value::from("was asked"),
                    again: Value::from(format!("cannot be made: {why}")),
                }]),
            };
            let same = verdict == Verdict::Same;
            let found = (verdict, view);
            if same {
                first = Some(found);
                break;
            }
            first.get_or_insert(found);
        }
        let (verdict, view) = first.expect("INVARIANT: there is at least one way to begin");
        let material = Material {
            release: Rc::clone(release),
            view,
            body: recorded,
            steps: None,
        };
        Ok((verdict, material))
    }

    /// What came of a question: read again, and what has to follow.
    fn answered(
        &mut self,
        case: &Case,
        release: &Rc<Release>,
        drift: Option<&str>,
        request: &AnswerModel,
    ) -> Result<(), EvidenceError> {
        let Some(at) = self.asked.iter().position(|a| a.call == request.call) else {
            return Ok(());
        };
        let read = request.snapshot.as_ref().map(|s| self.read(s)).transpose();
        let asked = &mut self.asked[at];
        asked.heard = Some(Heard {
            result: request.result,
            model: request.model.clone(),
            tokens: request.tokens.map(|t| (t.input, t.output)),
            latency_ms: request.latency_ms,
        });
        let agent = asked.agent.clone();
        let plan = release.agent(&agent).and_then(|p| p.language.as_ref());
        let follow = self.agents.entry(agent.clone()).or_default();
        let mut result = (request.result, request.problem.clone());
        let mut steps = None;
        match (read, &mut asked.material, plan) {
            (Err(Gone::Unreadable(e)), ..) => return Err(e),
            (Err(Gone::NotHere(what)), ..) => asked.answer = Some(not_here("the answer", what)),
            (Err(Gone::Damaged(why)), ..) => asked.answer = Some(Verdict::Damaged { why }),
            // No answer came.
            (Ok(None), ..) => {}
            (Ok(Some(_)), None, _) | (Ok(Some(_)), _, None) => {
                asked.answer = Some(Verdict::NotHere {
                    what: "what the question was made of".to_owned(),
                    erased: None,
                });
            }
            (Ok(Some(body)), Some(material), Some(plan)) => {
                let Ok(composed) = compose(&material.release, &agent, &material.view) else {
                    return Ok(());
                };
                let judged = read_again(material, plan, &composed, request, body);
                asked.answer = Some(differ::answer(&judged.reply, request));
                result = (judged.reply.result, judged.reply.problem.clone());
                let said = match &judged.steps {
                    Some(steps) => Ok(steps.clone()),
                    None => Err(judged.reply.problem.clone().unwrap_or_default()),
                };
                asked.says = show::says(&said);
                material.steps = Some(said);
                steps = judged.steps;
            }
        }
        let known = !matches!(
            asked.answer,
            Some(Verdict::NotHere { .. } | Verdict::Damaged { .. })
        );
        if !known && drift.is_none() && request.result == ModelResult::Usable {
            asked.then = asked.answer.clone().unwrap_or(Verdict::Same);
            follow.lose();
            return Ok(());
        }
        let repairs = plan.map_or(0, |p| usize::try_from(p.repairs).unwrap_or(usize::MAX));
        match (drift, result) {
            (Some(drift), _) => follow.drifted(drift),
            (None, (ModelResult::Usable, _)) => follow.says(steps.unwrap_or_default()),
            (None, (ModelResult::Malformed, why)) => {
                follow.unusable(case, &agent, repairs, why.as_deref());
            }
            (None, (ModelResult::Refused | ModelResult::Unsent | ModelResult::Lost, why)) => {
                follow.silent(why.as_deref().unwrap_or_default());
            }
        }
        Ok(())
    }

    /// A step of an agent, or one that was refused.
    fn did(
        &mut self,
        head: &Record,
        request: &Request,
        case: &Case,
        release: &Release,
        plan: &LanguagePlan,
    ) {
        let refusal = match &head.body {
            Body::RequestRefused(b) => Some(&b.refusal),
            _ => None,
        };
        let agent = &head.actor.id;
        let follow = self.agents.entry(agent.clone()).or_default();
        let did = match request {
            Request::CallModel(_) => {
                if let Some(refusal) = refusal.filter(|r| r.code == Code::OverBudget) {
                    follow.over_budget(&refusal.why);
                }
                return;
            }
            Request::Call(r) => Did::Call(&r.action),
            Request::Retrieve(_) if refusal.is_some() => return,
            Request::Retrieve(r) => Did::Retrieve(&r.query),
            Request::Recommend(r) => Did::Recommend(r),
            _ => return,
        };
        let place = follow::Here {
            case,
            agent,
            release,
            time: head.time,
        };
        if let Some(difference) = follow.did(&place, &did) {
            let last = self.asked.iter_mut().rfind(|a| a.agent == *agent);
            let difference = Difference {
                what: format!("record {}: {}", head.seq, difference.what),
                ..difference
            };
            match last {
                Some(last) => last.then.add(difference),
                None => self.unsaid.push(difference),
            }
        }
        let repairs = usize::try_from(plan.repairs).unwrap_or(usize::MAX);
        match refusal {
            Some(refusal) => follow.refuse(&did, refusal, case, agent, repairs),
            None if matches!(did, Did::Recommend(_)) => follow.part_is_over(),
            None => {}
        }
    }

    fn read(&self, commitment: &Digest) -> Result<Vec<u8>, Gone> {
        let kept = match self.snapshots {
            Some(vault) => vault.get(commitment),
            None => Ok(Kept::Absent),
        };
        match kept {
            Ok(Kept::Bytes(bytes)) => Ok(bytes),
            Ok(Kept::Sealed(_) | Kept::Absent) => Err(Gone::NotHere(*commitment)),
            Err(e @ EvidenceError::Snapshot { .. }) => Err(Gone::Damaged(e.to_string())),
            Err(e) => Err(Gone::Unreadable(e)),
        }
    }
}

/// The same reading as when the answer came.
fn read_again(
    material: &Material,
    plan: &LanguagePlan,
    composed: &Composed<'_>,
    request: &AnswerModel,
    body: Vec<u8>,
) -> Judged {
    let status = request.status.unwrap_or_default();
    judge(
        &material.release,
        plan,
        &material.view,
        composed,
        status,
        body,
    )
}

fn not_here(what: &str, commitment: Digest) -> Verdict {
    Verdict::NotHere {
        what: format!("{what} ({})", commitment.short()),
        erased: None,
    }
}

impl Asked {
    /// Says of what is not here why: its subject was erased later on.
    fn erased(&mut self, by: Option<u64>) {
        let verdicts = [&mut self.question, &mut self.then];
        for verdict in verdicts.into_iter().chain(&mut self.answer) {
            if let Verdict::NotHere { erased, .. } = verdict {
                *erased = by;
            }
        }
    }
}
