//! `thresholds/<id>.toml`: documented, narrow, expiring pre-approvals.

use duty::{
    name::{PrincipalId, ThresholdId},
    release::{Cap, Caps, Split, Team, Threshold, Tier},
    time::Time,
};
use serde::Deserialize;

use crate::problem::{Problems, read_toml};

/// Reads one `thresholds/<id>.toml`.
pub(crate) fn threshold(
    path: &str,
    text: &str,
    team: &Team,
    has_clause: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<Threshold> {
    let t: WrittenThreshold = read_toml(path, text, problems)?;
    let sound = |cap: &Cap| cap.window_minutes > 0 && cap.count > 0 && cap.sum > 0;
    let wrong = [
        (
            path != format!("thresholds/{}.toml", t.id),
            "is not in a file of its own name",
        ),
        (
            team.tools.get(&t.tool).is_none_or(|tool| !tool.effect),
            "is over a tool that is not there or has no effect",
        ),
        (
            team.agent(&t.owner).is_some(),
            "is owned by an agent: a human answers for it",
        ),
        (t.starts >= t.expires, "ends before it starts"),
        (
            !sound(&t.caps.all) || !sound(&t.caps.per_key),
            "has a cap of zero or less: window, count and sum are positive",
        ),
        (t.single_limit <= 0, "has no positive `single_limit`"),
        (
            t.split.is_some_and(|s| {
                s.window_minutes == 0 || s.sum.is_some_and(|n| n <= 0) || s.count == Some(0)
            }),
            "has a `[split]` of zero or less: window, sum and count are positive",
        ),
        (
            t.split
                .is_some_and(|s| s.sum.is_some_and(|sum| sum < t.single_limit)),
            "has a `[split]` whose `sum` is under its `single_limit`: two parts come to more than one action may be",
        ),
        (t.signatures == 0, "asks for no signature"),
        (
            t.near_percent == 0 || t.near_percent > 100,
            "has a `near_percent` outside 1 to 100",
        ),
        (t.tier == Tier::High, "covers high risk: that takes humans"),
        (
            !has_clause(&t.clause),
            "names a clause that no policy document has",
        ),
    ];
    for (_, what) in wrong.iter().filter(|(wrong, _)| *wrong) {
        problems.add(path, format!("threshold `{}` {what}", t.id));
    }
    Some(Threshold {
        id: t.id,
        title: t.title,
        owner: t.owner,
        tool: t.tool,
        tier: t.tier,
        scope: t.scope,
        sum_field: t.sum_field,
        key_field: t.key_field,
        starts: t.starts,
        expires: t.expires,
        clause: t.clause,
        signatures: t.signatures,
        single_limit: t.single_limit,
        near_percent: t.near_percent,
        caps: t.caps,
        split: t.split,
        warn_days: t.warn_days,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenThreshold {
    id: ThresholdId,
    title: String,
    owner: PrincipalId,
    tool: String,
    tier: Tier,
    scope: String,
    sum_field: String,
    key_field: String,
    starts: Time,
    expires: Time,
    clause: String,
    signatures: u32,
    single_limit: i64,
    near_percent: u8,
    caps: Caps,
    split: Option<Split>,
    warn_days: Option<u32>,
}
