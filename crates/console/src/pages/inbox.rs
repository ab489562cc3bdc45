//! The inbox: what waits for humans, soonest expiry first.

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use engine::Waiting;
use serde::Deserialize;

use super::{Chrome, render};
use crate::{Desk, session::Session, view};

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page {
    chrome: Chrome,
    rows: Vec<Row>,
    total: usize,
    mine: usize,
    all: bool,
    exceptions: usize,
    more: usize,
}

struct Row {
    id: String,
    subject: String,
    what: String,
    amount: String,
    tier: &'static str,
    why: String,
    have: usize,
    need: u32,
    left: String,
    signed_by_me: bool,
    against: bool,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    all: Option<String>,
}

/// The most rows on one page.
const MOST: usize = 100;

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Response {
    let now = desk.engine.now();
    let all = asked.all.is_some();
    let docket = desk.engine.docket();
    let total = docket.len();
    let rows = docket
        .iter()
        .map(|w| row(w, &session, now))
        .collect::<Vec<_>>();
    let mine = rows.iter().filter(|r| !r.signed_by_me).count();
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|r| all || !r.signed_by_me)
        .collect();
    let more = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    render(&Page {
        chrome: Chrome::new(&session, "inbox"),
        rows,
        total,
        mine,
        all,
        exceptions: desk.engine.read(|s| s.exceptions.len()),
        more,
    })
}

fn row(w: &Waiting, session: &Session, now: duty::time::Time) -> Row {
    // What the reviewer says is what a person most needs to know before opening it.
    let said = w.reviewed.as_ref().or(w.prepared.as_ref());
    Row {
        id: w.approval.to_string(),
        subject: w.subject.clone(),
        what: w.action.tool.clone(),
        amount: view::amount(&w.action),
        tier: w.tier.word(),
        why: said.map(|r| r.rationale.clone()).unwrap_or_default(),
        have: w.have.len(),
        need: w.humans,
        left: view::span(now, w.expires),
        signed_by_me: w.have.contains(&session.person),
        against: w.yes_overrides,
    }
}
