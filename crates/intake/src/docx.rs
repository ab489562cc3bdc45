//! Word's documents (ECMA-376, WordprocessingML): the paragraphs of `word/document.xml`, with headings by style or outline level.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
};

use zip::ZipArchive;

use crate::{
    read::{Block, LARGEST, Left, MOST_BLOCKS, Read, Refused, What, broken, collapsed},
    xml::{Piece, pieces},
};

/// The most parts of a package.
const MOST_PARTS: usize = 5_000;
/// The largest part, unpacked: four times what a file may have.
const LARGEST_PART: u64 = 4 * LARGEST as u64;
/// The longest chain of styles that build on each other.
const STYLES: usize = 16;

/// What cannot be taken over, with its contents.
const LOST: &[(&str, &str)] = &[
    ("tbl", "a table: write its rows as text"),
    ("drawing", "an image or a drawing"),
    ("pict", "an image or a drawing"),
    ("object", "an object"),
    ("AlternateContent", "a drawing or a text box"),
    ("oMath", "a formula: write it as text"),
    ("oMathPara", "a formula: write it as text"),
    ("sym", "a sign of a font of its own"),
    ("altChunk", "another document within this one"),
    ("commentReference", "a comment: settle it, or leave it out"),
    ("footnoteReference", "a footnote: write it into the text"),
    ("endnoteReference", "an endnote: write it into the text"),
];
/// Whose contents are no words of the document.
const UNSEEN: &[&str] = &[
    "sdtPr",
    "pPrChange",
    "rPrChange",
    "sectPr",
    "sectPrChange",
    "tblPr",
    "rubyPr",
];
/// Words that somebody changed and nobody settled.
const CHANGED: &[&str] = &["ins", "del", "moveFrom", "moveTo"];

pub(crate) fn read(bytes: &[u8]) -> Result<Read, Refused> {
    let mut package = Package::open(bytes)?;
    let document = package.part("word/document.xml")?;
    let document = document.ok_or_else(|| {
        broken(
            "the file",
            "has no `word/document.xml`: it is no Word document",
        )
    })?;
    let styles = match package.part("word/styles.xml")? {
        Some(part) => Styles::read(&part)?,
        None => Styles::default(),
    };
    let lists = match package.part("word/numbering.xml")? {
        Some(part) => Lists::read(&part)?,
        None => Lists::default(),
    };
    let mut walk = Walk {
        styles,
        lists,
        ..Walk::default()
    };
    walk.document(&document)?;
    for name in package.names() {
        let margin = name
            .strip_prefix("word/")
            .is_some_and(|n| n.starts_with("header") || n.starts_with("footer"));
        if !margin || !name.ends_with(".xml") {
            continue;
        }
        let Some(part) = package.part(&name)? else {
            continue;
        };
        let mut margin = Walk::default();
        margin.document(&part)?;
        if !margin.read.blocks.is_empty() {
            walk.read.left.push(Left {
                place: name,
                what: "a head or foot of the pages".to_owned(),
            });
        }
    }
    Ok(walk.read)
}

/// The parts of a file.
struct Package<'b>(ZipArchive<Cursor<&'b [u8]>>);

impl<'b> Package<'b> {
    fn open(bytes: &'b [u8]) -> Result<Self, Refused> {
        let archive = ZipArchive::new(Cursor::new(bytes));
        let archive =
            archive.map_err(|e| broken("the file", format!("is no Word document: {e}")))?;
        match archive.len() > MOST_PARTS {
            true => Err(Refused::Bound(format!(
                "the file has more than {MOST_PARTS} parts"
            ))),
            false => Ok(Self(archive)),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.file_names().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// A part, unpacked as far as the bound and no further.
    fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let part = match self.0.by_name(name) {
            Ok(part) => part,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(broken(name, e.to_string())),
        };
        let mut bytes = Vec::new();
        let read = part.take(LARGEST_PART + 1).read_to_end(&mut bytes);
        read.map_err(|e| broken(name, e.to_string()))?;
        match bytes.len() as u64 > LARGEST_PART {
            true => Err(Refused::Bound(format!(
                "`{name}` unpacks to more than {LARGEST_PART} bytes"
            ))),
            false => Ok(Some(bytes)),
        }
    }
}

/// A paragraph's form, or what a style says of it.
#[derive(Clone, Debug, Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    /// From 0.
    outline: Option<u8>,
    list: Option<String>,
    level: Option<u8>,
}

