//! Who must sign what: stages of humans, reminders, actions that always need a human, and the reasons that an override may
//! have. A release says all of it; here is its form.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    name::{Attribute, Course, ReasonCode, StageName},
    principal::Role,
    release::Pace,
};

/// Attributes of a principal, or those that are asked of one: each name with its one value.
pub type Attributes = BTreeMap<Attribute, String>;

/// The longest value of an attribute, in bytes.
pub const LONGEST_VALUE: usize = 64;

/// Whether a value can stand for itself in a line: short, not empty, without control characters or space at its ends.
///
/// # Errors
/// What is wrong with it.
pub fn check_value(value: &str) -> Result<(), String> {
    let fine = !value.is_empty()
        && value.len() <= LONGEST_VALUE
        && value.trim() == value
        && !value.chars().any(char::is_control);
    if fine {
        return Ok(());
    }
    Err(format!(
        "`{}` is no value of an attribute: 1 to {LONGEST_VALUE} bytes in one line, without space at its ends",
        value.escape_debug()
    ))
}

/// Attributes in words, like `department = finance`.
#[must_use]
pub fn words(attributes: &Attributes) -> String {
    let each = attributes
        .iter()
        .map(|(name, value)| format!("{name} = {value}"));
    each.collect::<Vec<_>>().join(", ")
}

/// Some of those who must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name; none where the quorum has one stage only.
    pub name: Option<StageName>,
    /// How many distinct humans; at least one.
    pub humans: u32,
    /// The role that each must hold.
    pub role: Role,
    /// The attributes that each must carry.
    pub attributes: Attributes,
    /// The course that each must be certified in.
    pub certification: Course,
    /// The clause that asks for it.
    pub clause: String,
}

impl Stage {
    /// Who may sign, in words, like `approver with department = finance`.
    #[must_use]
    pub fn who(&self) -> String {
        if self.attributes.is_empty() {
            return self.role.word().to_owned();
        }
        format!("{} with {}", self.role.word(), words(&self.attributes))
    }
}

/// In which order stages are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// A stage is open when those before it are complete.
    #[default]
    Sequential,
    /// All are open at once.
    Parallel,
}

impl Order {
    /// The word used in releases.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Parallel => "parallel",
        }
    }
}

/// Who is told when nobody signs for long. It lowers no quorum: whoever is told can sign only what they could sign before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// After how many minutes.
    pub minutes: u32,
    /// The role of whoever is told.
    pub role: Role,
    /// Their attributes.
    pub attributes: Attributes,
}

/// Who must sign an action of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
    /// In which order they are signed.
    pub order: Order,
    /// How long the request stands, in minutes.
    pub expires_minutes: u32,
    /// How soon a yes may come; none does not ask.
    pub pace: Option<Pace>,
    /// The clause that asks for it.
    pub clause: String,
    /// After how many minutes those who may sign are reminded.
    pub remind_minutes: Option<u32>,
    /// Who is told when that did not help.
    pub escalation: Option<Escalation>,
}

impl Quorum {
    /// A quorum of one stage, with nobody reminded.
    #[must_use]
    pub fn of_one(stage: Stage, expires_minutes: u32) -> Self {
        Self {
            clause: stage.clause.clone(),
            stages: vec![stage],
            order: Order::default(),
            expires_minutes,
            pace: None,
            remind_minutes: None,
            escalation: None,
        }
    }

    /// How many distinct humans, over all stages.
    #[must_use]
    pub fn humans(&self) -> u32 {
        let each = self.stages.iter().map(|s| s.humans);
        each.fold(0, u32::saturating_add)
    }
}

/// An action that always needs a human, whatever its risk and whatever thresholds say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HumanStep {
    /// The tool.
    pub tool: String,
    /// A Cedar condition over the action and the facts; none means always.
    pub when: Option<String>,
    /// How many distinct humans at least; at least one.
    pub humans: u32,
    /// The clause that asks for it.
    pub clause: String,
}

/// The reasons for which a human may decide against the agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrides {
    /// Each by its code.
    pub codes: BTreeSet<ReasonCode>,
    /// The clause that asks for one.
    pub clause: String,
}
