//! Thresholds in the fold: signatures, reservations, what was asked for, what was told.

use super::mismatch;
use crate::{
    name::CaseId,
    record::{Body, CapLine, CaseOutcome, Counted, Record},
    request::Request,
    state::{State, ThresholdAsk, ThresholdTold, ThresholdUse},
};

impl State {
    pub(super) fn take_of_threshold(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::ThresholdSigned(_), Some(Request::SignThreshold(r))) => {
                let s = &r.statement;
                let threshold = self.thresholds.entry(s.threshold.clone()).or_default();
                let signers = threshold.signers.entry(s.digest).or_default();
                signers.insert(s.signer.clone(), s.credential.clone());
            }
            (Body::ThresholdApplied(b), None) => {
                let since = record.time.minus_minutes(b.window_minutes);
                let env = record.env.clone().ok_or("it names no environment")?;
                let threshold = self.thresholds.entry(b.threshold.clone()).or_default();
                threshold.uses.forget(since);
                // The oldest come first.
                let past = threshold.told.partition_point(|t| t.time <= since);
                threshold.told.drain(..past);
                threshold
                    .told
                    .extend(b.near.iter().map(|line| ThresholdTold {
                        time: record.time,
                        line: *line,
                        key: line.key(b.key.as_deref()),
                        env: env.clone(),
                    }));
                threshold.uses.push(ThresholdUse {
                    time: record.time,
                    amount: b.amount,
                    key: b.key.clone(),
                    grant: b.grant.clone(),
                    env,
                });
            }
            (Body::ThresholdReleased(b), None) => {
                let threshold = self.thresholds.get_mut(&b.threshold);
                let uses = &mut threshold.ok_or("no such threshold in use")?.uses;
                uses.retain(|u| u.grant != b.grant);
            }
            (Body::ThresholdEnding(b), Some(Request::NoteEnding(r))) => {
                let threshold = self.thresholds.get_mut(&r.threshold);
                let ending = &mut threshold.ok_or("nobody signed that threshold")?.ending;
                ending.insert(b.digest);
            }
            _ => return mismatch(),
        }
        Ok(())
    }

    /// What a verdict counts where splitting is looked for; what is older than the window is forgotten.
    pub(super) fn take_counted(
        &mut self,
        record: &Record,
        counted: &[Counted],
    ) -> Result<(), String> {
        for c in counted {
            let since = record.time.minus_minutes(c.window_minutes);
            let asked = &mut self
                .thresholds
                .entry(c.threshold.clone())
                .or_default()
                .asked;
            asked.forget(since);
            asked.push(ThresholdAsk {
                time: record.time,
                amount: c.amount,
                key: c.key.clone(),
                case: record.case.clone().ok_or("it names no case")?,
                env: record.env.clone().ok_or("it names no environment")?,
            });
        }
        Ok(())
    }

    /// What came to nothing is no part of anything.
    pub(super) fn forget_asked(&mut self, case: &CaseId, outcome: CaseOutcome) {
        if outcome != CaseOutcome::Executed {
            for threshold in self.thresholds.values_mut() {
                // Looked at first: what is shared is copied where it is changed.
                if threshold.asked.iter().any(|a| a.case == *case) {
                    threshold.asked.retain(|a| a.case != *case);
                }
            }
        }
    }
}

impl CapLine {
    /// The key that it is about, where it is about one.
    pub(crate) fn key(self, key: Option<&str>) -> Option<String> {
        match self {
            Self::AllCount | Self::AllSum => None,
            Self::KeyCount | Self::KeySum => key.map(str::to_owned),
        }
    }
}
