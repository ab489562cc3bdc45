//! The slice of state that a request touches: all that deciding it can read.
//!
//! Law: `decide(&state.slice(s), rules, s) == decide(&state, rules, s)`. So state may live anywhere (memory, a table per
//! key), finished cases cost nothing, and an append need only be conditional on what the slice held.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    canonical::Digest,
    fold::proof_digest,
    freeze::Scope,
    name::{CaseId, ItemId, PrincipalId},
    record::Basis,
    request::{Request, Submission},
    state::{Case, State},
    subject::SubjectId,
};

impl State {
    /// The part of the state that deciding `submission` can read.
    #[must_use]
    pub fn slice(&self, submission: &Submission) -> Self {
        let mut slice = Self {
            size: self.size,
            time: self.time,
            origin: self.origin.clone(),
            log_key: self.log_key.clone(),
            freezes: self.freezes.clone(),
            ..Self::default()
        };
        let mut people = BTreeSet::from([submission.principal.clone()]);
        let actor = self.principals.get(&submission.principal);
        people.extend(actor.and_then(|p| p.owner.clone()));
        pick(
            &self.credentials,
            &submission.credential,
            &mut slice.credentials,
        );
        if let Some(id) = submission.request.case() {
            slice.delegations.clone_from(&self.delegations);
            self.slice_case(&id, &mut slice, &mut people);
        }
        match &submission.request {
            Request::AddPrincipal(new) => {
                people.insert(new.id.clone());
                people.extend(new.owner.clone());
                people.extend(new.acts_for.clone());
                for credential in &new.credentials {
                    pick(&self.credentials, &credential.id, &mut slice.credentials);
                    if let Some(digest) = proof_digest(&credential.proof) {
                        pick(&self.proofs, &digest, &mut slice.proofs);
                    }
                }
            }
            Request::RevokePrincipal(r) => {
                people.insert(r.principal.clone());
            }
            Request::AddCredential(r) => {
                people.insert(r.principal().clone());
                pick(&self.credentials, r.credential(), &mut slice.credentials);
                if let Some(digest) = proof_digest(&r.proof) {
                    pick(&self.proofs, &digest, &mut slice.proofs);
                }
            }
            Request::RevokeCredential(r) => {
                pick(&self.credentials, &r.credential, &mut slice.credentials);
                people.extend(self.credentials.get(&r.credential).cloned());
            }
            Request::Certify(r) => {
                people.insert(r.principal.clone());
            }
            Request::Complete(r) => {
                people.extend([r.principal.clone(), r.assessor.clone()]);
                pick(&self.files, &r.content, &mut slice.files);
            }
            Request::Assess(r) => {
                people.insert(r.statement.trainee.clone());
                pick(&self.files, &r.statement.content, &mut slice.files);
            }
            Request::EndCertification(r) => {
                people.insert(r.principal.clone());
            }
            Request::NoteExpiring(r) => {
                people.insert(r.principal.clone());
                pick(&self.environments, &r.environment, &mut slice.environments);
            }
            Request::CreateGroup(r) => pick(&self.groups, &r.group, &mut slice.groups),
            Request::JoinGroup(r) => {
                people.insert(r.principal.clone());
                pick(&self.groups, &r.group, &mut slice.groups);
            }
            Request::LeaveGroup(r) => {
                people.insert(r.principal.clone());
                pick(&self.groups, &r.group, &mut slice.groups);
            }
            Request::RecordFile(r) => {
                let digest = Digest::of_bytes(r.content.as_bytes());
                pick(&self.files, &digest, &mut slice.files);
            }
            Request::BuildRelease(r) => {
                for digest in r.files.values() {
                    pick(&self.files, digest, &mut slice.files);
                }
                if let Ok(digest) = Digest::of(&r.files) {
                    pick(&self.releases, &digest, &mut slice.releases);
                }
            }
            Request::Promote(r) => pick(&self.releases, &r.release, &mut slice.releases),
            Request::RecordControlTests(r) => {
                pick(&self.releases, &r.release, &mut slice.releases);
            }
            Request::SignRelease(r) => {
                self.slice_release(r.statement.release, &mut slice, &mut people)
            }
            Request::PromoteSigned(r) => {
                let s = &r.statement;
                self.slice_release(s.release, &mut slice, &mut people);
                pick(&self.environments, &s.env, &mut slice.environments);
            }
            Request::SignThreshold(r) => {
                pick(
                    &self.thresholds,
                    &r.statement.threshold,
                    &mut slice.thresholds,
                );
            }
            Request::OpenCase(r) => {
                pick(&self.environments, &r.environment, &mut slice.environments);
                let origin = self.origin.as_deref().unwrap_or_default();
                let subject = SubjectId::of(origin, &r.subject);
                pick(&self.erased, &subject, &mut slice.erased);
            }
            Request::PlaceHold(r) => {
                self.slice_subject(r.statement.subject, &mut slice, &mut people)
            }
            Request::LiftHold(r) => {
                self.slice_subject(r.statement.subject, &mut slice, &mut people)
            }
            Request::RequestErasure(r) => {
                self.slice_subject(r.statement.subject, &mut slice, &mut people)
            }
            Request::ConfirmErasure(r) => {
                self.slice_subject(r.statement.subject, &mut slice, &mut people)
            }
            Request::EndRetention(r) => {
                self.slice_subject(r.subject, &mut slice, &mut people);
                if let Some(last) = self.subjects.get(&r.subject).and_then(|s| s.last.as_ref()) {
                    pick(&self.environments, &last.env, &mut slice.environments);
                }
            }
            Request::Triage(r) => {
                pick(
                    &self.exceptions,
                    &r.statement.exception,
                    &mut slice.exceptions,
                );
            }
            Request::CallModel(r) => {
                let env = self.cases.get(&r.case).map(|case| &case.env);
                let spent = env.and_then(|env| Some((env, self.spent.get(env)?)));
                if let Some((env, by_agent)) = spent {
                    let own = slice.spent.entry(env.clone()).or_default();
                    pick(by_agent, &submission.principal, own);
                }
            }
            Request::Recommend(_) => {
                // A verdict may draw on any threshold of the release.
                slice.thresholds.clone_from(&self.thresholds);
            }
            Request::OpenLog(_)
            | Request::Call(_)
            | Request::Answer(_)
            | Request::AnswerModel(_)
            | Request::Retrieve(_)
            | Request::Withdraw(_)
            | Request::UseGrant(_)
            | Request::RecordOutcome(_)
            | Request::RecordDecision(_)
            | Request::Expire(_)
            | Request::RotateLogKey(_)
            | Request::Freeze(_) => {}
            Request::Approve(r) => people.extend(r.statement.on_behalf.clone()),
            Request::SetAttributes(r) => {
                people.insert(r.principal.clone());
            }
            Request::Delegate(r) => {
                people.insert(r.statement.deputy.clone());
                slice.delegations.clone_from(&self.delegations);
            }
            Request::EndDelegation(_) => slice.delegations.clone_from(&self.delegations),
            // Whoever is told is named.
            Request::NoteWaiting(_) => people.extend(self.principals.keys().cloned()),
            // Whoever was passed over is named.
            Request::BreakGlass(_) => {
                slice.glass.clone_from(&self.glass);
                people.extend(self.principals.keys().cloned());
            }
            Request::ReviewGlass(r) => {
                pick(&self.glass, &r.statement.grant, &mut slice.glass);
                let glass = self.glass.get(&r.statement.grant);
                people.extend(glass.into_iter().flat_map(|g| g.signers.iter().cloned()));
            }
            Request::NoteOverdue(r) => pick(&self.glass, &r.grant, &mut slice.glass),
            Request::NoteEnding(r) => {
                pick(&self.environments, &r.environment, &mut slice.environments);
                pick(&self.thresholds, &r.threshold, &mut slice.thresholds);
            }
            Request::Unfreeze(r) => {
                let freeze = self.freezes.get(&r.statement.freeze);
                if let Some(Scope::Agent { agent }) = freeze.map(|f| &f.scope) {
                    people.insert(agent.clone());
                }
            }
        }
        for threshold in slice.thresholds.values() {
            let signers = threshold.signers.values().flat_map(|s| s.keys());
            people.extend(signers.cloned());
        }
        for id in people {
            for id in self.line(&id) {
                pick(&self.principals, id, &mut slice.principals);
            }
        }
        slice
    }

