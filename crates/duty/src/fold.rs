//! The fold: records into state. It judges nothing; it only takes down what the records say.

mod course;
mod group;
mod language;
mod threshold;

use crate::{
    canonical::Digest,
    log_key::Rotation,
    name::{CaseId, Environment, ItemId, PrincipalId},
    principal::{Credential, Duty, NewPrincipal, Proof},
    record::{Body, Record},
    release::Attention,
    request::{Outcome, Request},
    shared::Shared,
    state::{
        Approval, Asked, CallAnswer, CallState, Case, Delegation, Ended, ErasureBasis, Exception,
        Freeze, Glass, Grant, Hold, Principal, Retrieval, State, Tested, Yes,
    },
    statement::Choice,
    subject::SubjectId,
};

/// A record that cannot follow the records before it. A log that our own core wrote has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} cannot follow the records before it: {why}")]
pub struct FoldError {
    /// The record.
    pub seq: u64,
    /// Why not.
    pub why: String,
}

impl State {
    /// Takes one more record down.
    ///
    /// # Errors
    /// [`FoldError`] where the record is out of order or speaks of what is not there; the state is then of no more use.
    pub fn apply(&mut self, record: &Record) -> Result<(), FoldError> {
        self.follow(record).map_err(|why| FoldError {
            seq: record.seq,
            why,
        })
    }

    fn follow(&mut self, record: &Record) -> Result<(), String> {
        if record.seq != self.size {
            return Err(format!("its seq should be {}", self.size));
        }
        if record.time < self.time {
            return Err(format!(
                "its time {} is before that of the record ahead of it, {}",
                record.time, self.time
            ));
        }
        match (record.cause, record.body.request()) {
            (None, None) => return Err("it has neither a request nor a cause".to_owned()),
            (Some(_), Some(_)) => return Err("it has both a request and a cause".to_owned()),
            (Some(cause), None) if cause >= record.seq => {
                return Err("its cause does not come before it".to_owned());
            }
            _ => {}
        }
        self.take(record)?;
        self.count(record);
        self.size += 1;
        self.time = record.time;
        Ok(())
    }

