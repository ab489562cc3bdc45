//! Credentials of people who are there already: another one, and the end of one.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason},
};
use crate::{
    fold::proof_digest,
    principal::{PrincipalKind, Role},
    record::{CredentialAdded, CredentialRevoked},
    refusal::{Code, Refusal},
    request::{AddCredential, RevokeCredential},
};

/// More than anybody needs; each is looked through when its owner signs.
const MOST: usize = 32;

impl Desk<'_> {
    /// An admin says that this is the person, and the new credential's own signature that the person holds it.
    pub(super) fn add_credential(&mut self, request: &AddCredential) -> Ruled {
        self.holds(Role::Admin)?;
        let s = &request.possession.statement;
        let person = self.state.principals.get(&s.signer);
        let person = person
            .filter(|p| p.kind == PrincipalKind::Human && !p.revoked)
            .ok_or_else(|| {
                Refusal::new(
                    Code::NotHuman,
                    format!("no human in force is called `{}`", s.signer),
                    "name a person that `principal list` shows",
                )
            })?;
        if !request.proof.signs() {
            return Err(malformed(
                "people sign with keys: a token or a local credential is none",
            ));
        }
        if person.credentials.len() >= MOST {
            return Err(malformed(format!(
                "`{}` has {MOST} credentials already",
                s.signer
            )));
        }
        let own = s.credential.as_str().strip_prefix(s.signer.as_str());
        if own.is_none_or(|rest| !rest.starts_with('.')) {
            return Err(malformed(format!(
                "the id `{}` does not begin with `{}.`",
                s.credential, s.signer
            )));
        }
        let taken = proof_digest(&request.proof).and_then(|d| self.state.proofs.get(&d));
        if let Some(with) = taken {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!(
                    "the key of `{}` is in the log already, as `{with}`",
                    s.credential
                ),
                "make a new key, for this person alone",
            ));
        }
        if self.state.credentials.contains_key(&s.credential) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("`{}` is taken, and ids are never used twice", s.credential),
                "choose another id",
            ));
        }
        if s.statement != crate::statement::CredentialStatement::TYPE
            || Some(&s.log) != self.state.origin.as_ref()
        {
            return Err(Refusal::new(
                Code::WrongBinding,
                "the statement is of another sort or meant for another log",
                "sign the statement that this log asks for",
            ));
        }
        let shown = request
            .possession
            .verify_knowing(&request.proof, self.checked);
        shown.map_err(|why| {
            Refusal::new(
                Code::BadSignature,
                format!("nothing shows that `{}` holds the key: {why}", s.signer),
                "sign the statement exactly as it is sent, with the new key",
            )
        })?;
        let body = CredentialAdded {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn revoke_credential(&mut self, request: &RevokeCredential) -> Ruled {
        self.holds(Role::Admin)?;
        let id = &request.credential;
        let whose = self.state.credentials.get(id);
        let person = whose.and_then(|who| self.state.principals.get(who));
        if person.is_none_or(|p| p.ended.contains(id)) {
            return Err(Refusal::new(
                Code::UnknownPrincipal,
                format!("no credential in force is called `{id}`"),
                "name one that `principal key list` shows",
            ));
        }
        if *id == self.submission.credential {
            return Err(malformed(
                "a credential cannot revoke itself: nobody would be left to undo it",
            ));
        }
        needs_reason(&request.reason)?;
        let body = CredentialRevoked {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }
}
