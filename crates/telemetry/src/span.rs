//! The spans.
//!
//! | span | kind | what |
//! |---|---|---|
//! | `{method} {route}` | server | a request at the HTTP door |
//! | `tools/call {tool}` | server | a call at the MCP door |
//! | `invoke_agent {agent}` | internal | an agent's part in a case |
//! | `chat {model}` | client | its language model is asked |
//! | `execute_tool {tool}` | internal | a tool is called, from its record to its outcome |
//! | `tools/call {tool}` | client | what of that is the target's own |

use tracing::{Span, field::Empty, info_span};

/// A request at the HTTP door. [`answered`] ends it.
#[must_use]
pub fn http(method: &str, route: &str) -> Span {
    info_span!(
        "http",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        "error.type" = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        gen_ai.conversation.id = Empty,
        counterfoil.principal = Empty,
        counterfoil.case = Empty,
    )
}

/// What a request was answered with.
pub fn answered(span: &Span, status: u16) {
    // Whole numbers leave as such only where they have a sign.
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "ERROR");
    }
}

/// Who asks, on the span around this.
pub fn principal(id: &str) {
    Span::current().record("counterfoil.principal", id);
}

/// Which case a span is about.
pub fn about(span: &Span, case: &str) {
    span.record("counterfoil.case", case);
    span.record("gen_ai.conversation.id", case);
}

/// A call of a tool at the MCP door.
#[must_use]
pub fn mcp_server(tool: &str, agent: &str) -> Span {
    info_span!(
        "mcp",
        otel.name = format!("tools/call {tool}"),
        otel.kind = "server",
        otel.status_code = Empty,
        "error.type" = Empty,
        mcp.method.name = "tools/call",
        mcp.protocol.version = Empty,
        network.transport = "tcp",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = tool,
        gen_ai.agent.id = agent,
        gen_ai.conversation.id = Empty,
        counterfoil.case = Empty,
        counterfoil.environment = Empty,
        counterfoil.release = Empty,
        counterfoil.status = Empty,
    )
}

/// An agent's part in a case.
#[must_use]
pub fn invoke_agent(agent: &str, duty: &str, case: &str, environment: &str, release: &str) -> Span {
    info_span!(
        "invoke_agent",
        otel.name = format!("invoke_agent {agent}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.id = agent,
        gen_ai.agent.name = agent,
        gen_ai.conversation.id = case,
        counterfoil.case = case,
        counterfoil.duty = duty,
        counterfoil.environment = environment,
        counterfoil.release = release,
    )
}

/// A language model is asked, once.
#[must_use]
pub fn chat(provider: &str, model: &str, max_tokens: u32, agent: &str, case: &str) -> Span {
    info_span!(
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.request.max_tokens = i64::from(max_tokens),
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.agent.id = agent,
        gen_ai.conversation.id = case,
        counterfoil.case = case,
        counterfoil.call = Empty,
        counterfoil.result = Empty,
    )
}

/// A tool is called: by a call without effect, or by the use of a grant.
#[must_use]
pub fn execute_tool(tool: &str, agent: &str, case: &str) -> Span {
    info_span!(
        "execute_tool",
        otel.name = format!("execute_tool {tool}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = tool,
        gen_ai.tool.call.id = Empty,
        "gen_ai.tool.type" = "extension",
        gen_ai.agent.id = agent,
        gen_ai.conversation.id = case,
        counterfoil.case = case,
        counterfoil.environment = Empty,
        counterfoil.release = Empty,
        counterfoil.grant = Empty,
        counterfoil.risk = Empty,
        counterfoil.outcome = Empty,
    )
}

/// The target's own part of a call.
#[must_use]
pub fn mcp_client(tool: &str, transport: &'static str) -> Span {
    info_span!(
        "mcp",
        otel.name = format!("tools/call {tool}"),
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        mcp.method.name = "tools/call",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = tool,
        network.transport = transport,
    )
}

/// What stood in the way: a word of a short list, never a message.
pub fn failed(span: &Span, what: &str) {
    span.record("error.type", what);
    span.record("otel.status_code", "ERROR");
}
