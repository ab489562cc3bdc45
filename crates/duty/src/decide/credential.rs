//! Credentials of principals that are there already: another one, and the end of one.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason, of_its_own},
};
use crate::{
    fold::proof_digest,
    name::{CredentialId, PrincipalId},
    principal::{Credential, PrincipalKind, Proof, Role},
    record::{CredentialAdded, CredentialRevoked},
    refusal::{Code, Refusal},
    request::{AddCredential, Given, RevokeCredential, Whose},
    statement::{CredentialStatement, Signed},
};

/// More than anybody needs; each is looked through when its owner signs.
const MOST: usize = 32;

impl Desk<'_> {
    pub(super) fn add_credential(&mut self, request: &AddCredential) -> Ruled {
        self.holds(Role::Admin)?;
        match &request.whose {
            Whose::Shown(possession) => self.shown(&request.proof, possession)?,
            Whose::Given(given) => self.given(&request.proof, given)?,
        }
        let body = CredentialAdded {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    /// An admin says that this is the person, and the new credential's own signature that the person holds it.
    fn shown(&self, proof: &Proof, possession: &Signed<CredentialStatement>) -> Ruled {
        let s = &possession.statement;
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
        if !person.kind.may_come_with(proof) {
            return Err(malformed(
                "people sign with keys: a token or a local credential is none",
            ));
        }
        has_room(&s.signer, person.credentials.len())?;
        named_after(&s.signer, &s.credential)?;
        let taken = proof_digest(proof).and_then(|d| self.state.proofs.get(&d));
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
        if s.statement != CredentialStatement::TYPE || Some(&s.log) != self.state.origin.as_ref() {
            return Err(Refusal::new(
                Code::WrongBinding,
                "the statement is of another sort or meant for another log",
                "sign the statement that this log asks for",
            ));
        }
        let shown = possession.verify_knowing(proof, self.checked);
        shown.map_err(|why| {
            Refusal::new(
                Code::BadSignature,
                format!("nothing shows that `{}` holds the key: {why}", s.signer),
                "sign the statement exactly as it is sent, with the new key",
            )
        })
    }

    /// An admin says so, by the rule by which principals are added. Nobody gains by naming what they do not hold: a door asks for
    /// it each time.
    fn given(&self, proof: &Proof, given: &Given) -> Ruled {
        let id = &given.principal;
        let known = self.not_ended(id)?;
        let credential = Credential {
            id: given.credential.clone(),
            proof: proof.clone(),
        };
        of_its_own(self.state, (id, known.kind), &credential, &[])?;
        if known.kind == PrincipalKind::Human {
            return Err(Refusal::new(
                Code::BadSignature,
                format!("nothing shows that `{id}` holds the key"),
                "send the statement that the person signed with it",
            ));
        }
        if *proof == Proof::Local {
            return Err(malformed(
                "a local credential is the platform's own: give a token, a token's subject or a certificate",
            ));
        }
        // Those that ended do not count: what is changed every month would use them up.
        let in_force = known.credentials.iter();
        let in_force = in_force.filter(|c| !known.ended.contains(&c.id)).count();
        has_room(id, in_force)?;
        named_after(id, &given.credential)
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

fn has_room(id: &PrincipalId, has: usize) -> Ruled {
    if has >= MOST {
        return Err(malformed(format!("`{id}` has {MOST} credentials already")));
    }
    Ok(())
}

/// Whose a credential is stands in its id.
fn named_after(id: &PrincipalId, credential: &CredentialId) -> Ruled {
    let own = credential.as_str().strip_prefix(id.as_str());
    if own.is_none_or(|rest| !rest.starts_with('.')) {
        return Err(malformed(format!(
            "the id `{credential}` does not begin with `{id}.`"
        )));
    }
    Ok(())
}
