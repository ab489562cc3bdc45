//! Where lines about what goes on are written: standard error, as text or as JSON, a line each.
//!
//! Only this program's own lines are: what libraries say may hold what was sent. Servers hand lines to a thread that writes
//! them, so that nobody waits for whoever reads them; where that one is too slow, lines are dropped, and it is said how many.

use std::io;

use clap::ValueEnum;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::FilterExt as _, filter::filter_fn, fmt,
    layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{fail::Failure, spans};

/// Says which lines are written; `RUST_LOG` where it is not set.
const FILTER: &str = "COUNTERFOIL_LOG";
/// Lines that wait to be written.
const WAITING: usize = 16_384;
/// How long spans may take to leave when the program ends.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// The parts of this program that say something.
const OWN: &[&str] = &[
    "counterfoil",
    "agents",
    "console",
    "engine",
    "gateway",
    "witness",
];

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

/// What ends with the program: lines and spans are on their way until this is dropped.
pub(crate) struct Logging {
    dropped: ErrorCounter,
    spans: Option<SdkTracerProvider>,
    _writer: WorkerGuard,
}

impl Logging {
    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> ErrorCounter {
        self.dropped.clone()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(spans) = &self.spans {
            // Whoever collects them may be away, and nothing hangs on it.
            let _ = spans.shutdown_with_timeout(PATIENCE);
        }
    }
}

/// For commands: what is said is said at once, in its plain words.
pub(crate) fn plain() {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_filter(EnvFilter::new("info,engine::told=off").and(filter_fn(own)));
    // A second one could only come from a test.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// For servers.
///
/// # Errors
/// What is wrong with the filter, or with where spans are to go.
pub(crate) fn server(format: Format) -> Result<Logging, Failure> {
    let filter = filter()?.and(filter_fn(own));
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .finish(io::stderr());
    let dropped = writer.error_counter();
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => lines.with_filter(filter).boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    };
    let (layer, spans) = spans::collected()?.unzip();
    tracing_subscriber::registry()
        .with(lines)
        .with(layer)
        .try_init()
        .map_err(Failure::unavailable)?;
    Ok(Logging {
        dropped,
        spans,
        _writer: guard,
    })
}

fn filter() -> Result<EnvFilter, Failure> {
    let named = [FILTER, "RUST_LOG"].into_iter().find_map(|name| {
        let text = std::env::var(name).ok()?;
        (!text.is_empty()).then_some((name, text))
    });
    let Some((name, text)) = named else {
        return Ok(EnvFilter::new("info"));
    };
    EnvFilter::builder()
        .parse(&text)
        .map_err(|e| Failure::usage(format!("`{name}`: {e}; try `info` or `engine=debug`")))
}

/// Whether a line is this program's own.
fn own(metadata: &Metadata<'_>) -> bool {
    let part = metadata.target().split("::").next();
    metadata.is_event() && part.is_some_and(|part| OWN.contains(&part))
}
