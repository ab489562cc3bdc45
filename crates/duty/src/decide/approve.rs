//! Approving: humans sign yes or no over exactly one action (I3, I4).

use super::{Desk, Place, Ruled, keep::needs_reason, stages::lacks};
use crate::{
    course,
    facts::Scalar,
    name::{CredentialId, ItemId, PrincipalId},
    principal::{Duty, PrincipalKind},
    quorum::{Quorum, Stage},
    record::{ApprovalGiven, Basis, CaseOutcome, ExceptionSort, OverrideRecorded},
    refusal::{Code, Refusal},
    release::Rules,
    request::Stance,
    state::{Approval, Case, Principal, Yes},
    statement::{ApprovalStatement, Choice, Signed},
    time::Time,
};

impl Desk<'_> {
    pub(super) fn approve(&mut self, request: &Signed<ApprovalStatement>) -> Ruled {
        self.signed(request)?;
        let s = &request.statement;
        let case = self.case(&s.case)?;
        let approval = waiting(case, &s.approval)?;
        bound(case, approval, self.now, s)?;
        let rules = self.rules_in_force(case)?;
        if self.now >= approval.expires {
            return Err(Refusal::new(
                Code::Expired,
                format!("`{}` expired at {}", approval.id, approval.expires),
                "open the case anew",
            ));
        }
        let people = || std::iter::once(&s.signer).chain(&s.on_behalf);
        once(case, approval, people(), Some(&s.credential), s.decision)?;
        let quorum = quorum(rules, approval)?;
        let stage = self.stage_for(rules, case, approval, quorum, s)?;
        for who in people() {
            self.independent(rules, &s.case, case, who, Duty::Approve)?;
        }
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
        coded(rules, s)?;
        let hasty = match s.decision {
            Choice::Approve => self.at_ease(rules, approval, quorum, &s.signer, s.signed)?,
            Choice::Reject => None,
        };
        self.take_approval(rules, case, approval, (quorum, stage), request);
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
        (quorum, stage): (&Quorum, &Stage),
        request: &Signed<ApprovalStatement>,
    ) {
        let s = &request.statement;
        let id = &s.case;
        let place = Place::case(id, case);
        let asked = [quorum.clause.as_str(), stage.clause.as_str()];
        let clauses = self.cited(&place, asked);
        let mut tally = self.tally(rules, case, approval, quorum);
        if s.decision == Choice::Approve {
            tally.add(Yes {
                who: s.signer.clone(),
                with: s.credential.clone(),
                stage: stage.name.clone(),
                on_behalf: s.on_behalf.clone(),
            });
        }
        let body = ApprovalGiven {
            request: self.request(),
            stage: stage.name.clone(),
            have: tally.have(),
            need: approval.humans,
            remember_seconds: rules.team().remembers(),
        };
        self.write(place, Some(stage.role), clauses, body);
        if s.overrides {
            let body = OverrideRecorded {
                approval: approval.id.clone(),
                decision: s.decision,
                agents: stances(case),
                code: s.code.clone(),
            };
            let asks = rules.team().overrides.as_ref();
            let clauses = self.cited(&place, asks.map(|o| o.clause.as_str()));
            self.write(place, Some(stage.role), clauses, body);
            let code = s.code.as_ref();
            let text = format!(
                "`{}` decided against the agents ({}){}: {}",
                s.signer,
                stances(case),
                code.map(|c| format!(", {c}")).unwrap_or_default(),
                s.reason
            );
            self.raise_in(id, case, ExceptionSort::Override, text);
        }
        match s.decision {
            Choice::Reject => {
                let why = format!("`{}` said no: {}", s.signer, s.reason);
                self.close(id, case, CaseOutcome::Rejected, why);
            }
            Choice::Approve if tally.complete() => {
                let basis = Basis::Approval {
                    approval: approval.id.clone(),
                    signers: tally.signers(),
                };
                self.issue_grant(rules, id, case, approval.digest, basis);
            }
            Choice::Approve => {}
        }
    }

    /// Whether this human may stand behind the case in a stage at this moment, in their own right: asked when signing and
    /// again when the grant is used.
    pub(super) fn may_approve(
        &self,
        rules: &dyn Rules,
        case: &Case,
        signer: &PrincipalId,
        stage: &Stage,
    ) -> Ruled {
        let principal = self.human(signer)?;
        let holds = principal.roles.contains(&stage.role);
        let lacks = lacks(&principal.attributes, &stage.attributes);
        if !holds || lacks.is_some() {
            let why = match lacks {
                Some(lacks) if holds => format!("`{signer}` does not carry {lacks}"),
                _ => format!("`{signer}` is no {}", stage.role.word()),
            };
            return Err(Refusal::new(
                Code::NotYourDuty,
                why,
                format!("a human with the role {} must sign", stage.who()),
            )
            .clause(Some(stage.clause.clone())));
        }
        self.may_answer(rules, case, signer, stage)
    }

    /// What is asked of everybody who puts their name to it, deputies too: a human in force, certified themself, who owns
    /// no agent of the case and has no interest in it.
    pub(super) fn may_answer(
        &self,
        rules: &dyn Rules,
        case: &Case,
        signer: &PrincipalId,
        stage: &Stage,
    ) -> Ruled {
        self.human(signer)?;
        let asked = course::lack(
            self.state,
            rules.team(),
            signer,
            &stage.certification,
            self.now,
        );
        if let Some(lack) = asked.or_else(|| self.lacks(rules, signer, stage.role)) {
            return Err(lack.refusal(&stage.clause));
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

    fn human(&self, signer: &PrincipalId) -> Result<&Principal, Refusal> {
        let principal = self.state.principals.get(signer).map(|p| &**p);
        let in_force = |p: &&Principal| p.kind == PrincipalKind::Human && !p.revoked;
        principal.filter(in_force).ok_or_else(|| {
            Refusal::new(
                Code::Revoked,
                format!("`{signer}` is no human in force"),
                "a human in force must sign",
            )
        })
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

/// Not the same person or key twice, under their own name or another's. Whoever took a yes back may still say no.
pub(super) fn once<'p>(
    case: &Case,
    approval: &Approval,
    people: impl Iterator<Item = &'p PrincipalId>,
    credential: Option<&CredentialId>,
    decision: Choice,
) -> Ruled {
    for who in people {
        let again = approval
            .yes
            .iter()
            .any(|yes| yes.is_of(who) || Some(&yes.with) == credential);
        let part = case.parts.contains(&(Duty::Approve, who.clone()));
        let took_back = approval.withdrawn.contains(who);
        if again || part && !(took_back && decision == Choice::Reject) {
            let why = if took_back && !again {
                format!("`{who}` took their yes to `{}` back", approval.id)
            } else {
                format!("`{who}` has signed `{}` already", approval.id)
            };
            return Err(Refusal::new(
                Code::Replayed,
                why,
                "another person must sign",
            ));
        }
    }
    Ok(())
}

/// An override says why in a word, where the release lists such words; nothing else does.
fn coded(rules: &dyn Rules, s: &ApprovalStatement) -> Ruled {
    let asks = rules.team().overrides.as_ref().filter(|_| s.overrides);
    let (why, remedy) = match (asks, &s.code) {
        (None, None) => return Ok(()),
        (Some(asks), Some(code)) if asks.codes.contains(code) => return Ok(()),
        (None, Some(code)) => (
            format!("`{code}` is given as a reason code, and none is asked for here"),
            "leave it out: an override carries one, where the release lists codes".to_owned(),
        ),
        (Some(asks), code) => {
            let codes: Vec<_> = asks.codes.iter().map(|c| c.as_str()).collect();
            let why = match code {
                Some(code) => format!("`{code}` is no reason code of the release"),
                None => "an override without a reason code".to_owned(),
            };
            (why, format!("give one of {}", codes.join(", ")))
        }
    };
    let clause = asks.map(|asks| asks.clause.clone());
    Err(Refusal::new(Code::CodeMissing, why, remedy).clause(clause))
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
fn bound(case: &Case, approval: &Approval, now: Time, s: &ApprovalStatement) -> Ruled {
    let wrong = [
        (s.action != approval.digest, "action"),
        (s.release != case.release, "release"),
        (s.env != case.env, "environment"),
        (s.expires != approval.expires, "expiry"),
        (approval.id.case().as_ref() != Some(&s.case), "case"),
    ];
    if let Some((_, what)) = wrong.iter().find(|(wrong, _)| *wrong) {
        return Err(Refusal::new(
            Code::WrongBinding,
            format!("what was signed is about another {what}"),
            "look at the request again, and sign what it asks",
        ));
    }
    let early = approval.asked.minus_seconds(CLOCKS_APART);
    if s.signed < early || s.signed > now.plus_seconds(CLOCKS_APART) {
        return Err(Refusal::new(
            Code::WrongBinding,
            format!(
                "it is said to be signed at {}, which is not between the request at {} and now, {now}",
                s.signed, approval.asked
            ),
            "set the clock of the machine that signs, and sign again",
        ));
    }
    Ok(())
}

/// How far a signer's clock may be from the log's, in seconds.
const CLOCKS_APART: u32 = 60;
