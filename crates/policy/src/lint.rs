//! What is allowed in a release and still looks like a mistake.

use std::collections::BTreeSet;

use duty::{principal::Duty, release::Rules, time::Time};

use crate::{Query, Release};

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many of the best hits a citation must be among.
const TOP: usize = 8;

/// Looks a release over.
#[must_use]
pub fn lint(release: &Release) -> Vec<Finding> {
    let mut findings = Vec::new();
    let at = settled(release);
    for agent in &release.team().agents {
        for row in release.rows(&agent.id) {
            let query = Query {
                text: &row.query,
                vector: None,
                at,
            };
            let found = match release.search(&query, TOP) {
                Ok(found) => found,
                Err(why) => {
                    findings.push(Finding(format!(
                        "the query of row `{}` of `{}` cannot be searched: {why}; run `policy embed`",
                        row.row, agent.id
                    )));
                    continue;
                }
            };
            for cited in &row.cite {
                if !found.iter().any(|f| f.clause.id == *cited) {
                    findings.push(Finding(format!(
                        "row `{}` of `{}` cites {cited}, which its query does not find among the best {TOP}",
                        row.row, agent.id
                    )));
                }
            }
        }
        if agent.duty == Duty::Execute
            && release
                .agent(&agent.id)
                .is_some_and(|p| !p.reads.is_empty())
        {
            findings.push(Finding(format!(
                "`{}` executes and lists reads, which nothing makes",
                agent.id
            )));
        }
    }
    let untyped = release.untyped();
    let some_typed = untyped.len() < release.team().tools.len();
    if some_typed && !untyped.is_empty() {
        findings.push(Finding(format!(
            "no rule is validated against types, for want of those of {}: declare `args`, and `facts` as a table",
            untyped.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ")
        )));
    }
    findings.extend(permitted(release));
    findings
}

/// A moment at which the newest edition of every document is in force that ever will be.
fn settled(release: &Release) -> Time {
    let starts = release.clauses().iter().map(|c| c.from);
    starts.max().unwrap_or(Time::EPOCH)
}

/// Permission sets against duties: who is permitted what nobody of that duty can use, and what nobody is permitted.
fn permitted(release: &Release) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A tool without effect may be there for the engine, to look up an outcome.
    let effects = release.team().tools.iter().filter(|(_, tool)| tool.effect);
    let mut unused: BTreeSet<_> = effects.map(|(id, _)| id).collect();
    for agent in &release.team().agents {
        let Some(set) = release.permission_set(&agent.id) else {
            continue;
        };
        for rule in set.rules().filter(|r| !r.forbids) {
            unused.retain(|tool| !rule.is_about(tool));
            if let Some(other) = rule.agent().filter(|a| *a != agent.id.as_str()) {
                findings.push(Finding(format!(
                    "`{}` permits `{other}`, and the set is `{}`'s: it never speaks",
                    rule.name, agent.id
                )));
            }
            let effects = release.team().tools.iter().filter(|(_, tool)| tool.effect);
            for (tool, _) in effects.filter(|(id, _)| rule.names(id)) {
                if agent.duty != Duty::Execute {
                    findings.push(Finding(format!(
                        "`{}` permits `{tool}`, which has an effect, to `{}`, who does not execute",
                        rule.name, agent.id
                    )));
                }
            }
        }
    }
    let unused = unused.into_iter();
    findings.extend(unused.map(|tool| Finding(format!("`{tool}` is permitted to nobody"))));
    findings
}
