//! `certification`: who passed what, who assessed it, and until when it counts.

use std::path::PathBuf;

use duty::{
    canonical::Digest,
    course,
    name::{Course, Environment, PrincipalId},
    release::Rules as _,
    request::{Certify, Complete, EndCertification, Request},
    state::State,
    statement::CompletionStatement,
    time::Time,
};
use engine::clock::{Clock as _, SystemClock};
use policy::Release;
use serde_json::json;

use super::{principal::ask, release::which};
use crate::{
    cli::{CertificationCommand, Completion, Signing},
    fail::{Failure, named},
    keys::{self, Author},
    show::Listing,
};

const MINUTES_OF_A_DAY: u32 = 24 * 60;
/// Where neither the release nor whoever asks says how long.
const DAYS: u32 = 365;

pub(crate) async fn run(command: CertificationCommand) -> Result<(), Failure> {
    match command {
        CertificationCommand::Add {
            completion,
            assessor,
        } => add(&completion, assessor.as_deref()).await,
        CertificationCommand::Assess {
            completion,
            assessor,
            key,
        } => assess(&completion, &assessor, key).await,
        CertificationCommand::End {
            person,
            course,
            reason,
            dir,
        } => {
            let request = EndCertification {
                principal: named(&person)?,
                course: named(&course)?,
                reason,
            };
            let done = format!("the certification of `{person}` in `{course}` ended");
            ask(&dir.dir, Request::EndCertification(request), &done).await
        }
        CertificationCommand::List {
            expiring,
            env,
            dir,
            form,
        } => {
            let state = super::state_of(&dir.dir)?;
            let env: Environment = named(&env)?;
            let release = match state.environments.get(&env) {
                Some(digest) => Some(super::release_in_log(&dir.dir, &state, *digest)?),
                None => None,
            };
            list(&state, release.as_deref(), expiring, form.json);
            Ok(())
        }
    }
}

/// A completion as it is to be recorded.
struct Passed {
    principal: PrincipalId,
    course: Course,
    /// None where neither the release nor whoever asks names one.
    content: Option<Digest>,
    completed: Time,
    expires: Time,
}

impl Passed {
    fn of(c: &Completion) -> Result<Self, Failure> {
        let course: Course = named(&c.course)?;
        let state = super::state_of(&c.which.dir.dir)?;
        let env: Environment = named(&c.which.env)?;
        // A log without a release can certify all the same.
        let release = match c.which.release.is_some() || state.environments.contains_key(&env) {
            true => Some(which(&c.which)?),
            false => None,
        };
        let rule = release.as_ref().and_then(|r| r.team().course(&course));
        let content = match &c.content {
            Some(text) => Some(text.parse::<Digest>().map_err(|e| {
                Failure::usage(format!(
                    "`--content {text}`: {e}; give the SHA-256 of the file"
                ))
            })?),
            None => rule.map(|r| r.content),
        };
        let completed = match &c.completed {
            Some(text) => text
                .parse::<Time>()
                .map_err(|e| Failure::usage(format!("`--completed {text}`: {e}")))?,
            None => SystemClock.now(),
        };
        let days = c.days.or(rule.map(|r| r.valid_days)).unwrap_or(DAYS);
        Ok(Self {
            principal: named(&c.person)?,
            course,
            content,
            completed,
            expires: completed.plus_minutes(days.saturating_mul(MINUTES_OF_A_DAY)),
        })
    }
}

async fn add(c: &Completion, assessor: Option<&str>) -> Result<(), Failure> {
    let passed = Passed::of(c)?;
    let request = match (passed.content, assessor) {
        (None, None) => Request::Certify(Certify {
            principal: passed.principal,
            course: passed.course,
            expires: passed.expires,
        }),
        (Some(content), Some(assessor)) => Request::Complete(Complete {
            principal: passed.principal,
            course: passed.course,
            content,
            completed: passed.completed,
            expires: passed.expires,
            assessor: named(assessor)?,
        }),
        (Some(_), None) => {
            return Err(Failure::usage(format!(
                "the release declares `{}`: name who assessed it with `--assessor`, or let them sign with `certification assess`",
                c.course
            )));
        }
        (None, Some(_)) => return Err(no_course(&c.course)),
    };
    let done = format!("`{}` is certified in `{}`", c.person, c.course);
    ask(&c.which.dir.dir, request, &done).await
}

