//! Spans on their way out: OTLP over HTTP, as protobuf, to where the standard variables of OpenTelemetry say; without them there
//! are none.
//!
//! A thread sends them in batches. What does not fit its queue, or is not taken, is dropped: no request waits for it, and none
//! fails.

use std::{io::Read as _, time::Duration};

use axum::{
    body::Bytes,
    http::{Request, Response},
};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, Registry, filter::filter_fn};

use crate::fail::Failure;

/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read: a collector says how much it did not take.
const LONGEST: u64 = 64 * 1024;

type Boxed = Box<dyn Layer<WithLines> + Send + Sync>;
/// What collects spans lies above what writes lines.
type WithLines =
    tracing_subscriber::layer::Layered<Box<dyn Layer<Registry> + Send + Sync>, Registry>;

/// What collects spans and what sends them, where the environment says where to.
pub(crate) fn collected() -> Result<Option<(Boxed, SdkTracerProvider)>, Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let is = |name: &str, word: &str| set(name).is_some_and(|v| v.eq_ignore_ascii_case(word));
    let endpoint =
        set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
    if endpoint.is_none() || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let protocol =
        set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if let Some(other) = protocol.filter(|p| p != "http/protobuf") {
        return Err(Failure::usage(format!(
            "spans go out as `http/protobuf`, and `OTEL_EXPORTER_OTLP_PROTOCOL` asks for `{other}`"
        )));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new())
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|e| Failure::usage(format!("`OTEL_EXPORTER_OTLP_*`: {e}")))?;
    let mut resource = Resource::builder();
    if set("OTEL_SERVICE_NAME").is_none()
        && !set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|a| a.contains("service.name="))
    {
        resource = resource.with_service_name("counterfoil");
    }
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.with_attribute(version).build())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("counterfoil"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(filter_fn(|m| {
            m.is_span() && m.target() == "telemetry::span"
        }))
        .boxed();
    Ok(Some((layer, provider)))
}

/// The client of HTTP that the program has already. It waits for the network, on the thread that sends spans and does nothing
/// else.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self(config.into())
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut sent = self.0.post(parts.uri.to_string());
        for (name, value) in &parts.headers {
            sent = sent.header(name, value);
        }
        let answer = sent.send(&body[..])?;
        let (parts, body) = answer.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().take(LONGEST).read_to_end(&mut bytes)?;
        let mut response = Response::new(Bytes::from(bytes));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        Ok(response)
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.send(request)
    }
}
