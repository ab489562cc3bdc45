//! Who may ask for what: credentials, kinds, roles, and independence within a case (I2).

use super::{Desk, Ruled};
use crate::{
    conflict,
    freeze::Step,
    name::{CaseId, CredentialId, PrincipalId},
    principal::{Duty, PrincipalKind, Role},
    refusal::{Code, Refusal},
    release::{Agent, Rules},
    request::Request,
    signature::Signature,
    state::{Case, Principal},
    statement::{Signed, Statement},
};

/// Whether a request lets something happen, rather than taking down what has happened. A clock that stands behind the log
/// stops the first sort only: refusing to record an outcome would lose it.
pub(super) fn lets_something_happen(request: &Request) -> bool {
    match request {
        Request::Answer(_)
        | Request::AnswerModel(_)
        | Request::Freeze(_)
        | Request::Withdraw(_)
        | Request::EndDelegation(_)
        | Request::RecordOutcome(_)
        | Request::RecordDecision(_)
        | Request::RotateLogKey(_)
        | Request::RecordControlTests(_) => false,
        Request::OpenLog(_)
        | Request::AddPrincipal(_)
        | Request::RevokePrincipal(_)
        | Request::AddCredential(_)
        | Request::RevokeCredential(_)
        | Request::Certify(_)
        | Request::Complete(_)
        | Request::Assess(_)
        | Request::EndCertification(_)
        | Request::NoteExpiring(_)
        | Request::CreateGroup(_)
        | Request::JoinGroup(_)
        | Request::LeaveGroup(_)
        | Request::RecordFile(_)
        | Request::BuildRelease(_)
        | Request::SignRelease(_)
        | Request::Promote(_)
        | Request::PromoteSigned(_)
        | Request::SignThreshold(_)
        | Request::OpenCase(_)
        | Request::Call(_)
        | Request::Retrieve(_)
        | Request::CallModel(_)
        | Request::Recommend(_)
        | Request::Approve(_)
        | Request::UseGrant(_)
        | Request::Expire(_)
        | Request::Triage(_)
        | Request::PlaceHold(_)
        | Request::LiftHold(_)
        | Request::RequestErasure(_)
        | Request::ConfirmErasure(_)
        | Request::EndRetention(_)
        | Request::Unfreeze(_)
        | Request::BreakGlass(_)
        | Request::ReviewGlass(_)
        | Request::NoteOverdue(_)
        | Request::SetAttributes(_)
        | Request::Delegate(_)
        | Request::NoteWaiting(_)
        | Request::NoteEnding(_) => true,
    }
}

