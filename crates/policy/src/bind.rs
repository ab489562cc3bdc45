//! `[[bind]]` of `team.toml`: clauses that whoever recommends a tool must cite, and that every retrieval finds.

use duty::release::{RuleHit, Team};
use serde::Deserialize;

use crate::{
    cedar::{Known, condition},
    index::{Indexed, Posed},
    problem::Problems,
    team::TEAM,
};

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenBind {
    tool: String,
    clause: String,
    when: Option<String>,
}

/// A clause that is bound to a tool.
pub(crate) struct Bind {
    tool: String,
    pub(crate) clause: String,
    /// As it is written, and to be evaluated.
    when: Option<(String, Indexed)>,
}

impl Bind {
    pub(crate) fn parse(
        written: WrittenBind,
        team: &Team,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let WrittenBind { tool, clause, when } = written;
        let place = format!("{TEAM} [[bind]] {tool}");
        match team.tools.get(&tool) {
            None => {
                problems.add(&place, format!("`{tool}` is no `[[tool]]`"));
                return None;
            }
            Some(tool) if !tool.effect => {
                problems.add(&place, "has no effect; what is recommended has one");
            }
            Some(_) => {}
        }
        if !(known.has_clause)(&clause) {
            problems.add(
                &place,
                format!("names clause `{clause}`, which no policy document has"),
            );
        }
        let when = match when {
            None => None,
            Some(text) => match condition(&place, &tool, &text, known) {
                Ok(set) => Some((text, set)),
                Err(wrong) => {
                    problems.extend(wrong);
                    return None;
                }
            },
        };
        Some(Self { tool, clause, when })
    }

    /// Whether it is bound to this tool.
    pub(crate) fn is_about(&self, tool: &str) -> bool {
        self.tool == tool
    }

    /// The clause, where it is bound to what is asked of its tool. What cannot be evaluated binds.
    pub(crate) fn hit(&self, posed: &Result<Posed<'_>, String>) -> Option<RuleHit> {
        let why = match (&self.when, posed) {
            (None, _) => "whenever it is recommended".to_owned(),
            (Some((text, _)), Err(why)) => cannot_be_told(text, why),
            (Some((text, set)), Ok(posed)) => {
                let answer = set.answer(posed);
                match answer.faults.first() {
                    Some((_, why)) => cannot_be_told(text, why),
                    None if answer.allowed => format!("where `{text}`"),
                    None => return None,
                }
            }
        };
        Some(RuleHit {
            rule: format!("{TEAM}#bind {} {}", self.tool, self.clause),
            why,
            clause: Some(self.clause.clone()),
        })
    }
}

fn cannot_be_told(condition: &str, why: &str) -> String {
    format!("where `{condition}`, which cannot be told: {why}")
}
