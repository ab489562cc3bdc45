//! The span of a `tools/call`.

use axum::http::request::Parts;
use duty::{name::CaseId, release::Rules as _};
use rmcp::{RoleServer, service::RequestContext};
use telemetry::{context, span};
use tracing::Span;

use super::{Gate, caller::Caller, own, server::VERSIONS, tools};
use crate::access::Seen;

/// A call that is under way.
pub(super) struct Traced {
    pub(super) span: Span,
    seen: Option<Seen>,
}

impl Traced {
    /// Below the span that the message names, or else below its request's.
    pub(super) fn new(
        gate: &Gate,
        caller: &Caller,
        tool: &str,
        context: &RequestContext<RoleServer>,
    ) -> Self {
        let parts = context.extensions.get::<Parts>();
        let seen = parts
            .and_then(|parts| parts.extensions.get::<Seen>())
            .cloned();
        let agent = caller.seat.principal.as_str();
        // What nobody is shown can be any word at all.
        let own = own::named(gate, caller, tool).map(|own| own.name());
        let known = own.or_else(|| Some(tools::named(caller, tool)?.name.as_str()));
        let make = || span::mcp_server(known.unwrap_or("other"), agent);
        let span = match &seen {
            Some(seen) => seen.span().in_scope(make),
            None => make(),
        };
        if let Some(parent) = context.meta.get_traceparent() {
            context::set_parent(&span, parent);
        }
        if !span.is_disabled() {
            let date = parts.and_then(|p| p.headers.get("mcp-protocol-version")?.to_str().ok());
            let known = VERSIONS.iter().find(|known| Some(known.as_str()) == date);
            if let Some(known) = known {
                span.record("mcp.protocol.version", known.as_str());
            }
            span.record("counterfoil.environment", caller.environment.as_str());
            span.record("counterfoil.release", caller.release.digest().to_string());
        }
        Self { span, seen }
    }

    /// What came of it, in a word, and in which case.
    pub(super) fn answered(&self, result: &'static str, case: Option<&CaseId>) {
        if let Some(case) = case {
            span::about(&self.span, case.as_str());
            if let Some(seen) = &self.seen {
                seen.about(case);
            }
        }
        self.span.record("counterfoil.status", result);
        match result {
            "done" | "pending_approval" | "pending_review" | "pending_execution" | "cancelled" => {}
            "error" => span::failed(&self.span, "invalid_params"),
            // As the client is told it: `isError`.
            _ => span::failed(&self.span, "tool_error"),
        }
    }
}
