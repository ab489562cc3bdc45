//! Triage: a human says what came of an exception.

use super::{Desk, Place, Ruled, keep::needs_reason};
use crate::{
    principal::Role,
    record::ExceptionTriaged,
    refusal::{Code, Refusal},
    statement::{Signed, TriageStatement},
};

impl Desk<'_> {
    pub(super) fn triage(&mut self, request: &Signed<TriageStatement>) -> Ruled {
        let principal = self.signed(request)?;
        let s = &request.statement;
        if !self.state.exceptions.contains_key(&s.exception) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("no exception `{}` waits", s.exception),
                "name one that `exception list` shows",
            ));
        }
        let role = [Role::Owner, Role::Approver, Role::Auditor]
            .into_iter()
            .find(|r| principal.roles.contains(r));
        let role = role.ok_or_else(|| {
            Refusal::new(
                Code::NotYourDuty,
                format!("`{}` is neither owner, approver nor auditor", s.signer),
                "ask somebody who is",
            )
        })?;
        needs_reason(&s.finding)?;
        let case_id = s.exception.case();
        let case = case_id.as_ref().and_then(|id| self.state.cases.get(id));
        let place = match (&case_id, case) {
            (Some(id), Some(case)) => Place::case(id, case),
            (Some(id), None) => Place {
                case: Some(id),
                ..Place::default()
            },
            _ => Place::default(),
        };
        let body = ExceptionTriaged {
            request: self.request(),
        };
        self.write(place, Some(role), Vec::new(), body);
        Ok(())
    }
}
