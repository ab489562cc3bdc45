//! What stands on a page, row by row.

use std::collections::BTreeMap;

use crate::{
    read::{Refused, broken},
    xml::{Piece, pieces},
};

/// Signs that begin an item, those of Word's symbol fonts among them.
const BULLETS: &[char] = &[
    '•', '◦', '▪', '▫', '■', '□', '●', '○', '‣', '⁃', '∙', '·', '–', '—', '-', '*', '➢', '✓',
    '\u{f0b7}', '\u{f0a7}', '\u{f0d8}', '\u{f0fc}', '\u{f02d}',
];

/// Those that stand in sentences too.
const DASHES: &[char] = &['–', '—', '-'];

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// From top to bottom.
    pub(super) rows: Vec<Row>,
}

/// Words on one line, in points from the page's upper left corner.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) page: usize,
    pub(super) number: usize,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) height: f64,
    pub(super) text: String,
    /// Whether a sign of a list stands before it.
    pub(super) is_item: bool,
    /// The dash before it, where that may as well be one of its sentence.
    pub(super) dash: Option<char>,
    /// Whether its words stand in columns.
    pub(super) is_apart: bool,
}

impl Row {
    pub(super) fn place(&self) -> String {
        format!("page {}, line {}", self.page, self.number)
    }
}

/// A line as Poppler has it.
#[derive(Clone, Debug, Default)]
struct Line {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    text: String,
}

impl Line {
    fn at(attributes: &BTreeMap<String, String>) -> Result<Self, Refused> {
        let of = |name: &str| {
            let value = attributes.get(name).and_then(|v| v.parse::<f64>().ok());
            value
                .filter(|v| v.is_finite())
                .ok_or_else(|| broken("the layout", format!("a line without `{name}`")))
        };
        Ok(Self {
            left: of("xMin")?,
            right: of("xMax")?,
            top: of("yMin")?,
            bottom: of("yMax")?,
            text: String::new(),
        })
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.top, self.bottom)
    }

    fn height(&self) -> f64 {
        self.bottom - self.top
    }

    fn is_beside(&self, other: &Self) -> bool {
        (other.top..=other.bottom).contains(&self.middle())
            && (self.top..=self.bottom).contains(&other.middle())
    }
}

pub(super) fn pages(layout: &[u8]) -> Result<Vec<Page>, Refused> {
    // Around it is a page of HTML, with a document type.
    let text = std::str::from_utf8(layout).map_err(|e| {
        broken(
            "the layout",
            format!("byte {} is no UTF-8", e.valid_up_to()),
        )
    })?;
    let document = text.find("<doc>").zip(text.rfind("</doc>"));
    let document = document.and_then(|(from, to)| text.get(from..to + "</doc>".len()));
    let document =
        document.ok_or_else(|| broken("the layout", "pdftotext says nothing of any page"))?;
    let mut pages = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    pieces("the layout", document.as_bytes(), &mut |piece| {
        match piece {
            Piece::Start(name, attributes) => match name.as_str() {
                "page" => lines.clear(),
                "line" => lines.push(Line::at(&attributes)?),
                "word" => {
                    if let Some(line) = lines.last_mut().filter(|l| !l.text.is_empty()) {
                        line.text.push(' ');
                    }
                }
                _ => {}
            },
            Piece::Text(text) => {
                if let Some(line) = lines.last_mut() {
                    take(&mut line.text, text.trim_matches(['\n', ' ']));
                }
            }
            Piece::End(name) if name == "page" => {
                let number = pages.len() + 1;
                let rows = rows(number, std::mem::take(&mut lines))?;
                pages.push(Page { rows });
            }
            Piece::End(_) => {}
        }
        Ok(())
    })?;
    Ok(pages)
}

/// Ligatures are one sign for several letters: form, as in print.
fn take(line: &mut String, word: &str) {
    for c in word.chars() {
        match c {
            '\u{fb00}' => line.push_str("ff"),
            '\u{fb01}' => line.push_str("fi"),
            '\u{fb02}' => line.push_str("fl"),
            '\u{fb03}' => line.push_str("ffi"),
            '\u{fb04}' => line.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => line.push_str("st"),
            '\u{a0}' => line.push(' '),
            other => line.push(other),
        }
    }
}

fn rows(page: usize, mut lines: Vec<Line>) -> Result<Vec<Row>, Refused> {
    lines.retain(|l| !l.text.trim().is_empty());
    lines.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if row.iter().any(|other| line.is_beside(other)) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    let numbered = rows.into_iter().enumerate();
    numbered.map(|(n, row)| one(page, n + 1, row)).collect()
}

fn one(page: usize, number: usize, mut lines: Vec<Line>) -> Result<Row, Refused> {
    lines.sort_by(|a, b| a.left.total_cmp(&b.left));
    let mut is_item = false;
    if lines.len() > 1 && is_bullet(&lines[0].text) {
        is_item = true;
        lines.remove(0);
    }
    let mut row = Row {
        page,
        number,
        left: lines[0].left,
        top: lines[0].top,
        height: (lines[0].height() * 10.0).round() / 10.0,
        is_item,
        dash: None,
        is_apart: lines
            .windows(2)
            .any(|pair| pair[1].left - pair[0].right > 1.5 * pair[0].height()),
        text: lines
            .iter()
            .map(|l| l.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    };
    if let Some((sign, rest)) = row.text.split_once(' ')
        && !row.is_item
        && is_bullet(sign)
    {
        row.is_item = true;
        row.dash = sign.chars().find(|c| DASHES.contains(c));
        // Where the words begin is not said; what follows them is at least to the right of the sign.
        row.left += 1.0;
        row.text = rest.trim_start().to_owned();
    }
    let strange = |c: &char| {
        c.is_control() || matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
    };
    match row.text.chars().find(strange) {
        Some(c) => Err(Refused::Unsettled {
            place: row.place(),
            why: format!(
                "a sign whose meaning the file does not say ({}); take the document that it was made from",
                c.escape_unicode()
            ),
        }),
        None => Ok(row),
    }
}

fn is_bullet(text: &str) -> bool {
    let mut chars = text.trim().chars();
    matches!((chars.next(), chars.next()), (Some(c), None) if BULLETS.contains(&c))
}
