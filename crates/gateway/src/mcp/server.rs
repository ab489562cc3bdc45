//! The protocol: what a client may ask of the door, in both dates of the specification.

use std::{borrow::Cow, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};

use super::{Gate, call, caller::Caller, tools};

/// The versions that are spoken.
const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

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
        let capabilities = ServerCapabilities::builder().enable_tools().build();
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
        Ok(ListToolsResult::with_all_items(tools::shown(&caller)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = Caller::of(&self.gate.engine, &context.extensions)?;
        let Some(_room) = self.gate.admit(&caller.seat) else {
            return Err(ErrorData::invalid_request(
                "too many calls are under way with this credential; let some of them end",
                None,
            ));
        };
        let (reply, case) = call::call(&self.gate, &caller, request, &context.meta).await?;
        Ok(reply.into_result(case.as_ref()).into())
    }
}
