//! What the engine asks of a target system: call one tool, and say honestly what is known of the result.

use std::{future::Future, pin::Pin};

use duty::canonical::Digest;
use serde_json::{Map, Value};

/// A boxed future, so that targets can be kept behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is known after a call.
///
/// The distinction between [`NotSent`](Answer::NotSent) and [`Lost`](Answer::Lost) carries invariant I10: an action whose
/// outcome is unknown is never repeated silently.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The target did what was asked and answered with this JSON value.
    Succeed(Value),
    /// The target answered that it did not do it, with its reason.
    Fail(String),
    /// The request certainly never left this process.
    NotSent(String),
    /// The request may have been carried out; the answer never came.
    Lost(String),
}

/// One target system (an MCP server), reached with credentials that only the engine holds.
pub trait Target: Send + Sync {
    /// Calls `tool` (its name at the target, without the server's prefix) with `arguments`.
    fn call<'a>(&'a self, tool: &'a str, arguments: Map<String, Value>) -> BoxFuture<'a, Answer>;

    /// The digest of `tool` as the target describes it now, in the measure of a release's pins; none where the target does
    /// not offer it.
    ///
    /// # Errors
    /// Why nobody can say: the target cannot be reached, or describes nothing.
    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Option<Digest>, String>> {
        Box::pin(async move {
            Err(format!(
                "the target of `{tool}` does not describe its tools"
            ))
        })
    }

    /// As [`call`](Target::call), where the target still describes the tool so when the request leaves; else it is not sent.
    fn call_described<'a>(
        &'a self,
        tool: &'a str,
        _described: Digest,
        _arguments: Map<String, Value>,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            Answer::NotSent(format!(
                "the target of `{tool}` does not describe its tools"
            ))
        })
    }
}
