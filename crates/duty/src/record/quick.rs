//! Reading a record in one pass, and the fields of its envelope in their one order.

use super::{Body, Record, VERSION};
use crate::canonical::reader::Reader;

const _: () = assert!(VERSION == 1, "the last field below says so");

/// The record, where `bytes` are plainly its canonical form; none says nothing against them.
pub(super) fn read(bytes: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(bytes).ok()?;
    let kind = kind(text)?;
    // Beyond the guess, every byte is read from the beginning on.
    let mut r = Reader::new(text, request_of(kind));
    r.expect(r#"{"actor":"#).ok()?;
    let actor = r.value().ok()?;
    r.expect(r#","body":"#).ok()?;
    let body = Body::read(kind, &mut r)?;
    let case = r.value_after(r#","case":"#).ok()?;
    let cause = r.value_after(r#","cause":"#).ok()?;
    let clauses: Option<Vec<_>> = r.value_after(r#","clauses":"#).ok()?;
    // Where there are none, the field is left out.
    let clauses = match clauses {
        Some(clauses) if clauses.is_empty() => return None,
        clauses => clauses.unwrap_or_default(),
    };
    let env = r.value_after(r#","env":"#).ok()?;
    r.expect(r#","kind":""#).ok()?;
    r.expect(body.kind()).ok()?;
    r.expect("\"").ok()?;
    let release = r.value_after(r#","release":"#).ok()?;
    r.expect(r#","seq":"#).ok()?;
    let seq = r.value().ok()?;
    r.expect(r#","time":"#).ok()?;
    let time = r.value().ok()?;
    r.expect(r#","v":1}"#).ok()?;
    r.is_done().then_some(Record {
        seq,
        time,
        cause,
        env,
        case,
        actor,
        release,
        clauses,
        body,
    })
}

/// The kind, which comes after the body, found from the end: what follows it has few forms.
fn kind(text: &str) -> Option<&str> {
    let rest = text.strip_suffix(r#"","v":1}"#)?;
    let rest = rest.get(..rest.len().checked_sub("2026-01-01T00:00:00.000Z".len())?)?;
    let rest = rest.strip_suffix(r#","time":""#)?;
    let rest = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_suffix(r#"","seq":"#)?;
    let digest = rest.len().checked_sub(64).and_then(|at| rest.get(..at));
    let rest = digest
        .and_then(|rest| rest.strip_suffix(r#"","release":""#))
        .unwrap_or(rest);
    rest.rsplit_once('"').map(|(_, kind)| kind)
}

/// The word of the request that a record of this kind carries; none where it can be any, or there is none.
fn request_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "case.opened" => "open_case",
        "call.permitted" => "call",
        "call.answered" => "answer",
        "clauses.retrieved" => "retrieve",
        "model.called" => "call_model",
        "model.answered" => "answer_model",
        "recommendation.made" => "recommend",
        "approval.given" => "approve",
        "grant.used" => "use_grant",
        "outcome.recorded" => "record_outcome",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    const ANSWERED: &str = concat!(
        r#"{"actor":{"credential":"engine-1","id":"engine","role":"service"},"body":{"request":{"call":"c1.c1","#,
        r#""facts":{"vendor":{"id":"V-1","sanctioned":false,"score":-7}},"type":"answer"}},"case":"c1","env":"prod","#,
        r#""kind":"call.answered","seq":12,"time":"2026-06-01T00:00:00.000Z","v":1}"#
    );

    #[test]
    fn common_records_are_read_in_one_pass() {
        let read = read(ANSWERED.as_bytes()).unwrap();
        assert_eq!(read.to_bytes().unwrap(), ANSWERED.as_bytes());
        assert_eq!(
            Record::from_bytes_compared(ANSWERED.as_bytes()).unwrap(),
            read
        );
        // A refused request can be any, and is found by looking ahead.
        let refused = ANSWERED
            .replace(
                r#""body":{"request""#,
                r#""body":{"refusal":{"code":"wrong-state","remedy":"m","why":"w"},"request""#,
            )
            .replace("call.answered", "request.refused");
        let refused = super::read(refused.as_bytes()).unwrap();
        assert_eq!(refused.body.kind(), "request.refused");
    }
}
