//! PDF, by what Poppler's `pdftotext -bbox-layout` says of a file: where on which page each line stands.
//!
//! A PDF holds places of letters and no paragraphs. What is a paragraph, a heading or an item is told from where lines stand and how
//! high they are, and where that is not enough the place is named, so that a person looks. No word is changed.

mod flow;
mod page;

use std::collections::BTreeMap;

use page::{Page, Row};

use crate::read::{Left, Read, Refused};

/// Said of each PDF.
const CAUTION: &str = "a PDF says where letters stand and not which words belong together: read what was written over against it";
/// Rows at the edges of pages that may repeat.
const MARGIN: usize = 3;

pub(crate) fn read(layout: &[u8]) -> Result<Read, Refused> {
    let mut pages = page::pages(layout)?;
    let mut read = Read::default();
    read.left.push(left("all pages".to_owned(), CAUTION));
    let total: usize = pages.iter().map(|p| p.rows.len()).sum();
    if total == 0 {
        return Err(Refused::Unsettled {
            place: "all pages".to_owned(),
            why: "there is no text, so that they are pictures; have their words recognized first, and read that over"
                .to_owned(),
        });
    }
    for (n, page) in pages.iter().enumerate() {
        if page.rows.is_empty() {
            let what = "no text: an empty page, or a picture of one";
            read.left.push(left(format!("page {}", n + 1), what));
        }
    }
    for _ in 0..MARGIN {
        repeated(&mut pages, &mut read.left, Edge::Head);
        repeated(&mut pages, &mut read.left, Edge::Foot);
    }
    flow::blocks(&pages, &mut read);
    Ok(read)
}

fn left(place: String, what: impl Into<String>) -> Left {
    Left {
        place,
        what: what.into(),
    }
}

#[derive(Clone, Copy)]
enum Edge {
    Head,
    Foot,
}

impl Edge {
    fn of(self, page: &Page) -> Option<&Row> {
        match self {
            Self::Head => page.rows.first(),
            Self::Foot => page.rows.last(),
        }
    }
}

/// Takes out rows that stand at the same edge of at least half of the pages, but for their numbers.
fn repeated(pages: &mut [Page], gone: &mut Vec<Left>, edge: Edge) {
    let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (n, page) in pages.iter().enumerate() {
        if let Some(row) = edge.of(page) {
            rows.entry(numberless(&row.text)).or_default().push(n);
        }
    }
    let often = |n: usize| n >= 2 && n * 2 >= pages.len();
    let Some((_, on)) = rows.into_iter().find(|(_, on)| often(on.len())) else {
        return;
    };
    let mut first = None;
    for n in &on {
        let rows = &mut pages[*n].rows;
        let row = match edge {
            Edge::Head => rows.remove(0),
            Edge::Foot => rows.remove(rows.len() - 1),
        };
        first.get_or_insert(row);
    }
    if let Some(row) = first {
        let what = format!("a head or foot of {} pages: `{}`", on.len(), row.text);
        gone.push(left(row.place(), what));
    }
}

/// Each number as one sign, since those of pages differ.
fn numberless(text: &str) -> String {
    let mut bare = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if bare.ends_with('#') => {}
            true => bare.push('#'),
            false => bare.push(c),
        }
    }
    bare
}

#[cfg(test)]
mod tests;
