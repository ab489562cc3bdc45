//! Where calls of language models are taken down: each before it is sent, and what came of it.

use duty::{
    canonical::Digest,
    language::Tokens,
    name::{CaseId, ItemId},
    record::Body,
    request::{AnswerModel, CallModel, ModelResult, Request},
    time::Time,
};
use engine::{Engine, EngineError, Seat};

/// An agent's place in one case.
pub struct Desk<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) seat: &'a Seat,
    pub(crate) case: &'a CaseId,
    pub(crate) subject: &'a str,
}

/// What is asked of a model.
pub struct Question {
    /// The model, as the release pins it.
    pub model: String,
    /// SHA-256 of the agent's prompt.
    pub prompt: Digest,
    /// What is asked beside the messages.
    pub parameters: String,
    /// The body as it is sent.
    pub body: Vec<u8>,
    /// The how manieth time it is sent.
    pub attempt: u32,
    /// How many values of each kind were put out of it.
    pub redacted: std::collections::BTreeMap<String, u32>,
}

/// What came of it.
pub struct Reply {
    /// In a word.
    pub result: ModelResult,
    /// The body of the answer.
    pub body: Option<Vec<u8>>,
    /// The name under which the model answered.
    pub model: Option<String>,
    /// The tokens that were counted.
    pub tokens: Option<Tokens>,
    /// The status of the HTTP answer.
    pub status: Option<u16>,
    /// Why it is not usable.
    pub problem: Option<String>,
}

impl Reply {
    /// No answer.
    #[must_use]
    pub fn none(result: ModelResult, why: impl Into<String>) -> Self {
        Self {
            result,
            body: None,
            model: None,
            tokens: None,
            status: None,
            problem: Some(why.into()),
        }
    }
}

/// A reply as it stands in the log.
pub struct Filed {
    /// Whether a recommendation may rest on it; else what is wrong with the name under which it came.
    pub drift: Option<String>,
}

impl Desk<'_> {
    /// Takes a question down; only then may it be sent.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the core lets it not be asked, for instance since the budget is used up.
    pub async fn ask(&self, question: &Question) -> Result<(ItemId, Time), EngineError> {
        let snapshot = self
            .engine
            .keep(self.subject, question.body.clone())
            .await?;
        let request = Request::CallModel(CallModel {
            case: self.case.clone(),
            model: question.model.clone(),
            prompt: question.prompt,
            parameters: question.parameters.clone(),
            snapshot,
            bytes: u32::try_from(question.body.len()).unwrap_or(u32::MAX),
            attempt: question.attempt,
            redacted: question.redacted.clone(),
        });
        let records = self.engine.submit(self.seat, request).await?;
        let call = records.iter().find_map(|r| match &r.body {
            Body::ModelCalled(body) => Some(body.call.clone()),
            _ => None,
        });
        let call = call.expect("INVARIANT: a question that is not refused is recorded");
        Ok((call, self.engine.now()))
    }

    /// Takes down what came of it.
    ///
    /// # Errors
    /// [`EngineError`] where it cannot be recorded.
    pub async fn file(
        &self,
        call: &ItemId,
        sent: Time,
        reply: &Reply,
    ) -> Result<Filed, EngineError> {
        let snapshot = match &reply.body {
            Some(body) => Some(self.engine.keep(self.subject, body.clone()).await?),
            None => None,
        };
        let latency = self.engine.now().millis().saturating_sub(sent.millis());
        let request = Request::AnswerModel(AnswerModel {
            call: call.clone(),
            result: reply.result,
            snapshot,
            model: reply.model.clone(),
            tokens: reply.tokens,
            status: reply.status,
            latency_ms: u32::try_from(latency.max(0)).unwrap_or(u32::MAX),
            problem: reply.problem.clone(),
        });
        let records = self.engine.submit(&Seat::engine(), request).await?;
        let drift = records.iter().find_map(|r| match &r.body {
            Body::ModelAnswered(body) => body.drift.clone(),
            _ => None,
        });
        Ok(Filed { drift })
    }
}