    fn take(&mut self, record: &Record) -> Result<(), String> {
        match &record.body {
            Body::RequestRefused(_) => Ok(()),
            Body::LogOpened(b) => {
                let Request::OpenLog(request) = &b.request else {
                    return mismatch();
                };
                self.origin = Some(request.origin.clone());
                request.principals.iter().for_each(|p| self.add(p));
                Ok(())
            }
            Body::LogKeyRotated(b) => {
                let Request::RotateLogKey(request) = &b.request else {
                    return mismatch();
                };
                self.log_key = Some(Rotation::open(&request.statement)?.new);
                Ok(())
            }
            Body::PrincipalAdded(b) => {
                let Request::AddPrincipal(request) = &b.request else {
                    return mismatch();
                };
                self.add(request);
                Ok(())
            }
            Body::PrincipalRevoked(b) => {
                let Request::RevokePrincipal(request) = &b.request else {
                    return mismatch();
                };
                let principal = self.principals.get_mut(&request.principal);
                principal.ok_or("nobody by that id")?.revoked = true;
                Ok(())
            }
            Body::CredentialAdded(_) | Body::CredentialRevoked(_) => self.take_credential(record),
            Body::CertificationRecorded(_)
            | Body::CertificationEnded(_)
            | Body::CertificationExpiring(_) => self.take_of_course(record),
            Body::GroupCreated(_) | Body::GroupJoined(_) | Body::GroupLeft(_) => {
                self.take_of_group(record)
            }
            Body::FileRecorded(b) => {
                self.files.insert(b.digest, record.seq);
                Ok(())
            }
            Body::ReleaseBuilt(b) => {
                let Request::BuildRelease(request) = &b.request else {
                    return mismatch();
                };
                self.releases.insert(b.digest, request.files.clone());
                Ok(())
            }
            Body::ReleaseSigned(b) => {
                let Request::SignRelease(request) = &b.request else {
                    return mismatch();
                };
                let s = &request.statement;
                let authors = self.authors.entry(s.release).or_default();
                authors.insert(s.signer.clone());
                Ok(())
            }
            Body::ControlsTested(b) => {
                let Request::RecordControlTests(request) = &b.request else {
                    return mismatch();
                };
                let tested = Tested {
                    record: record.seq,
                    passed: b.passed,
                };
                self.tested.insert(request.release, tested);
                Ok(())
            }
            Body::ReleasePromoted(b) => {
                let (environment, release) = match &b.request {
                    Request::Promote(r) => (&r.environment, r.release),
                    Request::PromoteSigned(r) => (&r.statement.env, r.statement.release),
                    _ => return mismatch(),
                };
                let before = self.environments.insert(environment.clone(), release);
                let earlier = self.earlier.entry(environment.clone()).or_default();
                earlier.retain(|r| *r != release && Some(*r) != before);
                earlier.extend(before.filter(|b| *b != release));
                Ok(())
            }
            Body::ThresholdSigned(_)
            | Body::ThresholdApplied(_)
            | Body::ThresholdReleased(_)
            | Body::ThresholdEnding(_) => self.take_of_threshold(record),
            Body::VerdictReached(b) => {
                self.case(record)?.tier = b.tier;
                self.take_counted(record, &b.counted)
            }
            Body::CaseOpened(b) => {
                let Request::OpenCase(request) = &b.request else {
                    return mismatch();
                };
                let case = new_case(record, &request.subject, request.snapshot)?;
                self.cases.insert(request.case.clone(), case.into());
                let id = self.subject(&request.subject)?;
                self.subjects.entry(id).or_default().open += 1;
                Ok(())
            }
            Body::ExceptionRaised(b) => {
                if record.case.is_some() {
                    self.case(record)?.exceptions += 1;
                }
                self.exceptions.insert(
                    b.exception.clone(),
                    Exception {
                        sort: b.sort,
                        raised: record.time,
                        text: b.text.clone(),
                    },
                );
                Ok(())
            }
            Body::ExceptionTriaged(b) => {
                let Request::Triage(request) = &b.request else {
                    return mismatch();
                };
                self.exceptions.remove(&request.statement.exception);
                Ok(())
            }
            Body::CaseClosed(b) => {
                let id = case_id(record)?;
                let case = self.cases.remove(id).ok_or("its case is not open")?;
                if case.waits() {
                    self.wait(&case.env, case.preparer(), false);
                }
                self.closed.insert(id.clone(), b.outcome);
                self.forget_asked(id, b.outcome);
                let subject = self.subject(&case.subject)?;
                let subject = self.subjects.get_mut(&subject);
                let subject = subject.ok_or("its subject has no case")?;
                subject.open = subject
                    .open
                    .checked_sub(1)
                    .ok_or("its subject has no open case")?;
                subject.ended += 1;
                subject.last = Some(Ended {
                    time: record.time,
                    env: case.env.clone(),
                });
                Ok(())
            }
            Body::GlassBroken(b) => {
                let glass = Glass {
                    signers: b.signers.clone(),
                    broken: record.time,
                    review_by: b.review_by,
                    overdue: false,
                };
                self.glass.insert(b.grant.clone(), glass);
                Ok(())
            }
            Body::GlassReviewed(b) => {
                let Request::ReviewGlass(request) = &b.request else {
                    return mismatch();
                };
                let reviewed = self.glass.remove(&request.statement.grant);
                reviewed
                    .map(|_| ())
                    .ok_or("there is no such emergency".to_owned())
            }
            Body::GlassOverdue(b) => {
                let Request::NoteOverdue(request) = &b.request else {
                    return mismatch();
                };
                let glass = self.glass.get_mut(&request.grant);
                glass.ok_or("there is no such emergency")?.overdue = true;
                Ok(())
            }
            Body::FreezePlaced(b) => {
                let Request::Freeze(request) = &b.request else {
                    return mismatch();
                };
                let freeze = Freeze {
                    scope: request.scope.clone(),
                    by: record.actor.id.clone(),
                    placed: record.time,
                    reason: request.reason.clone(),
                };
                self.freezes.insert(record.seq, freeze);
                Ok(())
            }
            Body::FreezeLifted(b) => {
                let Request::Unfreeze(request) = &b.request else {
                    return mismatch();
                };
                let lifted = self.freezes.remove(&request.statement.freeze);
                lifted
                    .map(|_| ())
                    .ok_or("there is no such freeze".to_owned())
            }
            Body::AttributesSet(b) => {
                let Request::SetAttributes(request) = &b.request else {
                    return mismatch();
                };
                let principal = self.principals.get_mut(&request.principal);
                principal.ok_or("nobody by that id")?.attributes = request.attributes.clone();
                Ok(())
            }
            Body::DelegationMade(b) => {
                let Request::Delegate(request) = &b.request else {
                    return mismatch();
                };
                let s = &request.statement;
                // One whose time is over can be neither used nor made again.
                self.delegations.retain(|_, d| record.time < d.until);
                let delegation = Delegation {
                    deputy: s.deputy.clone(),
                    delegator: s.signer.clone(),
                    role: s.role,
                    starts: s.starts,
                    until: s.until,
                    reason: s.reason.clone(),
                    ended: false,
                };
                self.delegations.insert(record.seq, delegation);
                Ok(())
            }
            Body::DelegationEnded(b) => {
                let Request::EndDelegation(request) = &b.request else {
                    return mismatch();
                };
                let delegation = self.delegations.get_mut(&request.statement.delegation);
                delegation.ok_or("there is no such delegation")?.ended = true;
                Ok(())
            }
            Body::ModelCalled(_) | Body::ModelAnswered(_) => self.take_of_model(record),
            Body::HoldPlaced(_)
            | Body::HoldLifted(_)
            | Body::ErasureRequested(_)
            | Body::ErasureConfirmed(_)
            | Body::RetentionEnded(_)
            | Body::SubjectErased(_) => self.take_of_subject(record),
            _ => {
                let case = self.case(record)?;
                let before = case.waits();
                take_in_case(case, record)?;
                if case.waits() != before {
                    let (env, agent) = (case.env.clone(), case.preparer().cloned());
                    self.wait(&env, agent.as_ref(), !before);
                }
                self.remember(record);
                Ok(())
            }
        }
    }

