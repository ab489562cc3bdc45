//! The log: how far it is, and how a stranger checks it.

use std::{path::Path, time::UNIX_EPOCH};

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use duty::time::Time;

use super::{Chrome, render};
use crate::{Desk, Holder, session::Session};

#[derive(Template)]
#[template(path = "log.html")]
struct Page {
    chrome: Chrome,
    origin: String,
    committed: u64,
    published: u64,
    /// How long ago the checkpoint was published.
    age: String,
    /// How far a quorum of witnesses is, where there are witnesses, and why there is none now.
    witnessed: Option<u64>,
    no_quorum: Option<String>,
    holders: Vec<Line>,
    checkpoint: String,
    vkey: String,
    /// What checks it, to be copied into a shell.
    command: String,
    failure: Option<String>,
}

/// A witness or anchor in the table.
struct Line {
    kind: &'static str,
    name: String,
    size: u64,
    when: String,
    problem: Option<String>,
}

impl Line {
    fn new(holder: Holder, now: Time) -> Self {
        Self {
            kind: holder.kind,
            name: holder.name,
            size: holder.size,
            when: holder.at.map_or("never".to_owned(), |at| ago(now, at)),
            problem: holder.problem,
        }
    }
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    let journal = desk.engine.journal();
    let witnessed = journal.witnessed();
    let now = desk.engine.now();
    let mut command = format!(
        "counterfoil log verify {} --vkey {}",
        quoted(&desk.dir.display().to_string()),
        quoted(&desk.engine.dir().vkey())
    );
    for (flag, file) in [("witnesses", "witness.policy"), ("anchors", "anchors.toml")] {
        let file = desk.dir.join(file);
        if file.exists() {
            command += &format!(" --{flag} {}", quoted(&file.display().to_string()));
        }
    }
    let holders = (desk.outside)().into_iter().map(|h| Line::new(h, now));
    render(&Page {
        chrome: Chrome::new(&session, "log"),
        origin: desk.engine.dir().origin().to_owned(),
        committed: journal.committed(),
        published: journal.published(),
        checkpoint: String::from_utf8_lossy(&journal.checkpoint()).into_owned(),
        age: published_at(&desk.dir).map_or("-".to_owned(), |at| ago(now, at)),
        witnessed: witnessed.asked.then_some(witnessed.size),
        no_quorum: witnessed.problem,
        holders: holders.collect(),
        command,
        vkey: desk.engine.dir().vkey(),
        failure: journal.failure(),
    })
}

/// When the checkpoint's file was written.
fn published_at(dir: &Path) -> Option<Time> {
    let written = std::fs::metadata(dir.join("log/checkpoint"))
        .ok()?
        .modified()
        .ok()?;
    let since = written.duration_since(UNIX_EPOCH).ok()?;
    Some(Time::from_millis(i64::try_from(since.as_millis()).ok()?))
}

/// How long ago, in the largest unit that fits.
fn ago(now: Time, then: Time) -> String {
    let seconds = (now.millis() - then.millis()).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-_./:=@".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_the_largest_unit_that_fits() {
        let at = |seconds: i64| {
            ago(
                Time::from_millis(1_000_000_000_000 + seconds * 1000),
                Time::from_millis(1_000_000_000_000),
            )
        };
        assert_eq!(
            [at(-5), at(59), at(60), at(7200), at(172_800)],
            ["0 s ago", "59 s ago", "1 min ago", "2 h ago", "2 days ago"]
        );
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("/data/log.d"), "/data/log.d");
        assert_eq!(quoted("/my data/it's"), "'/my data/it'\\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
        assert_eq!(quoted(""), "''");
    }
}
