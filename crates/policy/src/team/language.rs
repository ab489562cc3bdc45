//! Language models in `team.toml`: what is pinned of them, and how they are asked. Addresses and keys are not here: they are
//! the data directory's.

use std::collections::BTreeSet;

use duty::language::{Budget, Language};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The form of an endpoint's requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Chat completions with tools, as OpenAI has them and many others took them over.
    OpenAi,
    /// Messages with tools, as Anthropic has them.
    Anthropic,
}

impl Form {
    /// Its word in `kind`; an endpoint of this name is asked where none is named.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// What the runner says itself in a request.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &[
                "model",
                "messages",
                "tools",
                "parallel_tool_calls",
                "max_tokens",
                "max_completion_tokens",
                "stream",
                "n",
                "functions",
                "function_call",
            ],
            Self::Anthropic => &[
                "model",
                "messages",
                "system",
                "tools",
                "max_tokens",
                "stream",
            ],
        }
    }
}

/// How an agent's language model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguagePlan {
    /// The form.
    pub form: Form,
    /// The name under which it is asked for.
    pub id: String,
    /// The endpoint, as the data directory names it.
    pub endpoint: String,
    /// What is asked beside the messages.
    pub parameters: Map<String, Value>,
    /// The field that bounds the answer.
    pub limit: &'static str,
    /// How long one answer may take.
    pub timeout_seconds: u32,
    /// How often it is told what was wrong before a human decides.
    pub repairs: u32,
    /// Whether a reviewer is shown what was prepared, as data.
    pub shows_proposal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLanguage {
    id: String,
    family: String,
    #[serde(default)]
    answers_as: BTreeSet<String>,
    endpoint: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    max_tokens: u32,
    max_tokens_field: Option<MaxTokens>,
    #[serde(default = "attempts")]
    attempts: u32,
    #[serde(default = "timeout")]
    timeout_seconds: u32,
    #[serde(default = "repairs")]
    repairs: u32,
    #[serde(default)]
    shows_proposal: bool,
    #[serde(default)]
    budget: Budget,
}

/// Endpoints of OpenAI's form differ in this one word.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MaxTokens {
    MaxTokens,
    MaxCompletionTokens,
}

fn attempts() -> u32 {
    4
}

fn timeout() -> u32 {
    120
}

fn repairs() -> u32 {
    2
}

/// The most that may be asked of one answer.
const MOST_TOKENS: u32 = 65_536;

impl WrittenLanguage {
    /// The model as it is pinned, its family, what the core holds of it, and how it is asked; problems are words about it.
    pub(super) fn read(
        self,
        form: Form,
        wrong: &mut dyn FnMut(String),
    ) -> (String, String, Language, LanguagePlan) {
        if self.id.trim().is_empty() {
            wrong("the `id` of its model is empty".to_owned());
        }
        if self.family.is_empty() || self.family.contains('/') || self.family == "rules" {
            wrong(format!(
                "`family` says who made the model, like `openai` or `qwen`; it is not `{}`",
                self.family
            ));
        }
        for own in form.own() {
            if self.parameters.contains_key(*own) {
                wrong(format!(
                    "`parameters` says `{own}`, which the runner sets itself"
                ));
            }
        }
        let mut number = |what: &str, value: u32, most: u32| {
            if !(1..=most).contains(&value) {
                wrong(format!("`{what}` of its model is 1 to {most}"));
            }
        };
        number("max_tokens", self.max_tokens, MOST_TOKENS);
        number("attempts", self.attempts, 10);
        number("timeout_seconds", self.timeout_seconds, 3_600);
        if self.repairs > 5 {
            wrong("`repairs` of its model is at most 5".to_owned());
        }
        let limit = match (form, self.max_tokens_field) {
            (Form::OpenAi, Some(MaxTokens::MaxCompletionTokens)) => "max_completion_tokens",
            (Form::Anthropic, Some(MaxTokens::MaxCompletionTokens)) => {
                wrong("`max_tokens_field` is for endpoints of OpenAI's form".to_owned());
                "max_tokens"
            }
            _ => "max_tokens",
        };
        let mut answers_as = self.answers_as;
        answers_as.insert(self.id.clone());
        let language = Language {
            answers_as,
            parameters: Value::Object(self.parameters.clone()).to_string(),
            max_tokens: self.max_tokens,
            attempts: self.attempts,
            budget: self.budget,
        };
        let plan = LanguagePlan {
            form,
            endpoint: self.endpoint.unwrap_or_else(|| form.word().to_owned()),
            parameters: self.parameters,
            limit,
            timeout_seconds: self.timeout_seconds,
            repairs: self.repairs,
            shows_proposal: self.shows_proposal,
            id: self.id.clone(),
        };
        let model = format!("{}/{}", self.family, self.id);
        (model, self.family, language, plan)
    }
}
