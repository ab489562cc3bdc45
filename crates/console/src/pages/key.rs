//! The person's signing key in this browser.

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use super::{Chrome, Signer, render, signer};
use crate::{Desk, session::Session};

#[derive(Template)]
#[template(path = "key.html")]
struct Page {
    chrome: Chrome,
    signer: Option<Signer>,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    render(&Page {
        chrome: Chrome::new(&session, "key"),
        signer: signer(&desk, &session),
    })
}
