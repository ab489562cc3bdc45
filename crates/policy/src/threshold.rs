//! `thresholds/<id>.toml`: documented, narrow, expiring pre-approvals.

use duty::{
    canonical::ten_thousandths,
    name::{PrincipalId, ThresholdId},
    release::{Cap, Caps, Split, Team, Threshold, Tier, Unit},
    time::Time,
};
use serde::Deserialize;
use serde_json::Number;

use crate::{
    problem::{Problems, read_toml},
    schema::ToolTypes,
    types::{Fields, Plain},
};

/// Reads one `thresholds/<id>.toml`.
pub(crate) fn threshold<'a>(
    path: &str,
    text: &str,
    team: &Team,
    types: &dyn Fn(&str) -> Option<&'a ToolTypes>,
    has_clause: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<Threshold> {
    let t: WrittenThreshold = read_toml(path, text, problems)?;
    let args = types(&t.tool).and_then(|types| types.args.as_ref());
    let unit = fields_of(&t, args).unwrap_or_else(|why| {
        problems.add(path, format!("threshold `{}` {why}", t.id));
        None
    });
    let mut counted = |amount: Option<Number>| {
        let counted = amount.map(|n| amount_of(&n, unit)).transpose();
        counted.unwrap_or_else(|why| {
            problems.add(path, format!("threshold `{}`: {why}", t.id));
            Some(1)
        })
    };
    let mut cap = |c: WrittenCap| Cap {
        window_minutes: c.window_minutes,
        count: c.count,
        sum: counted(c.sum),
    };
    let caps = Caps {
        all: cap(t.caps.all),
        per_key: t.caps.per_key.map(cap),
    };
    let single_limit = counted(t.single_limit);
    let split = t.split.map(|s| Split {
        window_minutes: s.window_minutes,
        sum: counted(s.sum),
        count: s.count,
    });
    let threshold = Threshold {
        id: t.id,
        title: t.title,
        owner: t.owner,
        tool: t.tool,
        tier: t.tier,
        scope: t.scope,
        sum_field: t.sum_field,
        unit,
        key_field: t.key_field,
        starts: t.starts,
        expires: t.expires,
        clause: t.clause,
        signatures: t.signatures,
        single_limit,
        near_percent: t.near_percent,
        caps,
        split,
        warn_days: t.warn_days,
    };
    check(path, &threshold, team, has_clause, problems);
    Some(threshold)
}

fn check(
    path: &str,
    t: &Threshold,
    team: &Team,
    has_clause: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) {
    let sound =
        |cap: &Cap| cap.window_minutes > 0 && cap.count > 0 && cap.sum.is_none_or(|sum| sum > 0);
    let sums = [
        Some(t.single_limit.is_some()),
        Some(t.caps.all.sum.is_some()),
        t.caps.per_key.map(|cap| cap.sum.is_some()),
    ];
    let mut sums = sums.into_iter().flatten();
    let split_sum = t.split.and_then(|s| s.sum);
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
            !sound(&t.caps.all) || t.caps.per_key.is_some_and(|cap| !sound(&cap)),
            "has a cap of zero or less: window, count and sum are positive",
        ),
        (
            t.sum_field.is_some() && !sums.clone().all(|has| has),
            "sums, and has no `single_limit`, or a cap without `sum`",
        ),
        (
            t.sum_field.is_none() && (sums.any(|has| has) || split_sum.is_some()),
            "has a limit or a `sum`, and no `sum_field`: only the count is capped without one",
        ),
        (
            t.key_field.is_some() != t.caps.per_key.is_some(),
            "has a `key_field` without `[caps.per_key]`, or that without a `key_field`",
        ),
        (
            t.single_limit.is_some_and(|limit| limit <= 0),
            "has no positive `single_limit`",
        ),
        (
            t.split.is_some_and(|s| {
                s.window_minutes == 0 || s.sum.is_some_and(|n| n <= 0) || s.count == Some(0)
            }),
            "has a `[split]` of zero or less: window, sum and count are positive",
        ),
        (
            split_sum
                .zip(t.single_limit)
                .is_some_and(|(sum, limit)| sum < limit),
            "has a `[split]` whose `sum` is under its `single_limit`: two parts come to more than one action may be",
        ),
        (
            t.sum_field.is_none() && t.split.is_some_and(|s| s.count.is_none()),
            "has a `[split]` that finds nothing: without `sum_field` it needs `count`",
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
}

/// In what its amounts are counted, by the declared type of what it sums; what has no declared type is in whole units.
fn fields_of(t: &WrittenThreshold, args: Option<&Fields>) -> Result<Option<Unit>, String> {
    let key = declared(&t.tool, t.key_field.as_deref(), args)?;
    if let Some((field, plain)) = key
        && *plain != Plain::Text
    {
        return Err(format!(
            "has the key `{field}`, which is {plain}; a key is a String"
        ));
    }
    match declared(&t.tool, t.sum_field.as_deref(), args)? {
        None | Some((_, Plain::Long)) => Ok(None),
        Some((_, Plain::Decimal)) => Ok(Some(Unit::TenThousandths)),
        Some((field, plain)) => Err(format!(
            "sums `{field}`, which is {plain}; what is summed is a Long or a Decimal"
        )),
    }
}

fn declared<'a>(
    tool: &str,
    field: Option<&'a str>,
    args: Option<&'a Fields>,
) -> Result<Option<(&'a str, &'a Plain)>, String> {
    let Some((field, args)) = field.zip(args) else {
        return Ok(None);
    };
    match args.get(field) {
        Some(t) => Ok(Some((field, &t.plain))),
        None => Err(format!("names `{field}`, which `{tool}` does not take")),
    }
}

fn amount_of(n: &Number, unit: Option<Unit>) -> Result<i64, String> {
    match unit {
        Some(Unit::TenThousandths) => ten_thousandths(n),
        None => n.as_i64().ok_or_else(|| {
            format!("`{n}` is no whole number, and what it sums is not declared as a Decimal")
        }),
    }
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
    sum_field: Option<String>,
    key_field: Option<String>,
    starts: Time,
    expires: Time,
    clause: String,
    signatures: u32,
    single_limit: Option<Number>,
    near_percent: u8,
    caps: WrittenCaps,
    split: Option<WrittenSplit>,
    warn_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCaps {
    all: WrittenCap,
    per_key: Option<WrittenCap>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCap {
    window_minutes: u32,
    count: u32,
    sum: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSplit {
    window_minutes: u32,
    sum: Option<Number>,
    count: Option<u32>,
}
