//! Signing in by a one-time link, and out.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};

use super::{Chrome, failed, render};
use crate::{Desk, guard::COOKIE, guard::cookie};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    chrome: Chrome,
    /// The link's token; none where nobody has one.
    token: Option<String>,
    gone: bool,
}

fn show(token: Option<String>, gone: bool) -> Response {
    render(&Page {
        chrome: Chrome::nobody(),
        token,
        gone,
    })
}

pub(crate) async fn page() -> Response {
    show(None, false)
}

/// Only a button: what looks at links ahead of people does not use them up.
pub(crate) async fn link(State(desk): State<Desk>, Path(token): Path<String>) -> Response {
    match desk.sessions.link_works(&token, desk.engine.now()) {
        Ok(true) => show(Some(token), false),
        Ok(false) => (StatusCode::GONE, show(None, true)).into_response(),
        Err(e) => failed(&e),
    }
}

pub(crate) async fn enter(State(desk): State<Desk>, Path(token): Path<String>) -> Response {
    let session = match desk.sessions.enter(&token, desk.engine.now()) {
        Ok(Some(session)) => session,
        Ok(None) => return (StatusCode::GONE, show(None, true)).into_response(),
        Err(e) => return failed(&e),
    };
    let secure = if desk.public_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    let cookie =
        format!("{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age=28800{secure}");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

pub(crate) async fn sign_out(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers)
        && let Err(e) = desk.sessions.end(token)
    {
        return failed(&e);
    }
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response()
}
