//! An order's trace: one for all that is done for it, whichever process does it, because its context is in the order's row.
//!
//! Without an exporter ([`crate::telemetry::Traces`]) a trace is nothing but an id in the logs.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Where an order's trace began: with the shop, or with its submission.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace(SpanContext);

impl Trace {
    /// Reads a `traceparent` of [W3C's Trace Context](https://www.w3.org/TR/trace-context/), version 00; `None` if it is none.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00"
            || [trace.len(), span.len(), flags.len()] != [32, 16, 2]
            || parts.next().is_some()
        {
            return None;
        }
        let context = SpanContext::new(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
            true,
            TraceState::NONE,
        );
        context.is_valid().then_some(Self(context))
    }

    /// Its id: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> TraceId {
        self.0.trace_id()
    }

    /// Makes a span that nobody has entered yet one of this trace.
    pub fn go_on_in(&self, span: &Span) {
        // An error says that nobody exports traces.
        let _ = span.set_parent(Context::new().with_remote_span_context(self.0.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_and_what_is_none_is_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace::parse(good).unwrap();
        assert_eq!(trace.id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(trace.0.is_sampled() && trace.0.is_remote());
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }
}
