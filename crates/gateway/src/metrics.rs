//! `GET /metrics`: how the engine and its log stand, in the text format of OpenMetrics, which Prometheus reads.
//!
//! It asks for a token of its own, or the local one, from wherever it is asked: behind a proxy everybody comes from loopback,
//! and how much headroom a threshold has is of use to whoever would split a payment.

use std::sync::{Arc, atomic::AtomicU64};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use duty::{canonical::Digest, headroom, release::Rules, time::Time};
use engine::{Engine, EngineError};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{identity::bearer, mcp::Calls, webhook::Webhooks};

/// The route, for whoever holds one of the tokens.
pub fn router<'t>(
    engine: Arc<Engine>,
    webhooks: Arc<Webhooks>,
    calls: Calls,
    tokens: impl IntoIterator<Item = &'t str>,
) -> Router {
    let tokens = tokens.into_iter();
    let tokens = tokens.map(|token| Digest::of_bytes(token.as_bytes()));
    let scraped = Scraped {
        engine,
        webhooks,
        calls,
        tokens: tokens.collect(),
    };
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::new(scraped))
}

struct Scraped {
    engine: Arc<Engine>,
    webhooks: Arc<Webhooks>,
    calls: Calls,
    tokens: Vec<Digest>,
}

async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    // Digests are compared, so that no time tells how much of a token was right.
    let known = bearer(&headers).is_ok_and(|token| {
        let token = Digest::of_bytes(token.as_bytes());
        scraped.tokens.contains(&token)
    });
    if !known {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        let why = "give the token of `keys/metrics.token` in the data directory\n";
        return (StatusCode::UNAUTHORIZED, challenge, why).into_response();
    }
    match text(&scraped) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why.to_string()).into_response(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEnvironment {
    environment: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSort {
    sort: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfThreshold {
    threshold: String,
    environment: String,
}

pub(crate) type Seconds = Gauge<f64, AtomicU64>;

fn text(scraped: &Scraped) -> Result<String, EngineError> {
    let engine = &scraped.engine;
    let mut registry = Registry::with_prefix("counterfoil");
    engine.meter().register(&mut registry);
    state(engine, &mut registry);
    thresholds(engine, &mut registry)?;
    log(engine, &mut registry);
    scraped.calls.register(&mut registry);
    scraped.webhooks.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("INVARIANT: a string takes all that is written to it");
    Ok(text)
}

/// Cases, approvals that wait, exceptions, freezes.
fn state(engine: &Engine, registry: &mut Registry) {
    let (waiting, cases) =
        <(Family<OfEnvironment, Gauge>, Family<OfEnvironment, Gauge>)>::default();
    let oldest = Family::<OfEnvironment, Seconds>::default();
    let exceptions = Family::<OfSort, Gauge>::default();
    let frozen = Gauge::<i64>::default();
    let now = engine.now();
    engine.read(|state| {
        for env in state.environments.keys() {
            let of = OfEnvironment {
                environment: env.to_string(),
            };
            // What is not there reads as none, and not as unknown.
            waiting.get_or_create(&of).set(0);
            cases.get_or_create(&of).set(0);
            oldest.get_or_create(&of).set(0.0);
        }
        for case in state.cases.values() {
            let of = OfEnvironment {
                environment: case.env.to_string(),
            };
            cases.get_or_create(&of).inc();
            if let Some(approval) = case.approval.as_ref().filter(|_| case.waits()) {
                waiting.get_or_create(&of).inc();
                let age = seconds(approval.asked, now);
                let oldest = oldest.get_or_create(&of);
                oldest.set(oldest.get().max(age));
            }
        }
        for exception in state.exceptions.values() {
            let sort = exception.sort.word();
            exceptions.get_or_create(&OfSort { sort }).inc();
        }
        frozen.set(i64::try_from(state.freezes.len()).unwrap_or(i64::MAX));
    });
    registry.register("cases_open", "Cases under way", cases);
    registry.register(
        "approvals_waiting",
        "Requests for approval that wait for humans",
        waiting,
    );
    registry.register_with_unit(
        "approvals_oldest",
        "Age of the oldest request for approval that waits; 0 where none does",
        Unit::Seconds,
        oldest,
    );
    registry.register(
        "exceptions_open",
        "Exceptions that nobody has triaged",
        exceptions,
    );
    registry.register("freezes", "Freezes in force", frozen);
}

/// What thresholds in force have left.
fn thresholds(engine: &Engine, registry: &mut Registry) -> Result<(), EngineError> {
    let (count, sum) = <(Family<OfThreshold, Gauge>, Family<OfThreshold, Gauge>)>::default();
    let covers = Family::<OfThreshold, Gauge>::default();
    let now = engine.now();
    let environments = engine.read(|state| state.environments.clone());
    for (env, digest) in environments {
        let Some(release) = engine.release(digest)? else {
            continue;
        };
        for (threshold, digest) in release.thresholds() {
            let h =
                engine.read(|state| headroom(state, &*release, (threshold, *digest), &env, now));
            let of = OfThreshold {
                threshold: threshold.id.to_string(),
                environment: env.to_string(),
            };
            covers
                .get_or_create(&of)
                .set(i64::from(h.why_not.is_none()));
            count.get_or_create(&of).set(h.all.count.left);
            if let Some(left) = h.all.sum {
                sum.get_or_create(&of).set(left.left);
            }
        }
    }
    registry.register(
        "threshold_in_force",
        "1 where the threshold covers anything at this moment",
        covers,
    );
    registry.register(
        "threshold_left_actions",
        "Actions left under the cap over all keys",
        count,
    );
    registry.register(
        "threshold_left_sum",
        "What is left of the cap's sum over all keys, in the smallest part of its unit",
        sum,
    );
    Ok(())
}

/// How far checkpoints and witnesses lag behind what is on the disk.
fn log(engine: &Engine, registry: &mut Registry) {
    let journal = engine.journal();
    let gauge = |value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    // Published first: what is committed meanwhile makes the lag longer, and never negative.
    let published = journal.published();
    let witnessed = journal.witnessed();
    let committed = journal.committed();
    registry.register("log_records", "Records on the disk", gauge(committed));
    registry.register(
        "checkpoint_lag_records",
        "Records on the disk that no published checkpoint covers yet",
        gauge(committed.saturating_sub(published)),
    );
    registry.register(
        "log_failed",
        "1 where nothing more can be written until a start",
        gauge(u64::from(journal.failure().is_some())),
    );
    registry.register(
        "checkpoint_unsigned",
        "1 where the signer of the log's key does not answer",
        gauge(u64::from(journal.unsigned().is_some())),
    );
    if witnessed.asked {
        registry.register(
            "witness_lag_records",
            "Records on the disk that no cosigned checkpoint covers yet, as far as this process has seen one",
            gauge(committed.saturating_sub(witnessed.size)),
        );
        registry.register(
            "witness_failed",
            "1 where the last attempt found no quorum of witnesses",
            gauge(u64::from(witnessed.problem.is_some())),
        );
    }
}

/// From one moment to a later one.
pub(crate) fn seconds(from: Time, to: Time) -> f64 {
    let millis = u32::try_from(to.millis().saturating_sub(from.millis()).max(0));
    millis.map_or(f64::from(u32::MAX), f64::from) / 1_000.0
}

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
