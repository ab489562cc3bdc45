//! Blocks into sections and clauses: a heading with text of its own is a clause, one that only holds other headings is a section.
//! A paragraph that begins with a number of two parts or more, like `2.1`, is a clause without a title.

use crate::read::{Block, Left, Read, What};

/// A document, cut into clauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its title.
    pub title: String,
    /// In order.
    pub clauses: Vec<Clause>,
    /// What is in no clause.
    pub left: Vec<Left>,
}

/// A clause as the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Where it begins.
    pub place: String,
    /// The heading above it; empty where there is none.
    pub section: String,
    /// Its letters, where the document gives it a whole id: `PAY` of `PAY-2.1`.
    pub letters: Option<String>,
    /// Its number, where the document gives one: `2.1`.
    pub number: Option<String>,
    /// The words of its heading after the number; empty where it has none.
    pub title: String,
    /// Its text, paragraphs apart by an empty line.
    pub text: String,
}

/// A number that begins a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    pub(crate) letters: Option<&'a str>,
    pub(crate) number: &'a str,
    pub(crate) rest: &'a str,
}

impl Number<'_> {
    pub(crate) fn depth(&self) -> usize {
        self.number.split('.').count()
    }
}

/// The number at the beginning of a heading or paragraph: `2.1`, `2.1.`, `(2.1)`, `§ 2.1`, `PAY-2.1`.
pub(crate) fn number(words: &str) -> Option<Number<'_>> {
    let words = words.trim();
    let (bracket, after) = match words.strip_prefix('(') {
        Some(after) => (true, after),
        None => (false, words),
    };
    let after = after.strip_prefix('§').map_or(after, str::trim_start);
    let letters = after.split_once('-').map(|(letters, _)| letters);
    let letters = letters.filter(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_uppercase()));
    let after = letters.map_or(after, |l| &after[l.len() + 1..]);
    let end = after
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(after.len());
    let number = after[..end].trim_end_matches('.');
    let parts = number.split('.');
    // A year or an amount is no number of a clause.
    if !parts.clone().all(|p| (1..=3).contains(&p.len())) || parts.count() > 6 {
        return None;
    }
    let rest = &after[end..];
    let rest = match (bracket, rest.strip_prefix(')')) {
        (true, None) => return None,
        (_, Some(rest)) => rest,
        (false, None) => rest.strip_prefix(':').unwrap_or(rest),
    };
    let is_apart = rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\u{a0}']);
    is_apart.then_some(Number {
        letters,
        number,
        rest: rest.trim(),
    })
}

/// Cuts a document into clauses. `title` takes the place of the document's own.
///
/// # Errors
/// Where there is no title or no clause, or text that no policy document can hold, in words.
pub fn outline(read: Read, title: Option<&str>) -> Result<Outline, String> {
    let mut walk = Walk {
        left: read.left,
        ..Walk::default()
    };
    let mut blocks = read.blocks;
    let own = own_title(&mut blocks, &mut walk.left);
    let title = title.map(str::to_owned).or(own).or(read.title);
    let title = title
        .map(|t| crate::read::collapsed(&t))
        .filter(|t| !t.is_empty());
    let title = title.ok_or("the document has no title; give one with `--title`")?;
    for block in blocks {
        walk.take(block)?;
    }
    walk.close(None);
    if walk.clauses.is_empty() {
        return Err(
            "no clause was found: a clause is a heading with text below it, or a paragraph that begins with a number like `2.1`"
                .to_owned(),
        );
    }
    Ok(Outline {
        title,
        clauses: walk.clauses,
        left: walk.left,
    })
}

/// A first heading that stands above all others is the title; what stands between it and the next heading is of no clause.
fn own_title(blocks: &mut Vec<Block>, left: &mut Vec<Left>) -> Option<String> {
    let levels = blocks.iter().filter_map(|b| match &b.what {
        What::Heading(level, _) => Some(*level),
        _ => None,
    });
    let mut levels = levels.peekable();
    let first = *levels.peek()?;
    let alone = levels.skip(1).all(|level| level > first);
    let at = blocks
        .iter()
        .position(|b| matches!(b.what, What::Heading(..)))?;
    let is_title = match &blocks[at].what {
        What::Heading(_, words) => alone && number(words).is_none(),
        _ => false,
    };
    let title = is_title.then(|| match blocks.remove(at).what {
        What::Heading(_, words) => Some(words),
        _ => None,
    });
    // Up to the first heading that is left, or the first numbered paragraph.
    let begins = |b: &Block| match &b.what {
        What::Heading(..) => true,
        What::Paragraph(text) => number(text).is_some_and(|n| n.depth() > 1 && !n.rest.is_empty()),
        What::Item(..) => false,
    };
    let head = blocks.iter().position(begins).unwrap_or(blocks.len());
    for block in blocks.drain(..head) {
        if let What::Paragraph(text) | What::Item(_, _, text) = block.what {
            left.push(Left {
                place: block.place,
                what: format!("before the first clause: `{}`", short(&text)),
            });
        }
    }
    title.flatten()
}

