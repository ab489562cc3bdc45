//! Words and figures of the pages.

use duty::{
    action::Action,
    facts::{Facts, Scalar},
    time::Time,
};
use serde_json::Value;

/// A name with a value, as a row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Something about a case that is not as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differs {
    pub(crate) what: String,
    /// Worth stopping at.
    pub(crate) loud: bool,
}

/// The arguments of an action, money written as people write it.
pub(crate) fn arguments(action: &Action) -> Vec<Pair> {
    let currency = action.text("currency").unwrap_or_default().to_owned();
    let pairs = action.arguments.iter().map(|(name, value)| Pair {
        name: name.clone(),
        value: match (name.strip_suffix("_cents"), value.as_i64()) {
            (Some(_), Some(cents)) => format!("{cents} = {}", money(cents, &currency)),
            _ => plain(value),
        },
    });
    pairs.collect()
}

/// An action in one line: its tool, and its arguments but for the amount, which stands beside it.
pub(crate) fn in_words(action: &Action) -> String {
    let rest = action
        .arguments
        .iter()
        .filter(|(name, _)| !name.ends_with("_cents") && *name != "currency");
    let said: Vec<_> = rest
        .map(|(name, value)| {
            let name = name.strip_suffix("_id").unwrap_or(name).replace('_', " ");
            format!("{name} {}", plain(value))
        })
        .collect();
    format!("{}: {}", action.tool, said.join(", "))
        .trim_end_matches(": ")
        .to_owned()
}

/// The amount of an action, where it has one.
pub(crate) fn amount(action: &Action) -> String {
    let currency = action.text("currency").unwrap_or_default();
    let cents = action
        .arguments
        .iter()
        .find(|(name, _)| name.ends_with("_cents"));
    cents
        .and_then(|(_, v)| v.as_i64())
        .map_or_else(|| "–".to_owned(), |cents| money(cents, currency))
}

