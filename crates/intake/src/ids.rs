//! Which id each clause has. An id that the document or its number gives stands; else the words decide, against the edition
//! before. Whatever is a guess is said to be one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::outline::{Clause, Outline};

/// From how many percent on two texts are taken for one clause.
const ALIKE: u8 = 60;

/// A clause of the edition before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// How a clause came to its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum How {
    /// The document gives it whole.
    Written,
    /// By its number.
    Number,
    /// The edition before has the same text under it.
    Text,
    /// The edition before has a text like it under it: a guess.
    Alike {
        /// In percent.
        percent: u8,
    },
    /// It is new.
    New,
}

/// A clause with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assigned {
    /// The id.
    pub id: String,
    /// How.
    pub how: How,
    /// How like its text is to the one that the edition before has under the id, in percent; none where it has none.
    pub alike: Option<u8>,
    /// Another id under which the edition before has exactly this text.
    pub was: Option<String>,
}

impl Assigned {
    /// Why a person has to confirm the id; none where nothing is guessed.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match (&self.how, self.alike, &self.was) {
            (How::Alike { percent }, ..) => Some(format!(
                "its text is like that of `{}` before, {percent} percent: is it the same clause?",
                self.id
            )),
            (_, _, Some(was)) => Some(format!(
                "the edition before has its text under `{was}`: did the numbers move?"
            )),
            (_, Some(alike), None) if alike < ALIKE => Some(format!(
                "its text is like that of `{}` before by {alike} percent only: is it the same clause?",
                self.id
            )),
            _ => None,
        }
    }
}

/// Ids for all clauses, in order; and the ids of the edition before that are gone. `letters` begin all ids that the document
/// does not give whole.
///
/// # Errors
/// Two clauses of one id, in words.
pub fn assign(
    outline: &Outline,
    letters: &str,
    previous: &[Previous],
) -> Result<(Vec<Assigned>, Vec<String>), String> {
    let before: BTreeMap<&str, &Previous> = previous.iter().map(|p| (p.id.as_str(), p)).collect();
    let words: Vec<_> = previous.iter().map(|p| (p, bag(&p.text))).collect();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let mut found: Vec<Option<(String, How)>> = Vec::new();
    for clause in &outline.clauses {
        let written = clause.number.as_ref().map(|number| match &clause.letters {
            Some(own) => (format!("{own}-{number}"), How::Written),
            None => (format!("{letters}-{number}"), How::Number),
        });
        if let Some((id, _)) = &written
            && let Some(first) = taken.insert(id.clone(), &clause.place)
        {
            return Err(format!(
                "{} and {first}: two clauses of the id `{id}`; give one of them another number",
                clause.place
            ));
        }
        found.push(written);
    }
    for exact in [true, false] {
        for (clause, found) in outline.clauses.iter().zip(&mut found) {
            if found.is_some() {
                continue;
            }
            let own = bag(&clause.text);
            let free = words.iter().filter(|(p, _)| !taken.contains_key(&p.id));
            let best = free
                .map(|(p, bag)| match exact {
                    true => (
                        p,
                        u8::from(plain(&p.text) == plain(&clause.text)) * 100,
                        p.title == clause.title,
                    ),
                    false => (p, alike(&own, bag), p.title == clause.title),
                })
                .rev()
                .max_by_key(|(_, percent, title)| (*percent, *title));
            let Some((like, percent, _)) = best.filter(|(_, percent, _)| *percent >= ALIKE) else {
                continue;
            };
            taken.insert(like.id.clone(), &clause.place);
            let how = match exact {
                true => How::Text,
                false => How::Alike { percent },
            };
            *found = Some((like.id.clone(), how));
        }
    }
    let mut ids: BTreeSet<String> = taken.keys().cloned().collect();
    ids.extend(previous.iter().map(|p| p.id.clone()));
    let mut assigned = Vec::new();
    for (clause, found) in outline.clauses.iter().zip(found) {
        let (id, how) =
            found.unwrap_or_else(|| (new(outline, clause, letters, &mut ids), How::New));
        let own = before.get(id.as_str());
        let same = own.is_some_and(|p| plain(&p.text) == plain(&clause.text));
        let elsewhere = || {
            let mut others = previous.iter().filter(|p| p.id != id);
            others.find(|p| plain(&p.text) == plain(&clause.text))
        };
        assigned.push(Assigned {
            alike: own.map(|p| match same {
                true => 100,
                // The same words in another order are not the same.
                false => alike(&bag(&clause.text), &bag(&p.text)).min(99),
            }),
            was: (!same).then(elsewhere).flatten().map(|p| p.id.clone()),
            id,
            how,
        });
    }
    let now: BTreeSet<&str> = assigned.iter().map(|a| a.id.as_str()).collect();
    let gone = previous.iter().filter(|p| !now.contains(p.id.as_str()));
    let gone = gone.map(|p| p.id.clone()).collect();
    Ok((assigned, gone))
}

/// The next free number of the clause's section: one that no clause has or had.
fn new(outline: &Outline, clause: &Clause, letters: &str, ids: &mut BTreeSet<String>) -> String {
    let mut sections: Vec<&str> = Vec::new();
    for other in &outline.clauses {
        if !sections.contains(&other.section.as_str()) {
            sections.push(&other.section);
        }
    }
    let at = sections.iter().position(|s| *s == clause.section);
    // The section's own number, where it has one.
    let own = crate::outline::number(&clause.section).map(|n| n.number.to_owned());
    let section = own.unwrap_or_else(|| (at.unwrap_or_default() + 1).to_string());
    let head = format!("{letters}-{section}.");
    let used = ids
        .iter()
        .filter_map(|id| id.strip_prefix(&head)?.parse::<u32>().ok());
    let id = format!("{head}{}", used.max().unwrap_or_default() + 1);
    ids.insert(id.clone());
    id
}

/// The words of a text with blanks as one: what must be equal for a text to be the same.
fn plain(text: &str) -> String {
    crate::read::collapsed(text)
}

/// Pairs of words that follow each other, in order, with how often.
fn bag(text: &str) -> BTreeMap<(String, String), u32> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty());
    let mut last = String::new();
    let mut bag = BTreeMap::new();
    for word in words.map(str::to_lowercase) {
        *bag.entry((std::mem::replace(&mut last, word.clone()), word))
            .or_default() += 1;
    }
    bag
}

/// Dice's coefficient of two bags, in whole percent.
fn alike(a: &BTreeMap<(String, String), u32>, b: &BTreeMap<(String, String), u32>) -> u8 {
    let all: u32 = a.values().chain(b.values()).sum();
    let both: u32 = a
        .iter()
        .map(|(pair, n)| (*n).min(b.get(pair).copied().unwrap_or_default()))
        .sum();
    match all {
        0 => 0,
        all => u8::try_from(u64::from(both) * 200 / u64::from(all)).unwrap_or(100),
    }
}
