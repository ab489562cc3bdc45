//! Where a client finds out who issues tokens for this door: protected resource metadata (RFC 9728), as MCP's authorization asks.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    middleware::map_response,
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use super::Identity;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The doors' routes with that document, where any issuer is pinned, and with its address in each answer that asks for a token.
/// `base` is where clients reach the server.
pub fn announced(routes: Router, identity: &Identity, base: &str) -> Router {
    let issuers: Vec<String> = identity.issuers().map(str::to_owned).collect();
    if issuers.is_empty() {
        return routes;
    }
    let base = base.trim_end_matches('/').to_owned();
    let challenge = format!("Bearer resource_metadata=\"{base}{WELL_KNOWN}/mcp\"");
    let challenge = HeaderValue::try_from(challenge).ok();
    let routes = routes.layer(map_response(move |answer: Response| {
        let challenge = challenge.clone();
        async move { challenged(answer, challenge) }
    }));
    let described = Arc::new((base, issuers));
    routes.merge(
        Router::new()
            .route(WELL_KNOWN, get(root))
            .route(&format!("{WELL_KNOWN}/{{*path}}"), get(below))
            .with_state(described),
    )
}

fn challenged(mut answer: Response, challenge: Option<HeaderValue>) -> Response {
    if answer.status() == StatusCode::UNAUTHORIZED
        && let Some(challenge) = challenge
    {
        let headers = answer.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

type Described = Arc<(String, Vec<String>)>;

async fn root(State(described): State<Described>) -> Json<Value> {
    document(&described, "")
}

/// A resource is named by what follows the well-known part (RFC 9728, section 3.1).
async fn below(
    State(described): State<Described>,
    Path(path): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let known = match path.split_once('/') {
        None => path == "mcp",
        Some(("mcp", environment)) => environment.parse::<duty::name::Environment>().is_ok(),
        Some(_) => false,
    };
    if !known {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(document(&described, &format!("/{path}")))
}

fn document((base, issuers): &(String, Vec<String>), path: &str) -> Json<Value> {
    Json(json!({
        "resource": format!("{base}{path}"),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    }))
}
