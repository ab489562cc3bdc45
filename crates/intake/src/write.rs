//! The policy document.

use crate::{ids::Assigned, outline::Outline};

/// The comment at its head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Which document.
    pub document: String,
    /// Which edition.
    pub edition: String,
    /// The first day in force.
    pub effective: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The name of the file that it was brought in from.
    pub source: String,
    /// SHA-256 of that file, in hexadecimal.
    pub source_sha256: String,
}

/// The document's text.
///
/// # Errors
/// A value that cannot stand in the comment, in words.
pub fn document(header: &Header, outline: &Outline, ids: &[Assigned]) -> Result<String, String> {
    let mut said = Vec::new();
    for (key, value) in [
        ("document", Some(&header.document)),
        ("edition", Some(&header.edition)),
        ("effective", header.effective.as_ref()),
        ("owner", header.owner.as_ref()),
        ("source", Some(&header.source)),
        ("source-sha256", Some(&header.source_sha256)),
    ] {
        let Some(value) = value else { continue };
        if value.contains(['"', '\n', '\r']) || value.contains("-->") || value.trim().is_empty() {
            return Err(format!(
                "`{key}` cannot be `{value}`: no quotation mark, line end or `-->`"
            ));
        }
        let quoted = value.contains([',', ':']) || value.trim() != value;
        said.push(match quoted {
            true => format!("{key}: \"{value}\""),
            false => format!("{key}: {value}"),
        });
    }
    let mut text = format!("# {}\n\n<!-- {} -->\n", outline.title, said.join(", "));
    let mut section = "";
    for (clause, id) in outline.clauses.iter().zip(ids) {
        if clause.section != section {
            section = &clause.section;
            if !section.is_empty() {
                text.push_str(&format!("\n## {section}\n"));
            }
        }
        // No word is made up: what has no title is called by its number.
        let title = match clause.title.as_str() {
            "" => clause.number.as_deref().unwrap_or(&id.id),
            title => title,
        };
        text.push_str(&format!("\n### {} {title}\n\n{}\n", id.id, clause.text));
    }
    Ok(text)
}
