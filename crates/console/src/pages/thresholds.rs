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
    /// How many keys with more room than these are not shown.
    roomier: usize,
}

/// How many keys a page shows, the fullest first.
const MOST_KEYS: usize = 50;

struct Signed {
    who: String,
    lapsed: Option<Vec<Bit>>,
}

/// A cap with its use.
struct Row {
    whose: String,
    window: String,
    line: Line,
    /// Used, reserved, and left of the cap, as people write amounts.
    sum: Option<[String; 4]>,
}

impl Row {
    fn new(whose: String, say: impl Fn(i64) -> String, line: Line) -> Self {
        let amounts = |s: Share| [s.used, s.reserved, s.left, s.cap].map(&say);
        Self {
            whose,
            window: view::window(line.window_minutes),
            sum: line.sum.map(amounts),
            line,
        }
    }
}

/// How much of it is gone, in thousandths: of its count or of its sum, whichever is more.
fn fullness(line: &Line) -> i64 {
    let gone = |s: &Share| (s.cap - s.left).saturating_mul(1_000) / s.cap.max(1);
    let shares = std::iter::once(&line.count).chain(&line.sum);
    shares.map(gone).max().unwrap_or_default()
}

impl Shown {
    fn new(threshold: &Threshold, h: Headroom) -> Self {
        let sums = threshold.sum_field.as_deref();
        // Money beside its name, by the convention of names that the other pages follow too.
        let say = |n: i64| match sums {
            Some(field) if field.ends_with("_cents") => view::money(n, ""),
            _ => Unit::say(h.unit, n),
        };
        let whole = Row::new("all".to_owned(), say, h.all);
        let mut keys: Vec<_> = h.keys.into_iter().collect();
        keys.sort_by_key(|(_, line)| std::cmp::Reverse(fullness(line)));
        let roomier = keys.len().saturating_sub(MOST_KEYS);
        let keys = keys.into_iter().take(MOST_KEYS);
        let keys = keys.map(|(whose, line)| Row::new(whose, say, line));
        let limit = sums.zip(threshold.single_limit).map(|(field, limit)| {
            let what = field.strip_suffix("_cents").unwrap_or(field);
            format!("{what} {}", say(limit))
        });
        let signed = h.signatures.into_iter().map(|s| Signed {
            who: s.signer.to_string(),
            lapsed: s.lapsed.as_deref().map(view::bits),
        });
        Self {
            id: h.threshold.to_string(),
            title: threshold.title.clone(),
            env: h.env.to_string(),
            limit,
            sums: sums.is_some(),
            why_not: h.why_not.as_deref().map(view::bits),
            signed: signed.collect(),
            need: h.need,
            expires: view::moment(h.expires),
            ends_soon: h.ends_soon,
            rows: std::iter::once(whole).chain(keys).collect(),
            roomier,
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
