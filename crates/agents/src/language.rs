//! A language model as an agent's: it is asked for one next step at a time, over a body that is made anew from what the log
//! holds, so that nothing hangs on a conversation that a crash could lose.
//!
//! What it answers is held to the form that was asked for. What does not fit is told to it, as often as the release says;
//! then a human decides. Nothing is guessed.

mod anthropic;
mod form;
mod openai;
mod prompt;
mod step;

use std::{sync::Arc, time::Duration};

use duty::{
    canonical::Digest,
    name::{ItemId, PrincipalId},
    refusal::Code,
    release::{Agent, Rules},
    request::ModelResult,
};
use engine::{EngineError, target::BoxFuture};
use policy::{Form, LanguagePlan, Redacted, Release};
use telemetry::span;
use tracing::{Instrument as _, Span};

pub use form::{Asked, Heard};

use crate::{
    desk::{Desk, Question, Reply},
    endpoint::{Came, Endpoint, Endpoints},
    escalation,
    model::{Model, ModelError, Step, View},
};

/// The language model of one agent.
pub struct LanguageModel {
    release: Arc<Release>,
    agent: PrincipalId,
    id: String,
    endpoints: Arc<Endpoints>,
}

/// A body to send, and what was put out of it.
pub struct Composed<'r> {
    /// Who asks.
    pub agent: PrincipalId,
    /// As it is sent.
    pub body: Vec<u8>,
    /// What it offers.
    pub asked: Asked,
    /// What was put out.
    pub redacted: Redacted<'r>,
}

impl LanguageModel {
    /// The model of `agent`; none where the release gives it no language model.
    #[must_use]
    pub fn new(
        release: Arc<Release>,
        agent: &PrincipalId,
        endpoints: Arc<Endpoints>,
    ) -> Option<Self> {
        release.agent(agent)?.language.as_ref()?;
        let id = release.team().agent(agent)?.model.clone()?;
        Some(Self {
            release,
            agent: agent.clone(),
            id,
            endpoints,
        })
    }

    async fn steps(&self, view: &View, desk: &Desk<'_>) -> Result<Vec<Step>, ModelError> {
        let (agent, plan) = self.plan()?;
        let endpoint = self
            .endpoints
            .named(&plan.endpoint)
            .map_err(|why| self.cannot(why))?;
        let repairs = usize::try_from(plan.repairs).unwrap_or(usize::MAX);
        if view.unusable.len() > repairs {
            let last = view.unusable.last().map_or("", |u| u.why.as_str());
            let why = escalation::unusable(view.unusable.len(), last);
            return Ok(vec![Step::Escalate(why)]);
        }
        let composed = compose(&self.release, &self.agent, view).map_err(|why| self.cannot(why))?;
        let pinned = agent.language.as_ref();
        let mut question = Question {
            model: self.id.clone(),
            prompt: agent.prompt,
            parameters: pinned.map(|l| l.parameters.clone()).unwrap_or_default(),
            body: composed.body.clone(),
            attempt: view.attempt,
            redacted: composed.redacted.counts().clone(),
        };
        loop {
            let (call, sent) = match desk.ask(&question).await {
                Ok(asked) => asked,
                Err(EngineError::Refused(refusal)) if refusal.code == Code::OverBudget => {
                    return Ok(vec![Step::Escalate(refusal.why)]);
                }
                Err(e) => return Err(e.into()),
            };
            let span = self.span(plan, pinned.map_or(0, |l| l.max_tokens), desk, &call);
            let asking = endpoint.send(plan, &question.body);
            let came = asking.instrument(span.clone()).await;
            let (reply, steps, wait) = self.judged(plan, view, &composed, came);
            close(&span, &reply);
            let filed = desk.file(&call, sent, &reply).await?;
            if let Some(drift) = filed.drift {
                return Ok(vec![Step::Escalate(drift)]);
            }
            match (reply.result, steps) {
                (ModelResult::Usable, Some(steps)) => return Ok(steps),
                // What was wrong is in the log, and shown to the model with the next question.
                (ModelResult::Usable | ModelResult::Malformed, _) => return Ok(Vec::new()),
                (ModelResult::Refused | ModelResult::Unsent | ModelResult::Lost, _) => {}
            }
            let why = reply.problem.unwrap_or_default();
            let most = pinned.map_or(1, |l| l.attempts);
            let Some(asked_for) = wait.filter(|_| question.attempt < most) else {
                return Ok(vec![Step::Escalate(escalation::no_answer(&why))]);
            };
            match endpoint.pause(asked_for, question.attempt, call.as_str()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(vec![Step::Escalate(escalation::too_late(&why))]),
            }
            question.attempt += 1;
        }
    }

