//! `[[course]]`: what people must have passed before they act in a role, with the content as a file of the release.

use std::collections::{BTreeMap, BTreeSet};

use duty::{
    canonical::Digest, course::CourseRule, name::Course, principal::Role, release::WARN_DAYS,
};
use serde::Deserialize;

/// Where contents lie.
pub(crate) const FOLDER: &str = "courses/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenCourse {
    id: Course,
    title: String,
    file: String,
    valid_days: u32,
    warn_days: Option<u32>,
    assessors: BTreeSet<Role>,
    #[serde(default)]
    signed: bool,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    accepts: BTreeSet<Digest>,
    clause: String,
}

/// The courses in order of id; `wrong` is told what is wrong, with its place.
pub(crate) fn courses(
    written: Vec<WrittenCourse>,
    files: &BTreeMap<String, String>,
    has_clause: &dyn Fn(&str) -> bool,
    wrong: &mut dyn FnMut(&str, String),
) -> Vec<CourseRule> {
    let mut seen = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut courses = Vec::new();
    for c in written {
        let place = format!("[[course]] {}", c.id);
        if !seen.insert(c.id.clone()) {
            wrong(&place, "is there twice".to_owned());
        }
        used.insert(c.file.clone());
        let text = files.get(&c.file).filter(|_| c.file.starts_with(FOLDER));
        if text.is_none_or(|t| t.trim().is_empty()) {
            wrong(
                &place,
                format!(
                    "names `{}`: its content is a file of the release in `{FOLDER}`, and not empty",
                    c.file
                ),
            );
        }
        if c.valid_days == 0 {
            wrong(&place, "`valid_days` is at least 1".to_owned());
        }
        if c.warn_days.is_some_and(|days| days >= c.valid_days) {
            wrong(&place, "`warn_days` is less than `valid_days`".to_owned());
        }
        let human = |r: &Role| matches!(r, Role::Approver | Role::Owner | Role::Auditor);
        if c.assessors.is_empty() || !c.assessors.iter().all(human) {
            wrong(
                &place,
                "`assessors` are roles of humans: approver, owner or auditor".to_owned(),
            );
        }
        let asks = |r: &Role| matches!(r, Role::Approver | Role::Owner);
        if let Some(other) = c.roles.iter().find(|r| !asks(r)) {
            wrong(
                &place,
                format!(
                    "`{}` in `roles`: approver and owner are the roles that need a course",
                    other.word()
                ),
            );
        }
        if !has_clause(&c.clause) {
            wrong(
                &place,
                format!("names clause `{}`, which no policy document has", c.clause),
            );
        }
        courses.push(CourseRule {
            id: c.id,
            title: c.title,
            content: Digest::of_bytes(text.map_or("", String::as_str).as_bytes()),
            accepts: c.accepts,
            valid_days: c.valid_days,
            warn_days: c
                .warn_days
                .unwrap_or(WARN_DAYS.min(c.valid_days.saturating_sub(1))),
            assessors: c.assessors,
            signed: c.signed,
            roles: c.roles,
            clause: c.clause,
        });
    }
    for path in files.keys().filter(|path| path.starts_with(FOLDER)) {
        if !used.contains(path) {
            wrong(
                "[[course]]",
                format!("`{path}` is used by no course; remove it or name it in one"),
            );
        }
    }
    courses.sort_by(|a, b| a.id.cmp(&b.id));
    courses
}
