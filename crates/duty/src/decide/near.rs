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
            let amount = action.integer(&threshold.sum_field)?;
            let limit = threshold.single_limit;
            let line = i128::from(limit) * i128::from(threshold.near_percent);
            let near = threshold.tool == action.tool
                && amount <= limit
                && i128::from(amount) * 100 >= line;
            near.then(|| {
                format!(
                    "{amount} is at or over {} % of the single limit {limit} of threshold `{}`",
                    threshold.near_percent, threshold.id
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
            let key = line.key(&room.key);
            known.is_some_and(|t| {
                t.told
                    .iter()
                    .any(|n| n.line == line && n.key == key && n.env == *env && n.time > since)
            })
        };
        let lines = lines(threshold, &room.used).into_iter();
        lines
            .filter(|(_, used, most, _)| is_near(*used, *most, threshold.near_percent))
            .filter(|(line, .., window)| !told(*line, *window))
            .map(|(line, ..)| line)
            .collect()
    }
}

/// Each line of the caps with what is used of it, its most, and its window in minutes.
fn lines(threshold: &Threshold, used: &Usage) -> [(CapLine, i128, i128, u32); 4] {
    let (all, key) = (threshold.caps.all, threshold.caps.per_key);
    let line = |line, used: i128, most: i128, cap: Cap| (line, used, most, cap.window_minutes);
    [
        line(
            CapLine::AllCount,
            used.all_count.into(),
            all.count.into(),
            all,
        ),
        line(CapLine::AllSum, used.all_sum.into(), all.sum.into(), all),
        line(
            CapLine::KeyCount,
            used.key_count.into(),
            key.count.into(),
            key,
        ),
        line(CapLine::KeySum, used.key_sum.into(), key.sum.into(), key),
    ]
}

pub(super) fn is_near(used: i128, most: i128, percent: u8) -> bool {
    used * 100 >= most * i128::from(percent)
}

/// What is told of caps that come near their ends.
pub(super) fn near_text(room: &Room<'_>, near: &[CapLine]) -> String {
    let said = lines(room.threshold, &room.used)
        .into_iter()
        .filter(|(line, ..)| near.contains(line))
        .map(|(line, used, most, window)| {
            let what = match line {
                CapLine::AllCount => "actions in all".to_owned(),
                CapLine::AllSum => "in all".to_owned(),
                CapLine::KeyCount => format!("actions for `{}`", room.key),
                CapLine::KeySum => format!("for `{}`", room.key),
            };
            format!("{used} of {most} {what} within {window} minutes")
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
