//! Markdown and plain text: the words as they stand, under their headings.

use crate::{
    outline::number,
    read::{Block, Left, Read, Refused, What},
};

/// The longest line that can be a heading of plain text, in characters.
const HEADING: usize = 100;

/// Markdown: headings by `#` or underlined, outside of fences; everything else verbatim, cut at empty lines.
pub(crate) fn markdown(text: &str) -> Result<Read, Refused> {
    let mut read = Read::default();
    let mut open: Option<(usize, Vec<&str>)> = None;
    let mut fence: Option<(char, usize, usize)> = None;
    for (n, line) in text.lines().enumerate() {
        let n = n + 1;
        let bare = line.trim_start_matches(' ');
        let indent = line.len() - bare.len();
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |m| bare.chars().take_while(|c| *c == m).count());
        if let (Some(mark), true) = (mark, run >= 3 && indent < 4) {
            match fence {
                None => fence = Some((mark, run, n)),
                Some((m, least, _))
                    if m == mark && run >= least && bare[run..].trim().is_empty() =>
                {
                    fence = None;
                }
                Some(_) => {}
            }
            open.get_or_insert((n, Vec::new())).1.push(line);
            continue;
        }
        if fence.is_some() {
            open.get_or_insert((n, Vec::new())).1.push(line);
            continue;
        }
        if line.trim().is_empty() {
            paragraph(&mut read, open.take());
            continue;
        }
        let level = bare.chars().take_while(|c| *c == '#').count();
        let after = &bare[level..];
        if indent < 4
            && (1..=6).contains(&level)
            && (after.is_empty() || after.starts_with([' ', '\t']))
        {
            paragraph(&mut read, open.take());
            let words = after.trim();
            let closed = words.trim_end_matches('#');
            let words = match closed.is_empty() || closed.ends_with([' ', '\t']) {
                true => closed.trim_end(),
                false => words,
            };
            heading(&mut read, n, level, words);
            continue;
        }
        let underline = |c: char| indent < 4 && bare.trim_end().chars().all(|x| x == c);
        if let Some((first, lines)) = open.take_if(|_| underline('=') || underline('-')) {
            // A rule of dashes below a paragraph makes it a heading, as in CommonMark.
            let level = if underline('=') { 1 } else { 2 };
            heading(
                &mut read,
                first,
                level,
                &crate::read::collapsed(&lines.join(" ")),
            );
            continue;
        }
        open.get_or_insert((n, Vec::new())).1.push(line);
    }
    if let Some((_, _, line)) = fence {
        return Err(Refused::Broken {
            place: format!("line {line}"),
            why: "a code fence that is never closed".to_owned(),
        });
    }
    paragraph(&mut read, open.take());
    Ok(read)
}

/// Plain text: a numbered line that stands alone is a heading; everything else is a paragraph.
pub(crate) fn plain(text: &str) -> Result<Read, Refused> {
    let mut read = Read::default();
    let mut open: Option<(usize, Vec<&str>)> = None;
    for (n, line) in text.lines().chain([""]).enumerate() {
        if !line.trim().is_empty() {
            open.get_or_insert((n + 1, Vec::new())).1.push(line);
            continue;
        }
        let Some((first, lines)) = open.take() else {
            continue;
        };
        let [only] = lines[..] else {
            paragraph(&mut read, Some((first, lines)));
            continue;
        };
        let words = only.trim();
        match number(words) {
            Some(found) if is_heading(words) => {
                heading(&mut read, first, found.depth() + 1, words);
            }
            None if is_short(words) && read.blocks.is_empty() && read.title.is_none() => {
                read.title = Some(words.to_owned());
            }
            _ => paragraph(&mut read, Some((first, lines))),
        }
    }
    Ok(read)
}

/// Whether a line that stands alone is a heading: short, with a number, and no sentence.
pub(crate) fn is_heading(words: &str) -> bool {
    is_short(words) && number(words).is_some_and(|n| !n.rest.is_empty())
}

fn is_short(words: &str) -> bool {
    words.chars().count() <= HEADING && !words.ends_with(['.', ';', ':', ','])
}

fn heading(read: &mut Read, line: usize, level: usize, words: &str) {
    read.blocks.push(Block {
        place: format!("line {line}"),
        what: What::Heading(u8::try_from(level).unwrap_or(u8::MAX), words.to_owned()),
    });
}

fn paragraph(read: &mut Read, open: Option<(usize, Vec<&str>)>) {
    let Some((line, lines)) = open else { return };
    let place = format!("line {line}");
    if lines.iter().any(|l| l.contains("![")) {
        read.left.push(Left {
            place: place.clone(),
            what: "an image: only its words of stead are taken over".to_owned(),
        });
    }
    if lines.iter().any(|l| l.contains("<!--")) {
        read.left.push(Left {
            place: place.clone(),
            what: "a comment: it stays in the text, and readers of the page do not see it"
                .to_owned(),
        });
    }
    read.blocks.push(Block {
        place,
        what: What::Paragraph(lines.join("\n")),
    });
}
