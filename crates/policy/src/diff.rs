//! What changed between two releases, in words for whoever must answer for it.
//!
//! Each change says what it is about, and, where that can be told, whether it lets agents do more with fewer people
//! ([`Direction::Loosens`]). Two releases that differ have at least one change.

mod approval;
mod course;
mod language;
mod split;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr as _,
};

use cedar_policy::{Effect, PolicySet};
use duty::{
    conflict::Conflict,
    principal::Duty,
    release::{Agent, Attention, Rules, Threshold, Tier, Tool, WARN_DAYS},
};
use language::plan;
use serde::Serialize;
use serde_json::{Map, Value};
use similar::TextDiff;

use crate::{
    Pin, Release,
    compare::{Fate, compare},
    team::TEAM,
};

/// Whether a change lets agents do more, or less, with fewer people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More is allowed, or fewer people are asked.
    Loosens,
    /// Less is allowed, or more people are asked.
    Tightens,
    /// That cannot be told from the change alone: read it.
    Open,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is about, like `prompt of analyst`.
    pub about: String,
    /// What changed, in one sentence.
    pub what: String,
    /// Whether it loosens.
    pub direction: Direction,
    /// The lines that differ, `-` before and `+` after, where it is text; of a clause its words, `[-…-]` before and `{+…+}`
    /// after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<String>,
}

/// All that differs between two releases, by subject.
#[must_use]
pub fn diff(from: &Release, to: &Release) -> Vec<Change> {
    let mut diff = Diff {
        changes: Vec::new(),
    };
    diff.team(from, to);
    diff.agents(from, to);
    diff.tools(from, to);
    diff.redaction(from, to);
    diff.pins(from, to);
    diff.rules(from, to);
    diff.approval(from, to);
    diff.courses(from, to);
    diff.conflicts(from, to);
    diff.thresholds(from, to);
    diff.clauses(from, to);
    diff.rest(from, to);
    diff.changes
}

/// What a set of Cedar rules is for: whether another rule loosens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Permission,
    Judgement,
}

/// A rule of a file, by its id.
struct Rule {
    forbids: bool,
    text: String,
}

type Book = BTreeMap<String, Rule>;

/// The rules of every file of Cedar, by path.
fn books(release: &Release) -> BTreeMap<String, Book> {
    let files = release.files().iter();
    let cedar = files.filter(|(path, _)| Path::new(path).extension().is_some_and(|e| e == "cedar"));
    let book = |text: &str| -> Book {
        let set = PolicySet::from_str(text).expect("INVARIANT: a release's rules were parsed");
        let rules = set.policies().map(|policy| {
            let note = |name: &str| policy.annotation(name).map(str::to_owned);
            let rule = Rule {
                forbids: policy.effect() == Effect::Forbid,
                text: policy.to_string(),
            };
            (note("id").unwrap_or_default(), rule)
        });
        rules.collect()
    };
    cedar
        .map(|(path, text)| (path.clone(), book(text)))
        .collect()
}

struct Diff {
    changes: Vec<Change>,
}

impl Diff {
    fn add(&mut self, about: impl Into<String>, what: impl Into<String>, direction: Direction) {
        self.changes.push(Change {
            about: about.into(),
            what: what.into(),
            direction,
            lines: None,
        });
    }

    fn text(&mut self, about: &str, what: &str, before: &str, after: &str) {
        if before != after {
            self.changes.push(Change {
                about: about.to_owned(),
                what: what.to_owned(),
                direction: Direction::Open,
                lines: Some(lines(before, after)),
            });
        }
    }

    /// A number of which more is looser, or tighter.
    fn number<N: PartialOrd + std::fmt::Display>(
        &mut self,
        about: &str,
        what: &str,
        (before, after): (N, N),
        more: Direction,
    ) {
        let direction = match (before == after, after > before) {
            (true, _) => return,
            (false, true) => more,
            (false, false) => opposite(more),
        };
        self.add(about, format!("{what}: {before} → {after}"), direction);
    }