    /// What came back, as it is recorded; the steps that it says; and where it may be asked again, how long it wants to be
    /// left alone.
    fn judged(
        &self,
        plan: &LanguagePlan,
        view: &View,
        composed: &Composed<'_>,
        came: Came,
    ) -> (Reply, Option<Vec<Step>>, Option<Option<Duration>>) {
        let (status, body, retry_after) = match came {
            Came::Unsent(why) => return (Reply::none(ModelResult::Unsent, why), None, Some(None)),
            Came::Lost(why) => return (Reply::none(ModelResult::Lost, why), None, Some(None)),
            Came::Answer {
                status,
                body,
                retry_after,
            } => (status, body, retry_after),
        };
        let again = matches!(status, 408 | 425 | 429 | 500..=599);
        let judged = judge(&self.release, plan, view, composed, status, body);
        let (reply, steps) = (judged.reply, judged.steps);
        let wait = (reply.result == ModelResult::Refused && again).then_some(retry_after);
        (reply, steps, wait)
    }

    fn span(&self, plan: &LanguagePlan, max_tokens: u32, desk: &Desk<'_>, call: &ItemId) -> Span {
        let provider = match plan.form {
            Form::OpenAi => "openai",
            Form::Anthropic => "anthropic",
        };
        // Releases name a model with its family before it.
        let model = self
            .id
            .rsplit_once('/')
            .map_or(self.id.as_str(), |(_, model)| model);
        let (agent, case) = (self.agent.as_str(), desk.case.as_str());
        let span = span::chat(provider, model, max_tokens, agent, case);
        span.record("counterfoil.call", call.as_str());
        span
    }

    fn plan(&self) -> Result<(&Agent, &LanguagePlan), ModelError> {
        let agent = self.release.team().agent(&self.agent);
        let plan = self.release.agent(&self.agent);
        let plan = plan.and_then(|plan| plan.language.as_ref());
        agent
            .zip(plan)
            .ok_or_else(|| self.cannot("the release gives this agent no language model".to_owned()))
    }

    fn cannot(&self, why: String) -> ModelError {
        ModelError::Cannot {
            model: self.id.clone(),
            why,
        }
    }
}

impl Model for LanguageModel {
    fn id(&self) -> &str {
        &self.id
    }

    fn next<'a>(
        &'a self,
        view: &'a View,
        desk: &'a Desk<'a>,
    ) -> BoxFuture<'a, Result<Vec<Step>, ModelError>> {
        Box::pin(self.steps(view, desk))
    }
}

/// The body that an agent's model is asked with, made of the release and what the log holds, and of nothing else.
///
/// # Errors
/// Where the release has no such agent or model, in words.
pub fn compose<'r>(
    release: &'r Release,
    agent: &PrincipalId,
    view: &View,
) -> Result<Composed<'r>, String> {
    let plan = release.agent(agent).and_then(|p| p.language.as_ref());
    let plan = plan.ok_or("the release gives this agent no language model")?;
    let pinned = release
        .team()
        .agent(agent)
        .and_then(|a| a.language.as_ref());
    let pinned = pinned.ok_or("the release pins no language model for this agent")?;
    let mut redacted = release.redaction().begin();
    let asked = prompt::asked(release, agent, plan, view, &mut redacted);
    let body = form::body(plan, pinned.max_tokens, &asked);
    Ok(Composed {
        agent: agent.clone(),
        body: body.to_string().into_bytes(),
        asked,
        redacted,
    })
}

