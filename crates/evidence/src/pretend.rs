//! Other rules in a release's place: what would have been decided under them.

use std::collections::BTreeMap;

use duty::{
    canonical::Digest,
    release::{Ask, ClauseRef, Hearing, Near, Permission, RiskFinding, Rules, Team, Threshold},
};
use policy::Release;

/// The rules of one release under the names of another.
///
/// Whatever only says *which* release it is stays as it was recorded: its digest, the models that agents are pinned to,
/// the digests of clauses with the same id, and the digests of thresholds with the same id, which so count as signed.
/// What is asked of the rules is answered by the other release. So only verdicts differ.
pub(crate) struct Pretend<'a> {
    rules: &'a Release,
    digest: Digest,
    team: Team,
    thresholds: Vec<(Threshold, Digest)>,
    clauses: BTreeMap<String, ClauseRef>,
}

impl<'a> Pretend<'a> {
    /// `rules` in the place of `recorded`.
    pub(crate) fn new(rules: &'a Release, recorded: &Release) -> Self {
        let mut team = rules.team().clone();
        for agent in &mut team.agents {
            if let Some(was) = recorded.team().agent(&agent.id) {
                agent.model.clone_from(&was.model);
            }
        }
        let thresholds = rules.thresholds().iter().map(|(threshold, digest)| {
            let was = recorded
                .thresholds()
                .iter()
                .find(|(t, _)| t.id == threshold.id);
            (
                threshold.clone(),
                was.map_or(*digest, |(_, digest)| *digest),
            )
        });
        let clauses = rules.clauses().iter().filter_map(|clause| {
            let id = clause.id.as_str();
            let known = recorded.clause(id).or_else(|| rules.clause(id))?;
            Some((id.to_owned(), known.clone()))
        });
        Self {
            rules,
            digest: recorded.digest(),
            team,
            thresholds: thresholds.collect(),
            clauses: clauses.collect(),
        }
    }
}

impl Rules for Pretend<'_> {
    fn digest(&self) -> Digest {
        self.digest
    }
    fn team(&self) -> &Team {
        &self.team
    }
    fn thresholds(&self) -> &[(Threshold, Digest)] {
        &self.thresholds
    }
    fn clause(&self, id: &str) -> Option<&ClauseRef> {
        self.clauses.get(id)
    }
    fn permission(&self, ask: &Ask<'_>) -> Permission {
        self.rules.permission(ask)
    }
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding {
        self.rules.risk(ask)
    }
    fn in_scope(&self, threshold: &Threshold, ask: &Ask<'_>) -> Result<bool, String> {
        self.rules.in_scope(threshold, ask)
    }
    fn step_holds(&self, step: usize, ask: &Ask<'_>) -> bool {
        self.rules.step_holds(step, ask)
    }
    fn near(&self, ask: &Ask<'_>) -> Vec<Near> {
        self.rules.near(ask)
    }
    fn hear<'q>(&'q self, ask: &Ask<'q>) -> Option<Box<dyn Hearing + 'q>> {
        self.rules.hear(ask)
    }
}
