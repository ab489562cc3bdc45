//! Rows into headings, paragraphs and items.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    left,
    page::{Page, Row},
};
use crate::{
    outline::number,
    read::{Block, Read, What},
    text::is_heading,
};

/// So much higher than the body's rows is a heading, and so much lower is small print.
const HIGHER: f64 = 1.05;
const LOWER: f64 = 0.9;
/// So much more than the usual distance between two rows is between two paragraphs.
const APART: f64 = 1.25;

/// What most rows are like.
struct Body {
    height: f64,
    /// From row to row.
    pitch: f64,
    /// Heights of headings, the highest first, in tenths of a point.
    headings: Vec<i64>,
    /// Words that stand whole in a row.
    words: BTreeSet<String>,
}

/// What is being put together.
struct Open {
    place: String,
    kind: Kind,
    lines: Vec<String>,
    last: Row,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Heading,
    Paragraph,
    Item,
}

pub(super) fn blocks(pages: &[Page], read: &mut Read) {
    let rows: Vec<&Row> = pages.iter().flat_map(|p| &p.rows).collect();
    let body = Body::of(&rows);
    let mut open: Option<Open> = None;
    let mut gone: Option<&Row> = None;
    for row in rows {
        if let Some(what) = body.lost(row) {
            // Rows that follow each other are one thing.
            let goes_on = gone.is_some_and(|g| g.page == row.page && g.number + 1 == row.number);
            if !goes_on {
                close(&body, read, open.take());
                read.left.push(left(row.place(), what));
            }
            gone = Some(row);
            continue;
        }
        let kind = body.kind(row);
        // A dash at the beginning of a row within a sentence is one of the sentence.
        let within = row.dash.filter(|_| {
            let goes_on = |open: &Open| {
                body.goes_on(open, row, Kind::Paragraph)
                    && !open.lines.last().is_none_or(|l| is_end(l))
            };
            open.as_ref().is_some_and(goes_on)
        });
        match open.as_mut() {
            Some(open) if within.is_some() || body.goes_on(open, row, kind) => {
                open.lines.push(match within {
                    Some(dash) => format!("{dash} {}", row.text),
                    None => row.text.clone(),
                });
                open.last = row.clone();
            }
            _ => {
                close(&body, read, open.take());
                open = Some(Open {
                    place: row.place(),
                    kind,
                    lines: vec![row.text.clone()],
                    last: row.clone(),
                });
            }
        }
    }
    close(&body, read, open);
    title(read);
}

/// A first heading without a number is the title, though those with numbers be as high as it.
fn title(read: &mut Read) {
    let Some(What::Heading(level, words)) = read.blocks.first().map(|b| b.what.clone()) else {
        return;
    };
    let as_high = read.blocks.iter().skip(1).filter_map(|b| match &b.what {
        What::Heading(other, words) if *other <= level => Some(words),
        _ => None,
    });
    if number(&words).is_none() && as_high.into_iter().all(|words| number(words).is_some()) {
        read.blocks.remove(0);
        read.title = Some(words);
    }
}

impl Body {
    fn of(rows: &[&Row]) -> Self {
        let mut heights: BTreeMap<i64, usize> = BTreeMap::new();
        for row in rows {
            *heights.entry(tenths(row.height)).or_default() += row.text.chars().count();
        }
        let height = most(&heights).unwrap_or(120);
        let mut pitches: BTreeMap<i64, usize> = BTreeMap::new();
        let is_body = |row: &Row| tenths(row.height) == height;
        for pair in rows.windows(2) {
            let down = tenths(pair[1].top - pair[0].top);
            if is_body(pair[0]) && is_body(pair[1]) && down > 0 {
                *pitches.entry(down).or_default() += 1;
            }
        }
        let height = f(height);
        let mut headings: Vec<i64> = rows
            .iter()
            .map(|row| row.height)
            .filter(|h| *h > height * HIGHER)
            .map(tenths)
            .collect();
        headings.sort_unstable_by(|a, b| b.cmp(a));
        headings.dedup();
        let words = rows.iter().flat_map(|row| whole(&row.text));
        Self {
            height,
            pitch: most(&pitches).map_or(height * 1.3, f),
            headings,
            words: words.map(str::to_lowercase).collect(),
        }
    }

