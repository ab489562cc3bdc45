//! Whose trace a span belongs to, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) writes it.

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The name of the header, and of the field in MCP's `_meta`.
pub const TRACEPARENT: &str = "traceparent";

/// Makes `span` a child of the span that a `traceparent` names. One that is not well formed is passed over, as the
/// specification asks: the span then begins a trace, or goes on with that of the span around it.
pub fn set_parent(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = parse(traceparent) {
        // Only where nobody collects spans, and then nothing is lost.
        let _nobody_collects = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// The current span, for whoever is asked next; none where nobody collects spans.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let own = span.span_context();
    own.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            own.trace_id(),
            own.span_id(),
            own.trace_flags() & TraceFlags::SAMPLED
        )
    })
}

fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        part.len() == length && part.bytes().all(lower)
    };
    let well_formed = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    // A later version may have more after the flags; this one has not.
    if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let parent = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags,
        true,
        TraceState::default(),
    );
    parent.is_valid().then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_formed_is_followed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = parse(&format!("00-{trace}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(parent.trace_id().to_string(), trace);
        assert!(parent.is_sampled() && parent.is_remote());
        assert!(
            !parse(&format!("00-{trace}-00f067aa0ba902b7-00"))
                .unwrap()
                .is_sampled()
        );
        assert!(parse(&format!("cc-{trace}-00f067aa0ba902b7-01-later")).is_some());
        for wrong in [
            "",
            "00",
            &format!("00-{trace}-00f067aa0ba902b7"),
            &format!("00-{trace}-00f067aa0ba902b7-01-more"),
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{trace}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            &format!("00-{trace}-00f067aa0ba902b7-0g"),
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_there_is_no_trace() {
        let span = tracing::info_span!("x");
        set_parent(
            &span,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
        assert_eq!(span.in_scope(traceparent), None);
    }
}
