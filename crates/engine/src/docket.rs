//! The docket: what waits for humans, with everything that a signature must name.

use std::collections::BTreeSet;

use duty::{
    StageView,
    action::Action,
    canonical::Digest,
    differs,
    name::{CaseId, CredentialId, Environment, ItemId, PrincipalId, ReasonCode},
    release::{Rules as _, Tier},
    request::Recommend,
    stages,
    state::{Case, State},
    statement::{ApprovalStatement, Choice},
    time::Time,
};
use serde::{Deserialize, Serialize};

use crate::Engine;

/// A request for approval that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id.
    pub approval: ItemId,
    /// The case.
    pub case: CaseId,
    /// What the case is about.
    pub subject: String,
    /// The exact action.
    pub action: Action,
    /// Its digest.
    pub digest: Digest,
    /// The risk tier.
    pub tier: Tier,
    /// How many humans must sign.
    pub humans: u32,
    /// Who has said yes.
    pub have: Vec<PrincipalId>,
    /// How its stages stand, in their order: who has signed where, which is open, and who may sign; none where its release
    /// is not there to be asked, or no longer in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageView>,
    /// The codes of which an override carries one, where the release lists any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub codes: BTreeSet<ReasonCode>,
    /// When it was asked.
    pub asked: Time,
    /// When it expires.
    pub expires: Time,
    /// The release.
    pub release: Digest,
    /// The environment.
    pub env: Environment,
    /// The log's origin.
    pub log: String,
    /// The analyst's recommendation.
    pub prepared: Option<Recommend>,
    /// The reviewer's.
    pub reviewed: Option<Recommend>,
    /// Whether a yes would go against an agent's recommendation.
    pub yes_overrides: bool,
    /// Whether a no would.
    pub no_overrides: bool,
}

impl Waiting {
    /// The statement that a human signs for this decision, at `signed` by their own clock.
    #[must_use]
    pub fn statement(
        &self,
        signed: Time,
        decision: Choice,
        reason: &str,
        signer: PrincipalId,
        credential: CredentialId,
    ) -> ApprovalStatement {
        ApprovalStatement {
            statement: ApprovalStatement::TYPE.to_owned(),
            log: self.log.clone(),
            approval: self.approval.clone(),
            case: self.case.clone(),
            action: self.digest,
            release: self.release,
            env: self.env.clone(),
            expires: self.expires,
            signed,
            decision,
            overrides: match decision {
                Choice::Approve => self.yes_overrides,
                Choice::Reject => self.no_overrides,
            },
            reason: reason.to_owned(),
            code: None,
            stage: None,
            on_behalf: None,
            signer,
            credential,
        }
    }
}

impl Engine {
    /// How the stages of what waits stand.
    fn with_stages(&self, mut waiting: Waiting) -> Waiting {
        let Ok(Some(release)) = self.release(waiting.release) else {
            return waiting;
        };
        let now = self.now();
        let stages = self.read(|state| stages(state, &*release, &waiting.approval, now));
        waiting.stages = stages.unwrap_or_default();
        let overrides = release.team().overrides.as_ref();
        waiting.codes = overrides.map(|o| o.codes.clone()).unwrap_or_default();
        waiting
    }

    /// What waits for humans, soonest expiry first.
    #[must_use]
    pub fn docket(&self) -> Vec<Waiting> {
        let mut waiting: Vec<_> = self.read(|state| {
            let cases = state.cases.iter();
            cases
                .filter_map(|(id, case)| waiting(state, id, case))
                .collect()
        });
        waiting.sort_by(|a, b| (a.expires, &a.approval).cmp(&(b.expires, &b.approval)));
        waiting.into_iter().map(|w| self.with_stages(w)).collect()
    }

    /// One request for approval that waits.
    #[must_use]
    pub fn waiting(&self, approval: &ItemId) -> Option<Waiting> {
        let id = approval.case()?;
        let found = self.read(|state| waiting(state, &id, state.cases.get(&id)?));
        let found = found.filter(|w| w.approval == *approval)?;
        Some(self.with_stages(found))
    }
}

fn waiting(state: &State, id: &CaseId, case: &Case) -> Option<Waiting> {
    let approval = case.approval.as_ref().filter(|_| case.grant.is_none())?;
    let recommend = |made: &Option<(PrincipalId, Recommend)>| made.as_ref().map(|(_, r)| r.clone());
    Some(Waiting {
        approval: approval.id.clone(),
        case: id.clone(),
        subject: case.subject.clone(),
        action: case.action()?.clone(),
        digest: approval.digest,
        tier: approval.tier,
        humans: approval.humans,
        have: approval.yes.iter().map(|yes| yes.who.clone()).collect(),
        stages: Vec::new(),
        codes: BTreeSet::new(),
        asked: approval.asked,
        expires: approval.expires,
        release: case.release,
        env: case.env.clone(),
        log: state.origin.clone()?,
        prepared: recommend(&case.prepared),
        reviewed: recommend(&case.reviewed),
        yes_overrides: differs(case, Choice::Approve),
        no_overrides: differs(case, Choice::Reject),
    })
}
