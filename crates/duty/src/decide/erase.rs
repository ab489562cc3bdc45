//! Erasing what is kept of a data subject: two humans ask and confirm, or its retention is over; and a legal hold wins.

use super::{Desk, Place, Ruled, keep::needs_reason};
use crate::{
    name::PrincipalId,
    principal::{PrincipalKind, Role},
    record::{
        ErasureConfirmed, ErasureRequested, HoldLifted, HoldPlaced, RetentionEnded, SubjectErased,
    },
    refusal::{Code, Refusal},
    request::EndRetention,
    state::{Asked, Principal},
    statement::{ConfirmationStatement, ErasureStatement, HoldStatement, LiftStatement, Signed},
    subject::SubjectId,
};

/// Who may place a hold: it only keeps evidence.
const HOLDERS: &[Role] = &[Role::Owner, Role::Approver, Role::Auditor];
/// Who may lift a hold, and erase.
const ERASERS: &[Role] = &[Role::Owner, Role::Approver];

impl Desk<'_> {
    pub(super) fn place_hold(&mut self, request: &Signed<HoldStatement>) -> Ruled {
        let role = one_of(self.signed(request)?, &request.statement.signer, HOLDERS)?;
        let s = &request.statement;
        needs_reason(&s.reason)?;
        self.not_erased(s.subject, Code::NothingToErase, "place holds before")?;
        let body = HoldPlaced {
            request: self.request(),
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
        Ok(())
    }

    pub(super) fn lift_hold(&mut self, request: &Signed<LiftStatement>) -> Ruled {
        let role = one_of(self.signed(request)?, &request.statement.signer, ERASERS)?;
        let s = &request.statement;
        needs_reason(&s.reason)?;
        let holds = self.state.holds.get(&s.subject);
        if !holds.is_some_and(|holds| holds.contains_key(&s.hold)) {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "record {} placed no hold on subject {} that is in force",
                    s.hold, s.subject
                ),
                "name one that `hold list` shows",
            ));
        }
        let body = HoldLifted {
            request: self.request(),
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
        Ok(())
    }

    pub(super) fn request_erasure(&mut self, request: &Signed<ErasureStatement>) -> Ruled {
        let role = one_of(self.signed(request)?, &request.statement.signer, ERASERS)?;
        let s = &request.statement;
        needs_reason(&s.reason)?;
        self.erasable(s.subject)?;
        let asked = self.state.asked.get(&s.subject);
        // Whoever was revoked since has asked for nothing: somebody else may.
        if let Some(asked) = asked.filter(|asked| self.stands(&asked.by)) {
            return Err(Refusal::new(
                Code::Replayed,
                format!(
                    "`{}` has asked for this in record {}",
                    asked.by, asked.record
                ),
                "another person confirms that request",
            ));
        }
        let body = ErasureRequested {
            request: self.request(),
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
        Ok(())
    }

    pub(super) fn confirm_erasure(&mut self, request: &Signed<ConfirmationStatement>) -> Ruled {
        let principal = self.signed(request)?;
        let role = one_of(principal, &request.statement.signer, ERASERS)?;
        let s = &request.statement;
        self.not_erased(s.subject, Code::NothingToErase, "nothing is left to do")?;
        let asked = self.state.asked.get(&s.subject).ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("nobody has asked to erase subject {}", s.subject),
                "one person asks first, and another confirms",
            )
        })?;
        if asked.record != s.request {
            return Err(Refusal::new(
                Code::WrongBinding,
                format!(
                    "what was signed confirms record {}, and the request is record {}",
                    s.request, asked.record
                ),
                "look at the request again, and confirm that one",
            ));
        }
        self.second(asked, &s.signer, principal)?;
        self.erasable(s.subject)?;
        let body = ErasureConfirmed {
            request: self.request(),
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
        let body = SubjectErased {
            subject: s.subject,
            asked: asked.record,
            by: vec![asked.by.clone(), s.signer.clone()],
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
        Ok(())
    }

    /// The release in force says how long what agents saw is kept; those who signed and promoted it have decided this.
    pub(super) fn end_retention(&mut self, request: &EndRetention) -> Ruled {
        self.holds(Role::Service)?;
        let subject = request.subject;
        self.erasable(subject)?;
        let runs = |why: String, remedy: &str| Refusal::new(Code::RetentionRuns, why, remedy);
        let last = self.state.subjects.get(&subject);
        let last = last.and_then(|s| s.last.as_ref()).ok_or_else(|| {
            runs(
                format!("no case about subject {subject} has ended"),
                "ask when one has",
            )
        })?;
        let release = self.state.environments.get(&last.env).ok_or_else(|| {
            runs(
                format!("environment `{}` points at no release", last.env),
                "promote one",
            )
        })?;
        let rules = self.rules(*release)?;
        let retention = rules.team().retention.as_ref().ok_or_else(|| {
            runs(
                format!("release {} keeps snapshots without end", release.short()),
                "two people erase, or a release with `[retention]` is promoted",
            )
        })?;
        let over = retention.end(last.time);
        if self.now < over {
            return Err(runs(
                format!(
                    "what is kept of subject {subject} is kept until {over}: {} days after its last case",
                    retention.days
                ),
                "ask then, or let two people erase it",
            )
            .clause(Some(retention.clause.clone())));
        }
        let place = Place {
            env: Some(&last.env),
            case: None,
            release: Some(*release),
        };
        let clauses = self.cited(&place, [retention.clause.as_str()]);
        let asked = self.state.size;
        let body = RetentionEnded {
            request: self.request(),
        };
        self.write(place, Some(Role::Service), clauses.clone(), body);
        let body = SubjectErased {
            subject,
            asked,
            by: Vec::new(),
        };
        self.write(place, Some(Role::Service), clauses, body);
        Ok(())
    }

    /// Whoever confirms is not whoever asked, under whatever name, and both are in force.
    fn second(&self, asked: &Asked, signer: &PrincipalId, principal: &Principal) -> Ruled {
        let first = self.state.principals.get(&asked.by);
        let same = asked.by == *signer
            || first.is_some_and(|first| crate::conflict::share_a_credential(first, principal));
        if same {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!(
                    "`{signer}` has asked for this erasure, or shares a credential with `{}`, who has",
                    asked.by
                ),
                "another person confirms",
            ));
        }
        if !self.stands(&asked.by) {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{}`, who has asked for it, was revoked", asked.by),
                "somebody in force asks again",
            ));
        }
        Ok(())
    }

    /// There is something to erase, and nothing stands against it.
    fn erasable(&self, subject: SubjectId) -> Ruled {
        self.not_erased(subject, Code::NothingToErase, "nothing is left to do")?;
        let Some(cases) = self.state.subjects.get(&subject) else {
            return Err(Refusal::new(
                Code::NothingToErase,
                format!("the log holds no case about subject {subject}"),
                "give the subject exactly as its cases have it",
            ));
        };
        if let Some(holds) = self.state.holds.get(&subject) {
            let records: Vec<_> = holds.keys().map(u64::to_string).collect();
            return Err(Refusal::new(
                Code::LegalHold,
                format!(
                    "subject {subject} is under legal hold by record {}",
                    records.join(", ")
                ),
                "a hold wins; have it lifted first, if its reason is gone",
            ));
        }
        if cases.open > 0 {
            return Err(Refusal::new(
                Code::WorkOpen,
                format!(
                    "{} cases about subject {subject} are under way, and open work needs its sources",
                    cases.open
                ),
                "wait until they have ended; `case list --outcome open` shows them",
            ));
        }
        Ok(())
    }

    pub(super) fn not_erased(&self, subject: SubjectId, code: Code, remedy: &str) -> Ruled {
        match self.state.erased.get(&subject) {
            None => Ok(()),
            Some(record) => Err(Refusal::new(
                code,
                format!("subject {subject} was erased under record {record}"),
                remedy,
            )),
        }
    }

    fn stands(&self, id: &PrincipalId) -> bool {
        let known = self.state.principals.get(id);
        known.is_some_and(|p| p.kind == PrincipalKind::Human && !p.revoked)
    }
}

/// The first of these roles that the signer holds.
fn one_of(principal: &Principal, signer: &PrincipalId, roles: &[Role]) -> Result<Role, Refusal> {
    let held = roles.iter().find(|r| principal.roles.contains(r));
    held.copied().ok_or_else(|| {
        let words: Vec<_> = roles.iter().map(|r| r.word()).collect();
        Refusal::new(
            Code::NotYourDuty,
            format!("`{signer}` is none of {}", words.join(", ")),
            "ask somebody who is",
        )
    })
}
