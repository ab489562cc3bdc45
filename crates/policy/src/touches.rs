//! What of a release rests on a clause: where a changed clause has to be thought through.

use std::str::FromStr as _;

use cedar_policy::PolicySet;
use duty::release::Rules as _;
use serde::Serialize;

use crate::{Release, retrieval::FOLDER, team::TEAM};

/// A place that names a clause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Touch {
    /// File, and line or rule: `permissions/analyst.cedar#read-own-invoice`.
    pub place: String,
    /// What that is, for people.
    pub what: String,
}

/// Everything in a release that names the clause, by file.
#[must_use]
pub fn touches(release: &Release, id: &str) -> Vec<Touch> {
    let mut found = Vec::new();
    for (path, text) in release.files() {
        if path.starts_with(FOLDER) || !names(text, id) {
            continue;
        }
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        match folder {
            _ if path == TEAM => of_team(text, id, &mut found),
            "policies" => of_policies(release, path, text, id, &mut found),
            _ if path.ends_with(".cedar") => of_rules(release, path, text, id, &mut found),
            "thresholds" => found.push(Touch {
                place: path.clone(),
                what: format!("threshold `{}`", stem(path)),
            }),
            "prompts" => {
                let agents = release.team().agents.iter().filter(|a| {
                    let prompt = release.agent(&a.id).map(|p| &p.prompt);
                    prompt == Some(text)
                });
                let agents: Vec<_> = agents.map(|a| format!("`{}`", a.id)).collect();
                let what = format!("prompt of agent {}", agents.join(", "));
                by_line(path, text, id, &what, &mut found);
            }
            folder => {
                let what = if folder == "tests" { "test" } else { "file" };
                by_line(path, text, id, what, &mut found);
            }
        }
    }
    found
}

/// Whether a text names the clause: `PAY-2.1` is not named by `PAY-2.10` or `XPAY-2.1`.
fn names(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + id.len()..].chars();
        let goes_on = match after.next() {
            Some('.') => after.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => c.is_alphanumeric(),
            None => false,
        };
        !goes_on && !before.is_some_and(|c| c.is_alphanumeric() || c == '-')
    })
}

fn by_line(path: &str, text: &str, id: &str, what: &str, found: &mut Vec<Touch>) {
    for (i, line) in text.lines().enumerate().filter(|(_, line)| names(line, id)) {
        let place = format!("{path}:{}", i + 1);
        // A comment binds nothing, and is mostly why somebody will look here.
        let comment = line.trim_start().starts_with(['#', '/']);
        let what = if comment {
            format!("comment in a {what}")
        } else {
            what.to_owned()
        };
        found.push(Touch { place, what });
    }
}

/// By the table of `team.toml` that a line is in.
fn of_team(text: &str, id: &str, found: &mut Vec<Touch>) {
    let mut table = String::new();
    for (i, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut table);
        }
        if !names(line, id) {
            continue;
        }
        let what = match table.as_str() {
            _ if line.trim_start().starts_with('#') => "comment".to_owned(),
            "conflict" => "conflict of duties".to_owned(),
            "disqualify" => "conflict of interest".to_owned(),
            "recommendation" => "least confidence".to_owned(),
            "break_glass" => "break-glass".to_owned(),
            "bind" => "bound to a tool".to_owned(),
            "attention" => "what is asked of people at once".to_owned(),
            "course" => "course".to_owned(),
            "human_step" => "mandatory human step".to_owned(),
            "override" => "reason codes of overrides".to_owned(),
            table => match table.strip_prefix("approval.") {
                Some(tier) => {
                    let tier = tier.split('.').next().unwrap_or(tier);
                    format!("approval of a {tier} risk")
                }
                None => format!("`[{table}]`"),
            },
        };
        found.push(Touch {
            place: format!("{TEAM}:{}", i + 1),
            what,
        });
    }
}

/// Other clauses that refer to it.
fn of_policies(release: &Release, path: &str, text: &str, id: &str, found: &mut Vec<Touch>) {
    let others = release.clauses().iter().filter(|c| c.id != id);
    for other in others.filter(|c| names(&c.text, id) && text.contains(&c.text)) {
        let touch = Touch {
            place: format!("{path}#{}", other.id),
            what: format!("clause {} refers to it", other.id),
        };
        if !found.contains(&touch) {
            found.push(touch);
        }
    }
}

fn of_rules(release: &Release, path: &str, text: &str, id: &str, found: &mut Vec<Touch>) {
    let set = PolicySet::from_str(text).expect("INVARIANT: a release's rules were parsed");
    let agents = release.team().agents.iter();
    let agents = agents.filter(|a| release.rules_are_of(path, &a.id));
    let agents: Vec<_> = agents.map(|a| format!("`{}`", a.id)).collect();
    let agents = agents.join(", ");
    let what = match path.split_once('/') {
        Some(("permissions", _)) => format!("permission rule of agent {agents}"),
        Some(_) => format!("decision row of agent {agents}"),
        None => "risk rule".to_owned(),
    };
    let mut rules: Vec<_> = set
        .policies()
        .filter(|p| p.annotations().any(|(_, words)| names(words, id)))
        .map(|p| p.annotation("id").unwrap_or_default())
        .collect();
    rules.sort_unstable();
    found.extend(rules.into_iter().map(|rule| Touch {
        place: format!("{path}#{rule}"),
        what: what.clone(),
    }));
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_id_is_named_whole() {
        assert!(names("see PAY-2.1.", "PAY-2.1"));
        assert!(names("(PAY-2.1), PAY-2.10", "PAY-2.1"));
        assert!(!names("PAY-2.10 and PAY-2.1.3 and XPAY-2.1", "PAY-2.1"));
        assert!(!names("A-PAY-2.1", "PAY-2.1"));
    }
}
