//! Courses: what a release asks people to have passed, and what counts as having passed it.
//!
//! A completion is taken down as it was: of which content, when, who assessed it, whether they signed. Whether it counts is
//! asked of the release in force each time that it matters, so that another release can ask for more, or for other content.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    canonical::Digest,
    name::{Course, PrincipalId},
    principal::Role,
    refusal::{Code, Refusal},
    release::{MINUTES_OF_A_DAY, Rules, Team, WARN_DAYS},
    state::{Principal, State},
    time::Time,
};

/// A course, as a release declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourseRule {
    /// Its id.
    pub id: Course,
    /// For people.
    pub title: String,
    /// SHA-256 of its content, a file of the release.
    pub content: Digest,
    /// Other contents that count as well: earlier editions that say the same.
    pub accepts: BTreeSet<Digest>,
    /// How long it counts from its completion on, whatever was recorded; at least one.
    pub valid_days: u32,
    /// So many days before it is over that is told.
    pub warn_days: u32,
    /// The roles of those who may assess; never the trainee.
    pub assessors: BTreeSet<Role>,
    /// Whether the assessor must have signed.
    pub signed: bool,
    /// The roles that nobody acts in without it: `approver` for whoever signs approvals, `owner` for whoever owns an agent of
    /// the team or signs a threshold.
    pub roles: BTreeSet<Role>,
    /// The clause that asks for it.
    pub clause: String,
}

/// A completion of a course, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// The content that was passed; none where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// When.
    pub completed: Time,
    /// It counts before here at most.
    pub expires: Time,
    /// Who assessed it; none where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessor: Option<PrincipalId>,
    /// The assessor's roles at that moment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub assessor_roles: BTreeSet<Role>,
    /// Whether the assessor signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

/// Why somebody does not hold a course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Why, in one sentence.
    pub why: String,
    /// What would make it pass.
    pub remedy: String,
    /// The clause that asks for the course, where the release declares it.
    pub clause: Option<String>,
}

impl Lack {
    pub(crate) fn refusal(self, otherwise: &str) -> Refusal {
        let clause = self.clause.unwrap_or_else(|| otherwise.to_owned());
        Refusal::new(Code::NotCertified, self.why, self.remedy).clause(Some(clause))
    }
}

impl Team {
    /// The course of this id, where the release declares it.
    #[must_use]
    pub fn course(&self, id: &Course) -> Option<&CourseRule> {
        self.courses.iter().find(|c| c.id == *id)
    }

    /// The courses that nobody acts in a role without.
    pub fn courses_of(&self, role: Role) -> impl Iterator<Item = &Course> {
        let asks = self.courses.iter().filter(move |c| c.roles.contains(&role));
        asks.map(|c| &c.id)
    }

    /// Every course that the release names, each once.
    #[must_use]
    pub fn named_courses(&self) -> BTreeSet<&Course> {
        let stages = self.approval.values().flat_map(|q| &q.stages);
        let quorums = stages.map(|stage| &stage.certification);
        let glass = self.break_glass.iter().map(|g| &g.certification);
        let declared = self.courses.iter().map(|c| &c.id);
        declared.chain(quorums).chain(glass).collect()
    }
}

/// When a completion is over by the release.
fn over(passed: &Passed, rule: Option<&CourseRule>) -> Time {
    match rule {
        None => passed.expires,
        Some(rule) => {
            let days = rule.valid_days.saturating_mul(MINUTES_OF_A_DAY);
            passed.expires.min(passed.completed.plus_minutes(days))
        }
    }
}

