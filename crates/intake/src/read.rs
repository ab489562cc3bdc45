//! A file into blocks. Each form has its own reader; all have the same bounds.

use std::path::Path;

use serde::Serialize;

use crate::{docx, html, pdf, text};

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 16 << 20;
/// The most that `pdftotext -bbox-layout` may say of a PDF, in bytes: a few dozen for each word.
pub const LARGEST_LAYOUT: usize = 8 * LARGEST;
/// The most blocks of one document.
pub const MOST_BLOCKS: usize = 50_000;
/// The deepest nesting of elements.
pub const DEEPEST: usize = 200;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Markdown: CommonMark's headings; all else as it stands.
    Markdown,
    /// Plain text, with numbered headings.
    Plain,
    /// HTML.
    Html,
    /// Office Open XML, as Word writes it.
    Docx,
    /// A PDF. What is read is not the file itself but what Poppler's `pdftotext -bbox-layout` says of it.
    Pdf,
}

/// A document as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Its title, where it says one apart from its headings.
    pub title: Option<String>,
    /// In order.
    pub blocks: Vec<Block>,
    /// What is in the file and in no block.
    pub left: Vec<Left>,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it stands in the file, for people.
    pub place: String,
    /// What it is.
    pub what: What,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A heading of a level from 1.
    Heading(u8, String),
    /// A paragraph; a line end in it stands there.
    Paragraph(String),
    /// An item of a list: how deep it is from 0, its mark, its text.
    Item(u8, String, String),
}

/// Something that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Where.
    pub place: String,
    /// What, and what to do about it.
    pub what: String,
}

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its form is not known.
    #[error("`{0}` is no form that is read; there are .md, .txt, .html, .docx and .pdf")]
    Form(String),
    /// It is larger or deeper than anything that is read.
    #[error("{0}; split the document")]
    Bound(String),
    /// It is not what its name says.
    #[error("{place}: {why}")]
    Broken {
        /// Where.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Its words are not settled.
    #[error("{place}: {why}")]
    Unsettled {
        /// Where.
        place: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Form {
    /// By a file's name.
    ///
    /// # Errors
    /// [`Refused::Form`].
    pub fn of(path: &Path) -> Result<Self, Refused> {
        let ending = path.extension().and_then(|e| e.to_str());
        match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
            "md" | "markdown" => Ok(Self::Markdown),
            "txt" => Ok(Self::Plain),
            "html" | "htm" | "xhtml" => Ok(Self::Html),
            "docx" => Ok(Self::Docx),
            "pdf" => Ok(Self::Pdf),
            other => Err(Refused::Form(format!(".{other}"))),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// [`Refused`].
pub fn read(bytes: &[u8], form: Form) -> Result<Read, Refused> {
    let largest = match form {
        Form::Pdf => LARGEST_LAYOUT,
        _ => LARGEST,
    };
    if bytes.len() > largest {
        return Err(Refused::Bound(format!(
            "the file has {} bytes, and at most {largest} are read",
            bytes.len()
        )));
    }
    let read = match form {
        Form::Docx => docx::read(bytes),
        Form::Markdown => text::markdown(utf8(bytes)?),
        Form::Plain => text::plain(utf8(bytes)?),
        Form::Html => html::read(utf8(bytes)?),
        Form::Pdf => pdf::read(bytes),
    }?;
    match read.blocks.len() > MOST_BLOCKS {
        true => Err(Refused::Bound(format!(
            "the document has more than {MOST_BLOCKS} paragraphs"
        ))),
        false => Ok(read),
    }
}

pub(crate) fn broken(place: &str, why: impl Into<String>) -> Refused {
    Refused::Broken {
        place: place.to_owned(),
        why: why.into(),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|e| Refused::Broken {
        place: format!("byte {}", e.valid_up_to()),
        why: "the text is no UTF-8; save it as UTF-8".to_owned(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Refused::Broken {
            place: format!("byte {at}"),
            why: "a control character stands in the text".to_owned(),
        });
    }
    Ok(text)
}

/// Runs of blanks as one, none at the ends.
pub(crate) fn collapsed(text: &str) -> String {
    let words = text.split([' ', '\t', '\n', '\r', '\u{c}']);
    let words: Vec<_> = words.filter(|w| !w.is_empty()).collect();
    words.join(" ")
}