impl Style {
    fn take(&mut self, name: &str, attributes: &BTreeMap<String, String>) {
        let value = attributes.get("val").cloned().unwrap_or_default();
        match name {
            "name" => self.name = value.to_lowercase(),
            "basedOn" => self.based_on = Some(value),
            // 9 is the level of text.
            "outlineLvl" => self.outline = value.parse().ok().filter(|level| *level < 9),
            "numId" => self.list = Some(value),
            "ilvl" => self.level = value.parse().ok(),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Styles(BTreeMap<String, Style>);

impl Styles {
    fn read(part: &[u8]) -> Result<Self, Refused> {
        let mut styles = Self::default();
        let mut open: Option<(String, Style)> = None;
        pieces("word/styles.xml", part, &mut |piece| {
            match piece {
                Piece::Start(name, attributes) if name == "style" => {
                    let id = attributes.get("styleId").cloned().unwrap_or_default();
                    open = Some((id, Style::default()));
                }
                Piece::Start(name, attributes) => {
                    if let Some((_, style)) = &mut open {
                        style.take(&name, &attributes);
                    }
                }
                Piece::End(name) if name == "style" => styles.0.extend(open.take()),
                Piece::End(_) | Piece::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(styles)
    }

    /// What a style says together with those that it builds on.
    fn whole(&self, id: &str) -> Style {
        let mut whole = Style::default();
        let mut next = Some(id.to_owned());
        for _ in 0..STYLES {
            let Some(style) = next.take().and_then(|id| self.0.get(&id)) else {
                break;
            };
            let heading = |name: &str| {
                name == "title" || name.starts_with("heading ") || name.starts_with("toc ")
            };
            if whole.name.is_empty() || (heading(&style.name) && !heading(&whole.name)) {
                whole.name.clone_from(&style.name);
            }
            whole.outline = whole.outline.or(style.outline);
            whole.list = whole.list.or_else(|| style.list.clone());
            whole.level = whole.level.or(style.level);
            next.clone_from(&style.based_on);
        }
        whole
    }
}

/// Which lists have bullets: by the list's id, its levels.
#[derive(Default)]
struct Lists(BTreeMap<String, BTreeMap<u8, String>>);

impl Lists {
    fn read(part: &[u8]) -> Result<Self, Refused> {
        let mut forms: BTreeMap<String, BTreeMap<u8, String>> = BTreeMap::new();
        let mut lists = BTreeMap::new();
        let (mut form, mut level, mut list) = (None, 0, None);
        pieces("word/numbering.xml", part, &mut |piece| {
            match piece {
                Piece::Start(name, attributes) => {
                    let value = |key: &str| attributes.get(key).cloned().unwrap_or_default();
                    match name.as_str() {
                        "abstractNum" => form = Some(value("abstractNumId")),
                        "lvl" => level = value("ilvl").parse().unwrap_or_default(),
                        "numFmt" => {
                            if let Some(form) = &form {
                                forms
                                    .entry(form.clone())
                                    .or_default()
                                    .insert(level, value("val"));
                            }
                        }
                        "num" => list = Some(value("numId")),
                        "abstractNumId" => {
                            if let Some(list) = &list {
                                lists.insert(list.clone(), value("val"));
                            }
                        }
                        _ => {}
                    }
                }
                Piece::End(name) => match name.as_str() {
                    "abstractNum" => form = None,
                    "num" => list = None,
                    _ => {}
                },
                Piece::Text(_) => {}
            }
            Ok(())
        })?;
        let of_form = lists
            .into_iter()
            .map(|(list, form)| (list, forms.get(&form).cloned().unwrap_or_default()));
        Ok(Self(of_form.collect()))
    }

    fn has_bullets(&self, list: &str, level: u8) -> bool {
        let form = self.0.get(list).and_then(|levels| levels.get(&level));
        form.is_none_or(|form| matches!(form.as_str(), "bullet" | "none"))
    }
}

#[derive(Default)]
struct Walk {
    styles: Styles,
    lists: Lists,
    read: Read,
    open: Vec<String>,
    /// What is passed over, and at which depth it began.
    passed: Option<usize>,
    paragraphs: usize,
    paragraph: Option<Paragraph>,
    contents: bool,
}

#[derive(Default)]
struct Paragraph {
    style: Option<String>,
    own: Style,
    text: String,
    hidden: bool,
}

impl Walk {
    fn document(&mut self, part: &[u8]) -> Result<(), Refused> {
        pieces("word/document.xml", part, &mut |piece| match piece {
            Piece::Start(name, attributes) => self.start(name, &attributes),
            Piece::End(name) => {
                self.end(&name);
                Ok(())
            }
            Piece::Text(text) => {
                self.text(&text);
                Ok(())
            }
        })
    }

    fn start(
        &mut self,
        name: String,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), Refused> {
        let value = attributes.get("val").map_or("", String::as_str);
        let in_form = self.open.iter().any(|open| open == "pPr");
        self.open.push(name.clone());
        if self.passed.is_some() {
            return Ok(());
        }
        let name = name.as_str();
        if CHANGED.contains(&name) {
            return Err(Refused::Unsettled {
                place: self.place(),
                why: "a change that is tracked and not settled; accept or reject all changes first"
                    .to_owned(),
            });
        }
        if let Some((_, what)) = LOST.iter().find(|(lost, _)| *lost == name) {
            self.left(what);
            self.passed = Some(self.open.len());
            return Ok(());
        }
        if UNSEEN.contains(&name) {
            self.passed = Some(self.open.len());
            return Ok(());
        }
        if name == "p" {
            self.paragraphs += 1;
            self.paragraph = Some(Paragraph::default());
            if self.read.blocks.len() >= MOST_BLOCKS {
                return Err(Refused::Bound(format!(
                    "the document has more than {MOST_BLOCKS} paragraphs"
                )));
            }
        }
        let Some(open) = &mut self.paragraph else {
            return Ok(());
        };
        match name {
            "pStyle" => open.style = Some(value.to_owned()),
            "r" => open.hidden = false,
            // The form of the paragraph's mark hides no words.
            "vanish" | "specVanish" if !in_form && !matches!(value, "0" | "false" | "off") => {
                open.hidden = true
            }
            "tab" if !in_form => open.text.push('\t'),
            "cr" => open.text.push('\n'),
            "br" if !matches!(
                attributes.get("type").map(String::as_str),
                Some("page" | "column")
            ) =>
            {
                open.text.push('\n');
            }
            "noBreakHyphen" => open.text.push('\u{2011}'),
            "softHyphen" => open.text.push('\u{ad}'),
            name if in_form => open.own.take(name, attributes),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.passed.is_some() || self.open.last().map(String::as_str) != Some("t") {
            return;
        }
        let Some(open) = &mut self.paragraph else {
            return;
        };
        if open.hidden {
            self.left("words that are formatted as hidden");
        } else {
            open.text.push_str(text);
        }
    }

    fn end(&mut self, name: &str) {
        if self.passed == Some(self.open.len()) {
            self.passed = None;
        }
        self.open.pop();
        if self.passed.is_none() && name == "p" {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(open) = self.paragraph.take() else {
            return;
        };
        let lines: Vec<_> = open.text.split('\n').map(collapsed).collect();
        let text = lines.join("\n").trim_matches('\n').to_owned();
        if text.is_empty() {
            return;
        }
        let styled = open
            .style
            .as_deref()
            .map(|id| self.styles.whole(id))
            .unwrap_or_default();
        if styled.name.starts_with("toc ") {
            if !std::mem::replace(&mut self.contents, true) {
                self.left("a table of contents");
            }
            return;
        }
        if styled.name == "title" && self.read.title.is_none() && self.read.blocks.is_empty() {
            self.read.title = Some(text);
            return;
        }
        let named = styled
            .name
            .strip_prefix("heading ")
            .and_then(|level| level.parse::<u8>().ok());
        let outlined = open.own.outline.or(styled.outline).map(|level| level + 1);
        let list = open.own.list.or(styled.list).filter(|list| list != "0");
        let level = open.own.level.or(styled.level).unwrap_or_default();
        let what = match (outlined.or(named), list) {
            (Some(heading), list) => {
                if list.is_some() {
                    self.left("a heading whose number is made by Word and stands nowhere in the text: write the number out");
                }
                What::Heading(heading, text.replace('\n', " "))
            }
            (None, Some(list)) => {
                if !self.lists.has_bullets(&list, level) {
                    self.left("the number of an item, which is made by Word and stands nowhere in the text: write it out");
                }
                What::Item(level, "-".to_owned(), text)
            }
            (None, None) => What::Paragraph(text),
        };
        self.read.blocks.push(Block {
            place: self.place(),
            what,
        });
    }

    fn left(&mut self, what: &str) {
        let left = Left {
            place: self.place(),
            what: what.to_owned(),
        };
        if self.read.left.last() != Some(&left) {
            self.read.left.push(left);
        }
    }

    fn place(&self) -> String {
        format!("paragraph {}", self.paragraphs)
    }
}
