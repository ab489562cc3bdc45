//! Language models: what a release pins of one, and what is counted of its calls.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{name::PrincipalId, request::ModelResult, time::Time};

/// A language model that an agent of the team runs on, as the release pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// The names under which an endpoint may answer: another one is another model.
    pub answers_as: BTreeSet<String>,
    /// What is asked of it beside the messages: JSON text, as the release has it.
    pub parameters: String,
    /// The most tokens that one answer may have.
    pub max_tokens: u32,
    /// How often one question is sent at most, counting the first time.
    pub attempts: u32,
    /// What its calls may come to.
    pub budget: Budget,
}

/// What a model's calls may come to; what is not set has no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Calls of the agent in one case.
    pub case_calls: Option<u32>,
    /// Tokens of them, in and out.
    pub case_tokens: Option<u64>,
    /// Calls of the agent in one day (UTC) and environment.
    pub day_calls: Option<u32>,
    /// Tokens of them, in and out.
    pub day_tokens: Option<u64>,
}

/// Tokens of one call, as the endpoint counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Of what was sent.
    pub input: u32,
    /// Of what came back.
    pub output: u32,
}

/// A call to a model in a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCall {
    /// By whom.
    pub agent: PrincipalId,
    /// When.
    pub time: Time,
    /// How often the question had been sent, this time included.
    pub attempt: u32,
    /// What it counts for while nobody knows better.
    pub reserved: u64,
    /// What came back.
    pub answer: Option<ModelHeard>,
}

/// What came back from a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelHeard {
    /// What it is good for.
    pub result: ModelResult,
    /// Commitment to its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<crate::canonical::Digest>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether another model answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drifted: bool,
    /// The tokens that it counts for.
    pub spent: u64,
}

impl ModelHeard {
    /// Whether a recommendation may rest on it.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.result == ModelResult::Usable && !self.drifted
    }
}

impl ModelCall {
    /// What it counts for.
    #[must_use]
    pub fn counts(&self) -> u64 {
        self.answer.as_ref().map_or(self.reserved, |a| a.spent)
    }
}

/// What an agent's calls to its model came to on the last day that it made one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The day: whole days since 1970, UTC.
    pub day: i64,
    /// Calls.
    pub calls: u32,
    /// Tokens; what has no answer yet counts for what it may come to.
    pub tokens: u64,
}

impl Spent {
    /// The day of a moment.
    #[must_use]
    pub fn day_of(time: Time) -> i64 {
        time.millis().div_euclid(86_400_000)
    }

    /// What counts on this day.
    #[must_use]
    pub fn on(self, day: i64) -> Self {
        if self.day == day {
            self
        } else {
            Self {
                day,
                ..Self::default()
            }
        }
    }
}

/// What a call may come to before its answer is there: all tokens that its answer may have, and one for each four bytes
/// of the question, begun ones included.
#[must_use]
pub fn reserve(max_tokens: u32, bytes: u32) -> u64 {
    u64::from(max_tokens) + u64::from(bytes.div_ceil(4))
}
