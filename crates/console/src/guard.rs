//! What stands before every page: headers, the host, the session, and the proof that a form is ours.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use crate::{Desk, pages};

/// The cookie that holds the session's token.
pub(crate) const COOKIE: &str = "counterfoil-session";
/// The header that carries the session's secret on requests of scripts.
pub(crate) const CSRF: &str = "x-counterfoil-csrf";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers on every answer; requests for another host or from another origin are turned away.
pub(crate) async fn everybody(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = if !host_is_ours(headers, &desk.public_url) {
        Some("this console is not served under that name")
    } else if request.method() != Method::GET && !origin_is_ours(headers, &desk.public_url) {
        Some("the request comes from another site")
    } else {
        None
    };
    let is_asset = request.uri().path().starts_with("/assets/");
    let mut response = match refused {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: under it browsers send forms of our own pages with the origin `null`.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    if !is_asset {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

/// Pages behind this need a session; whatever changes something needs its secret too.
pub(crate) async fn signed_in(
    State(desk): State<Desk>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = cookie(request.headers()).map(str::to_owned);
    let found = match &token {
        Some(token) => desk.sessions.find(token, desk.engine.now()),
        None => Ok(None),
    };
    let session = match found {
        Ok(Some(session)) => session,
        Ok(None) => return Redirect::to("/sign-in").into_response(),
        Err(e) => return pages::failed(&e),
    };
    // Whoever was revoked since is out at once.
    let in_force = desk.engine.read(|s| {
        s.principals
            .get(&session.person)
            .is_some_and(|p| !p.revoked)
    });
    if !in_force {
        return Redirect::to("/sign-in").into_response();
    }
    if request.method() != Method::GET {
        let sent = request.headers().get(CSRF).and_then(|v| v.to_str().ok());
        let query = request.uri().query().and_then(|q| q.strip_prefix("csrf="));
        if sent.or(query) != Some(session.csrf.as_str()) {
            return (
                StatusCode::FORBIDDEN,
                "the form has expired; load the page again",
            )
                .into_response();
        }
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// The session's token.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok());
    let mut pairs = all
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Against DNS rebinding: only names that are ours.
fn host_is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let ours = public_url
        .split("://")
        .nth(1)
        .unwrap_or_default()
        .trim_end_matches('/');
    let port = ours.rsplit_once(':').map_or("", |(_, port)| port);
    host == ours || host == format!("localhost:{port}") || host == format!("127.0.0.1:{port}")
}

fn origin_is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        // Programs send no origin; they have no cookie either.
        None => true,
        Some(Ok(origin)) => {
            let port = public_url
                .rsplit_once(':')
                .map_or("", |(_, port)| port.trim_end_matches('/'));
            origin == public_url.trim_end_matches('/')
                || origin == format!("http://localhost:{port}")
        }
        Some(Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn other_hosts_and_origins_are_turned_away() {
        let url = "http://127.0.0.1:7878";
        assert!(host_is_ours(&headers(header::HOST, "127.0.0.1:7878"), url));
        assert!(host_is_ours(&headers(header::HOST, "localhost:7878"), url));
        assert!(!host_is_ours(
            &headers(header::HOST, "evil.example:7878"),
            url
        ));
        assert!(!host_is_ours(&HeaderMap::new(), url));
        assert!(origin_is_ours(
            &headers(header::ORIGIN, "http://127.0.0.1:7878"),
            url
        ));
        assert!(!origin_is_ours(
            &headers(header::ORIGIN, "http://evil.example"),
            url
        ));
        assert!(!origin_is_ours(&headers(header::ORIGIN, "null"), url));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(header::COOKIE, "a=b; counterfoil-session=xyz; c=d");
        assert_eq!(cookie(&found), Some("xyz"));
        assert_eq!(cookie(&headers(header::COOKIE, "a=b")), None);
    }
}
