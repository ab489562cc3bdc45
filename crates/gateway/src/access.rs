//! One line and one span for each request at the doors: the route as it is written in the program, never the path that was asked,
//! and who asked about which case where that is known. No header, argument or body is in either.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Router,
    extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request},
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    middleware::{self, Next},
    response::Response,
};
use duty::name::{CaseId, ItemId, PrincipalId};
use telemetry::{
    context::{self, TRACEPARENT},
    span,
};
use tracing::{Instrument as _, Span, debug, info};

/// The target of the lines, by which they can be left out.
const TARGET: &str = "counterfoil::access";
/// Names a request; sent back, so that its sender finds the line.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name of a request that is taken from its sender.
const LONGEST: usize = 64;
/// Routes that are asked by machines all the time.
const QUIET: &[&str] = &["/healthz", "/metrics", "/assets/{name}"];

tokio::task_local! {
    static SEEN: Seen;
}

/// What is known of a request while it is answered.
#[derive(Clone)]
pub(crate) struct Seen(Arc<Inner>);

struct Inner {
    span: Span,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    principal: Option<String>,
    case: Option<String>,
}

impl Seen {
    /// The request's own span: work that runs in another task goes on under it.
    pub(crate) fn span(&self) -> &Span {
        &self.0.span
    }

    /// Which case it is about.
    pub(crate) fn about(&self, case: &CaseId) {
        self.noted().case = Some(case.to_string());
        span::about(self.span(), case.as_str());
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks: somebody who has proved it.
pub(crate) fn asked_by(who: &PrincipalId) {
    let _outside_of_a_request = SEEN.try_with(|seen| {
        seen.noted().principal = Some(who.to_string());
        seen.span().record("counterfoil.principal", who.as_str());
    });
}

/// Which case a request is about.
pub(crate) fn about(case: &CaseId) {
    let _outside_of_a_request = SEEN.try_with(|seen| seen.about(case));
}

/// Routes whose requests are told.
pub fn told(routes: Router) -> Router {
    routes.layer(middleware::from_fn(tell))
}

async fn tell(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let matched = parts.extensions.get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let id = name(&parts);
    let method = word(&parts);
    let span = span::http(method, &route);
    let parent = parts.headers.get(TRACEPARENT);
    if let Some(parent) = parent.and_then(|parent| parent.to_str().ok()) {
        context::set_parent(&span, parent);
    }
    let seen = Seen(Arc::new(Inner {
        span: span.clone(),
        noted: Mutex::default(),
    }));
    if let Some(case) = case(&mut parts).await {
        seen.about(&case);
    }
    parts.extensions.insert(seen.clone());
    let answer = next.run(Request::from_parts(parts, body));
    let answer = SEEN.scope(seen.clone(), answer.instrument(span.clone()));
    let mut response = answer.await;
    let status = response.status();
    span::answered(&span, status.as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    say(method, &route, &id, status, began, &seen.noted());
    response
}

fn say(
    method: &str,
    route: &str,
    request: &str,
    status: StatusCode,
    began: Instant,
    noted: &Noted,
) {
    let (status, micros) = (status.as_u16(), began.elapsed().as_micros());
    let duration_us = u64::try_from(micros).unwrap_or(u64::MAX);
    let (principal, case) = (noted.principal.as_deref(), noted.case.as_deref());
    if QUIET.contains(&route) {
        debug!(target: TARGET, method, route, status, duration_us, principal, case, request, "request");
    } else {
        info!(target: TARGET, method, route, status, duration_us, principal, case, request, "request");
    }
}

/// The name that a request came with, where it is one; else a new one.
fn name(parts: &Parts) -> String {
    let given = parts.headers.get(&REQUEST_ID);
    let given = given.and_then(|id| id.to_str().ok()).filter(|id| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
    });
    given.map(str::to_owned).unwrap_or_else(|| {
        let mut random = [0; 8];
        // A request without a name is still answered.
        let _ = getrandom::fill(&mut random);
        hex::encode(random)
    })
}

/// The method, or `_OTHER` for one that nobody knows: anybody can make words up.
fn word(parts: &Parts) -> &'static str {
    match parts.method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

/// The case that a path names, itself or by what belongs to it.
async fn case(parts: &mut Parts) -> Option<CaseId> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find_map(|(name, value)| match name {
        "case" => value.parse().ok(),
        "grant" | "approval" | "exception" | "call" => value.parse::<ItemId>().ok()?.case(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};

    use super::*;

    async fn parts(headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap().into_parts().0
    }

    #[tokio::test]
    async fn a_name_is_taken_where_it_is_one() {
        assert_eq!(name(&parts(&[("x-request-id", "a-1")]).await), "a-1");
        for wrong in ["", "a b", "a\"b", &"x".repeat(65)] {
            let made = name(&parts(&[("x-request-id", wrong)]).await);
            assert!(made.len() == 16 && made != wrong, "{made}");
        }
        assert_ne!(name(&parts(&[]).await), name(&parts(&[]).await));
    }

    #[tokio::test]
    async fn whoever_answers_can_say_who_asked() {
        // Which it is does not matter here; the client wants one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let handler = || async {
            asked_by(&"ana".parse().unwrap());
            SEEN.with(|seen| {
                let noted = seen.noted();
                format!("{:?} {:?}", noted.principal, noted.case)
            })
        };
        let routes = told(Router::new().route("/v1/grants/{grant}/use", get(handler)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/v1/grants/c-1.g1/use",
            listener.local_addr().unwrap()
        );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let answer = reqwest::get(&url).await.unwrap();
        assert!(answer.headers().contains_key("x-request-id"));
        assert_eq!(answer.text().await.unwrap(), "Some(\"ana\") Some(\"c-1\")");
    }
}
