//! What monitors found and nobody has triaged.

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use super::{Chrome, render};
use crate::{Desk, session::Session, view};

#[derive(Template)]
#[template(path = "exceptions.html")]
struct Page {
    chrome: Chrome,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    case: String,
    sort: &'static str,
    raised: String,
    text: String,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    let mut rows: Vec<_> = desk.engine.read(|state| {
        let open = state
            .exceptions
            .iter()
            .map(|(id, e)| (e.raised, id.clone(), e.clone()));
        open.collect()
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    let rows = rows.into_iter().map(|(raised, id, e)| Row {
        case: id.case().map(|c| c.to_string()).unwrap_or_default(),
        id: id.to_string(),
        sort: e.sort.word(),
        raised: view::moment(raised),
        text: e.text,
    });
    render(&Page {
        chrome: Chrome::new(&session, "exceptions"),
        rows: rows.collect(),
    })
}
