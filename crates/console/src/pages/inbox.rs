//! The inbox: what waits for humans, soonest expiry first.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use duty::request::{Recommend, Stance};
use engine::Waiting;
use serde::Deserialize;

use super::{Chrome, Paging, ask, failed, render};
use crate::{
    Desk,
    session::Session,
    standing::{Obstacle, obstacles},
    view,
};

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page {
    chrome: Chrome,
    rows: Vec<Row>,
    show: Show,
    mine: usize,
    others: usize,
    exceptions: usize,
    paging: Paging,
}

struct Row {
    id: String,
    subject: String,
    what: String,
    amount: String,
    tier: &'static str,
    why: String,
    clauses: Vec<String>,
    advice: String,
    have: usize,
    need: u32,
    asked: String,
    left: String,
    obstacle: Option<Obstacle>,
    against: bool,
}

/// Which of those that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Show {
    /// What this person can sign.
    #[default]
    Mine,
    /// What they signed already, or cannot sign.
    Others,
}

impl Show {
    fn word(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Others => "others",
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    show: Show,
    #[serde(default)]
    page: usize,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Response {
    let docket = desk.engine.docket();
    let obstacles = match obstacles(&desk, &docket, &session.person) {
        Ok(obstacles) => obstacles,
        Err(e) => return failed(&e),
    };
    let (theirs, mine): (Vec<_>, Vec<_>) = docket
        .into_iter()
        .zip(obstacles)
        .map(|(w, obstacle)| (w, obstacle.filter(|o| !o.for_now)))
        .partition(|(_, obstacle)| obstacle.is_some());
    let (mine_count, others_count) = (mine.len(), theirs.len());
    let mut shown = match asked.show {
        Show::Mine => mine,
        Show::Others => theirs,
    };
    let paging = Paging::cut(
        &mut shown,
        asked.page,
        format!("/?show={}&page=", asked.show.word()),
    );
    let mut reasons = match reasons(&desk, &shown).await {
        Ok(reasons) => reasons,
        Err(e) => return failed(&*e),
    };
    let now = desk.engine.now();
    let rows = shown.into_iter().map(|(w, obstacle)| {
        let (why, clauses) = reasons.remove(w.case.as_str()).unwrap_or_default();
        row(&w, obstacle, why, clauses, now)
    });
    render(&Page {
        chrome: Chrome::new(&session, "inbox"),
        rows: rows.collect(),
        show: asked.show,
        mine: mine_count,
        others: others_count,
        exceptions: desk.engine.read(|s| s.exceptions.len()),
        paging,
    })
}

/// Why each case came to humans, with the clauses behind it, as its verdict says.
async fn reasons(
    desk: &Desk,
    shown: &[(Waiting, Option<Obstacle>)],
) -> Result<HashMap<String, (String, Vec<String>)>, Box<dyn std::error::Error + Send + Sync>> {
    let cases: Vec<_> = shown.iter().map(|(w, _)| w.case.to_string()).collect();
    ask(desk, move |index, source| {
        let mut found = HashMap::new();
        for case in cases {
            let wanted = evidence::Query {
                case: Some(case.clone()),
                kind: Some("verdict.reached".to_owned()),
                newest_first: true,
                limit: Some(1),
                ..evidence::Query::default()
            };
            if let Some(row) = index.query(source, &wanted)?.pop() {
                found.insert(case, (bare(&row.text), row.clauses));
            }
        }
        Ok(found)
    })
    .await
}

/// A verdict's line without its head, `verdict: approval (high): `, which the row shows already.
fn bare(line: &str) -> String {
    let rest = line.split_once("): ").map_or(line, |(_, rest)| rest);
    rest.to_owned()
}

fn row(
    w: &Waiting,
    obstacle: Option<Obstacle>,
    why: String,
    clauses: Vec<String>,
    now: duty::time::Time,
) -> Row {
    let (who, said) = advice(w);
    Row {
        id: w.approval.to_string(),
        subject: w.subject.clone(),
        what: view::in_words(&w.action),
        amount: view::amount(&w.action),
        tier: w.tier.word(),
        why,
        clauses,
        advice: said
            .map(|r| format!("The {who} says {}: {}", r.stance.word(), r.rationale))
            .unwrap_or_default(),
        have: w.have.len(),
        need: w.humans,
        asked: view::span(w.asked, now),
        left: view::span(now, w.expires),
        obstacle,
        against: w.yes_overrides,
    }
}

/// What a person most needs to know before opening it: what speaks against a yes, else what the reviewer says.
fn advice(w: &Waiting) -> (&'static str, Option<&Recommend>) {
    let said = [("reviewer", &w.reviewed), ("analyst", &w.prepared)];
    let mut said = said
        .into_iter()
        .filter_map(|(who, made)| Some((who, made.as_ref()?)))
        .collect::<Vec<_>>();
    // Stable: where both or none refuse, the reviewer stays first.
    said.sort_by_key(|(_, r)| r.stance != Stance::Refuse);
    match said.first() {
        Some((who, made)) => (who, Some(made)),
        None => ("", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_verdict_is_left_out() {
        assert_eq!(
            bare("verdict: approval (high): above EUR 25,000.00; not (at all): in euro"),
            "above EUR 25,000.00; not (at all): in euro"
        );
        assert_eq!(bare("other"), "other");
    }
}
