//! The log: how far it is, and how a stranger checks it.

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use super::{Chrome, render};
use crate::{Desk, session::Session};

#[derive(Template)]
#[template(path = "log.html")]
struct Page {
    chrome: Chrome,
    origin: String,
    committed: u64,
    published: u64,
    checkpoint: String,
    vkey: String,
    dir: String,
    failure: Option<String>,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    let journal = desk.engine.journal();
    render(&Page {
        chrome: Chrome::new(&session, "log"),
        origin: desk.engine.dir().origin().to_owned(),
        committed: journal.committed(),
        published: journal.published(),
        checkpoint: String::from_utf8_lossy(&journal.checkpoint()).into_owned(),
        vkey: desk.engine.dir().vkey(),
        dir: desk.dir.display().to_string(),
        failure: journal.failure(),
    })
}
