//! The place where a model plugs in: it is shown what its agent may know, and says the next step.

use duty::{
    action::Action,
    name::{CaseId, Environment},
    principal::Duty,
    release::ClauseRef,
    request::Stance,
};
use engine::target::BoxFuture;
use serde_json::Value;

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
    /// What its last retrieval looked for and found, best first.
    pub found: Option<(String, Vec<ClauseRef>)>,
}

/// A call and what came of it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The call.
    pub action: Action,
    /// The answer, or why there is none.
    pub answer: Result<Value, String>,
}

/// What a model wants next.
#[derive(Clone, Debug)]
pub enum Step {
    /// To call a tool without effect.
    Call(Action),
    /// To look for clauses.
    Retrieve(String),
    /// To recommend, which ends its part.
    Recommend {
        /// What should be done.
        stance: Stance,
        /// The exact action.
        action: Option<Action>,
        /// In whole percent.
        confidence: u8,
        /// In plain sentences.
        rationale: String,
        /// The clauses relied on, of those found.
        clauses: Vec<ClauseRef>,
        /// What in the model decided, where it can say.
        row: Option<String>,
    },
}

/// Why a model has no next step.
#[derive(Clone, Debug, thiserror::Error)]
#[error("model `{model}`: {why}")]
pub struct ModelError {
    /// Which.
    pub model: String,
    /// Why.
    pub why: String,
}

/// Something that decides for an agent.
pub trait Model: Send + Sync {
    /// Its id with its version, as the release pins it: `rules/<digest>`.
    fn id(&self) -> &str;
    /// The next step, from what is shown alone.
    fn next<'a>(&'a self, view: &'a View) -> BoxFuture<'a, Result<Step, ModelError>>;
}
