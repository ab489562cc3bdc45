//! What changed about language models, and about what they are not to see.

use duty::{language::Language, name::PrincipalId};

use super::{Diff, Direction, both};
use crate::{Release, team::LanguagePlan};

/// How an agent's language model is asked.
pub(super) fn plan<'r>(release: &'r Release, agent: &PrincipalId) -> Option<&'r LanguagePlan> {
    release.agent(agent)?.language.as_ref()
}

impl Diff {
    pub(super) fn language(&mut self, about: &str, old: Option<&Language>, new: Option<&Language>) {
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        let names = |l: &Language| {
            let names: Vec<_> = l.answers_as.iter().map(String::as_str).collect();
            names.join(", ")
        };
        self.word(
            about,
            "names that its model answers under",
            names(old),
            names(new),
        );
        self.word(
            about,
            "parameters of its model",
            &old.parameters,
            &new.parameters,
        );
        self.word(
            about,
            "tokens of one answer",
            old.max_tokens,
            new.max_tokens,
        );
        self.word(
            about,
            "attempts at one question",
            old.attempts,
            new.attempts,
        );
        let most =
            |n: Option<u64>| n.map_or_else(|| "without a bound".to_owned(), |n| n.to_string());
        let small = |n: Option<u32>| most(n.map(u64::from));
        let (a, b) = (&old.budget, &new.budget);
        self.word(
            about,
            "calls in a case",
            small(a.case_calls),
            small(b.case_calls),
        );
        self.word(
            about,
            "tokens in a case",
            most(a.case_tokens),
            most(b.case_tokens),
        );
        self.word(
            about,
            "calls in a day",
            small(a.day_calls),
            small(b.day_calls),
        );
        self.word(
            about,
            "tokens in a day",
            most(a.day_tokens),
            most(b.day_tokens),
        );
    }

    /// How a model is asked, and what it is not to see.
    pub(super) fn asking(
        &mut self,
        about: &str,
        old: Option<&LanguagePlan>,
        new: Option<&LanguagePlan>,
    ) {
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        self.word(
            about,
            "form of its endpoint",
            old.form.word(),
            new.form.word(),
        );
        self.word(about, "endpoint of its model", &old.endpoint, &new.endpoint);
        self.word(about, "repairs", old.repairs, new.repairs);
        self.word(
            about,
            "sees what was prepared",
            old.shows_proposal,
            new.shows_proposal,
        );
    }

    pub(super) fn redaction(&mut self, from: &Release, to: &Release) {
        let rules = |r: &Release| {
            let kinds = r.redaction().kinds();
            kinds
                .map(|(k, p)| (k.to_owned(), p.to_owned()))
                .collect::<Vec<_>>()
        };
        for (kind, old, new) in both(rules(from), rules(to)) {
            let about = format!("redaction of {kind}");
            match (old, new) {
                (Some(old), Some(new)) => self.word(&about, "pattern", old, new),
                (None, Some(_)) => self.add(
                    &about,
                    "new: models see it no more".to_owned(),
                    Direction::Tightens,
                ),
                (Some(_), None) => {
                    self.add(&about, "gone: models see it".to_owned(), Direction::Loosens)
                }
                (None, None) => {}
            }
        }
    }
}
