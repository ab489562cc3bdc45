//! Splitting: actions that are parts of one, each small enough for a threshold.
//!
//! Over a threshold's window every action of one key that reached a verdict counts: executed, reserved, or waiting for
//! humans. Where they come to more together than one may be, the threshold covers none of what follows.

use super::threshold::{Measured, Standing, hit};
use crate::{
    name::Environment,
    record::Counted,
    release::{Heard, RuleHit, Rules, Split, Threshold},
    state::ThresholdAsk,
};

/// Cases that are named in one reason; the rest is counted.
const NAMED: usize = 50;

impl Standing<'_> {
    /// Under which thresholds an action counts, whoever decides about it in the end.
    pub(super) fn counted<'q>(&self, rules: &'q dyn Rules, heard: &Heard<'q>) -> Vec<Counted> {
        let counted = rules.thresholds().iter().filter_map(|(threshold, _)| {
            let split = threshold.split?;
            let measured = threshold.measure(heard.ask().action).ok()?;
            let counts =
                threshold.tool == heard.ask().action.tool && heard.in_scope(threshold) == Ok(true);
            counts.then(|| Counted {
                threshold: threshold.id.clone(),
                amount: measured.amount,
                key: measured.key.map(str::to_owned),
                window_minutes: split.window_minutes,
            })
        });
        counted.collect()
    }

    /// The thresholds that take the action for a part of a larger one; where there is one, no other covers it either.
    pub(super) fn suspected<'q>(&self, rules: &'q dyn Rules, heard: &Heard<'q>) -> Vec<RuleHit> {
        let ask = heard.ask();
        let suspected = rules.thresholds().iter().filter_map(|(threshold, digest)| {
            let measured = threshold.measure(ask.action).ok()?;
            let single = measured.amount.zip(threshold.single_limit);
            let would = threshold.split.is_some()
                && threshold.tool == ask.action.tool
                && single.is_none_or(|(amount, limit)| amount <= limit)
                && self.in_force(rules, threshold, *digest).is_ok()
                && heard.in_scope(threshold) == Ok(true);
            let why = self.whole(threshold, measured, ask.case, ask.environment);
            would.then(|| why.err().map(|why| hit(threshold, why)))?
        });
        suspected.collect()
    }

    /// Whether an action is one by itself.
    ///
    /// # Errors
    /// With which cases it may be a part of a larger one, in words.
    pub(super) fn whole(
        &self,
        threshold: &Threshold,
        measured: Measured<&str>,
        case: &str,
        env: &Environment,
    ) -> Result<(), String> {
        let Some(split) = &threshold.split else {
            return Ok(());
        };
        let others = self.others(threshold, split, measured.key, case, env);
        let count = u32::try_from(others.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let sum = measured.amount.map(|amount| {
            others
                .iter()
                .fold(amount, |sum, a| sum.saturating_add(a.amount.unwrap_or(0)))
        });
        let over = sum
            .zip(threshold.most_of_parts())
            .filter(|(sum, limit)| sum > limit);
        let many = split.count.filter(|most| count > *most);
        if others.is_empty() || (over.is_none() && many.is_none()) {
            return Ok(());
        }
        let names = others.iter().take(NAMED).map(|a| format!("`{}`", a.case));
        let names: Vec<_> = names.collect();
        let rest = others.len().saturating_sub(NAMED);
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        let over = match (many, over) {
            (Some(most), _) => format!("{most} actions"),
            (None, Some((_, limit))) => threshold.say(limit),
            (None, None) => return Ok(()),
        };
        let key = measured.key.map(|key| format!(" for `{key}`"));
        let sum = sum.map(|sum| format!(" and {}", threshold.say(sum)));
        Err(format!(
            "it may be a part of a larger one: with {}{more},{} within {} minutes, it comes to {count} actions{}, over {over}",
            names.join(", "),
            key.unwrap_or_default(),
            split.window_minutes,
            sum.unwrap_or_default()
        ))
    }

    fn others<'a>(
        &'a self,
        threshold: &Threshold,
        split: &Split,
        key: Option<&str>,
        case: &str,
        env: &Environment,
    ) -> Vec<&'a ThresholdAsk> {
        let since = self.now.minus_minutes(split.window_minutes);
        let known = self.state.thresholds.get(&threshold.id);
        let asked = known
            .into_iter()
            .flat_map(|t| t.asked.entries_of(env, key, since));
        asked.filter(|a| a.case.as_str() != case).collect()
    }
}
