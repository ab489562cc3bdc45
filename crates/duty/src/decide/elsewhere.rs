//! Decisions that were made elsewhere: taken down as such, in a case of their own that ends with them. They authorise nothing.

use super::{Desk, Place, Ruled, cite::in_force, keep::malformed};
use crate::{
    principal::Duty,
    record::{CaseOutcome, DecisionRecorded},
    refusal::{Code, Refusal},
    request::RecordDecision,
    state::Case,
};

/// The longest name of a system or a model, in bytes.
const LONGEST: usize = 128;

impl Desk<'_> {
    pub(super) fn record_decision(&mut self, request: &RecordDecision) -> Ruled {
        let id = &request.case;
        let case = self.case(id)?;
        let rules = self.rules_in_force(case)?;
        let agent = self.agent(rules, id, case, &[Duty::Prepare])?;
        if begun(case) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("case `{id}` is being decided here"),
                "take a decision from elsewhere down in a case of its own",
            ));
        }
        for (what, name) in [("system", &request.system), ("model", &request.model)] {
            if !is_line(name) {
                return Err(malformed(format!(
                    "`{what}` is one line of 1 to {LONGEST} bytes"
                )));
            }
        }
        if request.confidence > 100 {
            return Err(malformed("confidence is at most 100 percent"));
        }
        if request.clauses.is_empty() {
            return Err(Refusal::new(
                Code::BadCitation,
                "no clause is cited",
                "cite at least one clause of the release that the decision rests on",
            ));
        }
        for cited in &request.clauses {
            in_force(rules, cited, self.now)?;
        }
        let digest = match &request.action {
            Some(action) => Some(action.digest().map_err(|e| malformed(e.to_string()))?),
            None => None,
        };
        let body = DecisionRecorded {
            request: self.request(),
            digest,
        };
        let role = agent.duty.role();
        let place = Place::case(id, case);
        self.write(place, Some(role), request.clauses.clone(), body);
        let why = format!(
            "decided elsewhere, by {}: {}",
            request.system,
            request.stance.word()
        );
        self.close(id, case, CaseOutcome::Recorded, why);
        Ok(())
    }
}

fn is_line(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= LONGEST && !name.contains(char::is_control)
}

/// Whether anybody has recommended in the case: what is decided here is not recorded as decided elsewhere.
fn begun(case: &Case) -> bool {
    case.prepared.is_some() || case.approval.is_some() || case.grant.is_some()
}
