//! Spans of a case's steps, with the names of OpenTelemetry's semantic conventions (HTTP, generative AI, MCP), and the trace that
//! comes in and goes on (W3C Trace Context).
//!
//! A span has names, ids and counts: no arguments, answers, prompts or tokens, whatever is turned on. Where nobody asks for
//! spans, making one costs next to nothing.

pub mod context;
pub mod span;
