//! Traces, to a collector by OTLP over HTTP; off unless `trace.otlp_endpoint` names one.
//!
//! What is exported are Provisor's own spans and the events in them, from INFO up: what the logs say, no more. The SDK reads
//! the variables of its specification beside it, such as `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_BSP_MAX_QUEUE_SIZE`; its
//! queue is bounded (2,048 spans), and what does not fit is dropped: no order waits for its trace.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};
use url::Url;

/// The whole of one request to the collector.
const EXPORT_MAX: Duration = Duration::from_secs(5);

/// What is read of the collector's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why no traces can be exported.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The client can't be made.
    #[error("no client for trace.otlp_endpoint")]
    Client(#[source] reqwest::Error),
    /// The exporter can't be made.
    #[error("no exporter for trace.otlp_endpoint")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// This process's traces.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Traces to the collector whose base is `endpoint`: `http://127.0.0.1:4318`.
    pub fn to(endpoint: &Url, tls: ClientConfig) -> Result<Self, TraceError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(EXPORT_MAX)
            .build()
            .map_err(TraceError::Client)?;
        let collector =
            Collector { client, runtime: Handle::current(), is_away: AtomicBool::new(false) };
        let url = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_MAX)
            .build()
            .map_err(TraceError::Exporter)?;
        let resource = Resource::builder()
            .with_service_name("provisor")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Self { provider })
    }

    /// What makes spans out of a subscriber's.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("provisor"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("provisor", LevelFilter::INFO))
    }

    /// Exports what is left, for at most so long. Blocks its thread.
    pub fn finish(self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// The way to the collector. The SDK calls it on a thread of its own, outside the runtime.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    is_away: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { send(&client, request).await }).await?;
        let trouble = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        // Told when it begins and when it ends, not each few seconds.
        let was_away = self.is_away.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(error) if !was_away => {
                tracing::warn!(
                    error,
                    "trace.otlp_endpoint takes no traces; what is not taken is lost"
                );
            }
            None if was_away => tracing::info!("trace.otlp_endpoint takes traces again"),
            Some(_) | None => {}
        }
        sent
    }
}

async fn send(
    client: &reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let request = reqwest::Request::try_from(request)?;
    // The URL may hold a token.
    let mut answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let (status, mut body) = (answer.status(), Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("the answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::builder().status(status).body(Bytes::from(body))?)
}
