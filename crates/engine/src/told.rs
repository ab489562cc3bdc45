//! What is logged of decisions: kinds, ids and codes; never a word that a request, a rule or a target said.

use duty::{Decision, record::Body};
use tracing::{debug, info, warn};

use crate::{EngineError, Seat};

/// Of one decision, when it has its place in the log.
pub(crate) fn decided(seat: &Seat, request: &'static str, decision: &Decision) {
    if let Some(refusal) = &decision.refusal {
        let (code, principal) = (refusal.code.word(), seat.principal.as_str());
        let case = decision.records.first().and_then(|r| r.case.as_ref());
        info!(
            request,
            code,
            principal,
            case = case.map(|c| c.as_str()),
            "refused"
        );
    }
    for record in &decision.records {
        let (seq, kind) = (record.seq, record.body.kind());
        let case = record.case.as_ref().map(|c| c.as_str());
        match &record.body {
            Body::ExceptionRaised(raised) => {
                let (exception, sort) = (raised.exception.as_str(), raised.sort.word());
                let environment = record.env.as_ref().map(|e| e.as_str());
                warn!(
                    record = seq,
                    exception, sort, case, environment, "exception raised"
                );
            }
            Body::GlassBroken(_) | Body::GlassOverdue(_) | Body::FreezePlaced(_) => {
                warn!(record = seq, kind, case, "ALARM");
            }
            _ => debug!(record = seq, kind, case, "recorded"),
        }
    }
}

impl EngineError {
    /// In a word, for logs and traces: its message may repeat what a request held.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code.word(),
            Self::Store(_) => "store",
            Self::TooLong { .. } => "too-long",
            Self::Release { .. } => "release",
            Self::Fold(_) => "fold",
            Self::Unauthenticated => "unauthenticated",
            Self::NoTarget(_) => "no-target",
            Self::ByCaller(_) => "by-caller",
            Self::Undescribed { .. } => "undescribed",
            Self::Missing(_) => "missing",
            Self::Unreleased { .. } => "unreleased",
            Self::NotErased { .. } => "not-erased",
            Self::Stop { .. } => "stop",
            Self::Retrieval(_) => "retrieval",
            Self::Embedder(_) => "embedder",
            Self::NotRotated => "not-rotated",
            Self::Canonical(_) => "canonical",
        }
    }

    /// For logs: its message, unless that may repeat what a request held; then its word.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Refused(_) | Self::Canonical(_) => format!("refused: {}", self.word()),
            other => other.to_string(),
        }
    }
}
