//! What ends soon: asked of the core, and noted in the log, once each.

use duty::{
    course,
    name::Environment,
    release::Rules,
    request::{NoteEnding, NoteExpiring, Request},
};

use crate::{Engine, EngineError, Seat};

impl Engine {
    /// Notes what ends soon by the releases in force; returns how many there were.
    ///
    /// # Errors
    /// [`EngineError`] where a release cannot be read or a note could not be recorded.
    pub async fn announce(&self) -> Result<usize, EngineError> {
        let environments: Vec<_> = self.read(|state| {
            let all = state.environments.iter();
            all.map(|(env, release)| (env.clone(), *release)).collect()
        });
        let mut noted = 0;
        for (environment, digest) in environments {
            let Some(release) = self.release(digest)? else {
                continue;
            };
            for request in self.due(&environment, &*release) {
                match self.submit(&Seat::engine(), request).await {
                    Ok(_) => noted += 1,
                    // Noted or ended in the meantime: the refusal is in the log.
                    Err(EngineError::Refused(_)) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(noted)
    }

    fn due(&self, environment: &Environment, rules: &dyn Rules) -> Vec<Request> {
        let now = self.now();
        self.read(|state| {
            let thresholds = duty::ending(state, rules, now).into_iter();
            let ending = thresholds.map(|threshold| {
                Request::NoteEnding(NoteEnding {
                    environment: environment.clone(),
                    threshold,
                })
            });
            let expiring = course::expiring(state, rules, now).into_iter();
            let expiring = expiring.map(|(principal, course)| {
                Request::NoteExpiring(NoteExpiring {
                    environment: environment.clone(),
                    principal,
                    course,
                })
            });
            ending.chain(expiring).collect()
        })
    }
}
