//! The HTTP door: requests of the core as JSON, and what waits for humans.
//!
//! Agents and services come with a bearer token. Humans come with a signature: a signed statement is its own proof, and the
//! door adds nothing to it. Whoever may read the data directory's `keys` may speak for its two local services.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use duty::{name::ItemId, request::Request};
use engine::{Engine, EngineError, Seat};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 256 * 1024;

/// What the door holds.
#[derive(Clone)]
struct Door {
    engine: Arc<Engine>,
    local: Arc<str>,
}

/// A request as it is sent to `POST /v1/requests`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// For the holder of the local token: which local service speaks, `admin` or `engine`.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub speaks_as: Option<String>,
    /// What is asked.
    pub request: Request,
}

/// The door's routes. `local` is the token of the process that owns the data directory.
pub fn router(engine: Arc<Engine>, local: &str) -> Router {
    Router::new()
        .route("/v1/requests", post(request))
        .route("/v1/approvals", get(approvals))
        .route("/v1/approvals/{id}", get(approval))
        .route("/v1/status", get(status))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(Door {
            engine,
            local: local.into(),
        })
}

async fn request(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Result<Json<Sent>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(sent) =
        body.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "malformed", e.body_text()))?;
    let seat = door.seat(&headers, &sent)?;
    let engine = &door.engine;
    let answer = match sent.request {
        Request::Call(call) => {
            let called = engine.call(&seat, &call.case, call.action).await?;
            match called.answer {
                Ok(value) => json!({"call": called.call, "answer": value}),
                Err(problem) => json!({"call": called.call, "problem": problem}),
            }
        }
        // What retrieval finds is never an agent's to say.
        Request::Retrieve(ask) => {
            let found = engine.retrieve(&seat, &ask.case, &ask.query).await?;
            json!({"ranking": found})
        }
        Request::UseGrant(using) => {
            let done = engine.execute(&seat, &using.grant, using.action).await?;
            json!({"outcome": done.outcome, "detail": done.detail})
        }
        request => {
            let records = engine.submit(&seat, request).await?;
            json!({"records": records})
        }
    };
    Ok(Json(answer))
}

async fn approvals(State(door): State<Door>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    door.reader(&headers)?;
    Ok(Json(json!({"approvals": door.engine.docket()})))
}

async fn approval(
    State(door): State<Door>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    door.reader(&headers)?;
    let missing = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "wrong-state",
            format!("no approval `{id}` waits"),
        )
    };
    let item: ItemId = id.parse().map_err(|_| missing())?;
    let waiting = door.engine.waiting(&item).ok_or_else(missing)?;
    Ok(Json(json!(waiting)))
}

async fn status(State(door): State<Door>) -> Json<Value> {
    let journal = door.engine.journal();
    let (size, origin) = door.engine.read(|s| (s.size, s.origin.clone()));
    Json(json!({
        "origin": origin,
        "size": size,
        "committed": journal.committed(),
        "published": journal.published(),
        "failure": journal.failure(),
    }))
}

impl Door {
    fn seat(&self, headers: &HeaderMap, sent: &Sent) -> Result<Seat, Problem> {
        if let Some((principal, credential)) = sent.request.signer() {
            return Ok(Seat {
                principal: principal.clone(),
                credential: credential.clone(),
            });
        }
        let token = bearer(headers)?;
        if self.is_local(token) {
            return match sent.speaks_as.as_deref() {
                Some(engine::ADMIN) => Ok(Seat::admin()),
                Some(engine::ENGINE) => Ok(Seat::engine()),
                _ => Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "malformed",
                    "the local token needs `as`: `admin` or `engine`".to_owned(),
                )),
            };
        }
        Ok(self.engine.authenticate(token)?)
    }

    fn reader(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = bearer(headers)?;
        if !self.is_local(token) {
            self.engine.authenticate(token)?;
        }
        Ok(())
    }

    /// Compared by digest, so that the time it takes tells nothing of the token.
    fn is_local(&self, token: &str) -> bool {
        let digest = |s: &str| duty::canonical::Digest::of_bytes(s.as_bytes());
        digest(token) == digest(&self.local)
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "))
        .ok_or_else(|| EngineError::Unauthenticated.into())
}

/// An error as `application/problem+json` (RFC 9457).
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    body: Value,
}

impl Problem {
    fn new(status: StatusCode, code: &str, detail: String) -> Self {
        Self {
            status,
            body: json!({"title": status.canonical_reason(), "status": status.as_u16(), "code": code, "detail": detail}),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(e: EngineError) -> Self {
        let detail = e.to_string();
        match e {
            EngineError::Refused(refusal) => {
                let mut problem = Self::new(StatusCode::FORBIDDEN, refusal.code.word(), detail);
                problem.body["refusal"] = json!(refusal);
                problem
            }
            EngineError::Unauthenticated => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            }
            EngineError::TooLong { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", detail)
            }
            EngineError::Missing(_) => Self::new(StatusCode::NOT_FOUND, "wrong-state", detail),
            EngineError::Canonical(_) | EngineError::NotRotated => {
                Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
            }
            EngineError::Store(_)
            | EngineError::Unreleased { .. }
            | EngineError::NotErased { .. }
            | EngineError::Stop { .. }
            | EngineError::Embedder(_)
            | EngineError::Retrieval(_)
            | EngineError::Release { .. }
            | EngineError::Fold(_)
            | EngineError::NoTarget(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, self.body.to_string()).into_response()
    }
}