    /// An amount under a threshold, where more of it loosens and none is no bound.
    fn amount(
        &mut self,
        about: &str,
        what: &str,
        (old, before): (&Threshold, Option<i64>),
        (new, after): (&Threshold, Option<i64>),
    ) {
        let size = |t: &Threshold, n: Option<i64>| {
            let scale = if t.unit.is_none() { 10_000 } else { 1 };
            n.map_or(i128::MAX, |n| i128::from(n) * scale)
        };
        let direction = match size(new, after).cmp(&size(old, before)) {
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Less => Direction::Tightens,
            std::cmp::Ordering::Greater => Direction::Loosens,
        };
        let words = |t: &Threshold, n: Option<i64>| n.map_or("none".to_owned(), |n| t.say(n));
        let (before, after) = (words(old, before), words(new, after));
        self.add(about, format!("{what}: {before} → {after}"), direction);
    }

    fn word<T: PartialEq + std::fmt::Display>(
        &mut self,
        about: &str,
        what: &str,
        before: T,
        after: T,
    ) {
        if before != after {
            self.add(
                about,
                format!("{what}: {before} → {after}"),
                Direction::Open,
            );
        }
    }

    fn team(&mut self, from: &Release, to: &Release) {
        let (a, b) = (from.team(), to.team());
        self.word("team", "name", &a.name, &b.name);
        self.number(
            "team",
            "confidence in percent under which a human decides",
            (a.min_confidence, b.min_confidence),
            Direction::Tightens,
        );
        self.number(
            "team",
            "minutes that a grant stands",
            (a.grant_minutes, b.grant_minutes),
            Direction::Loosens,
        );
        for tier in TIERS {
            let (x, y) = (a.level(Some(tier)), b.level(Some(tier)));
            if x != y {
                let direction = if y > x {
                    Direction::Tightens
                } else {
                    Direction::Loosens
                };
                self.add(
                    "durability",
                    format!(
                        "records of a {} risk are {} before the effect, not {}",
                        tier.word(),
                        y.word(),
                        x.word()
                    ),
                    direction,
                );
            }
        }
        if a.disqualify != b.disqualify {
            let facts = |d: &Option<duty::release::Disqualify>| {
                d.as_ref()
                    .map_or("nothing".to_owned(), |d| d.facts.join(", "))
            };
            self.add(
                "conflicts of interest",
                format!(
                    "facts that keep a person from approving: {} → {}",
                    facts(&a.disqualify),
                    facts(&b.disqualify)
                ),
                Direction::Open,
            );
        }
        self.attention(a.attention.as_ref(), b.attention.as_ref());
        match (&a.break_glass, &b.break_glass) {
            (None, Some(new)) => self.add(
                "break-glass",
                format!(
                    "new: whoever is {} may break the glass for {} minutes",
                    new.role.word(),
                    new.minutes
                ),
                Direction::Loosens,
            ),
            (Some(_), None) => self.add("break-glass", "gone", Direction::Tightens),
            (Some(old), Some(new)) => {
                self.word("break-glass", "role", old.role.word(), new.role.word());
                self.word(
                    "break-glass",
                    "certification",
                    &old.certification,
                    &new.certification,
                );
                self.word("break-glass", "clause", &old.clause, &new.clause);
                self.number(
                    "break-glass",
                    "minutes that its grant stands",
                    (old.minutes, new.minutes),
                    Direction::Loosens,
                );
                self.number(
                    "break-glass",
                    "minutes until its review",
                    (old.review_minutes, new.review_minutes),
                    Direction::Loosens,
                );
            }
            (None, None) => {}
        }
        if a.retention != b.retention {
            let days = |r: &Option<duty::release::Retention>| {
                r.as_ref()
                    .map_or("until erased".to_owned(), |r| format!("{} days", r.days))
            };
            self.add(
                "retention",
                format!(
                    "what agents saw is kept: {} → {}",
                    days(&a.retention),
                    days(&b.retention)
                ),
                Direction::Open,
            );
        }
        if a.patience != b.patience {
            let minutes = |p: &Option<duty::release::Patience>| {
                p.as_ref().map_or("without end".to_owned(), |p| {
                    format!("{} minutes by {}", p.minutes, p.clause)
                })
            };
            self.add(
                "cases",
                format!(
                    "a case waits for its verdict: {} → {}",
                    minutes(&a.patience),
                    minutes(&b.patience)
                ),
                Direction::Open,
            );
        }
    }

