//! What is approved in advance: who signed it, what of it is used, and what is left.

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use duty::{
    Headroom, Line, Share, headroom,
    release::{Rules, Threshold, Unit},
};

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
    /// The most that one action may be, and of what.
    limit: Option<String>,
    /// Whether any amount is summed.
    sums: bool,
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
    /// Used, reserved, and left of the cap, as people write amounts.
    sum: Option<[String; 4]>,
}

impl Row {
    fn new(whose: String, unit: Option<Unit>, line: Line) -> Self {
        let say = |s: Share| [s.used, s.reserved, s.left, s.cap].map(|n| Unit::say(unit, n));
        Self {
            whose,
            sum: line.sum.map(say),
            line,
        }
    }
}

impl Shown {
    fn new(threshold: &Threshold, h: Headroom) -> Self {
        let whole = Row::new("all".to_owned(), h.unit, h.all);
        let row = |(whose, line)| Row::new(whose, h.unit, line);
        let keys = h.keys.into_iter().map(row);
        let limit = threshold.sum_field.as_ref().zip(threshold.single_limit);
        let signed = h.signatures.into_iter().map(|s| Signed {
            who: s.signer.to_string(),
            lapsed: s.lapsed.as_deref().map(view::bits),
        });
        Self {
            id: h.threshold.to_string(),
            title: threshold.title.clone(),
            env: h.env.to_string(),
            limit: limit.map(|(field, limit)| format!("{} {field}", threshold.say(limit))),
            sums: threshold.sum_field.is_some(),
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
            thresholds.push(Shown::new(threshold, h));
        }
    }
    render(&Page {
        chrome: Chrome::new(&session, "thresholds"),
        thresholds,
    })
}
