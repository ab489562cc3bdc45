//! The two ways to call a tool, each under a span from its record to its outcome.

use duty::{
    action::Action,
    name::{CaseId, ItemId},
    request::Outcome,
};
use telemetry::span;
use tracing::{Instrument as _, Span};

use crate::{
    Engine, EngineError, Pending, Seat,
    act::{Called, Executed},
};

impl Engine {
    /// As [`Engine::call`], for a step on which another follows: the call waited for its record, the answer's is pending.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub async fn call_ahead(
        &self,
        seat: &Seat,
        case: &CaseId,
        action: Action,
    ) -> Result<Pending<Called>, EngineError> {
        let span = span::execute_tool(&action.tool, seat.principal.as_str(), case.as_str());
        self.describe(&span, case);
        let called = self.call_now(seat, case, action);
        match called.instrument(span.clone()).await {
            Ok(called) => Ok(called.map(|called| {
                span.record("gen_ai.tool.call.id", called.call.as_str());
                if called.answer.is_err() {
                    span::failed(&span, "tool_error");
                }
                called
            })),
            Err(e) => {
                span::failed(&span, e.word());
                Err(e)
            }
        }
    }

    /// Uses a grant as the executor: consumed and durable first, then the target is called, then the outcome is recorded.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the grant does not stand. After the grant is used every result is an [`Executed`],
    /// unless the store fails.
    pub async fn execute(
        &self,
        seat: &Seat,
        grant: &ItemId,
        action: Action,
    ) -> Result<Executed, EngineError> {
        let case = grant.case();
        let name = case.as_ref().map_or("", CaseId::as_str);
        let span = span::execute_tool(&action.tool, seat.principal.as_str(), name);
        if let Some(case) = &case {
            self.describe(&span, case);
        }
        span.record("counterfoil.grant", grant.as_str());
        span.record("gen_ai.tool.call.id", grant.as_str());
        let executed = self.execute_now(seat, grant, action);
        let executed = executed.instrument(span.clone()).await;
        match &executed {
            Ok(executed) => {
                let (word, wrong) = match executed.outcome {
                    Outcome::Succeeded => ("succeeded", false),
                    Outcome::Failed => ("failed", true),
                    Outcome::Unknown => ("unknown", true),
                };
                span.record("counterfoil.outcome", word);
                if wrong {
                    span::failed(&span, word);
                }
            }
            Err(e) => span::failed(&span, e.word()),
        }
        executed
    }

    /// What the state knows of the case; it is looked at only where somebody collects spans.
    fn describe(&self, span: &Span, case: &CaseId) {
        if span.is_disabled() {
            return;
        }
        self.read(|state| {
            let Some(case) = state.cases.get(case) else {
                return;
            };
            span.record("counterfoil.environment", case.env.as_str());
            span.record("counterfoil.release", case.release.to_string());
            if let Some(tier) = case.tier {
                span.record("counterfoil.risk", tier.word());
            }
        });
    }
}
