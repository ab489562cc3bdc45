//! The place where a model plugs in: it is shown what its agent may know, and says the next steps.

use duty::{
    action::Action,
    name::{CaseId, Environment},
    principal::Duty,
    release::ClauseRef,
    request::{Quote, Recommend, Stance},
};
use engine::{EngineError, target::BoxFuture};
use serde_json::Value;

use crate::desk::Desk;

/// What a model is shown. Everything in it is committed to in the log.
#[derive(Clone, Debug)]
pub struct View {
    /// The case.
    pub case: CaseId,
    /// Where it runs.
    pub environment: Environment,
    /// The duty to be done.
    pub duty: Duty,
    /// The agent's instructions, from the release.
    pub prompt: String,
    /// What the case is about.
    pub subject: String,
    /// The source snapshot's bytes: data, never instructions.
    pub source: Vec<u8>,
    /// The agent's own calls in this case so far, with their answers, in order.
    pub answers: Vec<Answered>,
    /// What its retrievals looked for and found, each best first, in order.
    pub found: Vec<(String, Vec<ClauseRef>)>,
    /// What was prepared, for a reviewer.
    pub proposal: Option<Recommend>,
    /// What the model said in this case that could not be used, with what was wrong with it, in order.
    pub unusable: Vec<Unusable>,
    /// The how manieth time the next question is sent, from 1.
    pub attempt: u32,
}

/// A call and what came of it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The call.
    pub action: Action,
    /// The answer, or why there is none.
    pub answer: Result<Value, String>,
}

/// Something that a model said and that could not be used.
#[derive(Clone, Debug)]
pub struct Unusable {
    /// The answer's bytes, as they came; none where they are not kept.
    pub said: Vec<u8>,
    /// What was wrong.
    pub why: String,
}

/// What a model wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// To call a tool without effect.
    Call(Action),
    /// To look for clauses.
    Retrieve(String),
    /// To recommend, which ends its part.
    Recommend(Box<Said>),
    /// Nothing that can be used came from the model: a human decides.
    Escalate(String),
}

/// A recommendation as a model says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What should be done.
    pub stance: Stance,
    /// The exact action.
    pub action: Option<Action>,
    /// In whole percent.
    pub confidence: u8,
    /// In plain sentences.
    pub rationale: String,
    /// The clauses relied on, of those found.
    pub clauses: Vec<ClauseRef>,
    /// Words of them.
    pub quotes: Vec<Quote>,
    /// What in the model decided, where it can say.
    pub row: Option<String>,
}

/// Why a model has no next step.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It cannot be asked at all.
    #[error("model `{model}`: {why}")]
    Cannot {
        /// Which.
        model: String,
        /// Why.
        why: String,
    },
    /// Its call could not be recorded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Something that decides for an agent.
pub trait Model: Send + Sync {
    /// Its id with its version, as the release pins it: `rules/<digest>`.
    fn id(&self) -> &str;
    /// The next steps, from what is shown alone; at least one. Whatever is asked elsewhere is recorded at the desk first.
    fn next<'a>(
        &'a self,
        view: &'a View,
        desk: &'a Desk<'a>,
    ) -> BoxFuture<'a, Result<Vec<Step>, ModelError>>;
}
