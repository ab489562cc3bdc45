//! `[retrieval]` of `team.toml`: how clauses are looked for.

use serde::Deserialize;

use super::words::{LANGUAGES, Words};
use crate::problem::Problems;

/// How clauses are looked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Whose words are stemmed, and left out where they say nothing.
    language: String,
    /// Words to leave out beside those.
    stop_words: Vec<String>,
    /// Groups of words that are asked for alike.
    synonyms: Vec<Vec<String>>,
    /// Whose vectors rank beside the words; none ranks by words alone.
    pub(crate) embedder: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: "english".to_owned(),
            stop_words: Vec::new(),
            synonyms: Vec::new(),
            embedder: None,
        }
    }
}

impl Settings {
    /// What is wrong with them.
    pub(crate) fn check(&self, place: &str, problems: &mut Problems) {
        let known = LANGUAGES.iter().any(|(name, _)| *name == self.language);
        if !known && self.language != "none" {
            let names: Vec<_> = LANGUAGES.iter().map(|(name, _)| *name).collect();
            problems.add(
                place,
                format!(
                    "`language = \"{}\"` is none of {}, none",
                    self.language,
                    names.join(", ")
                ),
            );
        }
        for group in &self.synonyms {
            if group.len() < 2 {
                problems.add(place, format!("the synonyms {group:?} are fewer than two"));
            }
            for word in group.iter().filter(|w| w.split_whitespace().count() != 1) {
                problems.add(place, format!("the synonym `{word}` is not one word"));
            }
        }
        if self
            .embedder
            .as_ref()
            .is_some_and(|e| e.trim().is_empty() || e.contains('\n'))
        {
            problems.add(place, "`embedder` is no name");
        }
    }

    pub(crate) fn words(&self) -> Words {
        Words::new(&self.language, &self.stop_words, &self.synonyms)
    }
}
