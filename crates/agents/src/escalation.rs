//! What a built-in agent says where its model says nothing that can be used: that a human decides, and why.

use duty::{
    release::{ClauseRef, Rules},
    request::Stance,
    time::Time,
};
use policy::Release;

use crate::model::Said;

/// What stands in a recommendation's `row` where the runner refers the case, since the agent's model said nothing usable.
pub const ESCALATED: &str = "escalated";

/// The longest reason, in characters.
const LONGEST: usize = 600;
/// The longest query, in characters.
const QUERY: usize = 400;

/// The model's answer could not be used so many times.
pub(crate) fn unusable(times: usize, last: &str) -> String {
    format!("the model's answer could not be used, {times} times: {last}")
}

/// The model did not answer.
pub(crate) fn no_answer(why: &str) -> String {
    format!("the model did not answer: {why}")
}

/// The model did not answer, and not in time.
pub(crate) fn too_late(why: &str) -> String {
    format!("the model did not answer, and wants to be asked later than is waited for: {why}")
}

/// What is looked for: the clause that sends doubtful cases to a human, like any other.
pub(crate) fn query(release: &Release, at: Time) -> String {
    let wanted = &release.team().confidence_clause;
    let query = release
        .clause_at(wanted, at)
        .map(|clause| format!("{} {}", clause.title, clause.text));
    let query = query.unwrap_or_else(|| wanted.clone());
    query.chars().take(QUERY).collect()
}

/// What is cited of what was found, best first: the clause that was looked for, or else the best.
pub(crate) fn cited<'f, T>(
    release: &Release,
    found: &'f [T],
    id: impl Fn(&T) -> &str,
) -> Option<&'f T> {
    let wanted = &release.team().confidence_clause;
    found.iter().find(|f| id(f) == wanted).or(found.first())
}

/// The reason as it is recorded.
pub(crate) fn rationale(why: &str) -> String {
    format!("A human decides: {why}")
        .chars()
        .take(LONGEST)
        .collect()
}

/// What is recommended.
pub(crate) fn said(cited: Option<ClauseRef>, why: &str) -> Said {
    Said {
        stance: Stance::Refer,
        action: None,
        confidence: 0,
        rationale: rationale(why),
        clauses: cited.into_iter().collect(),
        quotes: Vec::new(),
        row: Some(ESCALATED.to_owned()),
    }
}
