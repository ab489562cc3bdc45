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
    stands: String,
    tier: String,
    /// The filter, as the beginning of a link to another page of the list.
    base: String,
    page: u32,
    more: bool,
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
    /// A stage of a case under way, `open` for any of these, or an outcome.
    #[serde(default)]
    stands: String,
    #[serde(default)]
    tier: String,
    #[serde(default)]
    page: u32,
}

/// Rows on one page.
const SIZE: u32 = 50;
/// The last page, as far as the index answers.
const LAST: u32 = 1_900;
/// Stages of cases under way, as the index names them.
const STAGES: [&str; 5] = ["prepared", "judged", "waiting", "granted", "unknown"];

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = asked.page.min(LAST);
    let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    let stands = asked.stands.as_str();
    let is_stage = STAGES.contains(&stands);
    let filter = CaseFilter {
        stage: is_stage.then(|| stands.to_owned()),
        outcome: some(stands).filter(|word| !is_stage && word != "open"),
        under_way: stands == "open",
        tier: some(&asked.tier),
        limit: Some((page + 1) * SIZE + 1),
        ..CaseFilter::default()
    };
    let cases = match ask(&desk, move |index, _| index.cases(&filter)).await {
        Ok(cases) => cases,
        Err(e) => return failed(&*e),
    };
    let skip = (page * SIZE) as usize;
    let more = cases.len() > skip + SIZE as usize;
    let rows: Vec<Row> = cases
        .into_iter()
        .skip(skip)
        .take(SIZE as usize)
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
        rows,
        base: format!(
            "/cases?stands={}&tier={}&page=",
            plain(stands),
            plain(&asked.tier)
        ),
        stands: asked.stands,
        tier: asked.tier,
        page,
        more,
    })
}

/// A word of a filter as it may stand in a link: whatever else was asked for finds nothing anyway.
fn plain(word: &str) -> &str {
    let fine = word.bytes().all(|b| b.is_ascii_lowercase());
    if fine { word } else { "none" }
}
