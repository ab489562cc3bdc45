//! The pages, one module each.

pub(crate) mod approval;
pub(crate) mod case;
pub(crate) mod cases;
pub(crate) mod exceptions;
pub(crate) mod inbox;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod sign_in;
pub(crate) mod thresholds;

use std::sync::PoisonError;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{name::CaseId, principal::Proof};
use evidence::{EvidenceError, Index, Story};

use crate::{Desk, assets, session::Session};

/// What every page shows round its own content.
pub(crate) struct Chrome {
    pub(crate) person: String,
    pub(crate) csrf: String,
    pub(crate) css: &'static str,
    pub(crate) script: &'static str,
    /// Which entry of the navigation is the page's.
    pub(crate) here: &'static str,
}

impl Chrome {
    pub(crate) fn new(session: &Session, here: &'static str) -> Self {
        Self {
            person: session.person.to_string(),
            csrf: session.csrf.clone(),
            css: &assets::CSS_NAME,
            script: &assets::SIGN_NAME,
            here,
        }
    }

    fn nobody() -> Self {
        Self {
            person: String::new(),
            csrf: String::new(),
            css: &assets::CSS_NAME,
            script: &assets::SIGN_NAME,
            here: "",
        }
    }
}

/// One page of a list.
pub(crate) struct Paging {
    /// From 0.
    pub(crate) page: usize,
    pub(crate) pages: usize,
    /// Of the whole list.
    pub(crate) total: usize,
    /// A link to a page of the list, but for the page's number.
    pub(crate) base: String,
}

impl Paging {
    /// Rows on one page.
    pub(crate) const SIZE: usize = 50;

    /// Leaves of `all` what is on `page`; beyond the last page, the last.
    pub(crate) fn cut<T>(all: &mut Vec<T>, page: usize, base: String) -> Self {
        let pages = all.len().div_ceil(Self::SIZE).max(1);
        let page = page.min(pages - 1);
        let total = all.len();
        all.truncate((page + 1) * Self::SIZE);
        all.drain(..page * Self::SIZE);
        Self {
            page,
            pages,
            total,
            base,
        }
    }

    fn first(&self) -> usize {
        self.page * Self::SIZE + 1
    }

    fn last(&self) -> usize {
        ((self.page + 1) * Self::SIZE).min(self.total)
    }
}

/// A person's own Ed25519 key, as the log records it.
pub(crate) struct Signer {
    pub(crate) person: String,
    pub(crate) credential: String,
    /// 32 bytes in base64.
    pub(crate) public: String,
}

/// The Ed25519 key of whoever is signed in.
pub(crate) fn signer(desk: &Desk, session: &Session) -> Option<Signer> {
    desk.engine.read(|state| {
        let person = state.principals.get(&session.person)?;
        person
            .signing()
            .find_map(|credential| match &credential.proof {
                Proof::Ed25519 { public } => Some(Signer {
                    person: session.person.to_string(),
                    credential: credential.id.to_string(),
                    public: BASE64_STANDARD.encode(public.as_bytes()),
                }),
                Proof::Passkey(_)
                | Proof::Ssh { .. }
                | Proof::Token { .. }
                | Proof::Jwt(_)
                | Proof::Certificate { .. }
                | Proof::Local => None,
            })
    })
}

pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(e) => failed(&e),
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    chrome: Chrome,
    title: String,
    why: String,
}

/// A page that says that something is not there.
pub(crate) fn missing(session: &Session, why: String) -> Response {
    let page = Problem {
        chrome: Chrome::new(session, ""),
        title: "Not here".to_owned(),
        why,
    };
    (StatusCode::NOT_FOUND, render(&page)).into_response()
}

/// A page that says that something went wrong on this side.
pub(crate) fn failed(e: &dyn std::error::Error) -> Response {
    let page = Problem {
        chrome: Chrome::nobody(),
        title: "Something is wrong".to_owned(),
        why: e.to_string(),
    };
    let html = page.render().unwrap_or_else(|e| e.to_string());
    (StatusCode::INTERNAL_SERVER_ERROR, Html(html)).into_response()
}

/// Asks the index, caught up with everything that is durable: a page that is loaded after a signature shows it.
pub(crate) async fn ask<T: Send + 'static>(
    desk: &Desk,
    question: impl FnOnce(&mut Index, &dyn ledger::source::Source) -> Result<T, EvidenceError>
    + Send
    + 'static,
) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    let journal = desk.engine.journal();
    journal.wait_published(journal.committed()).await?;
    let desk = desk.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let source = evidence::open(&desk.dir.display().to_string())?;
        let mut index = desk.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.rely(&*source)?;
        let answer = question(&mut index, &*source);
        for note in index.notes() {
            tracing::warn!("{note}");
        }
        answer
    });
    Ok(answer.await??)
}

/// The story of a case.
pub(crate) async fn story(
    desk: &Desk,
    case: &CaseId,
) -> Result<Option<Story>, Box<dyn std::error::Error + Send + Sync>> {
    let case = case.clone();
    let told = ask(desk, move |index, source| {
        match evidence::case_story(source, Some(index), &case) {
            Ok(story) => Ok(Some(story)),
            Err(EvidenceError::NoCase(_)) => Ok(None),
            Err(e) => Err(e),
        }
    });
    told.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_into_pages_without_gap_or_overlap() {
        for total in [0, 1, 49, 50, 51, 100, 120] {
            let mut seen = Vec::new();
            let pages = Paging::cut(&mut (0..total).collect(), 0, String::new()).pages;
            for page in 0..pages {
                let mut rows: Vec<_> = (0..total).collect();
                let paging = Paging::cut(&mut rows, page, String::new());
                assert!(rows.len() <= Paging::SIZE);
                if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
                    assert_eq!((paging.first(), paging.last()), (first + 1, last + 1));
                }
                seen.extend(rows);
            }
            assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }
        let mut rows = vec![1, 2];
        assert_eq!(Paging::cut(&mut rows, usize::MAX, String::new()).page, 0);
        assert_eq!(rows, [1, 2]);
    }
}