#[derive(Default)]
struct Walk {
    /// Headings above, with their levels.
    above: Vec<(u8, String)>,
    open: Option<Clause>,
    clauses: Vec<Clause>,
    left: Vec<Left>,
    /// Whether the last piece of text was an item of a list.
    listing: bool,
}

impl Walk {
    fn take(&mut self, block: Block) -> Result<(), String> {
        match block.what {
            What::Heading(level, words) => {
                self.close(Some(level));
                while self.above.last().is_some_and(|(above, _)| *above >= level) {
                    self.above.pop();
                }
                let section = self.section();
                self.above.push((level, words.clone()));
                let found = number(&words);
                self.open = Some(Clause {
                    place: block.place,
                    section,
                    letters: found.as_ref().and_then(|n| n.letters.map(str::to_owned)),
                    number: found.as_ref().map(|n| n.number.to_owned()),
                    title: found.map_or(words.clone(), |n| n.rest.to_owned()),
                    text: String::new(),
                });
            }
            What::Paragraph(text) => {
                let begins = number(&text).filter(|n| n.depth() > 1 && !n.rest.is_empty());
                let Some(found) = begins else {
                    return self.text(&block.place, &text, None);
                };
                let clause = Clause {
                    place: block.place.clone(),
                    section: match &self.open {
                        // Numbered paragraphs one after the other are of one section.
                        Some(open) if open.title.is_empty() => open.section.clone(),
                        _ => self
                            .above
                            .last()
                            .map(|(_, w)| w.clone())
                            .unwrap_or_default(),
                    },
                    letters: found.letters.map(str::to_owned),
                    number: Some(found.number.to_owned()),
                    title: String::new(),
                    text: String::new(),
                };
                let rest = found.rest.to_owned();
                self.close(Some(u8::MAX));
                self.open = Some(clause);
                self.text(&block.place, &rest, None)?;
            }
            What::Item(depth, mark, text) => {
                let indent = "  ".repeat(depth.into());
                let text = text.replace('\n', &format!("\n{indent}  "));
                let line = match mark.as_str() {
                    "" => format!("{indent}  {text}"),
                    mark => format!("{indent}{mark} {text}"),
                };
                self.text(&block.place, &line, Some(!mark.is_empty()))?;
            }
        }
        Ok(())
    }

    /// Adds to the clause that is open; `item` says of an item of a list whether it has a mark.
    fn text(&mut self, place: &str, text: &str, item: Option<bool>) -> Result<(), String> {
        for line in text.lines() {
            let bare = line.trim_start();
            let hashes = bare.trim_start_matches('#');
            if hashes.len() < bare.len()
                && (hashes.is_empty() || hashes.starts_with(' '))
                && bare.len() == line.len()
            {
                return Err(format!(
                    "{place}: the line `{}` would be read as a heading of the policy document; change it in the original",
                    short(line)
                ));
            }
        }
        let Some(open) = &mut self.open else {
            self.left.push(Left {
                place: place.to_owned(),
                what: format!("before the first clause: `{}`", short(text)),
            });
            return Ok(());
        };
        if !open.text.is_empty() {
            // Items stand line below line.
            open.text.push_str(match (self.listing, item) {
                (true, Some(true)) => "\n",
                _ => "\n\n",
            });
        }
        open.text.push_str(text);
        self.listing = item == Some(true);
        Ok(())
    }

    fn section(&self) -> String {
        self.above
            .last()
            .map(|(_, words)| words.clone())
            .unwrap_or_default()
    }

    /// The heading that is open ends: with text it is a clause; without it, and with something below it, a section.
    fn close(&mut self, next: Option<u8>) {
        self.listing = false;
        let Some(clause) = self.open.take() else {
            return;
        };
        let text = clause.text.trim().to_owned();
        let level = self.above.last().map_or(0, |(level, _)| *level);
        if !text.is_empty() {
            self.clauses.push(Clause { text, ..clause });
        } else if next.is_none_or(|next| next <= level) {
            let words = self.section();
            self.left.push(Left {
                place: clause.place,
                what: format!("a heading without text: `{}`", short(&words)),
            });
        }
    }
}

/// The beginning of a text, for people.
pub(crate) fn short(text: &str) -> String {
    let line = crate::read::collapsed(text);
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{} …", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_years_and_amounts() {
        let of = |words| {
            number(words).map(|n| {
                (
                    n.letters.map(str::to_owned),
                    n.number.to_owned(),
                    n.rest.to_owned(),
                )
            })
        };
        let plain = |n: &str, rest: &str| Some((None, n.to_owned(), rest.to_owned()));
        assert_eq!(of("2.1 Small payments"), plain("2.1", "Small payments"));
        assert_eq!(of("2. Limits"), plain("2", "Limits"));
        assert_eq!(of("(2.1) Text"), plain("2.1", "Text"));
        assert_eq!(of("§ 7 Delay"), plain("7", "Delay"));
        assert_eq!(
            of("PAY-2.1 Small"),
            Some((Some("PAY".to_owned()), "2.1".to_owned(), "Small".to_owned()))
        );
        for no in [
            "2026 budget",
            "2,500.00 euros",
            "2.50€ each",
            "Small payments",
            "(2.1 Text",
            "3rd party",
            "",
        ] {
            assert_eq!(of(no), None, "{no}");
        }
    }
}
