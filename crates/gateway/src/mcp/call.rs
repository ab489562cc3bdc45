//! One `tools/call`: found, put into a case, read or taken through the duties.

use std::sync::Arc;

use duty::{
    action::Action,
    name::CaseId,
    request::{Call, Request},
};
use engine::Ahead;
use rmcp::{
    ErrorData,
    model::{CallToolRequestParams, RequestMetaObject},
};
use serde_json::Value;

use super::{Gate, caller::Caller, effect, lane::Source, own, reply::Reply, tools};
use crate::http::Payer;

/// What is asked, as the message says it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) action: Action,
    /// `_meta` `counterfoil/case`: the case to work in, where the agent opened one.
    pub(super) case: Option<CaseId>,
    /// `_meta` `counterfoil/subject`: what it is about; the agent itself, where it does not say.
    pub(super) subject: Option<String>,
    /// `_meta` `counterfoil/rationale`: why.
    pub(super) rationale: Option<String>,
    /// `_meta` `counterfoil/confidence`: in whole percent.
    pub(super) confidence: Option<u8>,
}

impl Asked {
    pub(super) fn source(&self) -> Source<'_> {
        Source {
            subject: self.subject.as_deref(),
            action: &self.action,
        }
    }

    fn new(action: Action, meta: &RequestMetaObject) -> Result<Self, ErrorData> {
        let text = |name: &str, longest: usize| match meta.get(&format!("counterfoil/{name}")) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=longest).contains(&text.len()) => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(ErrorData::invalid_params(
                format!("`_meta` `counterfoil/{name}` is a text of 1 to {longest} bytes"),
                None,
            )),
        };
        let case = text("case", CaseId::LONGEST)?.map(|case| case.parse());
        let case = case
            .transpose()
            .map_err(|e| ErrorData::invalid_params(e, None))?;
        let confidence = meta.get("counterfoil/confidence").map(|value| {
            let percent = value.as_u64().filter(|percent| *percent <= 100);
            percent.and_then(|p| u8::try_from(p).ok()).ok_or_else(|| {
                ErrorData::invalid_params(
                    "`_meta` `counterfoil/confidence` is a whole percent",
                    None,
                )
            })
        });
        Ok(Self {
            action,
            case,
            subject: text("subject", 256)?,
            rationale: text("rationale", 4_000)?,
            confidence: confidence.transpose()?,
        })
    }
}

/// What came of it, and in which case.
pub(super) type Answered = (Reply, Option<CaseId>);

/// Carries one call out.
pub(super) async fn call(
    gate: &Arc<Gate>,
    caller: &Caller,
    params: CallToolRequestParams,
    meta: &RequestMetaObject,
) -> Result<Answered, ErrorData> {
    if let Some(own) = own::named(gate, caller, &params.name) {
        let answered = own::call(gate, caller, own, params.arguments.unwrap_or_default()).await?;
        return Ok(counted(gate, caller, answered));
    }
    let Some(tool) = tools::named(caller, &params.name) else {
        return Err(unknown(gate, caller, params).await);
    };
    let action = Action::new(tool.name.clone(), params.arguments.unwrap_or_default());
    let asked = Asked::new(action, meta)?;
    let answered = if tool.effect {
        effect::through(gate, caller, asked).await
    } else {
        read(gate, caller, &asked).await
    };
    Ok(counted(gate, caller, answered))
}

/// A refusal is a record, and costs its caller a token.
fn counted(gate: &Gate, caller: &Caller, answered: Answered) -> Answered {
    if answered.0.is_refusal() {
        gate.meter.refused(&Payer::Proved(caller.seat.clone()));
    }
    answered
}

/// Reads, in the agent's case.
async fn read(gate: &Arc<Gate>, caller: &Caller, asked: &Asked) -> Answered {
    let mut ahead = Ahead::default();
    let (case, _reading) = match &asked.case {
        Some(case) => (case.clone(), None),
        None => match gate.lanes.join(caller, &asked.source(), &mut ahead).await {
            Ok((case, reading)) => (case, Some(reading)),
            Err(reply) => return (reply, None),
        },
    };
    let action = asked.action.clone();
    let called = gate.engine.call_ahead(&caller.seat, &case, action);
    let reply = match called.await.map(|called| called.onto(&mut ahead)) {
        Ok(called) => match called.answer {
            Ok(value) => Reply::Done(value),
            Err(why) => Reply::Failed(why),
        },
        Err(e) => e.into(),
    };
    (effect::durable(gate, ahead, reply).await, Some(case))
}

/// A tool that is not shown to the caller. One that the release knows is tried all the same: the core refuses it, and so the
/// log has the attempt.
async fn unknown(gate: &Arc<Gate>, caller: &Caller, params: CallToolRequestParams) -> ErrorData {
    let tools = &duty::release::Rules::team(&*caller.release).tools;
    let hidden = tools
        .values()
        .find(|tool| tool.name == params.name || tools::plain(&tool.name) == params.name);
    if let (Some(hidden), Some(_)) = (hidden, caller.duty) {
        let action = Action::new(hidden.name.clone(), params.arguments.unwrap_or_default());
        let source = Source {
            subject: None,
            action: &action,
        };
        let mut ahead = Ahead::default();
        if let Ok((case, _reading)) = gate.lanes.join(caller, &source, &mut ahead).await {
            let action = action.clone();
            let attempt = Request::Call(Call {
                case,
                action,
                described: None,
            });
            if let Err(engine::EngineError::Refused(_)) =
                gate.engine.submit(&caller.seat, attempt).await
            {
                gate.meter.refused(&Payer::Proved(caller.seat.clone()));
            }
        }
    }
    let name = params.name.escape_debug();
    ErrorData::invalid_params(
        format!("unknown tool `{name}`; `tools/list` lists what there is"),
        None,
    )
}
