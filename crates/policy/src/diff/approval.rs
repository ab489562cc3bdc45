//! Who signs what: stages, reminders, mandatory human steps, reason codes.

use std::collections::BTreeSet;

use duty::{
    quorum::{Attributes, Escalation, HumanStep, Order, Overrides, Quorum, Stage, words},
    release::Rules,
};

use super::{Diff, Direction, both};
use crate::Release;

use Direction::{Loosens, Open, Tightens};

impl Diff {
    pub(super) fn approval(&mut self, from: &Release, to: &Release) {
        let (a, b) = (&from.team().approval, &to.team().approval);
        for (tier, old, new) in both(a.clone(), b.clone()) {
            let about = format!("approval of a {} risk", tier.word());
            match (old, new) {
                (Some(old), Some(new)) => self.quorum(&about, &old, &new),
                (None, Some(_)) => self.add(&about, "new", Open),
                (Some(_), None) => self.add(
                    &about,
                    "gone: nothing of this risk can be approved",
                    Tightens,
                ),
                (None, None) => {}
            }
        }
        self.human_steps(&from.team().human_steps, &to.team().human_steps);
        self.overrides(from.team().overrides.as_ref(), to.team().overrides.as_ref());
    }

    fn quorum(&mut self, about: &str, old: &Quorum, new: &Quorum) {
        self.number(
            about,
            "people who must sign",
            (old.humans(), new.humans()),
            Tightens,
        );
        let stages = |q: &Quorum| -> Vec<_> {
            let stages = q.stages.iter().map(|s| (s.name.clone(), s.clone()));
            stages.collect()
        };
        for (name, old, new) in both(stages(old), stages(new)) {
            let what = match &name {
                Some(name) => format!("stage `{name}`"),
                None => "the one stage".to_owned(),
            };
            let says =
                |s: &Stage| format!("{} {}, certified in {}", s.humans, s.who(), s.certification);
            match (old, new) {
                (Some(old), Some(new)) => self.stage(about, &what, &old, &new),
                (None, Some(new)) => {
                    self.add(about, format!("{what} is new: {}", says(&new)), Tightens);
                }
                (Some(old), None) => {
                    self.add(about, format!("{what} is gone: {}", says(&old)), Loosens);
                }
                (None, None) => {}
            }
        }
        self.order(about, old, new);
        self.number(
            about,
            "minutes that a request stands",
            (old.expires_minutes, new.expires_minutes),
            Loosens,
        );
        self.pace(about, old, new);
        self.reminders(about, old, new);
        self.word(about, "clause", &old.clause, &new.clause);
    }

    fn stage(&mut self, about: &str, what: &str, old: &Stage, new: &Stage) {
        self.number(
            about,
            &format!("people who must sign in {what}"),
            (old.humans, new.humans),
            Tightens,
        );
        let of = |field: &str| format!("{field} in {what}");
        self.word(about, &of("their role"), old.role.word(), new.role.word());
        self.attributes(about, what, &old.attributes, &new.attributes);
        self.word(
            about,
            &of("their certification"),
            &old.certification,
            &new.certification,
        );
        if new.name.is_some() {
            self.word(about, &of("clause"), &old.clause, &new.clause);
        }
    }

    fn attributes(&mut self, about: &str, what: &str, old: &Attributes, new: &Attributes) {
        for (name, old, new) in both(old.clone(), new.clone()) {
            match (old, new) {
                (None, Some(value)) => self.add(
                    about,
                    format!("whoever signs in {what} must carry {name} = {value}"),
                    Tightens,
                ),
                (Some(value), None) => self.add(
                    about,
                    format!("whoever signs in {what} need not carry {name} = {value} any more"),
                    Loosens,
                ),
                (Some(old), Some(new)) => {
                    self.word(
                        about,
                        &format!("{name} of whoever signs in {what}"),
                        old,
                        new,
                    );
                }
                (None, None) => {}
            }
        }
    }

    fn order(&mut self, about: &str, old: &Quorum, new: &Quorum) {
        let several = |q: &Quorum| q.stages.len() > 1;
        if old.order == new.order || !several(old) || !several(new) {
            return;
        }
        let direction = match new.order {
            Order::Parallel => Loosens,
            Order::Sequential => Tightens,
        };
        self.add(
            about,
            format!(
                "order of its stages: {} → {}",
                old.order.word(),
                new.order.word()
            ),
            direction,
        );
    }

