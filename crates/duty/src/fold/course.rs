//! Courses in the fold: what people passed, what was ended, what was told.

use super::mismatch;
use crate::{
    course::Passed,
    name::{Course, PrincipalId},
    record::{Body, Record},
    request::Request,
    state::State,
};

impl State {
    pub(super) fn take_of_course(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::CertificationRecorded(_), Some(Request::Certify(r))) => {
                let passed = Passed {
                    content: None,
                    completed: record.time,
                    expires: r.expires,
                    assessor: None,
                    assessor_roles: Default::default(),
                    signed: false,
                };
                self.pass(&r.principal, &r.course, passed)
            }
            (Body::CertificationRecorded(_), Some(Request::Complete(r))) => {
                let passed = Passed {
                    content: Some(r.content),
                    completed: r.completed,
                    expires: r.expires,
                    assessor: Some(r.assessor.clone()),
                    assessor_roles: self.roles_of(&r.assessor),
                    signed: false,
                };
                self.pass(&r.principal, &r.course, passed)
            }
            (Body::CertificationRecorded(_), Some(Request::Assess(r))) => {
                let s = &r.statement;
                let passed = Passed {
                    content: Some(s.content),
                    completed: s.completed,
                    expires: s.expires,
                    assessor: Some(s.signer.clone()),
                    assessor_roles: self.roles_of(&s.signer),
                    signed: true,
                };
                self.pass(&s.trainee, &s.course, passed)
            }
            (Body::CertificationEnded(_), Some(Request::EndCertification(r))) => {
                let person = self.principals.get_mut(&r.principal);
                let person = person.ok_or("nobody by that id")?;
                let ended = person.certifications.remove(&r.course);
                person.told.remove(&r.course);
                ended
                    .map(|_| ())
                    .ok_or("there is no such certification".to_owned())
            }
            (Body::CertificationExpiring(b), Some(Request::NoteExpiring(r))) => {
                let person = self.principals.get_mut(&r.principal);
                let told = &mut person.ok_or("nobody by that id")?.told;
                told.insert(r.course.clone(), b.expires);
                Ok(())
            }
            _ => mismatch(),
        }
    }

    fn roles_of(&self, who: &PrincipalId) -> std::collections::BTreeSet<crate::principal::Role> {
        let person = self.principals.get(who);
        person.map(|p| p.roles.clone()).unwrap_or_default()
    }

    /// Of each content the last completion is kept.
    fn pass(&mut self, who: &PrincipalId, course: &Course, passed: Passed) -> Result<(), String> {
        let person = self.principals.get_mut(who);
        let all = &mut person.ok_or("nobody by that id")?.certifications;
        let all = all.entry(course.clone()).or_default();
        all.retain(|p| p.content != passed.content);
        all.push(passed);
        Ok(())
    }
}