    /// One more request of an agent waits for humans, or one less.
    fn wait(&mut self, env: &Environment, agent: Option<&PrincipalId>, more: bool) {
        let Some(agent) = agent else { return };
        let root = self.root(agent).clone();
        let waiting = self.waiting.entry(env.clone()).or_default();
        let count = waiting.entry(root.clone()).or_default();
        *count = if more {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            waiting.remove(&root);
        }
        if waiting.is_empty() {
            self.waiting.remove(env);
        }
    }

    /// A person signed, and the record says for how long that is to be remembered.
    fn remember(&mut self, record: &Record) {
        let Body::ApprovalGiven(b) = &record.body else {
            return;
        };
        let signer = b.request.signer().map(|(who, _)| who);
        let person = signer.and_then(|who| self.principals.get_mut(who));
        if let Some(person) = person.filter(|_| b.remember_seconds > 0) {
            let since = record.time.minus_seconds(b.remember_seconds);
            // The oldest come first.
            let past = person.signed.partition_point(|t| *t <= since);
            let most = (person.signed.len() + 1).saturating_sub(Attention::MOST as usize);
            person.signed.drain(..past.max(most));
            person.signed.push(record.time);
        }
    }

    fn take_credential(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::CredentialAdded(_), Some(Request::AddCredential(r))) => {
                let (whose, id) = (r.principal(), r.credential());
                let principal = self.principals.get_mut(whose);
                let principal = principal.ok_or("nobody by that id")?;
                principal.credentials.push(Credential {
                    id: id.clone(),
                    proof: r.proof.clone(),
                });
                if let Some(counter) = r.possession().and_then(|p| p.signature.counter()) {
                    principal.counters.insert(id.clone(), counter);
                }
                self.credentials.insert(id.clone(), whose.clone());
                if let Some(digest) = proof_digest(&r.proof) {
                    self.proofs.insert(digest, id.clone());
                }
            }
            (Body::CredentialRevoked(_), Some(Request::RevokeCredential(r))) => {
                let whose = self.credentials.get(&r.credential);
                let whose = whose.and_then(|who| self.principals.get_mut(who));
                let whose = whose.ok_or("nobody has that credential")?;
                whose.ended.insert(r.credential.clone());
            }
            _ => return mismatch(),
        }
        Ok(())
    }

    /// An authenticator's counter only goes up.
    fn count(&mut self, record: &Record) {
        let proved = record.body.request().and_then(Request::proved);
        let counted = proved.and_then(|(who, with, s)| Some((who, with, s.counter()?)));
        if let Some((who, with, counter)) = counted
            && !matches!(record.body, Body::RequestRefused(_))
            && let Some(person) = self.principals.get_mut(who)
        {
            person.counters.insert(with.clone(), counter);
        }
    }

    fn take_of_subject(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::HoldPlaced(_), Some(Request::PlaceHold(r))) => {
                let s = &r.statement;
                let hold = Hold {
                    by: s.signer.clone(),
                    placed: record.time,
                    reason: s.reason.clone(),
                    clause: s.clause.clone(),
                };
                let holds = self.holds.entry(s.subject).or_default();
                holds.insert(record.seq, hold);
            }
            (Body::HoldLifted(_), Some(Request::LiftHold(r))) => {
                let s = &r.statement;
                let holds = self.holds.get_mut(&s.subject);
                let holds = holds.ok_or("the subject is under no hold")?;
                holds.remove(&s.hold).ok_or("there is no such hold")?;
                if holds.is_empty() {
                    self.holds.remove(&s.subject);
                }
            }
            (Body::ErasureRequested(_), Some(Request::RequestErasure(r))) => {
                let s = &r.statement;
                let asked = Asked {
                    record: record.seq,
                    by: s.signer.clone(),
                    time: record.time,
                    reason: s.reason.clone(),
                    basis: None,
                };
                self.asked.insert(s.subject, asked);
            }
            (Body::ErasureConfirmed(_), Some(Request::ConfirmErasure(r))) => {
                let s = &r.statement;
                let asked = self.asked.get_mut(&s.subject);
                let asked = asked.filter(|asked| asked.record == s.request);
                let asked = asked.ok_or("it confirms what nobody has asked for")?;
                asked.basis = Some(ErasureBasis::Confirmed(s.signer.clone()));
            }
            (Body::RetentionEnded(_), Some(Request::EndRetention(r))) => {
                let asked = Asked {
                    record: record.seq,
                    by: record.actor.id.clone(),
                    time: record.time,
                    reason: "its retention is over".to_owned(),
                    basis: Some(ErasureBasis::Retention),
                };
                self.asked.insert(r.subject, asked);
            }
            (Body::SubjectErased(b), None) => {
                let asked = self.asked.remove(&b.subject);
                let asked = asked.ok_or("nobody has asked for the erasure")?;
                let basis = asked.basis.ok_or("nobody has confirmed the erasure")?;
                let by = match basis {
                    ErasureBasis::Confirmed(second) => vec![asked.by, second],
                    ErasureBasis::Retention => Vec::new(),
                };
                if asked.record != b.asked || b.by != by {
                    return Err("its erasure was asked for and confirmed otherwise".to_owned());
                }
                self.erased.insert(b.subject, record.seq);
            }
            _ => return mismatch(),
        }
        Ok(())
    }

    /// The id of a subject in this log.
    fn subject(&self, subject: &str) -> Result<SubjectId, String> {
        let origin = self.origin.as_deref().ok_or("the log was not opened")?;
        Ok(SubjectId::of(origin, subject))
    }

    fn case(&mut self, record: &Record) -> Result<&mut Case, String> {
        let id = case_id(record)?;
        let case = self.cases.get_mut(id).map(|c| &mut **c);
        case.ok_or_else(|| format!("case `{id}` is not open"))
    }

    fn add(&mut self, new: &NewPrincipal) {
        for credential in &new.credentials {
            self.credentials
                .insert(credential.id.clone(), new.id.clone());
            if let Some(digest) = proof_digest(&credential.proof) {
                self.proofs.insert(digest, credential.id.clone());
            }
        }
        self.principals.insert(
            new.id.clone(),
            Shared::from(Principal {
                kind: new.kind,
                roles: new.roles.iter().copied().collect(),
                owner: new.owner.clone(),
                acts_for: new.acts_for.clone(),
                attributes: new.attributes.clone(),
                credentials: new.credentials.clone(),
                ended: Default::default(),
                counters: Default::default(),
                signed: Vec::new(),
                revoked: false,
                certifications: Default::default(),
                own: None,
                groups: Default::default(),
                told: Default::default(),
            }),
        );
    }
}

