//! Replays in words.

use std::fmt;

use serde_json::Value;

use super::{
    Asked, Difference, Verdict,
    live::{Live, Outcome},
};
use crate::model::{Said, Step};

/// A step on one line.
pub(super) fn step(step: &Step) -> String {
    match step {
        Step::Call(action) => format!("calls {}", call(&action.tool, &action.arguments)),
        Step::Retrieve(query) => format!("looks for `{query}`"),
        Step::Recommend(said) => recommends(said),
        Step::Escalate(why) => format!("refers the case to a human: {why}"),
    }
}

/// What an answer says, a line each.
pub(super) fn says(said: &Result<Vec<Step>, String>) -> Vec<String> {
    match said {
        Ok(steps) => steps.iter().map(step).collect(),
        Err(problem) => vec![format!("nothing that can be used: {problem}")],
    }
}

fn recommends(said: &Said) -> String {
    let clauses: Vec<_> = said.clauses.iter().map(|c| c.id.as_str()).collect();
    let action = said.action.as_ref();
    let action = action.map(|a| format!(" {}", call(&a.tool, &a.arguments)));
    let stance = serde_json::to_value(said.stance);
    let stance = stance.ok().and_then(|s| s.as_str().map(str::to_owned));
    format!(
        "recommends to {}{} ({} %), citing {}: {}",
        stance.unwrap_or_default(),
        action.unwrap_or_default(),
        said.confidence,
        clauses.join(", "),
        said.rationale
    )
}

fn call(tool: &str, arguments: &serde_json::Map<String, Value>) -> String {
    let arguments: Vec<_> = arguments.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("{tool}({})", arguments.join(", "))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("the same"),
            Self::Differs { differences } => {
                f.write_str("DIFFERENT")?;
                differences.iter().try_for_each(|d| write!(f, "\n{d}"))
            }
            Self::Damaged { why } => write!(f, "DAMAGED: {why}"),
            Self::NotTaken { due } => {
                write!(f, "not taken, since the run or the log ends there: {due}")
            }
            Self::NotHere { what, erased: None } => {
                write!(f, "not possible: {what} is not here, or its key")
            }
            Self::NotHere {
                what,
                erased: Some(record),
            } => write!(f, "not possible: {what} was erased under record {record}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = |f: &mut fmt::Formatter<'_>, what: &str, value: &Value| {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let mut lines = text.lines();
            write!(
                f,
                "\n            {what} {}",
                lines.next().unwrap_or("(nothing)")
            )?;
            lines.try_for_each(|line| write!(f, "\n                     {line}"))
        };
        write!(f, "        {}:", self.what)?;
        block(f, "recorded", &self.recorded)?;
        block(f, "again   ", &self.again)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} #{} {}: {} asks {}, attempt {}",
            self.time, self.seq, self.call, self.agent, self.model, self.attempt
        )?;
        writeln!(f, "    question made again: {}", self.question)?;
        match (&self.heard, &self.answer) {
            (None, _) => writeln!(f, "    no answer is recorded")?,
            (Some(heard), None) => writeln!(f, "    {}: no answer came", heard.result.word())?,
            (Some(heard), Some(answer)) => {
                let tokens = heard.tokens.map(|(i, o)| format!(", {i} + {o} tokens"));
                writeln!(
                    f,
                    "    {}{}, {} ms",
                    heard.result.word(),
                    tokens.unwrap_or_default(),
                    heard.latency_ms
                )?;
                writeln!(f, "    answer read again: {answer}")?;
            }
        }
        self.says
            .iter()
            .try_for_each(|line| writeln!(f, "        {line}"))?;
        write!(f, "    what followed: {}", self.then)
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} asks {}", self.call, self.agent, self.model)?;
        outcome(f, "recorded", &self.then)?;
        outcome(f, "live", &self.now)?;
        match self.failed() {
            true => write!(f, "    not compared: no answer came"),
            false => write!(f, "    what it says to do: {}", self.verdict),
        }
    }
}

fn outcome(f: &mut fmt::Formatter<'_>, which: &str, outcome: &Outcome) -> fmt::Result {
    let tokens = outcome.tokens.map(|(i, o)| format!(", {i} + {o} tokens"));
    let by = outcome.model.as_ref().map(|name| format!(" by {name}"));
    writeln!(
        f,
        "    {which}: {}{}{}, {} ms",
        outcome.result.word(),
        by.unwrap_or_default(),
        tokens.unwrap_or_default(),
        outcome.latency_ms
    )?;
    let mut lines = outcome.says.iter();
    lines.try_for_each(|line| writeln!(f, "        {line}"))
}
