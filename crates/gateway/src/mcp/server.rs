//! The protocol: what a client may ask of the door, in both dates of the specification.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, GetTaskParams, GetTaskResult,
        Implementation, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam,
        ProtocolVersion, ServerCapabilities, ServerConfig, UpdateTaskParams,
    },
    service::RequestContext,
};
use tracing::Instrument as _;

use super::{Gate, call, caller::Caller, own, reply::Reply, task, tools, traced::Traced};

/// The versions that are spoken.
pub(super) const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// Between two notifications that a call goes on.
const PROGRESS: Duration = Duration::from_secs(2);

const INSTRUCTIONS: &str = "Each call is recorded and judged by policy. A call that people must allow answers at once with \
     the status `pending_approval`: nothing was done yet. Call again with exactly the same arguments to learn what came of \
     it; other arguments are another call. A refusal says what would make the call pass.";

/// The server of one message.
pub(super) struct Server {
    gate: Arc<Gate>,
}

impl Server {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(
                "counterfoil",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        let mut shown = own::shown(&self.gate, &caller);
        shown.extend(tools::shown(&caller));
        Ok(ListToolsResult::with_all_items(shown))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        let waiting = self
            .gate
            .underway
            .enter(&caller.seat.credential, &context.id);
        let capabilities = context.client_capabilities();
        let knows_tasks = capabilities.is_some_and(|known| known.supports_tasks());
        let began = Instant::now();
        let traced = Traced::new(&self.gate, &caller, &request.name, &context);
        let calling = call::call(&self.gate, &caller, request, &context.meta);
        let answered = tokio::select! {
            answered = calling.instrument(traced.span.clone()) => Some(answered),
            () = waiting.taken_back() => None,
            () = tell_progress(&context) => None,
        };
        let result = match &answered {
            Some(Ok((reply, _))) => reply.word(),
            Some(Err(_)) => "error",
            None => "cancelled",
        };
        let case = answered.as_ref().and_then(|a| a.as_ref().ok()?.1.as_ref());
        traced.answered(result, case);
        self.gate.calls.answered(result, began.elapsed());
        let (reply, case) = answered.unwrap_or_else(|| Err(cancelled()))?;
        match reply {
            Reply::Waits(waits) if knows_tasks => {
                Ok(CallToolResponse::Task(task::made(&self.gate, &waits)))
            }
            reply => Ok(reply.into_result(case.as_ref()).into()),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        let task = task::read(&self.gate, &caller, &request.task_id).await?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        task::known(&self.gate, &caller, &request.task_id)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        task::known(&self.gate, &caller, &request.task_id)
    }
}

/// The client took the request back. What it began goes on: nothing that was sent is unsent.
fn cancelled() -> ErrorData {
    ErrorData::invalid_request(
        "the request was taken back; what it began goes on, and the same call is told what came of it",
        None,
    )
}

/// Says now and then that a call goes on, to a client that asked for it; ends only when the client is gone.
async fn tell_progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else {
        return std::future::pending().await;
    };
    let mut seconds = 0.0;
    loop {
        tokio::time::sleep(PROGRESS).await;
        seconds += PROGRESS.as_secs_f64();
        let told = ProgressNotificationParam::new(token.clone(), seconds)
            .with_message("the call goes on; the number is of seconds");
        if context.peer.notify_progress(told).await.is_err() {
            return;
        }
    }
}