/// `12,345.67 EUR`.
pub(crate) fn money(cents: i64, currency: &str) -> String {
    let (whole, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if cents < 0 { "−" } else { "" };
    format!("{sign}{grouped}.{rest:02} {currency}")
        .trim_end()
        .to_owned()
}

/// A window's length, in the largest unit that it is a whole number of.
pub(crate) fn window(minutes: u32) -> String {
    let (n, unit) = match minutes {
        m if m % 1440 == 0 => (m / 1440, "day"),
        m if m % 60 == 0 => (m / 60, "hour"),
        m => (m, "minute"),
    };
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {unit}{plural}")
}

/// How long until `then`, or since, in words.
pub(crate) fn span(from: Time, to: Time) -> String {
    let minutes = (to.millis() - from.millis()).abs() / 60_000;
    match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        2..=119 => format!("{minutes} minutes"),
        120..=2879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

/// Markdown prose as paragraphs: lines that were wrapped by hand run on, list items and paragraphs stay apart.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        let item = line.strip_prefix("- ");
        match found.last_mut() {
            Some(last) if open && item.is_none() && !line.is_empty() => {
                last.push(' ');
                last.push_str(line);
            }
            _ if line.is_empty() => {}
            _ => found.push(item.map_or_else(|| line.to_owned(), |item| format!("• {item}"))),
        }
        open = !line.is_empty();
    }
    found
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bit {
    /// Whether it is a name, to be set apart.
    pub(crate) code: bool,
    pub(crate) text: String,
}

/// A line of a record in pieces: what stands in backticks there is set apart here.
pub(crate) fn bits(line: &str) -> Vec<Bit> {
    let parts: Vec<_> = line.split('`').collect();
    // A backtick without its partner is a backtick.
    if parts.len() % 2 == 0 {
        return vec![Bit {
            code: false,
            text: line.to_owned(),
        }];
    }
    let bits = parts.into_iter().enumerate().map(|(i, text)| Bit {
        code: i % 2 == 1,
        text: text.to_owned(),
    });
    bits.filter(|b| !b.text.is_empty()).collect()
}

/// A moment to the minute, in UTC.
pub(crate) fn moment(time: Time) -> String {
    let text = time.to_string();
    format!("{} {}", &text[..10], &text[11..16])
}

/// All facts, by namespace, in words; money written as people write it, in the currency that its namespace names or else
/// the action's.
pub(crate) fn facts(facts: &Facts, action: &Action) -> Vec<(String, Vec<Pair>)> {
    let spaces = facts.iter().map(|(namespace, fields)| {
        let currency = match fields.get("currency") {
            Some(Scalar::Text(own)) => own,
            _ => action.text("currency").unwrap_or_default(),
        };
        let pairs = fields.iter().map(|(field, value)| Pair {
            name: field
                .strip_suffix("_cents")
                .unwrap_or(field)
                .replace('_', " "),
            value: match (field.ends_with("_cents"), value) {
                (true, Scalar::Int(cents)) => money(*cents, currency),
                (_, Scalar::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
                (_, Scalar::Text(text)) if text.is_empty() => "–".to_owned(),
                _ => value.to_string(),
            },
        });
        (namespace.clone(), pairs.collect())
    });
    spaces.collect()
}

/// What differs from the usual. By convention of names: a fact `usual_<argument>` is held against the argument, `previous_count`
/// says how much there is to compare with, and counts of suspect things are worth a word when they are not zero.
pub(crate) fn differences(facts: &Facts, action: &Action) -> Vec<Differs> {
    let mut found = Vec::new();
    let currency = action.text("currency").unwrap_or_default();
    for (_, fields) in facts.iter() {
        let is_usual = |(field, value): (&String, &Scalar)| {
            field.starts_with("usual_") && matches!(value, Scalar::Int(n) if *n > 0)
        };
        let compared = fields.iter().any(is_usual);
        for (field, value) in fields {
            let Scalar::Int(n) = value else {
                if let (Scalar::Bool(true), "memo_instructs") = (value, field.as_str()) {
                    found.push(loud("The memo reads like an instruction to the agents."));
                }
                continue;
            };
            match field.as_str() {
                "previous_count" if *n == 0 && !compared => {
                    found.push(loud("There is no earlier payment to compare with."));
                }
                "duplicates" if *n > 0 => {
                    found.push(loud(&format!("{n} earlier invoice(s) look like this one.")))
                }
                "split_count" if *n > 1 => {
                    found.push(loud(&format!(
                        "It is one of {n} invoices on one order within days."
                    )));
                }
                "days_since_account_change" if *n <= 30 => {
                    found.push(loud(&format!(
                        "The vendor's bank account changed {n} day(s) before."
                    )));
                }
                "days_since_onboarding" if *n <= 90 => {
                    found.push(loud(&format!("The vendor was added {n} day(s) before.")));
                }
                usual => {
                    let argument = usual.strip_prefix("usual_").and_then(|a| action.integer(a));
                    if let Some(now) = argument.filter(|_| *n > 0) {
                        let tenths = now.saturating_mul(10) / n;
                        found.push(Differs {
                            what: format!(
                                "{}.{} × the usual {}.",
                                tenths / 10,
                                tenths % 10,
                                money(*n, currency)
                            ),
                            loud: !(5..=20).contains(&tenths),
                        });
                    }
                }
            }
        }
    }
    found.sort_by_key(|d| !d.loud);
    found
}

fn loud(what: &str) -> Differs {
    Differs {
        what: what.to_owned(),
        loud: true,
    }
}

pub(crate) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped() {
        assert_eq!(money(123_456_789, "EUR"), "1,234,567.89 EUR");
        assert_eq!(money(5, "EUR"), "0.05 EUR");
        assert_eq!(money(-100_000, ""), "−1,000.00");
    }

    #[test]
    fn a_window_is_said_in_its_largest_whole_unit() {
        assert_eq!(window(1440), "1 day");
        assert_eq!(window(180), "3 hours");
        assert_eq!(window(90), "90 minutes");
    }

    #[test]
    fn an_action_is_said_in_words() {
        let action = |arguments: Value| Action {
            tool: "treasury.transfer_create".to_owned(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        assert_eq!(
            in_words(&action(serde_json::json!({
                "account": "A1", "amount_cents": 5, "currency": "EUR", "deep": {"a": [1]}, "vendor_id": "V1",
            }))),
            "treasury.transfer_create: account A1, deep {\"a\":[1]}, vendor V1"
        );
        let none = action(serde_json::json!({}));
        assert_eq!(in_words(&none), "treasury.transfer_create");
    }

    #[test]
    fn facts_are_said_in_words() {
        let mut all = Facts::default();
        all.insert("invoice", "amount_cents", Scalar::Int(123_400));
        all.insert("invoice", "currency", Scalar::Text("USD".to_owned()));
        all.insert("vendor", "sanctioned", Scalar::Bool(false));
        all.insert("vendor", "related_principal", Scalar::Text(String::new()));
        let action = Action {
            tool: "t.u".to_owned(),
            arguments: Default::default(),
        };
        let pair = |name: &str, value: &str| Pair {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(
            facts(&all, &action),
            [
                (
                    "invoice".to_owned(),
                    vec![pair("amount", "1,234.00 USD"), pair("currency", "USD")]
                ),
                (
                    "vendor".to_owned(),
                    vec![pair("related principal", "–"), pair("sanctioned", "no")]
                ),
            ]
        );
    }

    #[test]
    fn names_in_a_line_are_set_apart() {
        let told = |line| -> Vec<_> { bits(line).into_iter().map(|b| (b.code, b.text)).collect() };
        let bit = |code, text: &str| (code, text.to_owned());
        assert_eq!(
            told("`amira` says yes to `x`"),
            [
                bit(true, "amira"),
                bit(false, " says yes to "),
                bit(true, "x")
            ]
        );
        assert_eq!(told("one ` alone"), [bit(false, "one ` alone")]);
        assert_eq!(told("none"), [bit(false, "none")]);
    }

    #[test]
    fn wrapped_lines_run_on_and_items_stay_apart() {
        let text = "One\ntwo.\n\n- a\n  b\n- c\n\nEnd.";
        assert_eq!(paragraphs(text), ["One two.", "• a b", "• c", "End."]);
    }

    #[test]
    fn spans_are_words() {
        let at = Time::from_millis;
        assert_eq!(span(at(0), at(59_000)), "less than a minute");
        assert_eq!(span(at(0), at(3_600_000)), "60 minutes");
        assert_eq!(span(at(86_400_000), at(0)), "24 hours");
    }

    #[test]
    fn an_unusual_amount_is_loud() {
        let mut facts = Facts::default();
        facts.insert("related", "usual_amount_cents", Scalar::Int(1_000));
        let action = |cents: i64| Action {
            tool: "t.u".to_owned(),
            arguments: serde_json::json!({"amount_cents": cents})
                .as_object()
                .unwrap()
                .clone(),
        };
        assert!(differences(&facts, &action(5_000))[0].loud);
        assert!(!differences(&facts, &action(1_100))[0].loud);
        assert_eq!(
            differences(&facts, &action(1_100))[0].what,
            "1.1 × the usual 10.00."
        );
    }
}
