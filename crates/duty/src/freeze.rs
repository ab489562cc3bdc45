//! Freezes: the out-of-band stop for one agent, one team, one tool, or everything.

use serde::{Deserialize, Serialize};

use crate::{name::PrincipalId, release::Team, state::State};

/// What a freeze stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase", deny_unknown_fields)]
pub enum Scope {
    /// All agents, and cases that would open.
    Everything,
    /// One agent, and those that act for it.
    Agent {
        /// Which.
        agent: PrincipalId,
    },
    /// The agents of every release of a team, and cases that would open under one.
    Team {
        /// Its name, as in `team.toml`.
        team: String,
    },
    /// One tool, for whoever would call it.
    Tool {
        /// `<server>.<tool>`.
        tool: String,
    },
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Agent { agent } => write!(f, "agent `{agent}`"),
            Self::Team { team } => write!(f, "team `{team}`"),
            Self::Tool { tool } => write!(f, "tool `{tool}`"),
        }
    }
}

/// What is about to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step<'a> {
    /// Under which team.
    pub team: Option<&'a Team>,
    /// By which agent.
    pub agent: Option<&'a PrincipalId>,
    /// With which tool.
    pub tool: Option<&'a str>,
}

impl State {
    /// The freeze that stops a step, with the record that placed it; the oldest where there are more.
    #[must_use]
    pub fn frozen(&self, step: Step<'_>) -> Option<(u64, &crate::state::Freeze)> {
        self.freezes
            .iter()
            .find(|(_, freeze)| match &freeze.scope {
                Scope::Everything => true,
                Scope::Agent { agent } => step
                    .agent
                    .is_some_and(|id| self.line(id).any(|one| one == agent)),
                Scope::Team { team } => step.team.is_some_and(|t| t.name == *team),
                Scope::Tool { tool } => step.tool == Some(tool),
            })
            .map(|(record, freeze)| (*record, freeze))
    }
}
