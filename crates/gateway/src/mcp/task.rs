//! What waits, as a task of the extension `io.modelcontextprotocol/tasks`. A task is its case: nothing is kept for it beside
//! what the log says, so it is there after a restart, on any node.

use std::sync::Arc;

use duty::{
    name::{CaseId, Environment, PrincipalId},
    time::Time,
};
use engine::Ahead;
use rmcp::{
    ErrorData,
    model::{CreateTaskResult, DetailedTask, Task, TaskPayload, TaskStatus},
};
use serde_json::Value;

use super::{
    Gate,
    caller::Caller,
    effect,
    reply::{LOOK_AGAIN, Reply, Waits},
};

/// How long a task is there after it was made, in milliseconds; what it is about stays in the log.
const KEPT: u64 = 7 * 24 * 60 * 60 * 1000;

/// The task for what a call waits for.
pub(super) fn made(gate: &Gate, waits: &Waits) -> CreateTaskResult {
    CreateTaskResult::new(task(gate, &waits.case, waits.status))
}

/// Where a task stands. A call that was denied is completed, with an error as its result.
pub(super) async fn read(
    gate: &Arc<Gate>,
    caller: &Caller,
    id: &str,
) -> Result<DetailedTask, ErrorData> {
    let unknown = || ErrorData::invalid_params("there is no such task", None);
    let case: CaseId = id.parse().map_err(|_| unknown())?;
    let (agent, environment) = (&caller.seat.principal, &caller.environment);
    let begun = begun(gate, agent, environment, &case)?.ok_or_else(unknown)?;
    let mut ahead = Ahead::default();
    let reply = effect::resume(gate, &begun, &mut ahead).await;
    let reply = effect::durable(gate, ahead, reply.ok_or_else(unknown)?).await;
    match reply {
        Reply::Waits(waits) => {
            let task = task(gate, &case, waits.status);
            Ok(DetailedTask::new(task, TaskPayload::Working))
        }
        Reply::Unavailable(why) => Err(ErrorData::internal_error(why, None)),
        reply => {
            gate.held.told_in(agent, environment, &case);
            let result = serde_json::to_value(reply.into_result(Some(&case)));
            let Ok(Value::Object(result)) = result else {
                return Err(ErrorData::internal_error("a result is an object", None));
            };
            let task = task(gate, &case, "ended");
            Ok(DetailedTask::new(task, TaskPayload::Completed { result }))
        }
    }
}

/// Whether the caller has such a task. Taking it back stops nothing: what was asked of people is theirs to answer.
pub(super) fn known(gate: &Gate, caller: &Caller, id: &str) -> Result<(), ErrorData> {
    let case = id.parse().ok();
    let (agent, environment) = (&caller.seat.principal, &caller.environment);
    let known = case.map(|case| begun(gate, agent, environment, &case));
    match known.transpose()?.flatten() {
        Some(_) => Ok(()),
        None => Err(ErrorData::invalid_params("there is no such task", None)),
    }
}

fn begun(
    gate: &Gate,
    agent: &PrincipalId,
    environment: &Environment,
    case: &CaseId,
) -> Result<Option<super::held::Begun>, ErrorData> {
    let found = gate.held.in_case(agent, environment, case);
    found.map_err(|why| ErrorData::internal_error(why, None))
}

fn task(gate: &Gate, case: &CaseId, status: &str) -> Task {
    let now = gate.engine.now();
    let opened = gate
        .engine
        .read(|state| state.cases.get(case).map(|c| c.opened));
    let made: Time = opened.unwrap_or(now);
    Task::new(
        case.as_str(),
        TaskStatus::Working,
        made.to_string(),
        now.to_string(),
    )
    .with_status_message(status)
    .with_ttl_ms(KEPT)
    .with_poll_interval_ms(LOOK_AGAIN * 1000)
}