/// What makes two credentials the same: the digest of the public key, of the token, or of whom tokens are issued to.
pub(crate) fn proof_digest(proof: &Proof) -> Option<Digest> {
    match proof {
        Proof::Ed25519 { public } => Some(Digest::of_bytes(public.as_bytes())),
        Proof::Passkey(passkey) => Some(Digest::of_bytes(&passkey.key_bytes())),
        Proof::Ssh { public } => Some(Digest::of_bytes(&public.key_bytes())),
        Proof::Token { sha256 } => Some(*sha256),
        Proof::Jwt(subject) => Some(subject.digest()),
        Proof::Certificate { spki } => Some(*spki),
        Proof::Local => None,
    }
}

fn take_in_case(case: &mut Case, record: &Record) -> Result<(), String> {
    let actor = &record.actor.id;
    match &record.body {
        Body::CallPermitted(b) => {
            let Request::Call(request) = &b.request else {
                return mismatch();
            };
            take_part(case, record);
            case.calls.push(CallState {
                agent: actor.clone(),
                action: request.action.clone(),
                answer: None,
            });
        }
        Body::CallAnswered(b) => {
            let Request::Answer(request) = &b.request else {
                return mismatch();
            };
            let call = call_index(&request.call).and_then(|i| case.calls.get_mut(i));
            call.ok_or("no such call")?.answer = Some(match (request.snapshot, &request.problem) {
                (Some(snapshot), _) => CallAnswer::Snapshot(snapshot),
                (None, problem) => CallAnswer::Problem(problem.clone().unwrap_or_default()),
            });
            case.facts.replace(&request.facts);
        }
        Body::ClausesRetrieved(b) => {
            let Request::Retrieve(request) = &b.request else {
                return mismatch();
            };
            take_part(case, record);
            let retrievals = case.retrieved.entry(actor.clone()).or_default();
            retrievals.push(Retrieval {
                query: request.query.clone(),
                at: request.as_of.unwrap_or(record.time),
                clauses: request
                    .ranking
                    .iter()
                    .map(|r| r.clause.id.clone())
                    .collect(),
            });
        }
        Body::RecommendationMade(b) => {
            let Request::Recommend(request) = &b.request else {
                return mismatch();
            };
            take_part(case, record);
            let made = Some((actor.clone(), request.clone()));
            match request.duty {
                Duty::Prepare => case.prepared = made,
                Duty::Review => case.reviewed = made,
                Duty::Approve | Duty::Execute => return mismatch(),
            }
        }
        Body::ApprovalRequested(b) => {
            case.approval = Some(Approval {
                id: b.approval.clone(),
                digest: b.digest,
                tier: b.tier,
                asked: record.time,
                humans: b.humans,
                expires: b.expires,
                yes: Vec::new(),
                withdrawn: Default::default(),
                remind: b.remind,
                escalate: b.escalate,
                glass: Vec::new(),
            });
        }
        Body::ApprovalGiven(b) => {
            let Request::Approve(request) = &b.request else {
                return mismatch();
            };
            let s = &request.statement;
            let yes = Yes {
                who: s.signer.clone(),
                with: s.credential.clone(),
                stage: b.stage.clone(),
                on_behalf: s.on_behalf.clone(),
            };
            let parts = yes.people().map(|who| (Duty::Approve, who.clone()));
            case.parts.extend(parts);
            let approval = case.approval.as_mut().ok_or("no approval was asked for")?;
            if s.decision == Choice::Approve {
                approval.yes.push(yes);
            }
        }
        Body::ApprovalWithdrawn(b) => {
            let Request::Withdraw(request) = &b.request else {
                return mismatch();
            };
            let s = &request.statement;
            let approval = case.approval.as_mut().ok_or("no approval was asked for")?;
            let gone = approval.yes.iter().position(|yes| yes.is_of(&s.signer));
            let gone = approval
                .yes
                .remove(gone.ok_or("nothing of theirs is there to take back")?);
            approval.withdrawn.extend(gone.people().cloned());
        }
        Body::GrantVoided(_) => {
            case.grant.take().ok_or("no grant was issued")?;
            case.voided += 1;
        }
        Body::ApprovalReminded(_) => {
            let approval = case.approval.as_mut().ok_or("no approval was asked for")?;
            approval.remind = None;
        }
        Body::ApprovalEscalated(_) => {
            let approval = case.approval.as_mut().ok_or("no approval was asked for")?;
            approval.escalate = None;
        }
        Body::GlassSigned(b) => {
            let Request::BreakGlass(request) = &b.request else {
                return mismatch();
            };
            let s = &request.statement;
            case.parts.insert((Duty::Approve, s.signer.clone()));
            let approval = case.approval.as_mut().ok_or("no approval was asked for")?;
            approval
                .glass
                .push((s.signer.clone(), s.credential.clone()));
        }
        Body::GrantIssued(b) => {
            case.grant = Some(Grant {
                id: b.grant.clone(),
                digest: b.digest,
                basis: b.basis.clone(),
                expires: b.expires,
                used: None,
                report_by: None,
            });
        }
        Body::GrantUsed(b) => {
            take_part(case, record);
            let grant = case.grant.as_mut().ok_or("no grant was issued")?;
            grant.used = Some(record.time);
            grant.report_by = b.report_by;
        }
        Body::DecisionRecorded(_) => take_part(case, record),
        Body::OutcomeRecorded(b) => {
            let Request::RecordOutcome(request) = &b.request else {
                return mismatch();
            };
            if case.outcome.is_some_and(|o| o != Outcome::Unknown) {
                return Err("the outcome is known already".to_owned());
            }
            case.outcome = Some(request.outcome);
        }
        Body::OverrideRecorded(_)
        | Body::ApprovalExpired(_)
        | Body::GrantExpired(_)
        | Body::CaseLapsed(_) => {}
        _ => return mismatch(),
    }
    Ok(())
}

