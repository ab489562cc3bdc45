//! Taking a yes back, until the grant is used. A grant that fewer stand behind than must is void, and the case waits again.

use super::{Desk, Place, Ruled, approve::quorum, keep::needs_reason};
use crate::{
    name::CaseId,
    principal::Role,
    record::{ApprovalWithdrawn, Basis, GrantVoided},
    refusal::{Code, Refusal},
    state::{Approval, Case},
    statement::{Signed, WithdrawalStatement},
};

impl Desk<'_> {
    pub(super) fn withdraw(&mut self, request: &Signed<WithdrawalStatement>) -> Ruled {
        self.signed(request)?;
        let s = &request.statement;
        let (id, case) = self.item_case(&s.approval)?;
        let approval = case.approval.as_ref().filter(|a| a.id == s.approval);
        let approval = approval.ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("nobody asked for approval `{}`", s.approval),
                "name a request that waits; `approval list` shows them",
            )
        })?;
        if s.action != approval.digest {
            return Err(Refusal::new(
                Code::WrongBinding,
                "what was signed is about another action",
                "look at the request again, and sign what it asks",
            ));
        }
        if case.grant.as_ref().is_some_and(|g| g.used.is_some()) {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "what `{}` asked for is being done: its grant was used",
                    approval.id
                ),
                "a yes is taken back before its grant is used; `freeze` stops what comes next",
            ));
        }
        let given = approval.yes.iter().position(|yes| yes.is_of(&s.signer));
        let given = given.ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("`{}` has no yes of theirs in `{}`", s.signer, approval.id),
                "take back what you signed, or what was signed in your name",
            )
        })?;
        needs_reason(&s.reason)?;
        let mut left = approval.clone();
        left.yes.remove(given);
        self.take_withdrawal(&id, case, &left, request);
        Ok(())
    }

    fn take_withdrawal(
        &mut self,
        id: &CaseId,
        case: &Case,
        left: &Approval,
        request: &Signed<WithdrawalStatement>,
    ) {
        // Where the rules are not there to be asked nobody stands behind anything.
        let tally = self.rules(case.release).ok().and_then(|rules| {
            let quorum = quorum(rules, left).ok()?;
            Some(self.tally(rules, case, left, quorum))
        });
        let have = tally.as_ref().map_or(0, |t| t.have());
        let stands = tally.is_some_and(|t| t.complete());
        let place = Place::case(id, case);
        let body = ApprovalWithdrawn {
            request: self.request(),
            have,
            need: left.humans,
        };
        self.write(place, Some(Role::Approver), Vec::new(), body);
        let on_it = case.grant.as_ref();
        let on_it = on_it.filter(|g| matches!(g.basis, Basis::Approval { .. }));
        if let Some(grant) = on_it.filter(|_| !stands) {
            let body = GrantVoided {
                grant: grant.id.clone(),
                why: format!(
                    "`{}` took a yes back, and {have} of {} are left",
                    request.statement.signer, left.humans
                ),
            };
            self.write(place, None, Vec::new(), body);
        }
    }
}