async fn assess(c: &Completion, by: &str, key: Option<PathBuf>) -> Result<(), Failure> {
    let passed = Passed::of(c)?;
    let content = passed.content.ok_or_else(|| no_course(&c.course))?;
    let dir = &c.which.dir.dir;
    let sign = Signing {
        person: by.to_owned(),
        key,
        reason: String::new(),
    };
    let author = Author::of(dir, &sign)?;
    let state = super::state_of(dir)?;
    let statement = statement(&state, &passed, content, &author);
    let signed = keys::sign(&author.key, statement)?;
    let done = format!("`{by}` signed that `{}` passed `{}`", c.person, c.course);
    ask(dir, Request::Assess(signed), &done).await
}

fn statement(state: &State, passed: &Passed, content: Digest, by: &Author) -> CompletionStatement {
    CompletionStatement {
        statement: CompletionStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        trainee: passed.principal.clone(),
        course: passed.course.clone(),
        content,
        completed: passed.completed,
        expires: passed.expires,
        signer: by.id.clone(),
        credential: by.credential.clone(),
    }
}

/// Signs that somebody passed a course of a release just now.
pub(crate) fn assessed(
    state: &State,
    release: &Release,
    (person, course): (&PrincipalId, &Course),
    by: &Author,
    now: Time,
) -> Result<Request, Failure> {
    let rule = release.team().course(course);
    let rule = rule.ok_or_else(|| no_course(course.as_str()))?;
    let passed = Passed {
        principal: person.clone(),
        course: course.clone(),
        content: Some(rule.content),
        completed: now,
        expires: now.plus_minutes(rule.valid_days.saturating_mul(MINUTES_OF_A_DAY)),
    };
    let statement = statement(state, &passed, rule.content, by);
    Ok(Request::Assess(keys::sign(&by.key, statement)?))
}

fn no_course(course: &str) -> Failure {
    Failure::usage(format!(
        "the release in force declares no course `{course}`: name its content with `--content`, or leave the assessor out"
    ))
}

fn list(state: &State, release: Option<&Release>, expiring: Option<u32>, as_json: bool) {
    let now = SystemClock.now();
    let mut listing = Listing::new(
        as_json,
        &[
            "person",
            "course",
            "content",
            "completed",
            "assessed by",
            "expires",
            "counts",
        ],
    );
    for (id, p) in &state.principals {
        for (course, all) in &p.certifications {
            let held = release.map(|r| course::held(r.team(), id, p, course));
            let counts = match &held {
                None => all.iter().map(|p| p.expires).max(),
                Some(held) => held.as_ref().ok().copied(),
            };
            let soon = expiring.is_none_or(|days| {
                let from = now.plus_minutes(days.saturating_mul(MINUTES_OF_A_DAY));
                counts.is_none_or(|until| until <= from)
            });
            if !soon {
                continue;
            }
            let why = held.as_ref().and_then(|h| h.as_ref().err());
            for passed in all {
                let word = match (&why, counts) {
                    (Some(lack), _) => format!("no: {}", lack.why),
                    (None, Some(until)) if now < until => format!("until {until}"),
                    (None, _) => "no: it is over".to_owned(),
                };
                let by = passed.assessor.as_ref().map(ToString::to_string);
                let by =
                    by.map(|by| format!("{by}{}", if passed.signed { ", signed" } else { "" }));
                listing.row(
                    &json!({"person": id, "course": course, "content": passed.content,
                        "completed": passed.completed, "expires": passed.expires,
                        "assessor": passed.assessor, "signed": passed.signed,
                        "counts_until": counts, "why_not": why.map(|l| &l.why)}),
                    vec![
                        id.to_string(),
                        course.to_string(),
                        passed.content.map(|c| c.short()).unwrap_or_default(),
                        passed.completed.to_string(),
                        by.unwrap_or_default(),
                        passed.expires.to_string(),
                        word,
                    ],
                );
            }
        }
    }
    listing.print(match expiring {
        None => "nobody is certified",
        Some(_) => "nothing is over soon",
    });
}
