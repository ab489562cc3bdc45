//! Tallies: what counts under a threshold within a window, told without looking at every entry.
//!
//! Beside the entries, oldest first, stand running totals for each environment and each key in it; what counts since a moment is
//! the difference of two of them. The entries alone are the value: totals are made of them, and neither written nor compared.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    name::Environment,
    state::{ThresholdAsk, ThresholdUse},
    time::Time,
};

/// What can be counted.
pub trait Countable {
    /// When.
    fn time(&self) -> Time;
    /// Where.
    fn env(&self) -> &Environment;
    /// Under which key, where there are keys.
    fn key(&self) -> Option<&str>;
    /// How much; none where nothing is summed.
    fn amount(&self) -> Option<i64>;
}

macro_rules! counted {
    ($($entry:ty),*) => {$(
        impl Countable for $entry {
            fn time(&self) -> Time {
                self.time
            }
            fn env(&self) -> &Environment {
                &self.env
            }
            fn key(&self) -> Option<&str> {
                self.key.as_deref()
            }
            fn amount(&self) -> Option<i64> {
                self.amount
            }
        }
    )*};
}
counted!(ThresholdUse, ThresholdAsk);

/// Entries, oldest first, with what they come to.
#[derive(Clone, Debug)]
pub struct Tally<E> {
    entries: VecDeque<E>,
    /// The number of the first entry; those that were forgotten had the numbers before.
    first: u64,
    lines: BTreeMap<Environment, Lines>,
}

/// How many, and how much: of positive amounts exactly, as far as an `i64` goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Entries.
    pub count: u32,
    /// Their amounts; an entry without one adds nothing.
    pub sum: i64,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    all: Line,
    keyless: Line,
    keys: BTreeMap<String, Line>,
}

/// Some of the entries, with running totals.
#[derive(Clone, Debug, Default)]
struct Line {
    /// The total before the first of them.
    before: Running,
    points: VecDeque<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    time: Time,
    /// The number of its entry.
    entry: u64,
    /// The total with it.
    with: Running,
}

#[derive(Clone, Copy, Debug, Default)]
struct Running {
    count: u64,
    sum: i128,
}

impl Line {
    fn push(&mut self, time: Time, entry: u64, amount: Option<i64>) {
        let last = self.points.back().map_or(self.before, |p| p.with);
        let with = Running {
            count: last.count + 1,
            sum: last.sum + i128::from(amount.unwrap_or(0)),
        };
        self.points.push_back(Point { time, entry, with });
    }

    fn forget_first(&mut self) {
        if let Some(point) = self.points.pop_front() {
            self.before = point.with;
        }
    }

    /// How many of its points are no later than a moment.
    fn until(&self, since: Time) -> usize {
        self.points.partition_point(|p| p.time <= since)
    }

    fn since(&self, since: Time) -> Total {
        let from = match self.until(since).checked_sub(1) {
            Some(last) => self.points[last].with,
            None => self.before,
        };
        let to = self.points.back().map_or(self.before, |p| p.with);
        let sum = (to.sum - from.sum).clamp(i64::MIN.into(), i64::MAX.into());
        Total {
            count: u32::try_from(to.count - from.count).unwrap_or(u32::MAX),
            sum: sum as i64,
        }
    }
}

impl Lines {
    fn of(&self, key: Option<&str>) -> Option<&Line> {
        match key {
            None => Some(&self.keyless),
            Some(key) => self.keys.get(key),
        }
    }

    fn push(&mut self, entry: u64, counted: &impl Countable) {
        let line = match counted.key() {
            None => &mut self.keyless,
            Some(key) => self.keys.entry(key.to_owned()).or_default(),
        };
        for line in [&mut self.all, line] {
            line.push(counted.time(), entry, counted.amount());
        }
    }

    fn forget_first(&mut self, key: Option<&str>) {
        self.all.forget_first();
        let Some(key) = key else {
            return self.keyless.forget_first();
        };
        if let Some(line) = self.keys.get_mut(key) {
            line.forget_first();
            if line.points.is_empty() {
                self.keys.remove(key);
            }
        }
    }
}

impl<E: Countable> Tally<E> {
    /// One more, no earlier than those that are there.
    pub(crate) fn push(&mut self, entry: E) {
        let number = self.first + self.entries.len() as u64;
        match self.lines.get_mut(entry.env()) {
            Some(lines) => lines.push(number, &entry),
            None => {
                let lines = self.lines.entry(entry.env().clone()).or_default();
                lines.push(number, &entry);
            }
        }
        self.entries.push_back(entry);
    }

    /// Forgets what is no later than a moment.
    pub(crate) fn forget(&mut self, until: Time) {
        while let Some(entry) = self.entries.pop_front_if(|e| e.time() <= until) {
            self.first += 1;
            if let Some(lines) = self.lines.get_mut(entry.env()) {
                lines.forget_first(entry.key());
            }
        }
    }

