//! What is allowed in a release and still looks like a mistake.

use duty::{principal::Duty, release::Rules};

use crate::Release;

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
    for agent in &release.team().agents {
        for row in release.rows(&agent.id) {
            let found = release.search(&row.query, TOP).unwrap_or_default();
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
    findings
}
