//! What monitors found and nobody has triaged.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use super::{Chrome, Paging, render};
use crate::{
    Desk,
    session::Session,
    view::{self, Bit},
};

#[derive(Template)]
#[template(path = "exceptions.html")]
struct Page {
    chrome: Chrome,
    rows: Vec<Row>,
    total: usize,
    /// How many of each sort are open.
    sorts: BTreeMap<&'static str, usize>,
    /// The sort that is shown; empty for all.
    sort: &'static str,
    paging: Paging,
}

struct Row {
    id: String,
    case: String,
    sort: &'static str,
    raised: String,
    text: Vec<Bit>,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: usize,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Response {
    let (mut open, sorts) = desk.engine.read(|state| {
        let mut sorts = BTreeMap::new();
        for exception in state.exceptions.values() {
            *sorts.entry(exception.sort.word()).or_insert(0) += 1;
        }
        let wanted = |word| asked.sort.is_empty() || asked.sort == word;
        let open: Vec<_> = state
            .exceptions
            .iter()
            .filter(|(_, e)| wanted(e.sort.word()))
            .map(|(id, e)| (e.raised, id.clone()))
            .collect();
        (open, sorts)
    });
    open.sort_by(|a, b| b.cmp(a));
    // Only a sort that there is goes into links.
    let sort = sorts
        .keys()
        .find(|word| **word == asked.sort)
        .copied()
        .unwrap_or_default();
    let base = format!("/exceptions?sort={sort}&page=");
    let paging = Paging::cut(&mut open, asked.page, base);
    let rows: Vec<_> = desk.engine.read(|state| {
        // Whatever was triaged since is left out.
        let found = open
            .into_iter()
            .filter_map(|(raised, id)| Some((raised, state.exceptions.get(&id)?.clone(), id)));
        found
            .map(|(raised, e, id)| Row {
                case: id.case().map(|c| c.to_string()).unwrap_or_default(),
                id: id.to_string(),
                sort: e.sort.word(),
                raised: view::moment(raised),
                text: view::bits(&e.text),
            })
            .collect()
    });
    render(&Page {
        chrome: Chrome::new(&session, "exceptions"),
        rows,
        total: sorts.values().sum(),
        sort,
        sorts,
        paging,
    })
}