    /// Forgets all but those that are wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&E) -> bool) {
        if !self.entries.iter().all(&wanted) {
            let entries = std::mem::take(&mut self.entries);
            *self = entries.into_iter().filter(wanted).collect();
        }
    }

    /// What counts in an environment, later than a moment.
    #[must_use]
    pub fn all(&self, env: &Environment, since: Time) -> Total {
        let lines = self.lines.get(env);
        lines.map_or_else(Total::default, |lines| lines.all.since(since))
    }

    /// As [`Tally::all`], under one key; without one, of those without.
    #[must_use]
    pub fn of_key(&self, env: &Environment, key: Option<&str>, since: Time) -> Total {
        let line = self.lines.get(env).and_then(|lines| lines.of(key));
        line.map_or_else(Total::default, |line| line.since(since))
    }

    /// What [`Tally::of_key`] counts, oldest first.
    pub fn entries_of(
        &self,
        env: &Environment,
        key: Option<&str>,
        since: Time,
    ) -> impl Iterator<Item = &E> {
        let line = self.lines.get(env).and_then(|lines| lines.of(key));
        let points = line
            .into_iter()
            .flat_map(move |line| line.points.range(line.until(since)..));
        points.map(|p| &self.entries[(p.entry - self.first) as usize])
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.entries.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<E> Default for Tally<E> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            lines: BTreeMap::new(),
        }
    }
}

impl<E: PartialEq> PartialEq for Tally<E> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<E: Eq> Eq for Tally<E> {}

impl<E: Countable> FromIterator<E> for Tally<E> {
    fn from_iter<I: IntoIterator<Item = E>>(entries: I) -> Self {
        let mut tally = Self::default();
        entries.into_iter().for_each(|entry| tally.push(entry));
        tally
    }
}

impl<E: Serialize> Serialize for Tally<E> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(s)
    }
}

impl<'de, E: Countable + Deserialize<'de>> Deserialize<'de> for Tally<E> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Vec::deserialize(d).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Entry {
        time: Time,
        env: Environment,
        key: Option<String>,
        amount: Option<i64>,
    }
    counted!(Entry);

    #[derive(Clone, Debug)]
    enum Step {
        /// Seconds later, in one of two environments, under one of two keys or none.
        Push(u64, bool, Option<bool>, Option<i64>),
        Forget(u64),
        /// All but those of this amount.
        Without(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let amount = prop::option::of(prop_oneof![4 => 1..5_i64, 1 => Just(i64::MAX)]);
        prop_oneof![
            8 => (0..3_u64, any::<bool>(), any::<Option<bool>>(), amount)
                .prop_map(|(later, env, key, amount)| Step::Push(later, env, key, amount)),
            2 => (0..40_u64).prop_map(Step::Forget),
            1 => (1..5_i64).prop_map(Step::Without),
        ]
    }

    fn at(seconds: u64) -> Time {
        "2026-01-01T00:00:00.000Z"
            .parse::<Time>()
            .unwrap()
            .plus_seconds(seconds as u32)
    }

    fn env(one: bool) -> Environment {
        if one { "prod" } else { "dev" }.parse().unwrap()
    }

    fn key(one: Option<bool>) -> Option<&'static str> {
        one.map(|one| if one { "a" } else { "b" })
    }

    proptest! {
        #[test]
        fn totals_are_those_of_counting_each(steps in prop::collection::vec(step(), 0..60), since in 0..80_u64) {
            let (mut tally, mut plain, mut now) = (Tally::default(), Vec::<Entry>::new(), 0);
            for step in steps {
                match step {
                    Step::Push(later, place, k, amount) => {
                        now += later;
                        let entry = Entry { time: at(now), env: env(place), key: key(k).map(str::to_owned), amount };
                        plain.push(entry.clone());
                        tally.push(entry);
                    }
                    Step::Forget(until) => {
                        plain.retain(|e| e.time > at(until));
                        tally.forget(at(until));
                    }
                    Step::Without(amount) => {
                        plain.retain(|e| e.amount != Some(amount));
                        tally.retain(|e| e.amount != Some(amount));
                    }
                }
            }
            prop_assert_eq!(tally.iter().collect::<Vec<_>>(), plain.iter().collect::<Vec<_>>());
            let since = at(since);
            let count = |of: &[&Entry]| Total {
                count: of.len() as u32,
                sum: of.iter().fold(0, |sum: i64, e| sum.saturating_add(e.amount.unwrap_or(0))),
            };
            for place in [true, false].map(env) {
                let here: Vec<_> = plain.iter().filter(|e| e.env == place && e.time > since).collect();
                prop_assert_eq!(tally.all(&place, since), count(&here));
                for k in [None, Some(true), Some(false)].map(key) {
                    let of: Vec<_> = here.iter().copied().filter(|e| e.key.as_deref() == k).collect();
                    prop_assert_eq!(tally.of_key(&place, k, since), count(&of));
                    prop_assert_eq!(tally.entries_of(&place, k, since).collect::<Vec<_>>(), of);
                }
            }
            let read: Tally<Entry> = serde_json::from_slice(&serde_json::to_vec(&tally).unwrap()).unwrap();
            prop_assert_eq!(read.all(&env(true), since), tally.all(&env(true), since));
            prop_assert_eq!(read, tally);
        }
    }
}
