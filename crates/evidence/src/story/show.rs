//! The story as text.

use std::fmt;

use duty::release::RuleHit;

use super::{Event, Signature, Story, What};
use crate::words::list;

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Case {} about {}", self.case, self.subject)?;
        writeln!(f, "environment {}, release {}", self.env, self.release)?;
        writeln!(f, "{}", self.outcome.map_or("under way", |o| o))?;
        for event in &self.events {
            writeln!(f)?;
            event.fmt(f)?;
        }
        if !self.clauses.is_empty() {
            writeln!(f, "\nClauses relied on, in the words of the release")?;
        }
        for (id, clause) in &self.clauses {
            writeln!(
                f,
                "\n{id} {} ({}, edition {}, digest {})",
                clause.title, clause.document, clause.version, clause.digest
            )?;
            clause
                .text
                .lines()
                .try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        if !self.exceptions.is_empty() {
            writeln!(f, "\nExceptions")?;
        }
        for e in &self.exceptions {
            writeln!(f, "\n{} {} ({}): {}", e.raised, e.id, e.sort, e.text)?;
            match &e.triage {
                Some(t) => writeln!(f, "    triaged by {} at {}: {}", t.by, t.time, t.finding)?,
                None => writeln!(f, "    waits for triage")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} #{} {} by {}",
            self.time, self.seq, self.kind, self.actor
        )?;
        if let Some(role) = self.role {
            write!(f, " as {role}")?;
        }
        if let Some(owner) = &self.owner {
            write!(f, " (owner {owner})")?;
        }
        writeln!(f, "\n    {}", self.text)?;
        match &self.what {
            What::Opened { snapshot } => writeln!(f, "    source {snapshot}")?,
            What::Called { action, rule, .. } => {
                arguments(f, &action.arguments)?;
                hit(f, rule)?;
            }
            What::Answered {
                snapshot, facts, ..
            } => {
                if let Some(snapshot) = snapshot {
                    writeln!(f, "    answer {snapshot}")?;
                }
                for (path, value) in facts {
                    writeln!(f, "    {path} = {value}")?;
                }
            }
            What::Retrieved { found, .. } => {
                for (id, score) in found {
                    writeln!(f, "    {id} ({score} thousandths)")?;
                }
            }
            What::Recommended {
                model,
                action,
                digest,
                inputs,
                ..
            } => {
                writeln!(f, "    model {model}")?;
                if let (Some(action), Some(digest)) = (action, digest) {
                    writeln!(f, "    action {} {digest}", action.tool)?;
                    arguments(f, &action.arguments)?;
                }
                inputs.iter().try_for_each(|i| writeln!(f, "    saw {i}"))?;
            }
            What::Judged { reasons, .. } => reasons.iter().try_for_each(|r| hit(f, r))?,
            What::Covered {
                digest, signed_by, ..
            } => {
                writeln!(f, "    threshold digest {digest}")?;
                signed_by.iter().try_for_each(|s| signature(f, s))?;
            }
            What::Signed { signature: s, .. } => signature(f, s)?,
            What::Executed { action, rule, .. } => {
                arguments(f, &action.arguments)?;
                hit(f, rule)?;
            }
            What::Resulted {
                snapshot: Some(snapshot),
                ..
            } => writeln!(f, "    answer {snapshot}")?,
            What::Resulted { .. }
            | What::Asked { .. }
            | What::Granted { .. }
            | What::Refused { .. }
            | What::Noted => {}
        }
        if !self.clauses.is_empty() {
            let clauses: Vec<_> = self.clauses.iter().map(String::as_str).collect();
            writeln!(f, "    clauses {}", list(&clauses))?;
        }
        Ok(())
    }
}

fn arguments(
    f: &mut fmt::Formatter<'_>,
    arguments: &serde_json::Map<String, serde_json::Value>,
) -> fmt::Result {
    arguments
        .iter()
        .try_for_each(|(name, value)| writeln!(f, "    {name} = {value}"))
}

fn hit(f: &mut fmt::Formatter<'_>, hit: &RuleHit) -> fmt::Result {
    let clause = hit
        .clause
        .as_ref()
        .map(|c| format!(" [{c}]"))
        .unwrap_or_default();
    writeln!(f, "    rule {}{clause}: {}", hit.rule, hit.why)
}

fn signature(f: &mut fmt::Formatter<'_>, s: &Signature) -> fmt::Result {
    let verified = if s.verified {
        "verified"
    } else {
        "NOT the signer's"
    };
    writeln!(
        f,
        "    signed by {} with {} in record {}: signature {verified}",
        s.signer, s.credential, s.seq
    )
}
