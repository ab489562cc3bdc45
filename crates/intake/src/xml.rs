//! XML, piece by piece.

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::read::{DEEPEST, Refused, broken};

/// One element or text, without namespaces: the names that are looked for are of one.
pub(crate) enum Piece {
    Start(String, BTreeMap<String, String>),
    End(String),
    Text(String),
}

/// Reads a part piece by piece. Entities of its own are refused, and so is what nests too deep.
pub(crate) fn pieces(
    name: &str,
    part: &[u8],
    f: &mut dyn FnMut(Piece) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let text = std::str::from_utf8(part);
    let text = text.map_err(|_| broken(name, "is no UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    loop {
        let at = reader.buffer_position();
        let wrong = |why: String| broken(&format!("`{name}`, byte {at}"), why);
        match reader.read_event().map_err(|e| wrong(e.to_string()))? {
            Event::Start(e) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Refused::Bound(format!(
                        "`{name}`: more than {DEEPEST} elements within each other"
                    )));
                }
                let (name, attributes) = start(&e).map_err(wrong)?;
                f(Piece::Start(name, attributes))?;
            }
            Event::Empty(e) => {
                let (name, attributes) = start(&e).map_err(wrong)?;
                f(Piece::Start(name.clone(), attributes))?;
                f(Piece::End(name))?;
            }
            Event::End(e) => {
                depth = depth.saturating_sub(1);
                f(Piece::End(e.local_name().into_inner().to_owned()))?;
            }
            Event::Text(text) => f(Piece::Text(text.xml10_content().into_owned()))?,
            Event::CData(text) => f(Piece::Text(text.xml10_content().into_owned()))?,
            Event::GeneralRef(entity) => {
                let known = entity
                    .resolve_char_ref()
                    .map_err(|e| wrong(e.to_string()))?;
                let said: &str = &entity;
                let char = known.or(match said {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => None,
                });
                let char =
                    char.ok_or_else(|| wrong(format!("an entity of its own, `&{said};`")))?;
                f(Piece::Text(char.to_string()))?;
            }
            Event::DocType(_) => {
                return Err(wrong("a document type: none is expected here".to_owned()));
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn start(e: &BytesStart<'_>) -> Result<(String, BTreeMap<String, String>), String> {
    let name = e.local_name().into_inner().to_owned();
    let mut attributes = BTreeMap::new();
    for attribute in e.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let key = attribute.key.local_name().into_inner().to_owned();
        attributes.insert(key, attribute.value.into_owned());
    }
    Ok((name, attributes))
}