    fn agents(&mut self, from: &Release, to: &Release) {
        let (a, b) = (&from.team().agents, &to.team().agents);
        for (id, old, new) in both(
            a.iter().map(|x| (x.id.clone(), x)),
            b.iter().map(|x| (x.id.clone(), x)),
        ) {
            let about = format!("agent {id}");
            match (old, new) {
                (Some(old), Some(new)) => self.agent(&about, old, new),
                (None, Some(new)) => self.add(
                    &about,
                    format!(
                        "new: does {}, owned by {}, runs on {}",
                        new.duty.word(),
                        new.owner,
                        model(new)
                    ),
                    Direction::Open,
                ),
                (Some(old), None) => self.add(
                    &about,
                    format!("gone: did {}, owned by {}", old.duty.word(), old.owner),
                    Direction::Open,
                ),
                (None, None) => {}
            }
            self.asking(&about, plan(from, &id), plan(to, &id));
            let prompt = |r: &Release| r.agent(&id).map(|p| p.prompt.clone()).unwrap_or_default();
            self.text(
                &format!("prompt of {id}"),
                "its instructions changed",
                &prompt(from),
                &prompt(to),
            );
        }
    }

    fn agent(&mut self, about: &str, old: &Agent, new: &Agent) {
        self.word(about, "duty", old.duty.word(), new.duty.word());
        self.word(about, "owner", &old.owner, &new.owner);
        self.word(about, "model", model(old), model(new));
        let family = |a: &Agent| a.model_family.clone().unwrap_or_else(|| "none".to_owned());
        self.word(about, "model family", family(old), family(new));
        self.language(about, old.language.as_ref(), new.language.as_ref());
        if old.prompt == new.prompt {
            self.word(about, "lineage of its prompt", &old.lineage, &new.lineage);
        }
    }

    fn tools(&mut self, from: &Release, to: &Release) {
        let (a, b) = (&from.team().tools, &to.team().tools);
        for (name, old, new) in both(a.clone(), b.clone()) {
            let about = format!("tool {name}");
            match (old, new) {
                (Some(old), Some(new)) => self.tool(&about, &old, &new),
                (None, Some(new)) => {
                    let what = if new.effect {
                        "new, with an effect"
                    } else {
                        "new, without an effect"
                    };
                    self.add(&about, what, Direction::Loosens);
                }
                (Some(_), None) => self.add(&about, "gone", Direction::Tightens),
                (None, None) => {}
            }
        }
    }

    fn tool(&mut self, about: &str, old: &Tool, new: &Tool) {
        if old.effect != new.effect {
            let (what, direction) = if new.effect {
                (
                    "said to have an effect now: only a grant calls it",
                    Direction::Tightens,
                )
            } else {
                (
                    "said to have no effect now: no grant is asked for it",
                    Direction::Loosens,
                )
            };
            self.add(about, what, direction);
        }
        let none = || "none".to_owned();
        self.word(
            about,
            "idempotency key",
            old.idempotency.clone().unwrap_or_else(none),
            new.idempotency.clone().unwrap_or_else(none),
        );
        self.word(
            about,
            "lookup",
            old.lookup.clone().unwrap_or_else(none),
            new.lookup.clone().unwrap_or_else(none),
        );
        self.word(
            about,
            "facts are taken as",
            old.facts_as.clone().unwrap_or_else(none),
            new.facts_as.clone().unwrap_or_else(none),
        );
        self.word(
            about,
            "facts taken into records",
            old.facts.join(", "),
            new.facts.join(", "),
        );
    }

