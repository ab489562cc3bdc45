//! What bodies are made of: routes, what is counted, what grants stand on, sorts and outcomes.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    name::{ItemId, PrincipalId, ThresholdId},
};

/// Where a verdict sends a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// A threshold covers it.
    Threshold,
    /// Humans must sign.
    Approval,
    /// Policy or the agents refuse it.
    Refused,
    /// No action could be formed; a human takes the matter up outside.
    Referred,
}

impl Route {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Approval => "approval",
            Self::Refused => "refused",
            Self::Referred => "referred",
        }
    }
}

/// An action that counts where splitting is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Under which threshold.
    pub threshold: ThresholdId,
    /// How much; none where nothing is summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Under which key, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How far back actions are added up; what is older can be forgotten.
    pub window_minutes: u32,
}

/// One line of a threshold's caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapLine {
    /// Actions in all.
    AllCount,
    /// Their sum.
    AllSum,
    /// Actions of one key.
    KeyCount,
    /// Their sum.
    KeySum,
}

/// What is used under a threshold's caps, in their windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Actions in all.
    pub all_count: u32,
    /// Their sum, where it is capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_sum: Option<i64>,
    /// Actions of this key, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_count: Option<u32>,
    /// Their sum, where it is capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sum: Option<i64>,
}

/// What a grant stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Basis {
    /// A threshold.
    Threshold {
        /// Which.
        threshold: ThresholdId,
        /// Its digest, as signed.
        digest: Digest,
    },
    /// Signed approvals.
    Approval {
        /// The request for approval.
        approval: ItemId,
        /// Who said yes.
        signers: Vec<PrincipalId>,
    },
    /// An emergency.
    Glass {
        /// The request for approval that was passed over.
        approval: ItemId,
        /// Who signed.
        signers: Vec<PrincipalId>,
    },
}

/// What sort of exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionSort {
    /// Close under a threshold's single limit, or under one of its caps.
    ThresholdNear,
    /// A threshold ends soon, or has ended.
    ThresholdEnding,
    /// A person's certification is over soon, or was over.
    CertificationExpiring,
    /// Actions that may be parts of one, split to pass under a limit.
    SplitSuspected,
    /// No room under a threshold's caps.
    ThresholdFull,
    /// The agents disagree.
    AgentsDisagree,
    /// An agent was less sure than the release asks.
    LowConfidence,
    /// A human decided against the agents.
    Override,
    /// An approval or a grant expired.
    Expired,
    /// Nobody can say whether the effect took place.
    OutcomeUnknown,
    /// The target refused an authorised action.
    OutcomeFailed,
    /// No action could be formed.
    NoAction,
    /// A server describes a tool otherwise than the release pins it.
    ToolChanged,
    /// An action was let through in an emergency.
    BreakGlass,
    /// Nobody signed for long.
    Escalated,
    /// A human said yes sooner than the release thinks it can be read.
    HastyApproval,
    /// As many requests of an agent wait for approval as the release lets wait.
    ApprovalFlood,
    /// Another language model answered than the one that the release pins.
    ModelDrifted,
}

impl ExceptionSort {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ThresholdNear => "threshold-near",
            Self::ThresholdEnding => "threshold-ending",
            Self::CertificationExpiring => "certification-expiring",
            Self::SplitSuspected => "split-suspected",
            Self::ThresholdFull => "threshold-full",
            Self::AgentsDisagree => "agents-disagree",
            Self::LowConfidence => "low-confidence",
            Self::Override => "override",
            Self::Expired => "expired",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::OutcomeFailed => "outcome-failed",
            Self::NoAction => "no-action",
            Self::ToolChanged => "tool-changed",
            Self::BreakGlass => "break-glass",
            Self::Escalated => "escalated",
            Self::HastyApproval => "hasty-approval",
            Self::ApprovalFlood => "approval-flood",
            Self::ModelDrifted => "model-drifted",
        }
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseOutcome {
    /// The action succeeded.
    Executed,
    /// The target refused it.
    Failed,
    /// Policy or the agents refused it.
    Refused,
    /// A human said no.
    Rejected,
    /// Nobody signed, or nobody executed, in time.
    Expired,
    /// No action could be formed.
    Referred,
    /// It was decided elsewhere, and taken down here.
    Recorded,
    /// It came to no verdict in time, or could come to none.
    Lapsed,
}

impl CaseOutcome {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Referred => "referred",
            Self::Recorded => "recorded",
            Self::Lapsed => "lapsed",
        }
    }
}
