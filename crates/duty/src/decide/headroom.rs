//! Headroom: what of a threshold is used, what is reserved, and what is left, at a moment in one environment.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{near::is_near, threshold::Standing};
use crate::{
    canonical::Digest,
    name::{Environment, PrincipalId, ThresholdId},
    release::{Cap, Rules, Threshold, Unit},
    state::{State, ThresholdUse},
    time::Time,
};

/// How a threshold stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Headroom {
    /// Which.
    pub threshold: ThresholdId,
    /// Its digest, as signed.
    pub digest: Digest,
    /// Where: caps count each environment by itself.
    pub env: Environment,
    /// Why it covers nothing at this moment; none while it is in force.
    pub why_not: Option<String>,
    /// Who signed it.
    pub signatures: Vec<Signature>,
    /// How many must have.
    pub need: u32,
    /// When it ends.
    pub expires: Time,
    /// Whether that is near, by its `warn_days`.
    pub ends_soon: bool,
    /// Over all actions.
    pub all: Line,
    /// In what its sums are counted, where it is not in whole units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// By key, of those that are in use.
    pub keys: BTreeMap<String, Line>,
}

/// A signature under a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Whose.
    pub signer: PrincipalId,
    /// Why it does not count, where it does not.
    pub lapsed: Option<String>,
}

/// One cap with its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The length of its window.
    pub window_minutes: u32,
    /// In actions.
    pub count: Share,
    /// In the unit of the threshold's sum; none where it sums nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Share>,
    /// Whether either is near its end, by the threshold's `near_percent`.
    pub near: bool,
}

/// What of a cap is taken and left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Of grants that were used.
    pub used: i64,
    /// Of grants that were given and not used yet.
    pub reserved: i64,
    /// What is left.
    pub left: i64,
    /// The cap.
    pub cap: i64,
}

/// How a threshold of a release stands in an environment at a moment: the same sums as those that decide.
#[must_use]
pub fn headroom(
    state: &State,
    rules: &dyn Rules,
    (threshold, digest): (&Threshold, Digest),
    env: &Environment,
    now: Time,
) -> Headroom {
    let standing = Standing {
        state,
        now: now.max(state.time),
    };
    let known = state.thresholds.get(&threshold.id);
    let uses = known.into_iter().flat_map(|t| t.uses.iter());
    let uses: Vec<_> = uses.filter(|u| u.env == *env).collect();
    let keys: BTreeSet<_> = uses.iter().filter_map(|u| u.key.as_ref()).collect();
    let line = |cap: Cap, key: Option<&String>| {
        let since = standing.now.minus_minutes(cap.window_minutes);
        let of = uses
            .iter()
            .filter(|u| u.time > since && key.is_none_or(|k| u.key.as_ref() == Some(k)));
        line(state, cap, of, threshold.near_percent)
    };
    let per_key = |key: &String| Some((key.clone(), line(threshold.caps.per_key?, Some(key))));
    let signatures = standing.signatures(rules, threshold, digest).into_iter();
    Headroom {
        threshold: threshold.id.clone(),
        digest,
        env: env.clone(),
        why_not: standing.in_force(rules, threshold, digest).err(),
        signatures: signatures
            .map(|(signer, lapsed)| Signature { signer, lapsed })
            .collect(),
        need: threshold.signatures.max(1),
        expires: threshold.expires,
        ends_soon: standing.now >= threshold.warns(),
        unit: threshold.unit,
        all: line(threshold.caps.all, None),
        keys: keys
            .into_iter()
            .filter_map(per_key)
            .filter(|(_, line)| line.count.left < line.count.cap)
            .collect(),
    }
}

fn line<'u>(
    state: &State,
    cap: Cap,
    uses: impl Iterator<Item = &'u &'u ThresholdUse>,
    near_percent: u8,
) -> Line {
    let (mut used, mut reserved) = ((0_i64, 0_i64), (0_i64, 0_i64));
    for one in uses {
        let into = if waits(state, one) {
            &mut reserved
        } else {
            &mut used
        };
        *into = (into.0 + 1, into.1.saturating_add(one.amount.unwrap_or(0)));
    }
    let share = |used: i64, reserved: i64, cap: i64| Share {
        used,
        reserved,
        left: cap.saturating_sub(used).saturating_sub(reserved).max(0),
        cap,
    };
    let count = share(used.0, reserved.0, i64::from(cap.count));
    let sum = cap.sum.map(|most| share(used.1, reserved.1, most));
    let near = |s: Share| {
        let taken = i128::from(s.used) + i128::from(s.reserved);
        is_near(taken, s.cap.into(), near_percent)
    };
    Line {
        window_minutes: cap.window_minutes,
        count,
        sum,
        near: near(count) || sum.is_some_and(near),
    }
}

/// Whether the grant that room was reserved for is not used yet.
fn waits(state: &State, one: &ThresholdUse) -> bool {
    let case = one.grant.case().and_then(|id| state.cases.get(&id));
    let grant = case.and_then(|c| c.grant.as_ref());
    grant.is_some_and(|g| g.used.is_none())
}