fn take_part(case: &mut Case, record: &Record) {
    let duty = match record.actor.role {
        Some(crate::principal::Role::Analyst) => Duty::Prepare,
        Some(crate::principal::Role::Reviewer) => Duty::Review,
        Some(crate::principal::Role::Executor) => Duty::Execute,
        _ => return,
    };
    case.parts.insert((duty, record.actor.id.clone()));
}

fn new_case(record: &Record, subject: &str, snapshot: Digest) -> Result<Case, String> {
    Ok(Case {
        env: record.env.clone().ok_or("it names no environment")?,
        release: record.release.ok_or("it names no release")?,
        subject: subject.to_owned(),
        opened: record.time,
        snapshot,
        parts: Default::default(),
        facts: Default::default(),
        calls: Vec::new(),
        models: Vec::new(),
        retrieved: Default::default(),
        prepared: None,
        reviewed: None,
        tier: None,
        approval: None,
        grant: None,
        voided: 0,
        outcome: None,
        exceptions: 0,
    })
}

/// The place of a call in its case, from its id `<case>.c<n+1>`.
pub(crate) fn call_index(id: &ItemId) -> Option<usize> {
    index(id, 'c')
}

/// The place of a call of a model in its case.
pub(crate) fn model_index(id: &ItemId) -> Option<usize> {
    index(id, 'm')
}

fn index(id: &ItemId, letter: char) -> Option<usize> {
    let (_, item) = id.as_str().rsplit_once('.')?;
    item.strip_prefix(letter)?
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
}

fn case_id(record: &Record) -> Result<&CaseId, String> {
    record
        .case
        .as_ref()
        .ok_or_else(|| "it names no case".to_owned())
}

fn mismatch<T>() -> Result<T, String> {
    Err("its request is not of its kind".to_owned())
}
