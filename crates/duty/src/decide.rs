//! Deciding: a pure function of the log so far, the release in force, and the request.
//!
//! [`decide`] answers every request with records: the ones that take it down with its consequences, or one that says why
//! it was refused. The shell appends them, in one piece, and acts only when they are durable. Given the same state,
//! rules and submission it gives the same records for ever; that is what re-performance checks.

mod approve;
mod authority;
mod cite;
mod credential;
mod delegate;
mod elsewhere;
mod erase;
mod execute;
mod expire;
mod foresee;
mod freeze;
mod gather;
mod glass;
mod group;
mod headroom;
mod keep;
mod language;
mod near;
mod pace;
mod permit;
mod promote;
mod recommend;
mod remind;
mod report;
mod split;
mod stages;
mod threshold;
mod train;
mod triage;
mod verdict;
mod withdraw;

pub use approve::differs;
pub use cite::says;
pub use foresee::{Foresight, Outlook, Room, Signing, foresee};
pub use headroom::{Headroom, Line, Share, Signature, headroom};
pub use near::ending;
pub use stages::{StageView, Way, may_sign, stages};

use crate::{
    canonical::Digest,
    name::{CaseId, Environment, ItemId},
    principal::Role,
    record::{Actor, Body, ExceptionRaised, ExceptionSort, Record, RequestRefused},
    refusal::{Code, Refusal},
    release::{ClauseRef, Rules},
    request::{Request, Submission},
    signature::Checked,
    state::{Case, Principal, State},
    time::Time,
};

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The records, in order; never empty. The first carries the request.
    pub records: Vec<Record>,
    /// Why the request was refused, if it was.
    pub refusal: Option<Refusal>,
}

/// Decides one request.
///
/// `rules` is the release that the request falls under: that of its case, or, for a case that opens, that of its
/// environment; see [`release_for`]. Where it is needed and absent the request is refused.
#[must_use]
pub fn decide(state: &State, rules: Option<&dyn Rules>, submission: &Submission) -> Decision {
    decide_with(state, rules, submission, None)
}

/// As [`decide`], and to the same end, for whoever has verified the request's signature ahead: on another thread, or for
/// many decisions at once.
#[must_use]
pub fn decide_with(
    state: &State,
    rules: Option<&dyn Rules>,
    submission: &Submission,
    checked: Option<&Checked>,
) -> Decision {
    let mut desk = Desk {
        state,
        rules,
        submission,
        checked,
        now: submission.clock.max(state.time),
        records: Vec::new(),
        exceptions: 0,
    };
    let refusal = desk.run().err();
    if let Some(refusal) = &refusal {
        desk.refuse(refusal.clone());
    }
    Decision {
        records: desk.records,
        refusal,
    }
}

/// The digest of the release that a request falls under, if it falls under one.
#[must_use]
pub fn release_for(state: &State, request: &Request) -> Option<Digest> {
    match request {
        Request::OpenCase(r) => state.environments.get(&r.environment).copied(),
        Request::SignThreshold(_) => None,
        Request::NoteEnding(r) => state.environments.get(&r.environment).copied(),
        Request::NoteExpiring(r) => state.environments.get(&r.environment).copied(),
        Request::EndRetention(r) => {
            let last = state.subjects.get(&r.subject)?.last.as_ref()?;
            state.environments.get(&last.env).copied()
        }
        _ => {
            let case = request.case()?;
            state.cases.get(&case).map(|c| c.release)
        }
    }
}

/// One decision in the making.
struct Desk<'a> {
    state: &'a State,
    rules: Option<&'a dyn Rules>,
    submission: &'a Submission,
    /// Its signature, where it was verified before.
    checked: Option<&'a Checked>,
    now: Time,
    records: Vec<Record>,
    exceptions: u32,
}

type Ruled<T = ()> = Result<T, Refusal>;

