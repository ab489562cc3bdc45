//! What changed about how splitting is found.

use duty::release::Threshold;

use super::{Diff, Direction};

impl Diff {
    pub(super) fn split(&mut self, about: &str, old: &Threshold, new: &Threshold) {
        use Direction::{Loosens, Tightens};
        let (a, b) = match (old.split, new.split) {
            (None, None) => return,
            (None, Some(_)) => {
                return self.add(
                    about,
                    "actions split to pass under it are found now",
                    Tightens,
                );
            }
            (Some(_), None) => {
                return self.add(
                    about,
                    "actions split to pass under it are found no more",
                    Loosens,
                );
            }
            (Some(a), Some(b)) => (a, b),
        };
        self.number(
            about,
            "window over which parts are added up, minutes",
            (a.window_minutes, b.window_minutes),
            Tightens,
        );
        self.amount(
            about,
            "sum that parts may come to",
            (old, old.most_of_parts()),
            (new, new.most_of_parts()),
        );
        let most = |count: Option<u32>| count.unwrap_or(u32::MAX);
        if most(a.count) == u32::MAX || most(b.count) == u32::MAX {
            let words = |c: Option<u32>| c.map_or("any number".to_owned(), |c| c.to_string());
            let direction = match most(b.count).cmp(&most(a.count)) {
                std::cmp::Ordering::Equal => return,
                std::cmp::Ordering::Less => Tightens,
                std::cmp::Ordering::Greater => Loosens,
            };
            let what = format!(
                "how many parts there may be: {} → {}",
                words(a.count),
                words(b.count)
            );
            return self.add(about, what, direction);
        }
        self.number(
            about,
            "how many parts there may be",
            (most(a.count), most(b.count)),
            Loosens,
        );
    }
}
