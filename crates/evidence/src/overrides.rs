//! Overrides, measured: how often humans decided against each agent, in which direction, for which reason, and under which
//! clauses. Read from the records alone, over the whole log.

use std::collections::BTreeMap;

use duty::{
    name::{CaseId, PrincipalId},
    record::{Body, Record},
    request::{Request, Stance},
    statement::Choice,
};
use ledger::Source;
use serde::Serialize;

use crate::{EvidenceError, reader};

/// What came of an agent's recommendations, or of those that cite one clause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Recommendations to proceed.
    pub proceed: u64,
    /// Recommendations to refuse.
    pub refuse: u64,
    /// Recommendations to let a human decide: nobody can go against them.
    pub refer: u64,
    /// Humans said no where it recommended to proceed.
    pub rejected: u64,
    /// Humans said yes where it recommended to refuse.
    pub approved: u64,
    /// How often, by reason code; `none` where the release asked for no code.
    pub codes: BTreeMap<String, u64>,
}

impl Tally {
    /// All recommendations.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.proceed + self.refuse + self.refer
    }

    /// All that were overridden.
    #[must_use]
    pub fn overridden(&self) -> u64 {
        self.rejected + self.approved
    }
}

/// An agent's recommendations, in all and by cited clause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentOverrides {
    /// All of them.
    #[serde(flatten)]
    pub all: Tally,
    /// Those that cite a clause; one that cites several counts under each.
    pub clauses: BTreeMap<String, Tally>,
}

/// Overrides over a whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overrides {
    /// Records that were read.
    pub size: u64,
    /// By agent.
    pub agents: BTreeMap<PrincipalId, AgentOverrides>,
}

/// What one agent said in a case that is under way.
struct Said {
    agent: PrincipalId,
    stance: Stance,
    clauses: Vec<String>,
}

/// Counts overrides; takes the records in order.
#[derive(Default)]
struct Counter {
    open: BTreeMap<CaseId, Vec<Said>>,
    found: Overrides,
}

impl Counter {
    fn take(&mut self, record: &Record) {
        self.found.size = record.seq + 1;
        let Some(case) = &record.case else { return };
        match (&record.body, record.body.request()) {
            (Body::RecommendationMade(_), Some(Request::Recommend(made))) => {
                let mut clauses: Vec<_> = made.clauses.iter().map(|c| c.id.clone()).collect();
                clauses.sort();
                clauses.dedup();
                let said = Said {
                    agent: record.actor.id.clone(),
                    stance: made.stance,
                    clauses,
                };
                self.count(&said, |tally| match said.stance {
                    Stance::Proceed => tally.proceed += 1,
                    Stance::Refuse => tally.refuse += 1,
                    Stance::Refer => tally.refer += 1,
                });
                self.open.entry(case.clone()).or_default().push(said);
            }
            (Body::OverrideRecorded(body), _) => {
                let code = body.code.as_ref().map_or("none", |code| code.as_str());
                // One case is overridden once: several may say the same yes, and it is one decision.
                let said = self.open.remove(case).unwrap_or_default();
                for said in &said {
                    let against = match body.decision {
                        Choice::Approve => said.stance == Stance::Refuse,
                        Choice::Reject => said.stance == Stance::Proceed,
                    };
                    if against {
                        self.count(said, |tally| {
                            match body.decision {
                                Choice::Approve => tally.approved += 1,
                                Choice::Reject => tally.rejected += 1,
                            }
                            *tally.codes.entry(code.to_owned()).or_default() += 1;
                        });
                    }
                }
            }
            (Body::CaseClosed(_), _) => {
                self.open.remove(case);
            }
            _ => {}
        }
    }

    fn count(&mut self, said: &Said, add: impl Fn(&mut Tally)) {
        let agent = self.found.agents.entry(said.agent.clone()).or_default();
        add(&mut agent.all);
        for clause in &said.clauses {
            add(agent.clauses.entry(clause.clone()).or_default());
        }
    }
}

/// Measures the overrides of a log.
///
/// # Errors
/// What cannot be read.
pub fn overrides(source: &dyn Source) -> Result<Overrides, EvidenceError> {
    let mut counter = Counter::default();
    reader::for_each_record(source, 0, &mut |record| {
        counter.take(record);
        Ok(())
    })?;
    Ok(counter.found)
}