impl<'a> Desk<'a> {
    /// The principal is known, not revoked, and the credential is its own.
    pub(super) fn known_actor(&self) -> Ruled {
        let principal = self.principal()?;
        let id = &self.submission.principal;
        if principal.revoked {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{id}` was revoked"),
                "act as a principal that is in force",
            ));
        }
        let revoked = |id: &&PrincipalId| self.state.principals.get(*id).is_none_or(|p| p.revoked);
        if let Some(above) = self.state.line(id).find(revoked) {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{id}` acts for `{above}`, which was revoked"),
                "act as a principal that is in force",
            ));
        }
        let credential = &self.submission.credential;
        if self.state.credentials.get(credential) != Some(id) {
            return Err(Refusal::new(
                Code::UnknownPrincipal,
                format!("`{credential}` is not a credential of `{id}`"),
                "use a credential that was recorded for this principal",
            ));
        }
        if principal.ended.contains(credential) {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{credential}` of `{id}` was revoked"),
                "use a credential that is in force; `principal key list` shows them",
            ));
        }
        if principal.key(credential).is_some() && self.submission.request.signer().is_none() {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!("`{credential}` is a signing key, and this request carries no signature"),
                "a signing key signs what humans sign; for the rest use another credential",
            ));
        }
        Ok(())
    }

    /// The principal holds a role that is not a duty of agents.
    pub(super) fn holds(&self, role: Role) -> Ruled {
        if self.principal()?.roles.contains(&role) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::NotYourDuty,
            format!("`{}` is no {}", self.submission.principal, role.word()),
            format!("ask a principal with the role {}", role.word()),
        ))
    }

    /// The principal is the team's agent for one of `duties`, and independent of everyone who acted otherwise in the case.
    pub(super) fn agent(
        &self,
        rules: &'a dyn Rules,
        id: &CaseId,
        case: &Case,
        duties: &[Duty],
    ) -> Result<&'a Agent, Refusal> {
        let principal = self.principal()?;
        let actor = &self.submission.principal;
        let words: Vec<_> = duties.iter().map(|d| d.word()).collect();
        let agent = rules
            .team()
            .agent(actor)
            .filter(|a| duties.contains(&a.duty))
            .filter(|a| principal.roles.contains(&a.duty.role()))
            .ok_or_else(|| {
                Refusal::new(
                    Code::NotYourDuty,
                    format!(
                        "`{actor}` does not hold the duty {} in team `{}`",
                        words.join(" or "),
                        rules.team().name
                    ),
                    "let the agent that holds this duty ask",
                )
            })?;
        if principal.owner.as_ref() != Some(&agent.owner) {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!(
                    "the release says that `{}` owns `{actor}`, and the log does not",
                    agent.owner
                ),
                "build the release with the owner that the log records",
            ));
        }
        self.not_frozen(Step {
            team: Some(rules.team()),
            agent: Some(actor),
            tool: None,
        })?;
        self.owner_stands(rules, agent)?;
        self.independent(rules, id, case, actor, agent.duty)?;
        Ok(agent)
    }

    /// I2: nobody, under whatever name, on two sides of a case; what else must differ is the release's to say.
    pub(super) fn independent(
        &self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        actor: &PrincipalId,
        duty: Duty,
    ) -> Ruled {
        let team = rules.team();
        for (held, other) in &case.parts {
            for demand in team.conflicts.demands(*held, duty, case.tier) {
                let same = conflict::same(self.state, team, demand.apart, actor, other);
                let Some(same) = same else { continue };
                return Err(Refusal::new(
                    Code::NotIndependent,
                    format!(
                        "`{actor}` would {} in case `{id}`, and {same} as `{other}`, who did {}",
                        duty.word(),
                        held.word()
                    ),
                    "let another principal do it",
                )
                .clause(demand.clause.map(str::to_owned)));
            }
        }
        Ok(())
    }

    /// A human's signature over a statement that belongs to this log and to whoever sends it.
    pub(super) fn signed<T: Statement>(
        &self,
        signed: &Signed<T>,
    ) -> Result<&'a Principal, Refusal> {
        let principal = self.principal()?;
        let statement = &signed.statement;
        if principal.kind != PrincipalKind::Human {
            return Err(Refusal::new(
                Code::NotHuman,
                format!("`{}` is not a human", self.submission.principal),
                "a human signs this with a key of their own",
            ));
        }
        let own = statement.signer() == &self.submission.principal
            && statement.credential() == &self.submission.credential;
        if !own {
            return Err(Refusal::new(
                Code::WrongBinding,
                format!(
                    "the statement is signed as `{}` with `{}` and sent as `{}` with `{}`",
                    statement.signer(),
                    statement.credential(),
                    self.submission.principal,
                    self.submission.credential
                ),
                "send a statement under the name that signed it",
            ));
        }
        if !statement.typed() || Some(statement.log()) != self.state.origin.as_deref() {
            return Err(Refusal::new(
                Code::WrongBinding,
                "the statement is of another sort or meant for another log",
                "sign the statement that this log asks for",
            ));
        }
        let key = principal.key(statement.credential()).ok_or_else(|| {
            Refusal::new(
                Code::BadSignature,
                format!("`{}` is not a signing key", statement.credential()),
                "sign with a key that is recorded for you",
            )
        })?;
        signed.verify_knowing(key, self.checked).map_err(|why| {
            Refusal::new(
                Code::BadSignature,
                format!(
                    "the signature is not that of `{}` over this statement: {why}",
                    statement.signer()
                ),
                "sign the statement exactly as it is sent, with the recorded key",
            )
        })?;
        counted(principal, statement.credential(), &signed.signature)?;
        Ok(principal)
    }
}

/// One that counts otherwise was copied, or the signature is an older one.
fn counted(principal: &Principal, credential: &CredentialId, signature: &Signature) -> Ruled {
    principal.counts(credential, signature).map_err(|why| {
        Refusal::new(
            Code::Replayed,
            why,
            "sign anew; if that is refused too, the authenticator may have been copied: have the credential revoked",
        )
    })
}