impl<'a> Desk<'a> {
    fn run(&mut self) -> Ruled {
        let submission = self.submission;
        crate::canonical::check_numbers(&submission.request)
            .map_err(|e| Refusal::new(Code::Malformed, e.to_string(), "correct the number"))?;
        if let Request::OpenLog(request) = &submission.request {
            return self.open_log(request);
        }
        self.known_actor()?;
        if submission.clock < self.state.time
            && authority::lets_something_happen(&submission.request)
        {
            return Err(Refusal::new(
                Code::ClockBehind,
                format!(
                    "the clock reads {}, before the last record at {}",
                    submission.clock, self.state.time
                ),
                "set the clock right, or wait until it has caught up",
            ));
        }
        match &submission.request {
            Request::OpenLog(_) => Ok(()),
            Request::AddPrincipal(r) => self.add_principal(r),
            Request::RevokePrincipal(r) => self.revoke_principal(r),
            Request::AddCredential(r) => self.add_credential(r),
            Request::RevokeCredential(r) => self.revoke_credential(r),
            Request::Certify(r) => self.certify(r),
            Request::Complete(r) => self.complete(r),
            Request::Assess(r) => self.assess(r),
            Request::EndCertification(r) => self.end_certification(r),
            Request::NoteExpiring(r) => self.note_expiring(r),
            Request::CreateGroup(r) => self.create_group(r),
            Request::JoinGroup(r) => self.join_group(r),
            Request::LeaveGroup(r) => self.leave_group(r),
            Request::RecordFile(r) => self.record_file(r),
            Request::BuildRelease(r) => self.build_release(r),
            Request::SignRelease(r) => self.sign_release(r),
            Request::RecordControlTests(r) => self.record_control_tests(r),
            Request::Promote(r) => self.promote(r),
            Request::PromoteSigned(r) => self.promote_signed(r),
            Request::SignThreshold(r) => self.sign_threshold(r),
            Request::OpenCase(r) => self.open_case(r),
            Request::Call(r) => self.call(r),
            Request::Answer(r) => self.answer(r),
            Request::Retrieve(r) => self.retrieve(r),
            Request::CallModel(r) => self.call_model(r),
            Request::AnswerModel(r) => self.answer_model(r),
            Request::Recommend(r) => self.recommend(r),
            Request::Approve(r) => self.approve(r),
            Request::UseGrant(r) => self.use_grant(r),
            Request::RecordOutcome(r) => self.record_outcome(r),
            Request::RecordDecision(r) => self.record_decision(r),
            Request::Expire(r) => self.expire(r),
            Request::Triage(r) => self.triage(r),
            Request::RotateLogKey(r) => self.rotate_log_key(r),
            Request::PlaceHold(r) => self.place_hold(r),
            Request::LiftHold(r) => self.lift_hold(r),
            Request::RequestErasure(r) => self.request_erasure(r),
            Request::ConfirmErasure(r) => self.confirm_erasure(r),
            Request::EndRetention(r) => self.end_retention(r),
            Request::Freeze(r) => self.freeze(r),
            Request::Unfreeze(r) => self.unfreeze(r),
            Request::BreakGlass(r) => self.break_glass(r),
            Request::ReviewGlass(r) => self.review_glass(r),
            Request::NoteOverdue(r) => self.note_overdue(r),
            Request::SetAttributes(r) => self.set_attributes(r),
            Request::Withdraw(r) => self.withdraw(r),
            Request::Delegate(r) => self.delegate(r),
            Request::EndDelegation(r) => self.end_delegation(r),
            Request::NoteWaiting(r) => self.note_waiting(r),
            Request::NoteEnding(r) => self.note_ending(r),
        }
    }

    /// The request as it is recorded.
    fn request(&self) -> Request {
        self.submission.request.clone()
    }

