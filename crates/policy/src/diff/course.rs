//! What changed about courses.

use std::collections::BTreeMap;

use duty::{canonical::Digest, course::CourseRule, release::Rules as _};

use super::{Change, Diff, Direction, both, lines};
use crate::Release;

impl Diff {
    pub(super) fn courses(&mut self, from: &Release, to: &Release) {
        let all = |r: &Release| -> BTreeMap<_, _> {
            let courses = r.team().courses.iter();
            courses.map(|c| (c.id.clone(), c.clone())).collect()
        };
        for (id, old, new) in both(all(from), all(to)) {
            let about = format!("course {id}");
            match (old, new) {
                (Some(old), Some(new)) => {
                    let content = |r: &Release, c: &CourseRule| {
                        let of = |t: &&String| Digest::of_bytes(t.as_bytes()) == c.content;
                        r.files().values().find(of).cloned().unwrap_or_default()
                    };
                    let text = lines(&content(from, &old), &content(to, &new));
                    self.course(&about, &old, &new, text);
                }
                (None, Some(new)) => self.add(
                    &about,
                    format!(
                        "new: nobody acts as {} without it",
                        words(new.roles.iter().map(|r| r.word()))
                    ),
                    Direction::Tightens,
                ),
                (Some(_), None) => self.add(
                    &about,
                    "gone: whoever needed it needs it no more, and a certification by that name is held to nothing but its end",
                    Direction::Loosens,
                ),
                (None, None) => {}
            }
        }
    }

    fn course(&mut self, about: &str, old: &CourseRule, new: &CourseRule, text: String) {
        use Direction::{Loosens, Tightens};
        self.word(about, "title", &old.title, &new.title);
        if old.content != new.content {
            let counts = new.accepts.contains(&old.content);
            let (what, direction) = if counts {
                (
                    "other content; completions of the one before count still",
                    Loosens,
                )
            } else {
                ("other content: everybody must pass it anew", Tightens)
            };
            self.changes.push(Change {
                about: about.to_owned(),
                what: what.to_owned(),
                direction,
                lines: Some(text),
            });
        }
        for gone in old.accepts.difference(&new.accepts) {
            self.add(
                about,
                format!("completions of content {} count no more", gone.short()),
                Tightens,
            );
        }
        for more in new.accepts.difference(&old.accepts) {
            self.add(
                about,
                format!("completions of content {} count as well", more.short()),
                Loosens,
            );
        }
        self.number(
            about,
            "days that it counts",
            (old.valid_days, new.valid_days),
            Loosens,
        );
        self.number(
            about,
            "days before its end at which that is told",
            (old.warn_days, new.warn_days),
            Tightens,
        );
        for (role, direction) in [
            (&old.roles, &new.roles, Loosens),
            (&new.roles, &old.roles, Tightens),
        ]
        .into_iter()
        .flat_map(|(a, b, d)| a.difference(b).map(move |r| (r, d)))
        {
            let what = match direction {
                Loosens => format!("whoever acts as {} needs it no more", role.word()),
                _ => format!("whoever acts as {} needs it now", role.word()),
            };
            self.add(about, what, direction);
        }
        for (role, direction) in [
            (&new.assessors, &old.assessors, Loosens),
            (&old.assessors, &new.assessors, Tightens),
        ]
        .into_iter()
        .flat_map(|(a, b, d)| a.difference(b).map(move |r| (r, d)))
        {
            let what = match direction {
                Loosens => format!("whoever is {} may assess it now", role.word()),
                _ => format!("whoever is {} assesses it no more", role.word()),
            };
            self.add(about, what, direction);
        }
        if old.signed != new.signed {
            let (what, direction) = if new.signed {
                ("its assessor must sign now", Tightens)
            } else {
                ("its assessor need not sign any more", Loosens)
            };
            self.add(about, what, direction);
        }
        self.word(about, "clause", &old.clause, &new.clause);
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}
