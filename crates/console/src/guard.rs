//! What stands before every page: headers, the host, the session, and the proof that a form is ours.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use duty::canonical::Digest;

use crate::{Desk, pages};

/// The cookie that holds the session's token.
pub(crate) const COOKIE: &str = "counterfoil-session";
/// The header that carries the session's secret on requests of scripts.
pub(crate) const CSRF: &str = "x-counterfoil-csrf";

/// The longest form of ours, in bytes.
const LONGEST_FORM: usize = 16 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers on every answer; requests for another host or from another origin are turned away.
pub(crate) async fn everybody(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = if !host_is_ours(headers, &desk.public_url) {
        Some("this console is not served under that name")
    } else if !is_safe(request.method()) && !origin_is_ours(headers, &desk.public_url) {
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
    if !is_safe(request.method()) {
        let (parts, body) = request.into_parts();
        let (sent, body) = match secret(&parts.headers, body).await {
            Ok(found) => found,
            Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
        };
        // Digests are compared, so that how long it takes says nothing of the secret.
        let digest = |text: &str| Digest::of_bytes(text.as_bytes());
        if sent.is_none_or(|sent| digest(&sent) != digest(&session.csrf)) {
            return (
                StatusCode::FORBIDDEN,
                "the form has expired; load the page again",
            )
                .into_response();
        }
        request = Request::from_parts(parts, body);
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// Whether a request of this method changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The session's secret, as a script's header or a form's field has it, and the body to go on with.
async fn secret(headers: &HeaderMap, body: Body) -> Result<(Option<String>, Body), &'static str> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(sent) = text(CSRF) {
        return Ok((Some(sent.to_owned()), body));
    }
    if text(header::CONTENT_TYPE.as_str()).is_none_or(|kind| !kind.starts_with(FORM)) {
        return Ok((None, body));
    }
    let bytes = to_bytes(body, LONGEST_FORM)
        .await
        .map_err(|_| "the form is too long")?;
    Ok((field(&bytes), Body::from(bytes)))
}

/// The form's `csrf`. It is hexadecimal: there is nothing in it to decode.
fn field(form: &Bytes) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let mut fields = form.split('&');
    fields.find_map(|f| f.strip_prefix("csrf=").map(str::to_owned))
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

/// Against DNS rebinding: only names that are ours. Other sites can make a browser resolve theirs to this machine, but not
/// make it call it by another name.
fn host_is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    host == authority(public_url) || is_local(host)
}

fn origin_is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        // Programs send no origin; they have no cookie either.
        None => true,
        Some(Ok(origin)) => {
            // A page of this machine's own names, served under the very name that is called.
            let called = headers.get(header::HOST).and_then(|v| v.to_str().ok());
            let local = origin
                .strip_prefix("http://")
                .is_some_and(|from| Some(from) == called && is_local(from));
            local || origin == public_url.trim_end_matches('/')
        }
        Some(Err(_)) => false,
    }
}

/// `host` or `host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Whether a browser reaches only its own machine under this name.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn other_hosts_are_turned_away() {
        let ours = |host: &'static str, url| host_is_ours(&headers(header::HOST, host), url);
        for host in ["127.0.0.1:7878", "localhost:7878", "[::1]:7878"] {
            assert!(ours(host, "http://127.0.0.1:7878"), "{host}");
        }
        assert!(ours("console.example", "https://console.example/"));
        assert!(ours("localhost:7878", "https://console.example"));
        for host in [
            "evil.example:7878",
            "127.0.0.1.evil.example:7878",
            "localhost.evil.example",
            "console.example:81",
            "",
        ] {
            assert!(!ours(host, "https://console.example"), "{host}");
        }
        assert!(!host_is_ours(&HeaderMap::new(), "http://127.0.0.1:7878"));
    }

    #[test]
    fn other_origins_are_turned_away() {
        let ours = |origin: &'static str, host: &'static str| {
            let mut sent = headers(header::ORIGIN, origin);
            sent.insert(header::HOST, HeaderValue::from_static(host));
            origin_is_ours(&sent, "https://console.example")
        };
        assert!(ours("https://console.example", "console.example"));
        assert!(ours("http://localhost:7878", "localhost:7878"));
        for origin in [
            "null",
            "http://console.example",
            "https://evil.example",
            "https://console.example.evil.example",
            // Another server on this machine.
            "http://localhost:9999",
            "http://127.0.0.1:7878",
        ] {
            assert!(!ours(origin, "localhost:7878"), "{origin}");
        }
        assert!(origin_is_ours(&HeaderMap::new(), "https://console.example"));
    }

    #[test]
    fn the_secret_is_found_in_a_form() {
        let find = |form: &'static str| field(&Bytes::from_static(form.as_bytes()));
        assert_eq!(find("a=b&csrf=12ab&c=d").as_deref(), Some("12ab"));
        assert_eq!(find("xcsrf=12ab"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(header::COOKIE, "a=b; counterfoil-session=xyz; c=d");
        assert_eq!(cookie(&found), Some("xyz"));
        assert_eq!(cookie(&headers(header::COOKIE, "a=b")), None);
    }
}