    fn principal(&self) -> Result<&'a Principal, Refusal> {
        let principal = self.state.principals.get(&self.submission.principal);
        principal.map(|p| &**p).ok_or_else(|| {
            Refusal::new(
                Code::UnknownPrincipal,
                format!("nobody here is called `{}`", self.submission.principal),
                "add the principal first",
            )
        })
    }

    fn case(&self, id: &CaseId) -> Result<&'a Case, Refusal> {
        self.state.cases.get(id).map(|c| &**c).ok_or_else(|| {
            let why = match self.state.closed.get(id) {
                Some(outcome) => format!("case `{id}` has ended: {}", outcome.word()),
                None => format!("there is no case `{id}`"),
            };
            Refusal::new(Code::WrongState, why, "name a case that is under way")
        })
    }

    fn item_case(&self, item: &ItemId) -> Result<(CaseId, &'a Case), Refusal> {
        let id = item.case().ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("`{item}` names nothing in a case"),
                "give the id as it was given out",
            )
        })?;
        let case = self.case(&id)?;
        Ok((id, case))
    }

    /// The rules of a release, which must be exactly the one that was handed in.
    fn rules(&self, release: Digest) -> Result<&'a dyn Rules, Refusal> {
        self.rules.filter(|r| r.digest() == release).ok_or_else(|| {
            Refusal::new(
                Code::PolicyMissing,
                format!("release {} is not there to be asked", release.short()),
                "restore the release's files from the log",
            )
        })
    }

    /// The release that an environment points at, with its rules.
    fn rules_of(&self, env: &Environment) -> Result<(Digest, &'a dyn Rules), Refusal> {
        let release = self.state.environments.get(env).copied();
        let release = release.ok_or_else(|| {
            Refusal::new(
                Code::PolicyMissing,
                format!("environment `{env}` points at no release"),
                "name one that `release list` shows",
            )
        })?;
        Ok((release, self.rules(release)?))
    }

    /// The case's rules, if its environment still points at its release (I3).
    fn rules_in_force(&self, case: &Case) -> Result<&'a dyn Rules, Refusal> {
        match self.state.environments.get(&case.env) {
            Some(release) if *release == case.release => self.rules(case.release),
            _ => Err(Refusal::new(
                Code::ReleaseMoved,
                format!(
                    "environment `{}` has moved on from release {} of this case",
                    case.env,
                    case.release.short()
                ),
                "open a new case under the release in force",
            )),
        }
    }

    /// Adds a record. The first one added carries the request; the others are its consequences.
    fn write(
        &mut self,
        place: Place<'_>,
        role: Option<Role>,
        clauses: Vec<ClauseRef>,
        body: impl Into<Body>,
    ) {
        let first = self.state.size;
        let index = self.records.len() as u64;
        let actor = self.actor(role);
        self.records.push(Record {
            seq: first + index,
            time: self.now,
            cause: (index > 0).then_some(first),
            env: place.env.cloned(),
            case: place.case.cloned(),
            actor,
            release: place.release,
            clauses,
            body: body.into(),
        });
    }

    fn actor(&self, role: Option<Role>) -> Actor {
        let principal = self.state.principals.get(&self.submission.principal);
        Actor {
            id: self.submission.principal.clone(),
            role,
            owner: principal.and_then(|p| p.owner.clone()),
            credential: self.submission.credential.clone(),
        }
    }

    /// Whatever was written before the refusal is dropped: a refused request has no consequence but its record, and, where a
    /// tool is not what it was, that a human is told.
    fn refuse(&mut self, refusal: Refusal) {
        self.records.clear();
        let case_id = self.submission.request.case();
        let case = case_id.as_ref().and_then(|id| self.state.cases.get(id));
        let place = match (&case_id, case) {
            (Some(id), Some(case)) => Place::case(id, case),
            (Some(id), None) if self.state.closed.contains_key(id) => Place {
                case: Some(id),
                ..Place::default()
            },
            _ => Place::default(),
        };
        let clauses = self.cited(&place, refusal.clause.as_deref());
        let behind = self.submission.clock < self.state.time;
        let changed = (refusal.code == Code::ToolChanged).then(|| refusal.why.clone());
        let body = RequestRefused {
            request: self.request(),
            refusal,
            clock: behind.then_some(self.submission.clock),
        };
        self.write(place, None, clauses, body);
        // Once in a case, until somebody has triaged it.
        if let (Some(why), Some(id), Some(case)) = (changed, &case_id, case)
            && !self.state.is_raised(id, case, ExceptionSort::ToolChanged)
        {
            self.raise_in(id, case, ExceptionSort::ToolChanged, why);
        }
    }

    fn cited<'c>(
        &self,
        place: &Place<'_>,
        ids: impl IntoIterator<Item = &'c str>,
    ) -> Vec<ClauseRef> {
        let Some(rules) = self.rules.filter(|r| Some(r.digest()) == place.release) else {
            return Vec::new();
        };
        let mut clauses: Vec<_> = ids
            .into_iter()
            .filter_map(|id| rules.clause(id, self.now).cloned())
            .collect();
        clauses.sort();
        clauses.dedup();
        clauses
    }

    fn raise(
        &mut self,
        place: Place<'_>,
        case: &Case,
        role: Option<Role>,
        sort: ExceptionSort,
        text: String,
    ) {
        let Some(id) = place.case else { return };
        self.exceptions += 1;
        let exception = ItemId::of(id, 'x', case.exceptions + self.exceptions);
        let body = ExceptionRaised {
            exception,
            sort,
            text,
        };
        self.write(place, role, Vec::new(), body);
    }
}

impl Desk<'_> {
    /// As [`Desk::raise`], where no case is concerned.
    fn raise_outside(&mut self, place: Place<'_>, sort: ExceptionSort, text: String) {
        let seq = self.state.size + self.records.len() as u64;
        let body = ExceptionRaised {
            exception: ItemId::outside(seq),
            sort,
            text,
        };
        self.write(place, Some(Role::Service), Vec::new(), body);
    }
}

/// Where a record belongs.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    env: Option<&'a Environment>,
    case: Option<&'a CaseId>,
    release: Option<Digest>,
}

impl<'a> Place<'a> {
    fn case(id: &'a CaseId, case: &'a Case) -> Self {
        Self {
            env: Some(&case.env),
            case: Some(id),
            release: Some(case.release),
        }
    }
}