    fn slice_release(
        &self,
        release: Digest,
        slice: &mut State,
        people: &mut BTreeSet<PrincipalId>,
    ) {
        pick(&self.releases, &release, &mut slice.releases);
        pick(&self.authors, &release, &mut slice.authors);
        pick(&self.tested, &release, &mut slice.tested);
        people.extend(self.authors.get(&release).into_iter().flatten().cloned());
    }

    fn slice_subject(&self, id: SubjectId, slice: &mut State, people: &mut BTreeSet<PrincipalId>) {
        pick(&self.subjects, &id, &mut slice.subjects);
        pick(&self.holds, &id, &mut slice.holds);
        pick(&self.asked, &id, &mut slice.asked);
        pick(&self.erased, &id, &mut slice.erased);
        people.extend(self.asked.get(&id).map(|asked| asked.by.clone()));
    }

    fn slice_case(&self, id: &CaseId, slice: &mut State, people: &mut BTreeSet<PrincipalId>) {
        pick(&self.closed, id, &mut slice.closed);
        pick(&self.cases, id, &mut slice.cases);
        let Some(case) = self.cases.get(id) else {
            return;
        };
        pick(&self.environments, &case.env, &mut slice.environments);
        people.extend(people_of(case));
        let agent = case.preparer().map(|agent| self.root(agent));
        let waiting = self.waiting.get(&case.env);
        if let Some((agent, n)) = agent.zip(waiting).and_then(|(a, w)| w.get_key_value(a)) {
            let own = slice.waiting.entry(case.env.clone()).or_default();
            own.insert(agent.clone(), *n);
        }
        for n in 1..=case.exceptions {
            let exception = ItemId::of(id, 'x', n);
            pick(&self.exceptions, &exception, &mut slice.exceptions);
        }
        if let Some(Basis::Threshold { threshold, .. }) = case.grant.as_ref().map(|g| &g.basis) {
            pick(&self.thresholds, threshold, &mut slice.thresholds);
        }
    }
}

fn people_of(case: &Case) -> impl Iterator<Item = PrincipalId> {
    let approval = case.approval.iter();
    let signers = approval.flat_map(|a| {
        let yes = a.yes.iter().flat_map(|yes| yes.people());
        yes.chain(a.glass.iter().map(|(p, _)| p))
    });
    case.parts.iter().map(|(_, p)| p).chain(signers).cloned()
}

fn pick<K: Ord + Clone, V: Clone>(from: &BTreeMap<K, V>, key: &K, to: &mut BTreeMap<K, V>) {
    if let Some(value) = from.get(key) {
        to.insert(key.clone(), value.clone());
    }
}