    fn pace(&mut self, about: &str, old: &Quorum, new: &Quorum) {
        self.number(
            about,
            "seconds before a yes may come",
            (
                old.pace.map_or(0, |p| p.seconds),
                new.pace.map_or(0, |p| p.seconds),
            ),
            Tightens,
        );
        if let (Some(old), Some(new)) = (old.pace, new.pace)
            && old.refuse != new.refuse
        {
            let (what, direction) = if new.refuse {
                ("a yes that comes sooner is refused", Tightens)
            } else {
                (
                    "a yes that comes sooner counts, and is an exception",
                    Loosens,
                )
            };
            self.add(about, what, direction);
        }
    }

    fn reminders(&mut self, about: &str, old: &Quorum, new: &Quorum) {
        let minutes =
            |m: Option<u32>| m.map_or("never".to_owned(), |m| format!("after {m} minutes"));
        self.word(
            about,
            "those who may sign are reminded",
            minutes(old.remind_minutes),
            minutes(new.remind_minutes),
        );
        let to = |e: &Escalation| match e.attributes.is_empty() {
            true => e.role.word().to_owned(),
            false => format!("{} with {}", e.role.word(), words(&e.attributes)),
        };
        match (&old.escalation, &new.escalation) {
            (None, Some(new)) => self.add(
                about,
                format!("new: {} is told after {} minutes", to(new), new.minutes),
                Tightens,
            ),
            (Some(old), None) => self.add(
                about,
                format!("{} is not told any more that nobody signs", to(old)),
                Loosens,
            ),
            (Some(old), Some(new)) => {
                self.number(
                    about,
                    "minutes until others are told",
                    (old.minutes, new.minutes),
                    Loosens,
                );
                self.word(about, "who is told", to(old), to(new));
            }
            (None, None) => {}
        }
    }

    fn human_steps(&mut self, old: &[HumanStep], new: &[HumanStep]) {
        let by_place = |steps: &[HumanStep]| -> Vec<_> {
            let mut seen = std::collections::BTreeMap::new();
            let each = steps.iter().map(|step| {
                // Several of one tool are told apart by their place.
                let n = seen.entry(step.tool.clone()).or_insert(0_u32);
                *n += 1;
                ((step.tool.clone(), *n), step.clone())
            });
            each.collect()
        };
        for ((tool, _), old, new) in both(by_place(old), by_place(new)) {
            let about = format!("mandatory human step {tool}");
            let says = |s: &HumanStep| {
                let when = s.when.as_ref().map(|w| format!(", when {w}"));
                format!(
                    "{} human{}{}",
                    s.humans,
                    if s.humans == 1 { "" } else { "s" },
                    when.unwrap_or_default()
                )
            };
            match (old, new) {
                (None, Some(new)) => {
                    self.add(
                        &about,
                        format!("new: always needs {}", says(&new)),
                        Tightens,
                    );
                }
                (Some(old), None) => self.add(
                    &about,
                    format!(
                        "gone: it needed {}; a threshold may cover it now",
                        says(&old)
                    ),
                    Loosens,
                ),
                (Some(old), Some(new)) => self.human_step(&about, &old, &new),
                (None, None) => {}
            }
        }
    }

    fn human_step(&mut self, about: &str, old: &HumanStep, new: &HumanStep) {
        self.number(
            about,
            "people who must sign",
            (old.humans, new.humans),
            Tightens,
        );
        match (&old.when, &new.when) {
            (None, Some(when)) => self.add(about, format!("only when {when} now"), Loosens),
            (Some(_), None) => self.add(about, "without a condition now", Tightens),
            (Some(old), Some(new)) => self.text(about, "its condition changed", old, new),
            (None, None) => {}
        }
        self.word(about, "clause", &old.clause, &new.clause);
    }

    fn overrides(&mut self, old: Option<&Overrides>, new: Option<&Overrides>) {
        let about = "reason codes of overrides";
        let list = |codes: &BTreeSet<duty::name::ReasonCode>| {
            let codes: Vec<_> = codes.iter().map(|c| c.as_str()).collect();
            codes.join(", ")
        };
        match (old, new) {
            (None, Some(new)) => self.add(
                about,
                format!("new: an override needs one of {}", list(&new.codes)),
                Tightens,
            ),
            (Some(_), None) => self.add(about, "gone: an override needs none", Loosens),
            (Some(old), Some(new)) => {
                for code in new.codes.difference(&old.codes) {
                    self.add(about, format!("new: {code}"), Loosens);
                }
                for code in old.codes.difference(&new.codes) {
                    self.add(about, format!("gone: {code}"), Tightens);
                }
                self.word(about, "clause", &old.clause, &new.clause);
            }
            (None, None) => {}
        }
    }
}
