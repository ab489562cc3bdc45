//! A witness behind HTTP (`c2sp.org/tlog-witness`).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ledger::witness::{Refused, SIZE_TYPE};

use crate::Keeper;

/// Most bytes of a request: a checkpoint with many signatures and a proof of 63 hashes are far below.
const LONGEST: usize = 64 << 10;

/// `POST /add-checkpoint`, and `GET /` for people: the verifier key, and what was cosigned last.
///
/// `clock` tells seconds since 1970.
pub fn router(keeper: Arc<Keeper>, clock: fn() -> u64) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(Served { keeper, clock })
}

#[derive(Clone)]
struct Served {
    keeper: Arc<Keeper>,
    clock: fn() -> u64,
}

async fn about(State(Served { keeper, .. }): State<Served>) -> String {
    let known = keeper.known();
    let known = known
        .iter()
        .map(|(origin, size)| format!("log {origin} {size}\n"));
    format!(
        "witness {}\n{}",
        keeper.witness(),
        known.collect::<String>()
    )
}

async fn add_checkpoint(State(Served { keeper, clock }): State<Served>, body: Bytes) -> Response {
    let Ok(body) = String::from_utf8(body.to_vec()) else {
        return refuse(&Refused::Malformed("it is not UTF-8".to_owned()));
    };
    // It waits for the disk.
    let added = tokio::task::spawn_blocking(move || keeper.add(&body, clock())).await;
    match added {
        Ok(Ok(Ok(line))) => format!("{line}\n").into_response(),
        Ok(Ok(Err(refused))) => refuse(&refused),
        Ok(Err(error)) => {
            tracing::warn!("not cosigned: {error}");
            let why = "the checkpoint could not be kept, so it is not cosigned\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn refuse(refused: &Refused) -> Response {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refused {
        // Whoever forked a log also hears the size: the protocol wants it of every conflict.
        Refused::OtherSize(size) | Refused::Forked(size) => {
            if matches!(refused, Refused::Forked(_)) {
                tracing::warn!("not cosigned: {refused}");
            }
            let kind = [(header::CONTENT_TYPE, SIZE_TYPE)];
            (status, kind, format!("{size}\n")).into_response()
        }
        Refused::Inconsistent(_) => {
            tracing::warn!("not cosigned: {refused}");
            (status, format!("{refused}\n")).into_response()
        }
        _ => (status, format!("{refused}\n")).into_response(),
    }
}
