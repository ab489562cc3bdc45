//! Text into terms: the same for clauses and for queries.

use std::collections::{BTreeMap, BTreeSet};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization as _;

/// The languages whose words can be stemmed.
pub(crate) const LANGUAGES: &[(&str, Algorithm)] = &[
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
];

/// English words that say nothing of what a clause is about. `not`, `before`, `after` and numbers are none of them.
const STOP_WORDS: &str = "a am an and are as at be been being but by can could did do does for from had has have he her his \
    how i if in into is it its let may me might must my no now of on or our ours shall she should so some such than that \
    the their them then there these they this those to us was we were what when where which who whom whose why will with \
    would you your";

/// How text becomes terms.
pub(crate) struct Words {
    stemmer: Option<Stemmer>,
    stop: BTreeSet<String>,
    /// Other terms that a term of a query finds too.
    synonyms: BTreeMap<String, BTreeSet<String>>,
}

impl Words {
    /// `language` is one of [`LANGUAGES`], or anything else for words as they stand; `stop` are words to leave out, beside
    /// the usual ones of English where that is the language.
    pub(crate) fn new(language: &str, stop: &[String], synonyms: &[Vec<String>]) -> Self {
        let known = LANGUAGES.iter().find(|(name, _)| *name == language);
        let usual = if language == "english" {
            STOP_WORDS
        } else {
            ""
        };
        let usual = usual.split_whitespace().map(str::to_owned);
        let mut words = Self {
            stemmer: known.map(|(_, algorithm)| Stemmer::create(*algorithm)),
            stop: usual.chain(stop.iter().map(|w| w.to_lowercase())).collect(),
            synonyms: BTreeMap::new(),
        };
        for group in synonyms {
            let terms: BTreeSet<_> = group.iter().flat_map(|w| words.terms(w)).collect();
            for term in &terms {
                let others = terms.iter().filter(|t| *t != term).cloned();
                let known = words.synonyms.entry(term.clone()).or_default();
                known.extend(others);
            }
        }
        words
    }

    /// The terms of a text, in order.
    pub(crate) fn terms(&self, text: &str) -> Vec<String> {
        let plain: String = text.nfkc().flat_map(char::to_lowercase).collect();
        let mut terms = Vec::new();
        for word in pieces(&plain) {
            if word.bytes().any(|b| b.is_ascii_digit()) {
                terms.push(number(word));
                continue;
            }
            // The apostrophe of `vendor's` and of `don't` ends the word.
            let word = word.split(['\'', '\u{2019}']).next().unwrap_or_default();
            if word.is_empty() || self.stop.contains(word) {
                continue;
            }
            match &self.stemmer {
                Some(stemmer) => terms.push(stemmer.stem(word).into_owned()),
                None => terms.push(word.to_owned()),
            }
        }
        terms
    }

    /// What a term of a query finds beside itself.
    pub(crate) fn synonyms(&self, term: &str) -> impl Iterator<Item = &String> {
        self.synonyms.get(term).into_iter().flatten()
    }
}

/// Runs of letters and digits. What joins two of them without a blank stays inside: an apostrophe within a word, and points,
/// commas and dashes before a digit, so that `2,500.00` and `pay-2.1` are one piece.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = None;
    let mut signs = text.char_indices().peekable();
    while let Some((at, c)) = signs.next() {
        let next = signs.peek().map(|(_, n)| *n);
        let joins = start.is_some()
            && match c {
                '\'' | '\u{2019}' => next.is_some_and(char::is_alphabetic),
                '.' | ',' | '-' => next.is_some_and(|n| n.is_ascii_digit()),
                _ => false,
            };
        if c.is_alphanumeric() {
            start.get_or_insert(at);
        } else if !joins && let Some(from) = start.take() {
            pieces.push(&text[from..at]);
        }
    }
    pieces.extend(start.map(|from| &text[from..]));
    pieces
}

/// A number in one form: no commas between thousands, no cents of nothing.
fn number(written: &str) -> String {
    let plain = written.replace(',', "");
    plain.strip_suffix(".00").unwrap_or(&plain).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> Words {
        let groups = [vec!["bot".to_owned(), "agents".to_owned()]];
        Words::new("english", &["kindly".to_owned()], &groups)
    }

    #[test]
    fn words_are_stemmed_and_what_says_nothing_is_left_out() {
        let terms =
            english().terms("Kindly, which Vendors’ invoices are DUPLICATED? It's not payable");
        assert_eq!(terms, ["vendor", "invoic", "duplic", "not", "payabl"]);
        assert_eq!(
            Words::new("none", &[], &[]).terms("The Vendors"),
            ["the", "vendors"]
        );
    }

    #[test]
    fn a_number_has_one_form_and_an_id_is_one_term() {
        let words = english();
        assert_eq!(words.terms("EUR 2,500.00"), words.terms("eur 2500"));
        assert_eq!(words.terms("see PAY-2.1."), ["see", "pay-2.1"]);
        assert_eq!(words.terms("2,500.01"), ["2500.01"]);
        assert_eq!(
            words.terms("three-way, 24-hour"),
            ["three", "way", "24", "hour"]
        );
    }

    #[test]
    fn synonyms_go_both_ways() {
        let words = english();
        assert_eq!(words.synonyms("bot").collect::<Vec<_>>(), ["agent"]);
        assert_eq!(words.synonyms("agent").collect::<Vec<_>>(), ["bot"]);
        assert_eq!(words.synonyms("vendor").count(), 0);
    }
}