/// Why a completion does not count under a release, however new it is.
fn unfit(who: &PrincipalId, passed: &Passed, rule: &CourseRule) -> Option<(String, String)> {
    let course = &rule.id;
    match passed.content {
        None => {
            return Some((
                format!("what `{who}` passed of `{course}` is not said: no content is recorded"),
                format!(
                    "record a completion of the content {}",
                    rule.content.short()
                ),
            ));
        }
        Some(content) if content != rule.content && !rule.accepts.contains(&content) => {
            return Some((
                format!(
                    "`{who}` passed `{course}` with the content {}, and the release has {}",
                    content.short(),
                    rule.content.short()
                ),
                "pass the course as the release has it, or let the release accept the other content".to_owned(),
            ));
        }
        Some(_) => {}
    }
    let assessors: Vec<_> = rule.assessors.iter().map(|r| r.word()).collect();
    let assessors = assessors.join(" or ");
    let assessed = passed.assessor.as_ref().is_some_and(|a| a != who)
        && passed
            .assessor_roles
            .iter()
            .any(|r| rule.assessors.contains(r));
    if !assessed {
        return Some((
            format!("nobody who is {assessors} assessed that `{who}` passed `{course}`"),
            format!("let somebody else who is {assessors} assess it"),
        ));
    }
    if rule.signed && !passed.signed {
        return Some((
            format!("the assessor has not signed that `{who}` passed `{course}`"),
            "let the assessor sign it".to_owned(),
        ));
    }
    None
}

/// Until when somebody holds a course by what counts under a release; it may be over.
///
/// # Errors
/// Why nothing of it counts.
pub fn held(
    team: &Team,
    who: &PrincipalId,
    person: &Principal,
    course: &Course,
) -> Result<Time, Lack> {
    let rule = team.course(course);
    let passed = person.certifications.get(course);
    let passed = passed.into_iter().flatten();
    let mut last = None;
    let mut why = None;
    for one in passed {
        match rule.and_then(|rule| unfit(who, one, rule)) {
            None => last = last.max(Some(over(one, rule))),
            Some(unfit) => why = Some(unfit),
        }
    }
    last.ok_or_else(|| {
        let (why, remedy) = why.unwrap_or_else(|| none(who, course));
        Lack {
            why,
            remedy,
            clause: rule.map(|r| r.clause.clone()),
        }
    })
}

fn none(who: &PrincipalId, course: &Course) -> (String, String) {
    (
        format!("`{who}` holds no `{course}` certification in force"),
        "pass the training, or let somebody sign who has".to_owned(),
    )
}

/// Why somebody does not hold a course at a moment; none where they do.
#[must_use]
pub fn lack(
    state: &State,
    team: &Team,
    who: &PrincipalId,
    course: &Course,
    now: Time,
) -> Option<Lack> {
    let clause = || team.course(course).map(|c| c.clause.clone());
    let lack = |(why, remedy)| Lack {
        why,
        remedy,
        clause: clause(),
    };
    let Some(person) = state.principals.get(who) else {
        return Some(lack(none(who, course)));
    };
    match held(team, who, person, course) {
        Ok(until) if now < until => None,
        Ok(until) => {
            let (why, remedy) = none(who, course);
            Some(lack((format!("{why}: it was over at {until}"), remedy)))
        }
        Err(why) => Some(why),
    }
}

/// Whether it is to be told that somebody's certification is over soon: once for each end, of people in force.
pub(crate) fn expires_soon(
    state: &State,
    team: &Team,
    who: &PrincipalId,
    course: &Course,
    now: Time,
) -> Option<Time> {
    let person = state.principals.get(who).filter(|p| !p.revoked)?;
    let until = held(team, who, person, course).ok()?;
    let days = team.course(course).map_or(WARN_DAYS, |c| c.warn_days);
    let from = until.minus_minutes(days.saturating_mul(MINUTES_OF_A_DAY));
    let told = person.told.get(course).is_some_and(|told| *told >= until);
    (now >= from && !told).then_some(until)
}

/// Whose certifications are to be told to be over soon: what a monitor asks to note, one by one.
#[must_use]
pub fn expiring(state: &State, rules: &dyn Rules, now: Time) -> Vec<(PrincipalId, Course)> {
    let team = rules.team();
    let courses = team.named_courses();
    let mut found = Vec::new();
    for who in state.principals.keys() {
        for course in &courses {
            if expires_soon(state, team, who, course, now).is_some() {
                found.push((who.clone(), (*course).clone()));
            }
        }
    }
    found
}