    /// What servers say of their tools, as it was pinned.
    fn pins(&mut self, from: &Release, to: &Release) {
        for (name, old, new) in both(from.pins().clone(), to.pins().clone()) {
            let about = format!("pin of tool {name}");
            match (old, new) {
                (Some(old), Some(new)) => self.pin(&about, &old, &new),
                (None, Some(_)) => self.add(
                    &about,
                    "new: a call is refused where the server describes the tool otherwise",
                    Direction::Tightens,
                ),
                (Some(_), None) => self.add(
                    &about,
                    "gone: its server may describe the tool as it likes",
                    Direction::Loosens,
                ),
                (None, None) => {}
            }
        }
    }

    fn pin(&mut self, about: &str, old: &Pin, new: &Pin) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let json = |value: Option<&Map<String, Value>>| {
            let pretty = value.map(|v| serde_json::to_string_pretty(v).unwrap_or_default());
            pretty.unwrap_or_default()
        };
        for (what, a, b) in [
            (
                "the server's title of it",
                text(&old.title),
                text(&new.title),
            ),
            (
                "the server's description, which models read",
                text(&old.description),
                text(&new.description),
            ),
            (
                "the schema of its arguments, which models read",
                json(Some(&old.input_schema)),
                json(Some(&new.input_schema)),
            ),
            (
                "the schema of its answers",
                json(old.output_schema.as_ref()),
                json(new.output_schema.as_ref()),
            ),
            (
                "the server's hints about it",
                json(old.annotations.as_ref()),
                json(new.annotations.as_ref()),
            ),
        ] {
            self.text(about, what, &a, &b);
        }
    }

    fn rules(&mut self, from: &Release, to: &Release) {
        for (path, old, new) in both(books(from), books(to)) {
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            let (about, kind) = if path.starts_with("permissions/") {
                (format!("permission set {path}"), Kind::Permission)
            } else if path.starts_with("tables/") {
                (format!("decision table {path}"), Kind::Judgement)
            } else {
                (format!("risk rules {path}"), Kind::Judgement)
            };
            self.book(&about, old, new, kind);
        }
    }

    fn book(&mut self, about: &str, from: Book, to: Book, kind: Kind) {
        for (name, old, new) in both(from, to) {
            match (old, new) {
                (Some(old), Some(new)) => {
                    self.text(
                        about,
                        &format!("rule `{name}` changed"),
                        &old.text,
                        &new.text,
                    );
                }
                (None, Some(Rule { forbids, .. })) => {
                    let word = if forbids { "forbids" } else { "permits" };
                    let direction = match (kind, forbids) {
                        (Kind::Permission, true) => Direction::Tightens,
                        (Kind::Permission, false) => Direction::Loosens,
                        (Kind::Judgement, _) => Direction::Open,
                    };
                    let what = match kind {
                        Kind::Permission => format!("new rule `{name}`, which {word}"),
                        Kind::Judgement => format!("new rule `{name}`"),
                    };
                    self.add(about, what, direction);
                }
                (Some(Rule { forbids, .. }), None) => {
                    let direction = match (kind, forbids) {
                        (Kind::Permission, true) => Direction::Loosens,
                        (Kind::Permission, false) => Direction::Tightens,
                        (Kind::Judgement, _) => Direction::Open,
                    };
                    self.add(about, format!("rule `{name}` is gone"), direction);
                }
                (None, None) => {}
            }
        }
    }

    fn attention(&mut self, old: Option<&Attention>, new: Option<&Attention>) {
        let about = "what is asked of people at once";
        let mut bound = |what: &str, of: fn(&Attention) -> Option<u32>| match (
            old.and_then(of),
            new.and_then(of),
        ) {
            (Some(old), Some(new)) => self.number(about, what, (old, new), Direction::Loosens),
            (None, Some(new)) => self.add(
                about,
                format!("{what}: at most {new}, where there was no bound"),
                Direction::Tightens,
            ),
            (Some(_), None) => {
                self.add(
                    about,
                    format!("{what}: no bound any more"),
                    Direction::Loosens,
                );
            }
            (None, None) => {}
        };
        bound("signatures of a person within an hour", |a| a.max_per_hour);
        bound("requests of an agent that wait", |a| a.max_waiting);
        if let (Some(old), Some(new)) = (old, new) {
            self.word(about, "clause", &old.clause, &new.clause);
        }
    }

    fn conflicts(&mut self, from: &Release, to: &Release) {
        let lines = |r: &Release| -> BTreeSet<String> {
            r.team().conflicts.lines.iter().map(conflict).collect()
        };
        let (a, b) = (lines(from), lines(to));
        for line in b.difference(&a) {
            self.add(
                "incompatible duties",
                format!("new: {line}"),
                Direction::Tightens,
            );
        }
        for line in a.difference(&b) {
            self.add(
                "incompatible duties",
                format!("gone: {line}; the floor stays"),
                Direction::Loosens,
            );
        }
    }

    fn thresholds(&mut self, from: &Release, to: &Release) {
        let all = |r: &Release| -> BTreeMap<_, _> {
            r.thresholds()
                .iter()
                .map(|(t, _)| (t.id.clone(), t.clone()))
                .collect()
        };
        for (id, old, new) in both(all(from), all(to)) {
            let about = format!("threshold {id}");
            match (old, new) {
                (Some(old), Some(new)) => self.threshold(&about, &old, &new),
                (None, Some(new)) => self.add(
                    &about,
                    format!(
                        "new: {}{} without a human, once {} people have signed it",
                        new.tool,
                        new.single_limit
                            .map_or(String::new(), |n| format!(" up to {} each", new.say(n))),
                        new.signatures
                    ),
                    Direction::Loosens,
                ),
                (Some(_), None) => self.add(&about, "gone", Direction::Tightens),
                (None, None) => {}
            }
        }
    }

    fn threshold(&mut self, about: &str, old: &Threshold, new: &Threshold) {
        if old != new {
            self.add(
                about,
                "changed, so that it must be signed anew",
                Direction::Open,
            );
        }
        use Direction::{Loosens, Tightens};
        self.amount(
            about,
            "limit of one action",
            (old, old.single_limit),
            (new, new.single_limit),
        );
        self.number(
            about,
            "people who must have signed it",
            (old.signatures, new.signatures),
            Tightens,
        );
        self.number(
            about,
            "share of the limit that counts as near, in percent",
            (old.near_percent, new.near_percent),
            Loosens,
        );
        for (whose, a, b) in [
            ("in all", Some(old.caps.all), Some(new.caps.all)),
            ("per key", old.caps.per_key, new.caps.per_key),
        ] {
            let (a, b) = match (a, b) {
                (Some(a), Some(b)) => (a, b),
                (None, None) => continue,
                (None, Some(_)) => {
                    self.add(about, format!("new: a cap {whose}"), Tightens);
                    continue;
                }
                (Some(_), None) => {
                    self.add(about, format!("gone: the cap {whose}"), Loosens);
                    continue;
                }
            };
            self.number(
                about,
                &format!("cap {whose}, actions"),
                (a.count, b.count),
                Loosens,
            );
            let what = format!("cap {whose}, sum");
            self.amount(about, &what, (old, a.sum), (new, b.sum));
            self.number(
                about,
                &format!("window of the cap {whose}, minutes"),
                (a.window_minutes, b.window_minutes),
                Tightens,
            );
        }
        self.split(about, old, new);
        self.number(
            about,
            "days before its end at which that is told",
            (
                old.warn_days.unwrap_or(WARN_DAYS),
                new.warn_days.unwrap_or(WARN_DAYS),
            ),
            Tightens,
        );
        self.word(about, "begins", old.starts, new.starts);
        self.number(about, "expires", (old.expires, new.expires), Loosens);
        self.word(about, "owner", &old.owner, &new.owner);
        self.word(about, "tool", &old.tool, &new.tool);
        self.number(
            about,
            "highest risk",
            (Ranked(old.tier), Ranked(new.tier)),
            Loosens,
        );
        self.text(about, "its scope changed", &old.scope, &new.scope);
        self.word(about, "clause", &old.clause, &new.clause);
    }

    fn clauses(&mut self, from: &Release, to: &Release) {
        let releases = (Some(from), Some(to));
        for change in compare(from.clauses(), to.clauses(), releases) {
            let about = format!("clause {}", change.id);
            let edition = |e: &Option<String>| e.clone().unwrap_or_default();
            let (before, after) = (edition(&change.from), edition(&change.to));
            let used = match &change.touches[..] {
                [] => "used by no rule".to_owned(),
                touches => {
                    let places: Vec<_> = touches.iter().map(|t| t.place.as_str()).collect();
                    format!("used by {}", places.join(", "))
                }
            };
            let what = match change.fate {
                Fate::Added => format!("new in edition {after}; {used}"),
                Fate::Removed => format!("gone; {used}"),
                Fate::Renumbered { to } => format!("the same words are {to} now; {used}"),
                Fate::Reissued => {
                    self.word(&about, "the same text in another edition", before, after);
                    continue;
                }
                Fate::Reworded { title, text } => {
                    self.changes.push(Change {
                        about,
                        what: format!("new text, edition {before} → {after}; {used}"),
                        direction: Direction::Open,
                        lines: Some(
                            [title, text]
                                .into_iter()
                                .flatten()
                                .collect::<Vec<_>>()
                                .join("\n"),
                        ),
                    });
                    continue;
                }
            };
            self.add(&about, what, Direction::Open);
        }
    }

    /// `team.toml` says more than was compared above (what agents read, types of arguments): its lines. Another file only
    /// where nothing else was said of the release at all: comments, order, layout.
    fn rest(&mut self, from: &Release, to: &Release) {
        let nothing = self.changes.is_empty();
        for (path, old, new) in both(from.files().clone(), to.files().clone()) {
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            if path == TEAM {
                self.text(&path, "its lines, for what is not said above", &old, &new);
            } else if nothing {
                let what = "the file changed in nothing that the rules read";
                self.text(&path, what, &old, &new);
            }
        }
    }
}

