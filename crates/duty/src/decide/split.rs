//! Splitting: actions that are parts of one, each small enough for a threshold.
//!
//! Over a threshold's window every action of one key that reached a verdict counts: executed, reserved, or waiting for
//! humans. Where they come to more together than one may be, the threshold covers none of what follows.

use super::threshold::{Standing, hit};
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
    pub(super) fn counted(&self, rules: &dyn Rules, heard: &Heard<'_>) -> Vec<Counted> {
        let counted = rules.thresholds().iter().filter_map(|(threshold, _)| {
            let split = threshold.split?;
            let (amount, key) = threshold.measure(heard.ask().action).ok()?;
            let counts =
                threshold.tool == heard.ask().action.tool && heard.in_scope(threshold) == Ok(true);
            counts.then(|| Counted {
                threshold: threshold.id.clone(),
                amount,
                key: key.to_owned(),
                window_minutes: split.window_minutes,
            })
        });
        counted.collect()
    }

    /// The thresholds that take the action for a part of a larger one; where there is one, no other covers it either.
    pub(super) fn suspected(&self, rules: &dyn Rules, heard: &Heard<'_>) -> Vec<RuleHit> {
        let ask = heard.ask();
        let suspected = rules.thresholds().iter().filter_map(|(threshold, digest)| {
            let (amount, key) = threshold.measure(ask.action).ok()?;
            let would = threshold.split.is_some()
                && threshold.tool == ask.action.tool
                && amount <= threshold.single_limit
                && self.in_force(rules, threshold, *digest).is_ok()
                && heard.in_scope(threshold) == Ok(true);
            let why = self.whole(threshold, amount, key, ask.case, ask.environment);
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
        amount: i64,
        key: &str,
        case: &str,
        env: &Environment,
    ) -> Result<(), String> {
        let Some(split) = &threshold.split else {
            return Ok(());
        };
        let others = self.others(threshold, split, key, case, env);
        let count = u32::try_from(others.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let sum = others
            .iter()
            .fold(amount, |sum, a| sum.saturating_add(a.amount));
        let limit = split.sum.unwrap_or(threshold.single_limit);
        let many = split.count.is_some_and(|most| count > most);
        if others.is_empty() || (sum <= limit && !many) {
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
        let over = if many {
            format!("{} actions", split.count.unwrap_or_default())
        } else {
            limit.to_string()
        };
        Err(format!(
            "it may be a part of a larger one: with {}{more}, for `{key}` within {} minutes, it comes to {count} actions and {sum}, over {over}",
            names.join(", "),
            split.window_minutes
        ))
    }

    fn others<'a>(
        &'a self,
        threshold: &Threshold,
        split: &Split,
        key: &str,
        case: &str,
        env: &Environment,
    ) -> Vec<&'a ThresholdAsk> {
        let since = self.now.minus_minutes(split.window_minutes);
        let known = self.state.thresholds.get(&threshold.id);
        let asked = known.map_or(&[][..], |t| &t.asked);
        let other = |a: &&ThresholdAsk| {
            a.time > since && a.key == key && a.env == *env && a.case.as_str() != case
        };
        asked.iter().filter(other).collect()
    }
}
