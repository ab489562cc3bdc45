//! Approving: humans sign yes or no over exactly one action (I3, I4).

use super::{Desk, Place, Ruled, keep::needs_reason};
use crate::{
    course,
    facts::Scalar,
    name::{CredentialId, ItemId, PrincipalId},
    principal::{Duty, PrincipalKind},
    record::{ApprovalGiven, Basis, CaseOutcome, ExceptionSort, OverrideRecorded},
    refusal::{Code, Refusal},
    release::{Quorum, Rules},
    request::{Expire, Request, Stance, Submission},
    state::{Approval, Case, State},
    statement::{ApprovalStatement, Choice, Signed},
    time::Time,
};

impl Desk<'_> {
    pub(super) fn approve(&mut self, request: &Signed<ApprovalStatement>) -> Ruled {
        self.signed(request)?;
        let s = &request.statement;
        let case = self.case(&s.case)?;
        let approval = waiting(case, &s.approval)?;
        bound(case, approval, s)?;
        let rules = self.rules_in_force(case)?;
        if self.now >= approval.expires {
            return Err(Refusal::new(
                Code::Expired,
                format!("`{}` expired at {}", approval.id, approval.expires),
                "open the case anew",
            ));
        }
        once(case, approval, &s.signer, Some(&s.credential))?;
        let quorum = quorum(rules, approval)?;
        self.may_approve(rules, case, &s.signer, quorum)?;
        self.independent(rules, &s.case, case, &s.signer, Duty::Approve)?;
        let differs = differs(case, s.decision);
        if differs != s.overrides {
            return Err(Refusal::new(
                Code::ReasonMissing,
                if differs {
                    "this decision differs from the agents' recommendation and is not said to be an override"
                } else {
                    "this decision is said to be an override and agrees with the agents' recommendation"
                },
                "sign it as what it is",
            ));
        }
        if s.decision == Choice::Reject || s.overrides {
            needs_reason(&s.reason)?;
        }
        let hasty = match s.decision {
            Choice::Approve => self.at_ease(rules, approval, quorum, &s.signer)?,
            Choice::Reject => None,
        };
        self.take_approval(rules, case, approval, quorum, request);
        if let Some(text) = hasty {
            self.raise_in(&s.case, case, ExceptionSort::HastyApproval, text);
        }
        Ok(())
    }

    fn take_approval(
        &mut self,
        rules: &dyn Rules,
        case: &Case,
        approval: &Approval,
        quorum: &Quorum,
        request: &Signed<ApprovalStatement>,
    ) {
        let s = &request.statement;
        let id = &s.case;
        let place = Place::case(id, case);
        let clauses = self.cited(&place, [quorum.clause.as_str()]);
        let yes = u32::from(s.decision == Choice::Approve);
        let standing = self.standing_behind(rules, case, approval, quorum);
        let have = u32::try_from(standing.len())
            .unwrap_or(u32::MAX)
            .saturating_add(yes);
        let body = ApprovalGiven {
            request: self.request(),
            have,
            need: approval.humans,
            remember_seconds: rules.team().remembers(),
        };
        self.write(place, Some(quorum.role), clauses, body);
        if s.overrides {
            let body = OverrideRecorded {
                approval: approval.id.clone(),
                decision: s.decision,
                agents: stances(case),
            };
            self.write(place, Some(quorum.role), Vec::new(), body);
            let text = format!(
                "`{}` decided against the agents ({}): {}",
                s.signer,
                stances(case),
                s.reason
            );
            self.raise_in(id, case, ExceptionSort::Override, text);
        }
        match s.decision {
            Choice::Reject => {
                let why = format!("`{}` said no: {}", s.signer, s.reason);
                self.close(id, case, CaseOutcome::Rejected, why);
            }
            Choice::Approve if have >= approval.humans => {
                let mut signers: Vec<_> = standing.into_iter().cloned().collect();
                signers.push(s.signer.clone());
                let basis = Basis::Approval {
                    approval: approval.id.clone(),
                    signers,
                };
                self.issue_grant(rules, id, case, approval.digest, basis);
            }
            Choice::Approve => {}
        }
    }

    /// Who of those that said yes may still stand behind it: whoever was revoked, or is certified no more, or signed with a
    /// credential that ended since, does not count.
    pub(super) fn standing_behind<'p>(
        &self,
        rules: &dyn Rules,
        case: &Case,
        approval: &'p Approval,
        quorum: &Quorum,
    ) -> Vec<&'p PrincipalId>
    where
        Self: 'p,
    {
        let yes = self.state.standing(approval);
        yes.filter(|signer| self.may_approve(rules, case, signer, quorum).is_ok())
            .collect()
    }

    /// Whether this human may stand behind the case at this moment: asked when signing and again when the grant is used.
    pub(super) fn may_approve(
        &self,
        rules: &dyn Rules,
        case: &Case,
        signer: &PrincipalId,
        quorum: &Quorum,
    ) -> Ruled {
        let principal = self.state.principals.get(signer);
        let Some(principal) = principal.filter(|p| p.kind == PrincipalKind::Human && !p.revoked)
        else {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{signer}` is no human in force"),
                "a human in force must sign",
            ));
        };
        if !principal.roles.contains(&quorum.role) {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!("`{signer}` is no {}", quorum.role.word()),
                format!("a human with the role {} must sign", quorum.role.word()),
            )
            .clause(Some(quorum.clause.clone())));
        }
        let asked = course::lack(
            self.state,
            rules.team(),
            signer,
            &quorum.certification,
            self.now,
        );
        if let Some(lack) = asked.or_else(|| self.lacks(rules, signer, quorum.role)) {
            return Err(lack.refusal(&quorum.clause));
        }
        if let Some(agent) = rules.team().agents.iter().find(|a| a.owner == *signer) {
            return Err(Refusal::new(
                Code::Conflicted,
                format!("`{signer}` owns `{}`, an agent of this case", agent.id),
                "somebody who owns none of its agents must sign",
            ));
        }
        self.disinterested(rules, case, signer)
    }

    fn disinterested(&self, rules: &dyn Rules, case: &Case, signer: &PrincipalId) -> Ruled {
        let Some(disqualify) = &rules.team().disqualify else {
            return Ok(());
        };
        let named = disqualify.facts.iter().find(|path| {
            matches!(case.facts.at(path), Some(Scalar::Text(text)) if text == signer.as_str())
        });
        match named {
            None => Ok(()),
            Some(path) => Err(Refusal::new(
                Code::Conflicted,
                format!("`{signer}` has an interest in this case: `{path}` names them"),
                "somebody without an interest must sign",
            )
            .clause(Some(disqualify.clause.clone()))),
        }
    }
}

/// What would stand against `signer` signing `approval` at `now`: for pages that help a person choose. These are the checks
/// that are made when the signature comes, and only then do they decide.
///
/// # Errors
/// The refusal that a signature would meet.
pub fn may_sign(
    state: &State,
    rules: &dyn Rules,
    approval: &ItemId,
    signer: &PrincipalId,
    now: Time,
) -> Result<(), Refusal> {
    let gone = || {
        Refusal::new(
            Code::WrongState,
            format!("nothing waits under `{approval}`"),
            "name a request that waits",
        )
    };
    let id = approval.case().ok_or_else(gone)?;
    let case = state.cases.get(&id).ok_or_else(gone)?;
    let waiting = case
        .approval
        .as_ref()
        .filter(|a| a.id == *approval)
        .ok_or_else(gone)?;
    let person = state.principals.get(signer);
    let credential = person.and_then(|p| p.credentials.first()).ok_or_else(|| {
        Refusal::new(
            Code::UnknownPrincipal,
            format!("`{signer}` has no credential here"),
            "add the principal first",
        )
    })?;
    let submission = Submission {
        clock: now,
        principal: signer.clone(),
        credential: credential.id.clone(),
        request: Request::Expire(Expire { case: id.clone() }),
    };
    let desk = Desk {
        state,
        rules: Some(rules),
        submission: &submission,
        now: now.max(state.time),
        records: Vec::new(),
        exceptions: 0,
    };
    desk.rules_in_force(case)?;
    once(case, waiting, signer, None)?;
    let quorum = quorum(rules, waiting)?;
    desk.may_approve(rules, case, signer, quorum)?;
    desk.independent(rules, &id, case, signer, Duty::Approve)?;
    desk.at_ease(rules, waiting, quorum, signer).map(|_| ())
}

/// Not the same person or key twice.
fn once(
    case: &Case,
    approval: &Approval,
    signer: &PrincipalId,
    credential: Option<&CredentialId>,
) -> Ruled {
    let again = approval
        .yes
        .iter()
        .any(|(who, with)| who == signer || Some(with) == credential);
    if again || case.parts.contains(&(Duty::Approve, signer.clone())) {
        return Err(Refusal::new(
            Code::Replayed,
            format!("`{signer}` has signed `{}` already", approval.id),
            "another person must sign",
        ));
    }
    Ok(())
}

/// The quorum of the request's tier.
pub(super) fn quorum<'r>(rules: &'r dyn Rules, approval: &Approval) -> Result<&'r Quorum, Refusal> {
    rules.team().approval.get(&approval.tier).ok_or_else(|| {
        Refusal::new(
            Code::PolicyMissing,
            format!(
                "the release says nothing of who approves {} risk",
                approval.tier.word()
            ),
            "build the release with an approval rule for every tier",
        )
    })
}

/// Whether a decision goes against what the agents recommend.
///
/// Yes to what an agent would refuse, and no to what all would do. Where they refer the matter to a human there is
/// nothing to go against.
#[must_use]
pub fn differs(case: &Case, decision: Choice) -> bool {
    let stances = || {
        [&case.prepared, &case.reviewed]
            .into_iter()
            .flatten()
            .map(|(_, r)| r.stance)
    };
    match decision {
        Choice::Approve => stances().any(|s| s == Stance::Refuse),
        Choice::Reject => stances().all(|s| s == Stance::Proceed),
    }
}

fn stances(case: &Case) -> String {
    let words: Vec<_> = [&case.prepared, &case.reviewed]
        .into_iter()
        .flatten()
        .map(|(_, r)| r.stance.word())
        .collect();
    words.join("/")
}

pub(super) fn waiting<'c>(case: &'c Case, asked: &ItemId) -> Result<&'c Approval, Refusal> {
    let approval = case
        .approval
        .as_ref()
        .filter(|a| a.id == *asked)
        .ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("nobody asked for approval `{asked}`"),
                "name a request that waits; `approval list` shows them",
            )
        })?;
    if case.grant.is_some() {
        return Err(Refusal::new(
            Code::Replayed,
            format!("`{}` was decided already", approval.id),
            "an approval counts once",
        ));
    }
    Ok(approval)
}

/// I3: the statement is about exactly this request.
fn bound(case: &Case, approval: &Approval, s: &ApprovalStatement) -> Ruled {
    let wrong = [
        (s.action != approval.digest, "action"),
        (s.release != case.release, "release"),
        (s.env != case.env, "environment"),
        (s.expires != approval.expires, "expiry"),
        (approval.id.case().as_ref() != Some(&s.case), "case"),
    ];
    match wrong.iter().find(|(wrong, _)| *wrong) {
        None => Ok(()),
        Some((_, what)) => Err(Refusal::new(
            Code::WrongBinding,
            format!("what was signed is about another {what}"),
            "look at the request again, and sign what it asks",
        )),
    }
}
