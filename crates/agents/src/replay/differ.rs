//! Where two things differ, as small as it can be said.

use duty::request::{AnswerModel, CallModel, Recommend};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Difference, Verdict};
use crate::{desk::Reply, language::Composed, model::Said};

/// A question made again, beside the recorded one.
pub(super) fn question(again: &Composed<'_>, recorded: &[u8], request: &CallModel) -> Verdict {
    let mut differences = Vec::new();
    if again.body != recorded {
        match (
            serde_json::from_slice::<Value>(recorded),
            serde_json::from_slice::<Value>(&again.body),
        ) {
            (Ok(recorded), Ok(again)) if recorded != again => {
                json_in("", &recorded, &again, &mut differences);
            }
            // The same JSON, and other bytes.
            _ => differences.push(Difference {
                what: "the bytes of the body".to_owned(),
                recorded: String::from_utf8_lossy(recorded).into(),
                again: String::from_utf8_lossy(&again.body).into(),
            }),
        }
    }
    let counts = again.redacted.counts();
    differs(
        "how many values were put out",
        &request.redacted,
        counts,
        &mut differences,
    );
    Verdict::of(differences)
}

/// A recorded answer read again, beside what was recorded of it.
pub(super) fn answer(again: &Reply, recorded: &AnswerModel) -> Verdict {
    let mut found = Vec::new();
    differs(
        "what it is good for",
        &recorded.result,
        &again.result,
        &mut found,
    );
    differs(
        "the model that answered",
        &recorded.model,
        &again.model,
        &mut found,
    );
    differs("its tokens", &recorded.tokens, &again.tokens, &mut found);
    differs("its problem", &recorded.problem, &again.problem, &mut found);
    Verdict::of(found)
}

/// A recorded recommendation, beside what the model said.
pub(super) fn recommendation(recorded: &Recommend, again: &Said) -> Vec<Difference> {
    let mut found = Vec::new();
    differs("the stance", &recorded.stance, &again.stance, &mut found);
    differs("the action", &recorded.action, &again.action, &mut found);
    differs(
        "the confidence",
        &recorded.confidence,
        &again.confidence,
        &mut found,
    );
    differs(
        "the rationale",
        &recorded.rationale,
        &again.rationale,
        &mut found,
    );
    differs("the clauses", &recorded.clauses, &again.clauses, &mut found);
    differs("the quotes", &recorded.quotes, &again.quotes, &mut found);
    differs("the row", &recorded.row, &again.row, &mut found);
    found
}

pub(super) fn differs<T: PartialEq + Serialize>(
    what: &str,
    recorded: &T,
    again: &T,
    found: &mut Vec<Difference>,
) {
    if recorded != again {
        found.push(Difference {
            what: what.to_owned(),
            recorded: json!(recorded),
            again: json!(again),
        });
    }
}

/// Every place of two JSON values that differs, by its pointer; of long texts, the lines that do.
fn json_in(at: &str, recorded: &Value, again: &Value, found: &mut Vec<Difference>) {
    match (recorded, again) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                let (a, b) = (a.get(name), b.get(name));
                let null = Value::Null;
                json_in(
                    &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    a.unwrap_or(&null),
                    b.unwrap_or(&null),
                    found,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                json_in(&format!("{at}/{n}"), a, b, found);
            }
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let (line, a, b) = lines(a, b);
            found.push(Difference {
                what: format!("the body at `{at}`, line {line}"),
                recorded: a.into(),
                again: b.into(),
            });
        }
        (a, b) if a == b => {}
        (a, b) => found.push(Difference {
            what: format!("the body at `{at}`"),
            recorded: a.clone(),
            again: b.clone(),
        }),
    }
}

/// The lines of two texts that differ: what begins and ends alike is left out. With the number of the first.
fn lines(a: &str, b: &str) -> (usize, String, String) {
    let (a, b): (Vec<_>, Vec<_>) = (a.split('\n').collect(), b.split('\n').collect());
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let most = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev());
    let tail = tail.take(most).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str]| lines[head..lines.len() - tail].join("\n");
    (head + 1, part(&a), part(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let a = json!({"m": [{"c": "one\ntwo\nthree"}], "n": 1, "s/t": true});
        let b = json!({"m": [{"c": "one\n2\n2b\nthree"}], "n": 1});
        let mut found = Vec::new();
        json_in("", &a, &b, &mut found);
        let said: Vec<_> = found.iter().map(|d| d.what.as_str()).collect();
        assert_eq!(
            said,
            ["the body at `/m/0/c`, line 2", "the body at `/s~1t`"]
        );
        assert_eq!(found[0].recorded, "two");
        assert_eq!(found[0].again, "2\n2b");
        assert_eq!(
            (&found[1].recorded, &found[1].again),
            (&json!(true), &Value::Null)
        );
    }

    #[test]
    fn texts_that_only_grew_differ_in_what_was_added() {
        assert_eq!(lines("a\na", "a\na\na"), (3, String::new(), "a".to_owned()));
        assert_eq!(lines("", "x"), (1, String::new(), "x".to_owned()));
    }
}