/// What an answer that came is good for.
pub struct Judged {
    /// As it is recorded.
    pub reply: Reply,
    /// The steps that it says, where it is usable.
    pub steps: Option<Vec<Step>>,
}

/// Reads an answer that came under an HTTP status, and holds it to what was asked: when it comes, and again for whoever has the
/// bytes.
#[must_use]
pub fn judge(
    release: &Release,
    plan: &LanguagePlan,
    view: &View,
    composed: &Composed<'_>,
    status: u16,
    body: Vec<u8>,
) -> Judged {
    if status != 200 {
        let why = format!("the endpoint answered with status {status}");
        let reply = Reply {
            body: Some(body),
            status: Some(status),
            ..Reply::none(ModelResult::Refused, why)
        };
        return Judged { reply, steps: None };
    }
    let heard = form::hear(plan.form, &body);
    let (asked, redacted) = (&composed.asked, &composed.redacted);
    let said = heard
        .calls
        .and_then(|calls| step::steps(release, &composed.agent, view, asked, redacted, &calls));
    let (steps, problem) = match said {
        Ok(steps) => (Some(steps), None),
        Err(why) => (None, Some(in_record(redacted, &why))),
    };
    let reply = Reply {
        result: match problem {
            None => ModelResult::Usable,
            Some(_) => ModelResult::Malformed,
        },
        body: Some(body),
        model: heard.model,
        tokens: heard.tokens,
        status: Some(status),
        problem,
    };
    Judged { reply, steps }
}

/// Words about what a model said, as they may stand in a record: nothing that is put out of what models see, one line, short.
fn in_record(redacted: &Redacted<'_>, words: &str) -> String {
    let line: String = redacted
        .again(words)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    line.trim().to_owned()
}

/// SHA-256, as a number between 0 and 1: the same for the same words, and spread over different ones.
pub(crate) fn spread(words: &str) -> f64 {
    let digest = Digest::of_bytes(words.as_bytes());
    let first = digest.as_bytes().iter().take(4);
    first.fold(0.0, |n, b| n * 256.0 + f64::from(*b)) / f64::from(u32::MAX)
}

/// What came of a question, on its span.
fn close(span: &Span, reply: &Reply) {
    if let Some(model) = &reply.model {
        span.record("gen_ai.response.model", model.as_str());
    }
    if let Some(tokens) = &reply.tokens {
        span.record("gen_ai.usage.input_tokens", i64::from(tokens.input));
        span.record("gen_ai.usage.output_tokens", i64::from(tokens.output));
    }
    let (word, wrong) = match reply.result {
        ModelResult::Usable => ("usable", None),
        ModelResult::Malformed => ("malformed", Some("malformed")),
        ModelResult::Refused => ("refused", Some("refused")),
        ModelResult::Unsent => ("unsent", Some("unsent")),
        ModelResult::Lost => ("lost", Some("lost")),
    };
    span.record("counterfoil.result", word);
    if let Some(wrong) = wrong {
        // A status says more than that there was one.
        let status = reply.status.filter(|status| *status != 200);
        let status = status.map(|status| status.to_string());
        span::failed(span, status.as_deref().unwrap_or(wrong));
    }
}

/// How an endpoint waits; see [`Endpoint::pause`].
impl Endpoint {
    /// How long to wait before the next attempt: as long as the endpoint wants, or longer and longer with each attempt and
    /// not the same for all. None where it wants to be left alone for longer than this endpoint's `longest_wait_seconds`.
    #[must_use]
    pub fn pause(&self, asked_for: Option<Duration>, attempt: u32, who: &str) -> Option<Duration> {
        if let Some(wanted) = asked_for {
            return (wanted <= self.longest_wait).then_some(wanted);
        }
        let doubled = self
            .first_wait
            .saturating_mul(1 << attempt.saturating_sub(1).min(10));
        let whole = doubled.min(self.longest_wait);
        Some(whole.mul_f64(0.5 + 0.5 * spread(&format!("{who}/{attempt}"))))
    }
}
