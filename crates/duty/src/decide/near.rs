//! Near the edge: a single limit, a cap, or the end of a threshold. Each is told once, ahead of it.

use super::{
    Desk, Place, Ruled,
    keep::malformed,
    threshold::{Room, Standing},
};
use crate::{
    action::Action,
    canonical::Digest,
    name::{Environment, ThresholdId},
    principal::Role,
    record::{CapLine, ExceptionSort, ThresholdEnding, Usage},
    refusal::{Code, Refusal},
    release::{Cap, Rules, Threshold},
    request::NoteEnding,
    state::State,
    time::Time,
};

impl Desk<'_> {
    /// Whether the action comes close under a threshold's single limit, as split payments do.
    pub(super) fn near(&self, rules: &dyn Rules, action: &Action) -> Option<String> {
        rules.thresholds().iter().find_map(|(threshold, _)| {
            if threshold.tool != action.tool {
                return None;
            }
            let measured = threshold.measure(action).ok()?;
            let (amount, limit) = measured.amount.zip(threshold.single_limit)?;
            let line = i128::from(limit) * i128::from(threshold.near_percent);
            let near = amount <= limit && i128::from(amount) * 100 >= line;
            near.then(|| {
                format!(
                    "{} is at or over {} % of the single limit {} of threshold `{}`",
                    threshold.say(amount),
                    threshold.near_percent,
                    threshold.say(limit),
                    threshold.id
                )
            })
        })
    }
}

impl Standing<'_> {
    /// The caps that an action brings near their ends; one that was told within its window is not told again.
    pub(super) fn nearing(&self, room: &Room<'_>, env: &Environment) -> Vec<CapLine> {
        let threshold = room.threshold;
        let known = self.state.thresholds.get(&threshold.id);
        let told = |line: CapLine, window: u32| {
            let since = self.now.minus_minutes(window);
            let key = line.key(room.measured.key.as_deref());
            known.is_some_and(|t| {
                t.told
                    .iter()
                    .any(|n| n.line == line && n.key == key && n.env == *env && n.time > since)
            })
        };
        let lines = lines(threshold, &room.used).into_iter();
        lines
            .filter(|l| is_near(l.used, l.most, threshold.near_percent))
            .filter(|l| !told(l.line, l.window))
            .map(|l| l.line)
            .collect()
    }
}

/// A line of the caps.
struct Lined {
    line: CapLine,
    used: i128,
    most: i128,
    /// In minutes.
    window: u32,
}

/// Each line that a threshold has.
fn lines(threshold: &Threshold, used: &Usage) -> Vec<Lined> {
    let (all, key) = (Some(threshold.caps.all), threshold.caps.per_key);
    let line = |line, used: Option<i128>, cap: Option<Cap>, most: Option<i128>| {
        Some(Lined {
            line,
            used: used?,
            most: most?,
            window: cap?.window_minutes,
        })
    };
    let count = |cap: Option<Cap>| cap.map(|cap| i128::from(cap.count));
    let sum = |cap: Option<Cap>| cap?.sum.map(i128::from);
    let all_count = Some(i128::from(used.all_count));
    let key_count = used.key_count.map(i128::from);
    let lines = [
        line(CapLine::AllCount, all_count, all, count(all)),
        line(CapLine::AllSum, used.all_sum.map(i128::from), all, sum(all)),
        line(CapLine::KeyCount, key_count, key, count(key)),
        line(CapLine::KeySum, used.key_sum.map(i128::from), key, sum(key)),
    ];
    lines.into_iter().flatten().collect()
}

pub(super) fn is_near(used: i128, most: i128, percent: u8) -> bool {
    used * 100 >= most * i128::from(percent)
}

/// What is told of caps that come near their ends.
pub(super) fn near_text(room: &Room<'_>, near: &[CapLine]) -> String {
    let said = lines(room.threshold, &room.used)
        .into_iter()
        .filter(|l| near.contains(&l.line))
        .map(|l| {
            let key = room.measured.key.as_deref().unwrap_or_default();
            let say = |n: i128| match l.line {
                CapLine::AllCount | CapLine::KeyCount => n.to_string(),
                CapLine::AllSum | CapLine::KeySum => {
                    i64::try_from(n).map_or_else(|_| n.to_string(), |n| room.threshold.say(n))
                }
            };
            let what = match l.line {
                CapLine::AllCount => "actions in all".to_owned(),
                CapLine::AllSum => "in all".to_owned(),
                CapLine::KeyCount => format!("actions for `{key}`"),
                CapLine::KeySum => format!("for `{key}`"),
            };
            let (used, most) = (say(l.used), say(l.most));
            format!("{used} of {most} {what} within {} minutes", l.window)
        });
    format!(
        "threshold `{}` is at or over {} % of its caps: {}",
        room.threshold.id,
        room.threshold.near_percent,
        said.collect::<Vec<_>>().join(", ")
    )
}

impl Desk<'_> {
    /// That a threshold of a release in force ends is told once, ahead of it.
    pub(super) fn note_ending(&mut self, request: &NoteEnding) -> Ruled {
        self.holds(Role::Service)?;
        let env = &request.environment;
        let (release, rules) = self.rules_of(env)?;
        let found = rules
            .thresholds()
            .iter()
            .find(|(t, _)| t.id == request.threshold);
        let (threshold, digest) = found.ok_or_else(|| {
            malformed(format!(
                "the release in `{env}` has no threshold `{}`",
                request.threshold
            ))
        })?;
        if !ends(self.state, threshold, *digest, self.now) {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "threshold `{}` ends at {}: that is told from {} on, once, of one that somebody signed",
                    threshold.id,
                    threshold.expires,
                    threshold.warns()
                ),
                "wait until then",
            ));
        }
        let place = Place {
            env: Some(env),
            case: None,
            release: Some(release),
        };
        let clauses = self.cited(&place, [threshold.clause.as_str()]);
        let body = ThresholdEnding {
            request: self.request(),
            digest: *digest,
            expires: threshold.expires,
        };
        let over = self.now >= threshold.expires;
        self.write(place, Some(Role::Service), clauses, body);
        let text = format!(
            "threshold `{}` {} at {}; what it covers then waits for humans",
            threshold.id,
            if over { "ended" } else { "ends" },
            threshold.expires
        );
        self.raise_outside(place, ExceptionSort::ThresholdEnding, text);
        Ok(())
    }
}

/// Whether the end of a threshold is to be told: it is near, somebody signed it, and it was not told before.
fn ends(state: &State, threshold: &Threshold, digest: Digest, now: Time) -> bool {
    let known = state.thresholds.get(&threshold.id);
    now >= threshold.warns()
        && known.is_some_and(|t| t.signers.contains_key(&digest) && !t.ending.contains(&digest))
}

/// The thresholds of a release whose ends are to be told now: what a monitor asks to note, one by one.
#[must_use]
pub fn ending(state: &State, rules: &dyn Rules, now: Time) -> Vec<ThresholdId> {
    let thresholds = rules.thresholds().iter();
    thresholds
        .filter(|(threshold, digest)| ends(state, threshold, *digest, now))
        .map(|(threshold, _)| threshold.id.clone())
        .collect()
}
