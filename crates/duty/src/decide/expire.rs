//! What time ends: a grant that nobody used, a request that nobody signed, a case that came to no verdict.

use super::{Desk, Place, Ruled};
use crate::{
    name::CaseId,
    principal::Role,
    record::{ApprovalExpired, CaseLapsed, CaseOutcome, ExceptionSort, GrantExpired},
    refusal::{Code, Refusal},
    request::Expire,
    state::{Approval, Case, Grant},
};

impl Desk<'_> {
    pub(super) fn expire(&mut self, request: &Expire) -> Ruled {
        self.holds(Role::Service)?;
        let id = &request.case;
        let case = self.case(id)?;
        match (&case.grant, &case.approval) {
            (Some(grant), _) => self.expire_grant(id, case, grant),
            (None, Some(approval)) => self.expire_approval(id, case, approval),
            (None, None) => self.lapse(id, case),
        }
    }

    fn expire_grant(&mut self, id: &CaseId, case: &Case, grant: &Grant) -> Ruled {
        if grant.used.is_some() || self.now < grant.expires {
            return Err(nothing_expired());
        }
        let body = GrantExpired {
            request: self.request(),
            grant: grant.id.clone(),
        };
        self.write(Place::case(id, case), Some(Role::Service), Vec::new(), body);
        self.release_threshold(id, case, grant);
        let text = format!("grant `{}` expired unused", grant.id);
        self.raise_in(id, case, ExceptionSort::Expired, text.clone());
        self.close(id, case, CaseOutcome::Expired, text);
        Ok(())
    }

    fn expire_approval(&mut self, id: &CaseId, case: &Case, approval: &Approval) -> Ruled {
        if self.now < approval.expires {
            return Err(nothing_expired());
        }
        let body = ApprovalExpired {
            request: self.request(),
            approval: approval.id.clone(),
        };
        self.write(Place::case(id, case), Some(Role::Service), Vec::new(), body);
        let text = format!(
            "`{}` expired with {} of {} signatures",
            approval.id,
            approval.yes.len(),
            approval.humans
        );
        self.raise_in(id, case, ExceptionSort::Expired, text.clone());
        self.close(id, case, CaseOutcome::Expired, text);
        Ok(())
    }

    /// Ends a case without a verdict: its release is not in force any more, so that nothing more can be decided in it, or an agent
    /// that has recommended nothing has read in it as often as it may, or it was open for longer than its release lets it be.
    /// Where somebody had prepared an action, a human is told.
    fn lapse(&mut self, id: &CaseId, case: &Case) -> Ruled {
        if case.awaits_answer() {
            return Err(Refusal::new(
                Code::WrongState,
                format!("in case `{id}` a call waits for its answer"),
                "wait until its answer, or that there is none, is recorded",
            ));
        }
        let moved = self.state.environments.get(&case.env) != Some(&case.release);
        let (why, clause) = if moved {
            let (env, release) = (&case.env, case.release.short());
            let why =
                format!("environment `{env}` moved on from release {release} before a verdict");
            (why, None)
        } else if case.is_full() {
            let why = format!(
                "{} reads by one agent, and nothing recommended",
                Case::MOST_READS
            );
            (why, None)
        } else {
            let patience = self.rules(case.release)?.team().patience.as_ref();
            let patience = patience.filter(|p| self.now >= p.end(case.opened));
            let patience = patience.ok_or_else(nothing_expired)?;
            let why = format!("no verdict within {} minutes", patience.minutes);
            (why, Some(patience.clause.as_str()))
        };
        let place = Place::case(id, case);
        let clauses = self.cited(&place, clause);
        let body = CaseLapsed {
            request: self.request(),
        };
        self.write(place, Some(Role::Service), clauses, body);
        if case.prepared.is_some() {
            self.raise_in(id, case, ExceptionSort::Expired, why.clone());
        }
        self.close(id, case, CaseOutcome::Lapsed, why);
        Ok(())
    }
}

fn nothing_expired() -> Refusal {
    Refusal::new(
        Code::WrongState,
        "nothing in the case has expired",
        "wait until its expiry",
    )
}
