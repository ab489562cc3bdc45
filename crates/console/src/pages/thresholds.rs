//! What is approved in advance: who signed it, what of it is used, and what is left.

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use duty::{Headroom, Line, headroom, release::Rules};

use super::{Chrome, failed, render};
use crate::{
    Desk,
    session::Session,
    view::{self, Bit},
};

#[derive(Template)]
#[template(path = "thresholds.html")]
struct Page {
    chrome: Chrome,
    thresholds: Vec<Shown>,
}

/// A threshold in one environment.
struct Shown {
    id: String,
    title: String,
    env: String,
    limit: i64,
    unit: String,
    /// Why it covers nothing now.
    why_not: Option<Vec<Bit>>,
    signed: Vec<Signed>,
    need: u32,
    expires: String,
    ends_soon: bool,
    rows: Vec<Row>,
}

struct Signed {
    who: String,
    lapsed: Option<Vec<Bit>>,
}

/// A cap with its use.
struct Row {
    whose: String,
    line: Line,
}

impl Shown {
    fn new(title: &str, limit: i64, unit: &str, h: Headroom) -> Self {
        let whole = Row {
            whose: "all".to_owned(),
            line: h.all,
        };
        let keys = h.keys.into_iter().map(|(whose, line)| Row { whose, line });
        let signed = h.signatures.into_iter().map(|s| Signed {
            who: s.signer.to_string(),
            lapsed: s.lapsed.as_deref().map(view::bits),
        });
        Self {
            id: h.threshold.to_string(),
            title: title.to_owned(),
            env: h.env.to_string(),
            limit,
            unit: unit.to_owned(),
            why_not: h.why_not.as_deref().map(view::bits),
            signed: signed.collect(),
            need: h.need,
            expires: view::moment(h.expires),
            ends_soon: h.ends_soon,
            rows: std::iter::once(whole).chain(keys).collect(),
        }
    }
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    let environments = desk.engine.read(|state| state.environments.clone());
    let now = desk.engine.now();
    let mut thresholds = Vec::new();
    for (env, digest) in environments {
        let release = match desk.engine.release(digest) {
            Ok(Some(release)) => release,
            Ok(None) => continue,
            Err(e) => return failed(&e),
        };
        for (threshold, signed) in release.thresholds() {
            let h = desk
                .engine
                .read(|state| headroom(state, &*release, (threshold, *signed), &env, now));
            let (title, unit) = (&threshold.title, &threshold.sum_field);
            thresholds.push(Shown::new(title, threshold.single_limit, unit, h));
        }
    }
    render(&Page {
        chrome: Chrome::new(&session, "thresholds"),
        thresholds,
    })
}