const TIERS: [Tier; 3] = [Tier::Low, Tier::Elevated, Tier::High];

/// A tier that prints as its word.
#[derive(PartialEq, PartialOrd)]
struct Ranked(Tier);

impl std::fmt::Display for Ranked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.word())
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Loosens => Direction::Tightens,
        Direction::Tightens => Direction::Loosens,
        Direction::Open => Direction::Open,
    }
}

fn model(agent: &Agent) -> String {
    agent.model.clone().unwrap_or_else(|| "no model".to_owned())
}

fn conflict(line: &Conflict) -> String {
    let words = |duty: Duty| duty.word();
    let apart: Vec<_> = line.apart.iter().map(|a| a.word()).collect();
    let tiers: Vec<_> = line.tiers.iter().map(|t| t.word()).collect();
    format!(
        "who would {} and who would {} differ in {} at {} risk ({})",
        words(line.duties.0),
        words(line.duties.1),
        apart.join(", "),
        tiers.join(", "),
        line.clause
    )
}

/// What is in either, in order of key.
fn both<K: Ord + Clone, V>(
    from: impl IntoIterator<Item = (K, V)>,
    to: impl IntoIterator<Item = (K, V)>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let mut from: BTreeMap<K, V> = from.into_iter().collect();
    let mut to: BTreeMap<K, V> = to.into_iter().collect();
    let keys: BTreeSet<K> = from.keys().chain(to.keys()).cloned().collect();
    keys.into_iter()
        .map(|key| {
            let (a, b) = (from.remove(&key), to.remove(&key));
            (key, a, b)
        })
        .collect()
}

/// The lines that differ, each with its mark, and a line of context.
fn lines(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(1)
        .to_string()
        .trim_end()
        .to_owned()
}
