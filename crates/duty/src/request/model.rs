//! Calls of language models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    language::Tokens,
    name::{CaseId, ItemId},
};

/// Ask the language model that an agent runs on. It is recorded before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallModel {
    /// In which case.
    pub case: CaseId,
    /// The model, as the release pins it.
    pub model: String,
    /// SHA-256 of the prompt that the agent runs on.
    pub prompt: Digest,
    /// What is asked beside the messages: JSON text.
    pub parameters: String,
    /// Commitment to the body, byte for byte as it is sent.
    pub snapshot: Digest,
    /// The body's length in bytes.
    pub bytes: u32,
    /// The how manieth time the question is sent, from 1.
    pub attempt: u32,
    /// How many values of each kind were put out of what is sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, u32>,
}

/// What came of a call of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelResult {
    /// It said a next step, in the form that was asked for.
    Usable,
    /// It said something else.
    Malformed,
    /// The endpoint answered that it does not answer.
    Refused,
    /// It certainly was not sent.
    Unsent,
    /// No answer came.
    Lost,
}

impl ModelResult {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Lost => "lost",
        }
    }

    /// Whether the model said nothing, so that the same question may be sent again.
    #[must_use]
    pub fn failed(self) -> bool {
        match self {
            Self::Usable | Self::Malformed => false,
            Self::Refused | Self::Unsent | Self::Lost => true,
        }
    }
}

/// What a language model answered, or that it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerModel {
    /// The recorded call, `<case>.m<n>`.
    pub call: ItemId,
    /// What came of it.
    pub result: ModelResult,
    /// Commitment to the body of the answer, where one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// The name under which the model answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens that the endpoint counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The status of the HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From sending to the whole answer.
    pub latency_ms: u32,
    /// Why it is not usable; no personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
