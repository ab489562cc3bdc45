//! Reminding and escalating: time has passed and nobody signed. Both are told once, name whom they went to, and change
//! nothing of who must sign.

use super::{
    Desk, Place, Ruled,
    approve::{quorum, waiting},
    stages::lacks,
};
use crate::{
    name::PrincipalId,
    principal::{PrincipalKind, Role},
    quorum::Escalation,
    record::{ApprovalEscalated, ApprovalReminded, ExceptionSort},
    refusal::{Code, Refusal},
    request::NoteWaiting,
};

impl Desk<'_> {
    pub(super) fn note_waiting(&mut self, request: &NoteWaiting) -> Ruled {
        self.holds(Role::Service)?;
        let (id, case) = self.item_case(&request.approval)?;
        let approval = waiting(case, &request.approval)?;
        let rules = self.rules_in_force(case)?;
        if self.now >= approval.expires {
            return Err(Refusal::new(
                Code::Expired,
                format!("`{}` expired at {}", approval.id, approval.expires),
                "let it expire",
            ));
        }
        let quorum = quorum(rules, approval)?;
        let due = |at: Option<crate::time::Time>| at.is_some_and(|at| self.now >= at);
        let place = Place::case(&id, case);
        let clauses = self.cited(&place, [quorum.clause.as_str()]);
        if due(approval.remind) {
            let could = self.could_sign(rules, &id, case, approval, quorum);
            let body = ApprovalReminded {
                to: could.into_iter().map(|(who, _)| who.clone()).collect(),
                request: self.request(),
            };
            self.write(place, Some(Role::Service), clauses, body);
            return Ok(());
        }
        let escalation = quorum.escalation.as_ref();
        let Some(escalation) = escalation.filter(|_| due(approval.escalate)) else {
            return Err(Refusal::new(
                Code::WrongState,
                format!("nobody is to be told of `{}` now", approval.id),
                "wait until a reminder or an escalation is due",
            ));
        };
        let to = self.told(escalation);
        let have = self.tally(rules, case, approval, quorum).have();
        let names: Vec<_> = to.iter().map(|who| format!("`{who}`")).collect();
        let text = format!(
            "`{}` waits since {} with {have} of {} signatures; told: {}",
            approval.id,
            approval.asked,
            approval.humans,
            if names.is_empty() {
                "nobody, since nobody fits".to_owned()
            } else {
                names.join(", ")
            }
        );
        let body = ApprovalEscalated {
            request: self.request(),
            to,
        };
        self.write(place, Some(Role::Service), clauses, body);
        self.raise_in(&id, case, ExceptionSort::Escalated, text);
        Ok(())
    }

    fn told(&self, escalation: &Escalation) -> Vec<PrincipalId> {
        let people = self.state.principals.iter().filter(|(_, p)| {
            p.kind == PrincipalKind::Human
                && !p.revoked
                && p.roles.contains(&escalation.role)
                && lacks(&p.attributes, &escalation.attributes).is_none()
        });
        people.map(|(who, _)| who.clone()).collect()
    }
}
