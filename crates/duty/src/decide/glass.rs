//! Breaking the glass: an action that cannot wait for its approvers, let through by few, loudly, for minutes, and reviewed
//! afterwards by somebody else.
//!
//! It is no way round: who signs is held to all that an approver is held to, high risk still takes two humans, and whoever
//! has an emergency that nobody has reviewed cannot declare another.

use super::{
    Desk, Place, Ruled,
    approve::{differs, waiting},
    keep::needs_reason,
    verdict::next_grant,
};
use crate::{
    name::{ItemId, PrincipalId},
    principal::{Duty, PrincipalKind, Role},
    record::{Basis, ExceptionSort, GlassBroken, GlassOverdue, GlassReviewed, GlassSigned},
    refusal::{Code, Refusal},
    release::{BreakGlass, Rules, Stage},
    request::NoteOverdue,
    state::{Approval, Case},
    statement::{Choice, GlassReviewStatement, GlassStatement, Signed},
};

impl Desk<'_> {
    pub(super) fn break_glass(&mut self, request: &Signed<GlassStatement>) -> Ruled {
        self.signed(request)?;
        let s = &request.statement;
        let id = &s.case;
        let case = self.case(id)?;
        let approval = waiting(case, &s.approval)?;
        let rules = self.rules_in_force(case)?;
        let way = rules.team().break_glass.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::GlassClosed,
                "the release knows no emergency: it has no `[break_glass]`",
                "let the approvers sign",
            )
        })?;
        let wrong = [
            (s.action != approval.digest, "action"),
            (s.release != case.release, "release"),
            (s.env != case.env, "environment"),
            (s.expires != approval.expires, "expiry"),
        ];
        if let Some((_, what)) = wrong.iter().find(|(wrong, _)| *wrong) {
            return Err(Refusal::new(
                Code::WrongBinding,
                format!("what was signed is about another {what}"),
                "look at the request again, and sign what it asks",
            ));
        }
        if self.now >= approval.expires {
            return Err(Refusal::new(
                Code::Expired,
                format!("`{}` expired at {}", approval.id, approval.expires),
                "open the case anew",
            ));
        }
        needs_reason(&s.reason)?;
        if differs(case, Choice::Approve) {
            return Err(Refusal::new(
                Code::GlassClosed,
                "an agent would refuse this action: no emergency goes against the agents",
                "let the approvers decide, who may override them",
            )
            .clause(Some(way.clause.clone())));
        }
        if case.parts.contains(&(Duty::Approve, s.signer.clone())) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("`{}` has signed `{}` already", s.signer, approval.id),
                "another person must sign",
            ));
        }
        self.no_open_glass(&s.signer, way)?;
        self.may_approve(rules, case, &s.signer, &as_stage(way))?;
        self.independent(rules, id, case, &s.signer, Duty::Approve)?;
        self.take_glass(rules, case, approval, way, request);
        Ok(())
    }

    /// Nobody declares a second emergency before the first was reviewed.
    fn no_open_glass(&self, signer: &PrincipalId, way: &BreakGlass) -> Ruled {
        let open = self
            .state
            .glass
            .iter()
            .find(|(_, glass)| glass.signers.contains(signer));
        match open {
            None => Ok(()),
            Some((grant, glass)) => Err(Refusal::new(
                Code::GlassClosed,
                format!(
                    "the emergency of `{grant}`, which `{signer}` signed, waits for its review until {}{}",
                    glass.review_by,
                    if glass.overdue { ", and is overdue" } else { "" }
                ),
                "let somebody else review it first",
            )
            .clause(Some(way.clause.clone()))),
        }
    }

    fn take_glass(
        &mut self,
        rules: &dyn Rules,
        case: &Case,
        approval: &Approval,
        way: &BreakGlass,
        request: &Signed<GlassStatement>,
    ) {
        let s = &request.statement;
        let id = &s.case;
        let place = Place::case(id, case);
        let clauses = self.cited(&place, [way.clause.as_str()]);
        let mut signers = self.behind_glass(rules, case, approval, way);
        signers.push(s.signer.clone());
        let need = BreakGlass::humans(approval.tier);
        let have = u32::try_from(signers.len()).unwrap_or(u32::MAX);
        let body = GlassSigned {
            request: self.request(),
            have,
            need,
        };
        self.write(place, Some(way.role), clauses, body);
        let text = format!(
            "`{}` breaks the glass over `{}`: {}",
            s.signer, approval.id, s.reason
        );
        self.raise_in(id, case, ExceptionSort::BreakGlass, text);
        if have < need {
            return;
        }
        let skipped = self.skipped(rules, case, approval, &signers);
        let broken = GlassBroken {
            approval: approval.id.clone(),
            grant: next_grant(id, case),
            signers: signers.clone(),
            skipped,
            review_by: self.now.plus_minutes(way.review_minutes),
        };
        self.write(place, Some(way.role), Vec::new(), broken);
        let basis = Basis::Glass {
            approval: approval.id.clone(),
            signers,
        };
        let minutes = rules
            .team()
            .grant_minutes
            .min(way.minutes)
            .min(BreakGlass::LONGEST);
        self.issue_grant_for(id, case, approval.digest, basis, minutes);
    }

    /// Who of those that signed may still stand behind it.
    pub(super) fn behind_glass(
        &self,
        rules: &dyn Rules,
        case: &Case,
        approval: &Approval,
        way: &BreakGlass,
    ) -> Vec<PrincipalId> {
        let stage = as_stage(way);
        let signed = approval
            .glass
            .iter()
            .filter(|(who, with)| self.state.stands(who, with));
        signed
            .filter(|(who, _)| self.may_approve(rules, case, who, &stage).is_ok())
            .map(|(who, _)| who.clone())
            .collect()
    }

    /// Whoever could have approved and neither signed nor said yes: they are told.
    fn skipped(
        &self,
        rules: &dyn Rules,
        case: &Case,
        approval: &Approval,
        signers: &[PrincipalId],
    ) -> Vec<PrincipalId> {
        let Ok(quorum) = super::approve::quorum(rules, approval) else {
            return Vec::new();
        };
        let people = self.state.principals.keys();
        people
            .filter(|who| !signers.contains(who))
            .filter(|who| {
                let mut stages = quorum.stages.iter();
                stages.any(|stage| self.may_approve(rules, case, who, stage).is_ok())
            })
            .cloned()
            .collect()
    }

    pub(super) fn review_glass(&mut self, request: &Signed<GlassReviewStatement>) -> Ruled {
        let principal = self.signed(request)?;
        let s = &request.statement;
        let glass = self
            .state
            .glass
            .get(&s.grant)
            .ok_or_else(|| no_glass(&s.grant))?;
        needs_reason(&s.finding)?;
        let may = principal.kind == PrincipalKind::Human
            && (principal.roles.contains(&Role::Owner)
                || principal.roles.contains(&Role::Approver));
        if !may {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!("`{}` neither approves nor owns", s.signer),
                "let an approver or an owner review it",
            ));
        }
        let shares = |who: &PrincipalId| {
            let signer = self.state.principals.get(who);
            *who == s.signer
                || signer.is_some_and(|p| crate::conflict::share_a_credential(p, principal))
        };
        if glass.signers.iter().any(shares) {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!("`{}` broke that glass", s.signer),
                "let somebody else review it",
            ));
        }
        let body = GlassReviewed {
            request: self.request(),
        };
        let role = [Role::Owner, Role::Approver]
            .into_iter()
            .find(|r| principal.roles.contains(r));
        self.write(Place::default(), role, Vec::new(), body);
        Ok(())
    }

    pub(super) fn note_overdue(&mut self, request: &NoteOverdue) -> Ruled {
        self.holds(Role::Service)?;
        let glass = self.state.glass.get(&request.grant);
        let glass = glass.ok_or_else(|| no_glass(&request.grant))?;
        if glass.overdue || self.now < glass.review_by {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "its review is due at {}, or was noted to be overdue",
                    glass.review_by
                ),
                "wait until then",
            ));
        }
        let body = GlassOverdue {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Service), Vec::new(), body);
        Ok(())
    }
}

/// What whoever breaks the glass is held to, as an approver is.
fn as_stage(way: &BreakGlass) -> Stage {
    Stage {
        name: None,
        humans: 1,
        role: way.role,
        attributes: Default::default(),
        certification: way.certification.clone(),
        clause: way.clause.clone(),
    }
}

fn no_glass(grant: &ItemId) -> Refusal {
    Refusal::new(
        Code::WrongState,
        format!("no emergency over `{grant}` waits for a review"),
        "name one that `glass list` shows",
    )
}
