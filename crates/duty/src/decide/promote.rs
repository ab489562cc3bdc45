//! Releases on their way into force: who wrote one, what its tests came to, and which environment runs it (I7).
//!
//! Where effects are simulated an admin points as they like. Everywhere else a human who is not among the release's authors
//! signs, and the newest control tests of exactly this content hash have all passed.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason},
};
use crate::{
    canonical::Digest,
    conflict::share_a_credential,
    principal::Role,
    record::{ControlsTested, ReleasePromoted, ReleaseSigned},
    refusal::{Code, Refusal},
    request::{Promote, RecordControlTests},
    statement::{PromotionStatement, ReleaseStatement, Signed},
};

impl Desk<'_> {
    pub(super) fn sign_release(&mut self, request: &Signed<ReleaseStatement>) -> Ruled {
        self.signed(request)?;
        self.holds(Role::Owner)?;
        let s = &request.statement;
        self.built(s.release)?;
        if self.authored(s.release, |author| *author == s.signer) {
            return Err(Refusal::new(
                Code::Replayed,
                format!(
                    "`{}` has signed release {} already",
                    s.signer,
                    s.release.short()
                ),
                "have it tested, and promoted by somebody else",
            ));
        }
        let body = ReleaseSigned {
            request: self.request(),
        };
        let place = Place {
            release: Some(s.release),
            ..Place::default()
        };
        self.write(place, Some(Role::Owner), Vec::new(), body);
        Ok(())
    }

    pub(super) fn record_control_tests(&mut self, request: &RecordControlTests) -> Ruled {
        self.holds(Role::Service)?;
        self.built(request.release)?;
        if request.results.is_empty() {
            return Err(malformed("no control test was run, which says nothing"));
        }
        let body = ControlsTested {
            request: self.request(),
            passed: request.results.iter().all(|r| r.passed),
        };
        let place = Place {
            release: Some(request.release),
            ..Place::default()
        };
        self.write(place, Some(Role::Service), Vec::new(), body);
        Ok(())
    }

    pub(super) fn promote(&mut self, request: &Promote) -> Ruled {
        self.holds(Role::Admin)?;
        self.built(request.release)?;
        let env = &request.environment;
        if !env.simulated() {
            return Err(Refusal::new(
                Code::NotHuman,
                format!("effects are real in `{env}`, and nobody signed for what it is to run"),
                "let a human who is not its author sign the promotion, or use `dev`, where effects are simulated",
            ));
        }
        let place = Place {
            env: Some(env),
            case: None,
            release: Some(request.release),
        };
        self.put_in_force(place, Role::Admin);
        Ok(())
    }

    pub(super) fn promote_signed(&mut self, request: &Signed<PromotionStatement>) -> Ruled {
        let signer = self.signed(request)?;
        self.holds(Role::Owner)?;
        let s = &request.statement;
        self.built(s.release)?;
        let now = self.state.environments.get(&s.env).copied();
        if s.replaces != now {
            return Err(Refusal::new(
                Code::WrongBinding,
                format!(
                    "what was signed replaces {}, and `{}` points at {}",
                    s.replaces.map_or("nothing".to_owned(), |r| r.short()),
                    s.env,
                    now.map_or("nothing".to_owned(), |r| r.short()),
                ),
                "compare with the release in force, and sign for that",
            ));
        }
        if now == Some(s.release) {
            return Err(Refusal::new(
                Code::Replayed,
                format!(
                    "`{}` points at release {} already",
                    s.env,
                    s.release.short()
                ),
                "nothing is to be done",
            ));
        }
        needs_reason(&s.reason)?;
        if !s.env.simulated() {
            if !self.authored(s.release, |_| true) {
                return Err(Refusal::new(
                    Code::AuthorMissing,
                    format!("nobody says that release {} is theirs", s.release.short()),
                    "let its author sign it first",
                ));
            }
            let same = |author: &crate::name::PrincipalId| {
                *author == s.signer
                    || self
                        .state
                        .principals
                        .get(author)
                        .is_some_and(|a| share_a_credential(a, signer))
            };
            if self.authored(s.release, same) {
                return Err(Refusal::new(
                    Code::AuthorPromotes,
                    format!(
                        "`{}` is an author of release {}",
                        s.signer,
                        s.release.short()
                    ),
                    "let a human who did not write it sign the promotion",
                ));
            }
            self.tests_passed(s.release)?;
        }
        let newest = self.state.tested.get(&s.release).map(|t| t.record);
        if s.tests != newest {
            let words = |r: Option<u64>| r.map_or("none".to_owned(), |r| format!("record {r}"));
            return Err(Refusal::new(
                Code::WrongBinding,
                format!(
                    "what was signed relies on other control tests ({}) than the newest ones ({})",
                    words(s.tests),
                    words(newest)
                ),
                "look at the newest tests of the release, and sign for those",
            ));
        }
        let place = Place {
            env: Some(&s.env),
            case: None,
            release: Some(s.release),
        };
        self.put_in_force(place, Role::Owner);
        Ok(())
    }

    fn put_in_force(&mut self, place: Place<'_>, role: Role) {
        let body = ReleasePromoted {
            request: self.request(),
        };
        self.write(place, Some(role), Vec::new(), body);
    }

    fn tests_passed(&self, release: Digest) -> Ruled {
        let why = match self.state.tested.get(&release) {
            Some(tested) if tested.passed => return Ok(()),
            Some(tested) => format!(
                "control tests failed for release {}: record {}",
                release.short(),
                tested.record
            ),
            None => format!("no control tests were run for release {}", release.short()),
        };
        Err(Refusal::new(
            Code::TestsMissing,
            why,
            "run the control tests for exactly this release, and mend what fails",
        ))
    }

    fn authored(&self, release: Digest, who: impl Fn(&crate::name::PrincipalId) -> bool) -> bool {
        self.state
            .authors
            .get(&release)
            .into_iter()
            .flatten()
            .any(who)
    }

    fn built(&self, release: Digest) -> Ruled {
        if self.state.releases.contains_key(&release) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::PolicyMissing,
            format!("there is no release {}", release.short()),
            "build it first",
        ))
    }
}
