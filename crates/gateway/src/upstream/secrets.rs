//! Secrets that a target system is given must not come back in what it says: that goes into records.

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
}

/// What is shorter guards nothing, and would blot out ordinary words.
const SHORTEST: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_whole_and_in_part() {
        let secrets = Secrets::of(["Bearer abc-123-def", "x"].into_iter());
        let text = secrets.hide("token abc-123-def of `Bearer abc-123-def` x");
        assert_eq!(text, "token [secret] of `[secret]` x");
    }
}
