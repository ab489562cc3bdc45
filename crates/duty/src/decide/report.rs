//! Effects that whoever uses the grant carries out: the record of the use comes first, the report of what came of it after.
//!
//! A report is the executor's word, as an answer is the target's. Until it comes the action counts as done, so that nothing
//! can do it twice; where it does not come in time the outcome is unknown, and stays so until the same executor says more.

use super::{Desk, Ruled};
use crate::{
    principal::{Duty, Role},
    refusal::{Code, Refusal},
    release::Rules,
    request::{FoundBy, Outcome, RecordOutcome},
    state::Case,
    time::Time,
};

impl Desk<'_> {
    /// When whoever uses a grant now must have said what came of it: as long from its use as a grant stands unused.
    pub(super) fn report_by(&self, rules: &dyn Rules) -> Time {
        self.now.plus_minutes(rules.team().grant_minutes)
    }

    /// In which role the principal may say what came of a grant: the platform, or the very executor that used it and was to
    /// carry the effect out.
    pub(super) fn reports(&self, case: &Case, request: &RecordOutcome) -> Ruled<Role> {
        if request.found_by != FoundBy::Caller {
            self.holds(Role::Service)?;
            return Ok(Role::Service);
        }
        let actor = &self.submission.principal;
        let carried_out = case.grant.as_ref().is_some_and(|g| g.report_by.is_some());
        if carried_out && case.parts.contains(&(Duty::Execute, actor.clone())) {
            return Ok(Role::Executor);
        }
        Err(Refusal::new(
            Code::NotYourDuty,
            format!(
                "`{actor}` did not carry out the effect of `{}`",
                request.grant
            ),
            "let the executor that used the grant report, for a tool whose effect is its caller's",
        ))
    }
}

/// What may be said of an effect that the user of its grant carries out.
pub(super) fn reported_in_turn(case: &Case, request: &RecordOutcome, overdue: bool) -> bool {
    match (case.outcome, request.outcome, request.found_by) {
        (None, _, FoundBy::Caller) => true,
        (None, Outcome::Unknown, FoundBy::Overdue) => overdue,
        (
            Some(Outcome::Unknown),
            Outcome::Succeeded | Outcome::Failed,
            FoundBy::Caller | FoundBy::Lookup,
        ) => true,
        _ => false,
    }
}
