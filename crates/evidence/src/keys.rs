//! Keys under which a signature may be verified before it is known whose key the log records: a wrong guess costs time, and
//! nothing else.

use std::{collections::HashMap, sync::RwLock};

use duty::{
    name::{CredentialId, PrincipalId},
    principal::{NewPrincipal, Proof},
    record::{Body, Record},
    request::Request,
    signature::Checked,
};

/// Keys of credentials, as guesses for the signatures that follow.
#[derive(Default)]
pub(crate) struct Keys(RwLock<HashMap<(PrincipalId, CredentialId), Proof>>);

impl Keys {
    pub(crate) fn insert(&self, who: &PrincipalId, credential: &CredentialId, key: &Proof) {
        // A thread that panicked elsewhere leaves guesses as good as they were.
        let mut keys = self.0.write().unwrap_or_else(|e| e.into_inner());
        keys.insert((who.clone(), credential.clone()), key.clone());
    }

    pub(crate) fn guess(&self, who: &PrincipalId, credential: &CredentialId) -> Option<Proof> {
        let keys = self.0.read().unwrap_or_else(|e| e.into_inner());
        keys.get(&(who.clone(), credential.clone())).cloned()
    }

    /// Takes the keys that a record brings.
    pub(crate) fn take(&self, record: &Record) {
        let all = |new: &NewPrincipal| {
            for credential in new.credentials.iter().filter(|c| c.proof.signs()) {
                self.insert(&new.id, &credential.id, &credential.proof);
            }
        };
        match (&record.body, record.body.request()) {
            (Body::LogOpened(_), Some(Request::OpenLog(r))) => r.principals.iter().for_each(all),
            (Body::PrincipalAdded(_), Some(Request::AddPrincipal(r))) => all(r),
            (Body::CredentialAdded(_), Some(Request::AddCredential(r))) if r.proof.signs() => {
                self.insert(r.principal(), r.credential(), &r.proof);
            }
            _ => {}
        }
    }

    /// The signature of a request, verified with the key that it may well be of.
    pub(crate) fn check(&self, request: &Request) -> Option<Checked> {
        if let Request::AddCredential(r) = request {
            // Its own key comes with it.
            return duty::statement::Proven::check(r.possession()?, &r.proof);
        }
        let signed = request.signed()?;
        let key = self.guess(signed.signer(), signed.credential())?;
        signed.check(&key)
    }
}
