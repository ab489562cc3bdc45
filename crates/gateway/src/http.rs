//! The HTTP door: routes for what agents, services and people ask, each described where it is routed.
//!
//! Agents and services come with a bearer token, or one of their identity provider. Humans come with a signature: a signed statement is its own proof, and the
//! door adds nothing to it. Whoever may read the data directory's `keys` may speak for its two local services.
//!
//! | module | what |
//! |---|---|
//! | `describe` | routes with their OpenAPI description |
//! | `door` | who asks; keys of retries; rates |
//! | `act` | what a route does, carried out or told again from the log |
//! | `cases`, `grants`, `approvals`, `exceptions`, `policy`, `raw` | the routes |
//! | `events` | what happens to approvals, as server-sent events |
//! | `replay`, `limit`, `room`, `page`, `problem`, `shape` | idempotency keys, rates, how much at once, pages, errors, schemas |

mod act;
mod approvals;
mod cases;
mod describe;
mod door;
mod events;
mod exceptions;
mod grants;
mod limit;
mod page;
mod policy;
mod problem;
mod raw;
mod replay;
mod room;
pub(crate) mod shape;

use std::sync::{Arc, LazyLock};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use engine::Engine;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

pub use raw::Sent;

pub(crate) use door::Door;
pub(crate) use limit::{Meter, Payer};
pub(crate) use problem::Problem;
pub(crate) use room::{Place, Room};

use crate::identity::Identity;
use describe::{Api, Operation};

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 256 * 1024;

/// What a route answers.
type Answer = Result<Response, Problem>;

/// The door's routes. `identity` says whose tokens are taken beside those that the log knows; `local` is the token of the process that owns the data directory.
///
/// # Errors
/// In words, where the data directory's `api.toml` or `door.db` cannot be used.
pub fn router(engine: Arc<Engine>, identity: Arc<Identity>, local: &str) -> Result<Router, String> {
    let door = Door::open(engine, identity, local)?;
    let (routes, _) = api();
    Ok(routes
        .route("/v1/{*rest}", any(nowhere))
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(door))
}

/// The OpenAPI 3.1 document that describes the API; `/v1/openapi.json` serves it.
#[must_use]
pub fn description() -> Value {
    api().1
}

fn api() -> (Router<Door>, Value) {
    let api = Api::new()
        .route(
            Operation::get::<Value>("/v1/openapi.json", "describe", "This description.").open(),
            described,
        )
        .route(
            Operation::get::<Status>("/v1/status", "status", "How the log stands.").open(),
            status,
        );
    let api = raw::routes(api);
    let api = cases::routes(api);
    let api = grants::routes(api);
    let api = approvals::routes(api);
    let api = events::routes(api);
    let api = exceptions::routes(api);
    policy::routes(api).finish(crate::webhook::described)
}

async fn described() -> impl IntoResponse {
    // Anybody may ask for it, and it never changes.
    static TEXT: LazyLock<String> = LazyLock::new(|| description().to_string());
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, TEXT.as_str())
}

/// How the log stands.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// Its origin.
    origin: Option<String>,
    /// Records decided.
    size: u64,
    /// Records on the disk.
    committed: u64,
    /// Records under the published checkpoint.
    published: u64,
    /// Why nothing more can be written, where that is so.
    failure: Option<String>,
}

async fn status(State(door): State<Door>) -> Json<Value> {
    let journal = door.engine.journal();
    let (size, origin) = door.engine.read(|s| (s.size, s.origin.clone()));
    Json(json!(Status {
        origin,
        size,
        committed: journal.committed(),
        published: journal.published(),
        failure: journal.failure(),
    }))
}

async fn nowhere() -> Response {
    Problem::missing("there is no such route; `/v1/openapi.json` lists them").into_response()
}

async fn not_so() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "the route takes another method; `/v1/openapi.json` says which",
    )
    .into_response()
}
