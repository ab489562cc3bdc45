//! The log: how far it is, and how a stranger checks it.

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use super::{Chrome, render};
use crate::{Desk, session::Session};

#[derive(Template)]
#[template(path = "log.html")]
struct Page {
    chrome: Chrome,
    origin: String,
    committed: u64,
    published: u64,
    checkpoint: String,
    vkey: String,
    /// What checks it, to be copied into a shell.
    command: String,
    failure: Option<String>,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    let journal = desk.engine.journal();
    render(&Page {
        chrome: Chrome::new(&session, "log"),
        origin: desk.engine.dir().origin().to_owned(),
        committed: journal.committed(),
        published: journal.published(),
        checkpoint: String::from_utf8_lossy(&journal.checkpoint()).into_owned(),
        command: format!(
            "counterfoil log verify {} --vkey {}",
            quoted(&desk.dir.display().to_string()),
            quoted(&desk.engine.dir().vkey())
        ),
        vkey: desk.engine.dir().vkey(),
        failure: journal.failure(),
    })
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
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("/data/log.d"), "/data/log.d");
        assert_eq!(quoted("/my data/it's"), "'/my data/it'\\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
        assert_eq!(quoted(""), "''");
    }
}