    /// What a row is that cannot be taken over.
    fn lost(&self, row: &Row) -> Option<&'static str> {
        if row.is_apart {
            return Some("words side by side, a table or columns: write them as text");
        }
        let is_small = row.height < self.height * LOWER;
        is_small.then_some("small print, a footnote or a caption: write it into the text")
    }

    fn kind(&self, row: &Row) -> Kind {
        if row.is_item {
            Kind::Item
        } else if row.height > self.height * HIGHER {
            Kind::Heading
        } else {
            Kind::Paragraph
        }
    }

    fn goes_on(&self, open: &Open, row: &Row, kind: Kind) -> bool {
        let (last, down) = (&open.last, row.top - open.last.top);
        let ends = open.lines.last().is_none_or(|line| is_end(line));
        match (open.kind, kind) {
            (Kind::Heading, Kind::Heading) => {
                let same = tenths(last.height) == tenths(row.height) && last.page == row.page;
                same && down <= 1.5 * row.height && number(&row.text).is_none()
            }
            (Kind::Paragraph | Kind::Item, Kind::Paragraph) => {
                if open.kind == Kind::Item && row.left < last.left - 1.0 {
                    return false;
                }
                if ends && number(&row.text).is_some_and(|n| n.depth() > 1) {
                    return false;
                }
                if last.page == row.page {
                    return down <= self.pitch * APART;
                }
                // Over the page: only within a sentence.
                !ends && row.text.starts_with(char::is_lowercase)
            }
            _ => false,
        }
    }

    /// How deep a heading is: by its height, and by its number where it is as high as the text.
    fn level(&self, height: f64, words: &str) -> u8 {
        let rank = self.headings.iter().position(|h| *h == tenths(height));
        let level = rank.map_or_else(
            || self.headings.len() + number(words).map_or(1, |n| n.depth()),
            |rank| rank + 1,
        );
        u8::try_from(level).unwrap_or(u8::MAX)
    }

    /// Rows as one text. A hyphen at the end of a row is one of the word where the document has the word so elsewhere, and falls
    /// away where the document has it whole; else it stays, and is named.
    fn joined(&self, place: &str, lines: &[String], read: &mut Read) -> String {
        let mut text = String::new();
        for line in lines {
            let broken = text.ends_with(['-', '\u{2010}', '\u{ad}']);
            if !broken {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(line);
                continue;
            }
            let head = text.rsplit(' ').next().unwrap_or_default();
            let tail = line.split(' ').next().unwrap_or_default();
            let with = format!("{head}{tail}");
            let without: String = format!("{}{tail}", &head[..head.len() - last_len(head)]);
            let (has_with, has_without) = (self.has(&with), self.has(&without));
            if head.ends_with('\u{ad}') || (has_without && !has_with) {
                text.pop();
            } else if !has_with {
                let what = format!(
                    "`{with}` stands over two lines: whether the hyphen is one of the word's, nobody can tell; it stays"
                );
                read.left.push(left(place.to_owned(), what));
            }
            text.push_str(line);
        }
        text
    }

    fn has(&self, word: &str) -> bool {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        self.words.contains(&bare.to_lowercase())
    }
}

fn close(body: &Body, read: &mut Read, open: Option<Open>) {
    let Some(Open {
        place,
        kind,
        lines,
        last,
    }) = open
    else {
        return;
    };
    let text = body.joined(&place, &lines, read);
    let what = match kind {
        Kind::Heading => What::Heading(body.level(last.height, &text), text),
        Kind::Item => What::Item(0, "-".to_owned(), text),
        Kind::Paragraph if lines.len() == 1 && is_heading(&text) => {
            What::Heading(body.level(last.height, &text), text)
        }
        Kind::Paragraph => What::Paragraph(text),
    };
    read.blocks.push(Block { place, what });
}

/// Words of a row but the last where it goes on in the next row.
fn whole(text: &str) -> impl Iterator<Item = &str> {
    let cut = match text.ends_with(['-', '\u{2010}', '\u{ad}']) {
        true => text.rfind(' ').unwrap_or(0),
        false => text.len(),
    };
    let words = text[..cut].split(' ');
    words
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty())
}

fn is_end(line: &str) -> bool {
    let bare = line.trim_end_matches(['”', '"', '’', ')', '»']);
    bare.ends_with(['.', '!', '?', ':', ';'])
}

fn last_len(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}

/// Points in tenths: heights of one font differ less.
#[expect(clippy::cast_possible_truncation, reason = "points of a page")]
fn tenths(points: f64) -> i64 {
    (points * 10.0).round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "points of a page")]
fn f(tenths: i64) -> f64 {
    tenths as f64 / 10.0
}

fn most(counts: &BTreeMap<i64, usize>) -> Option<i64> {
    let most = counts.iter().max_by_key(|(_, n)| **n);
    most.map(|(value, _)| *value)
}
