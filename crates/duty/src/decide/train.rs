//! Training: completions of courses, their end, and owners who must hold them as long as their agents act.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason},
};
use crate::{
    canonical::Digest,
    course::{self, Lack},
    name::{Course, PrincipalId},
    principal::{PrincipalKind, Role},
    record::{CertificationEnded, CertificationExpiring, CertificationRecorded, ExceptionSort},
    refusal::{Code, Refusal},
    release::{Agent, Rules},
    request::{Certify, Complete, EndCertification, NoteExpiring},
    statement::{CompletionStatement, Signed},
    time::Time,
};

impl Desk<'_> {
    pub(super) fn certify(&mut self, request: &Certify) -> Ruled {
        self.holds(Role::Admin)?;
        self.trainee(&request.principal)?;
        if request.expires <= self.now {
            return Err(malformed("the certification would expire before it begins"));
        }
        self.certified(Role::Admin);
        Ok(())
    }

    /// A completion as an admin takes it down, on the word of whoever assessed it.
    pub(super) fn complete(&mut self, request: &Complete) -> Ruled {
        self.holds(Role::Admin)?;
        let assessor = self.state.principals.get(&request.assessor);
        if assessor.is_none_or(|p| p.kind != PrincipalKind::Human || p.revoked) {
            return Err(Refusal::new(
                Code::NotHuman,
                format!("the assessor `{}` is no human in force", request.assessor),
                "name the person who assessed it",
            ));
        }
        self.completion(
            (&request.principal, &request.assessor),
            request.content,
            (request.completed, request.expires),
        )?;
        self.certified(Role::Admin);
        Ok(())
    }

    /// A completion that the assessor signs.
    pub(super) fn assess(&mut self, request: &Signed<CompletionStatement>) -> Ruled {
        let assessor = self.signed(request)?;
        let s = &request.statement;
        self.completion((&s.trainee, &s.signer), s.content, (s.completed, s.expires))?;
        // Which roles assess is the release's to say, when the completion is to count.
        let role = assessor.roles.iter().next().copied();
        let body = CertificationRecorded {
            request: self.request(),
        };
        self.write(Place::default(), role, Vec::new(), body);
        Ok(())
    }

    fn completion(
        &self,
        (trainee, assessor): (&PrincipalId, &PrincipalId),
        content: Digest,
        (completed, expires): (Time, Time),
    ) -> Ruled {
        self.trainee(trainee)?;
        if trainee == assessor {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!("`{trainee}` would assess themselves"),
                "let another person assess it",
            ));
        }
        if !self.state.files.contains_key(&content) {
            return Err(Refusal::new(
                Code::PolicyMissing,
                format!(
                    "the log holds no course with the content {}",
                    content.short()
                ),
                "build the release that holds the course first",
            ));
        }
        if completed > self.now {
            return Err(malformed(format!(
                "the course would be completed at {completed}, which is still to come"
            )));
        }
        if expires <= self.now || expires <= completed {
            return Err(malformed("the certification would expire before it begins"));
        }
        Ok(())
    }

    fn trainee(&self, who: &PrincipalId) -> Ruled {
        let person = self.state.principals.get(who);
        if person.is_none_or(|p| p.kind != PrincipalKind::Human || p.revoked) {
            return Err(Refusal::new(
                Code::NotHuman,
                format!("no human in force is called `{who}`"),
                "certify a person that `principal list` shows",
            ));
        }
        Ok(())
    }

    fn certified(&mut self, role: Role) {
        let body = CertificationRecorded {
            request: self.request(),
        };
        self.write(Place::default(), Some(role), Vec::new(), body);
    }

    /// Ends what somebody passed of a course: none of it counts any more.
    pub(super) fn end_certification(&mut self, request: &EndCertification) -> Ruled {
        self.holds(Role::Admin)?;
        let person = self.state.principals.get(&request.principal);
        if person.is_none_or(|p| !p.certifications.contains_key(&request.course)) {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "`{}` has no certification in `{}`",
                    request.principal, request.course
                ),
                "name one that `certification list` shows",
            ));
        }
        needs_reason(&request.reason)?;
        let body = CertificationEnded {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    /// That a certification is over soon is told once, ahead of it.
    pub(super) fn note_expiring(&mut self, request: &NoteExpiring) -> Ruled {
        self.holds(Role::Service)?;
        let (release, rules) = self.rules_of(&request.environment)?;
        let (who, course) = (&request.principal, &request.course);
        let soon = course::expires_soon(self.state, rules.team(), who, course, self.now);
        let expires = soon.ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!(
                    "the certification of `{who}` in `{course}` is not over soon, does not count, or was told of already"
                ),
                "wait until then",
            )
        })?;
        let place = Place {
            env: Some(&request.environment),
            case: None,
            release: Some(release),
        };
        let rule = rules.team().course(course);
        let clauses = self.cited(&place, rule.map(|r| r.clause.as_str()));
        let body = CertificationExpiring {
            request: self.request(),
            expires,
        };
        let over = self.now >= expires;
        self.write(place, Some(Role::Service), clauses, body);
        let text = format!(
            "the certification of `{who}` in `{course}` {} at {expires}",
            if over { "was over" } else { "is over" }
        );
        self.raise_outside(place, ExceptionSort::CertificationExpiring, text);
        Ok(())
    }

    /// The first course of a role that somebody does not hold now.
    pub(super) fn lacks(&self, rules: &dyn Rules, who: &PrincipalId, role: Role) -> Option<Lack> {
        let team = rules.team();
        let lack = |course: &Course| course::lack(self.state, team, who, course, self.now);
        team.courses_of(role).find_map(lack)
    }

    /// Whoever answers for an agent is there, and knows what the release asks an owner to know: without that it does nothing.
    pub(super) fn owner_stands(&self, rules: &dyn Rules, agent: &Agent) -> Ruled {
        let owner = &agent.owner;
        let known = self.state.principals.get(owner);
        if known.is_none_or(|p| p.kind != PrincipalKind::Human || p.revoked) {
            return Err(Refusal::new(
                Code::OwnerLapsed,
                format!("`{owner}`, who answers for `{}`, was revoked", agent.id),
                "release the team with an owner in force",
            ));
        }
        match self.lacks(rules, owner, Role::Owner) {
            None => Ok(()),
            Some(lack) => Err(Refusal::new(
                Code::OwnerLapsed,
                format!(
                    "`{owner}` answers for `{}` and may not: {}",
                    agent.id, lack.why
                ),
                lack.remedy,
            )
            .clause(lack.clause)),
        }
    }
}
