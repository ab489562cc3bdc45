//! All cases, with filters.

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use evidence::CaseFilter;
use serde::Deserialize;

use super::{Chrome, ask, failed, render};
use crate::{Desk, session::Session, view};

#[derive(Template)]
#[template(path = "cases.html")]
struct Page {
    chrome: Chrome,
    rows: Vec<Row>,
    outcome: String,
    tier: String,
    full: bool,
}

struct Row {
    id: String,
    subject: String,
    tier: String,
    stage: String,
    opened: String,
    humans: String,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    tier: String,
}

/// The most rows on one page.
const MOST: u32 = 200;

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Response {
    let some = |word: &str| (!word.is_empty() && word != "open").then(|| word.to_owned());
    let filter = CaseFilter {
        outcome: some(&asked.outcome),
        under_way: asked.outcome == "open",
        tier: some(&asked.tier),
        limit: Some(MOST),
        ..CaseFilter::default()
    };
    let cases = match ask(&desk, move |index, _| index.cases(&filter)).await {
        Ok(cases) => cases,
        Err(e) => return failed(&*e),
    };
    let rows: Vec<Row> = cases
        .into_iter()
        .map(|c| Row {
            humans: c
                .humans
                .map(|need| format!("{} of {need}", c.yes))
                .unwrap_or_default(),
            id: c.id,
            subject: c.subject,
            tier: c.tier.unwrap_or_default(),
            stage: c.outcome.unwrap_or(c.stage),
            opened: view::moment(c.opened),
        })
        .collect();
    render(&Page {
        chrome: Chrome::new(&session, "cases"),
        full: rows.len() == MOST as usize,
        rows,
        outcome: asked.outcome,
        tier: asked.tier,
    })
}
