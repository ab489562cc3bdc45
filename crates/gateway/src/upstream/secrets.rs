//! Secrets that a target system is given must not come back in what it says: that goes to agents and into records.

use serde_json::Value;

/// Words that never leave.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// The values themselves, and each word of theirs that is long enough to be one.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = Vec::new();
        for value in values {
            let value = value.trim();
            words.push(value.to_owned());
            words.extend(value.split_whitespace().map(str::to_owned));
        }
        words.retain(|word| word.len() >= SHORTEST);
        // The longest first, so that no part of it is left.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self(words)
    }

    /// The text without them.
    pub(super) fn hide(&self, text: &str) -> String {
        let hidden = |text: String, word: &String| text.replace(word.as_str(), "[secret]");
        self.0.iter().fold(text.to_owned(), hidden)
    }

    /// An answer without them, in its texts and its names.
    pub(super) fn hide_in(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide(&text)),
            Value::Array(values) => values.into_iter().map(|v| self.hide_in(v)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.hide(&name), self.hide_in(value)))
                .collect(),
            other => other,
        }
    }

    /// Whether any of them is in the text.
    pub(super) fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|word| text.contains(word.as_str()))
    }
}

/// The shortest secret, in bytes: what is shorter guards nothing, and would blot out ordinary words.
pub const SHORTEST: usize = 6;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_hidden_whole_and_in_part() {
        let secrets = Secrets::of(["Bearer abc-123-def", "x"].into_iter());
        let text = secrets.hide("token abc-123-def of `Bearer abc-123-def` x");
        assert_eq!(text, "token [secret] of `[secret]` x");
    }

    #[test]
    fn an_answer_that_echoes_a_secret_loses_it_wherever_it_is() {
        let secrets = Secrets::of(std::iter::once("a-long-secret"));
        let answer = json!({"headers": [{"a-long-secret": 1}, "is a-long-secret"], "n": 2});
        let clean = json!({"headers": [{"[secret]": 1}, "is [secret]"], "n": 2});
        assert_eq!(secrets.hide_in(answer), clean);
        assert!(secrets.are_in("with a-long-secret in it") && !secrets.are_in("with none"));
    }
}
