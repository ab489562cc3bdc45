//! Erasing what the log says is erased: the record comes first, and a start finishes what a crash has left.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use duty::{
    record::{Body, Record},
    release::Rules as _,
    request::{EndRetention, Request},
    state::Subject,
    subject::SubjectId,
};

use crate::{Engine, EngineError, Seat};

impl Engine {
    /// Carries out the erasures among these records, which are durable.
    ///
    /// # Errors
    /// [`EngineError::NotErased`]: the record stands, and [`Engine::finish_erasures`] does the rest.
    pub(crate) async fn erase_as(&self, records: &[Record]) -> Result<(), EngineError> {
        let erased = records.iter().filter_map(|r| match &r.body {
            Body::SubjectErased(body) => Some((body.subject, r.seq)),
            _ => None,
        });
        self.erase(erased.collect()).await.map(|_| ())
    }

    /// Destroys the keys and removes the snapshots of all data subjects that the log says are erased, where that is not done
    /// yet: after a crash, a full disk, or a copy that brought keys back. Answers how many snapshots it removed.
    ///
    /// # Errors
    /// [`EngineError::NotErased`]: it may be tried again.
    pub async fn finish_erasures(&self) -> Result<u64, EngineError> {
        let erased = self.read(|state| state.erased.iter().map(|(s, r)| (*s, *r)).collect());
        self.erase(erased).await
    }

    /// Erases the data subjects whose retention is over by the release in force; returns how many.
    ///
    /// # Errors
    /// [`EngineError`] where an erasure could not be recorded or carried out.
    pub async fn end_retentions(&self) -> Result<usize, EngineError> {
        let mut ended = 0;
        for subject in self.out_of_retention()? {
            let request = Request::EndRetention(EndRetention { subject });
            match self.submit(&Seat::engine(), request).await {
                Ok(_) => ended += 1,
                // A hold or a new case came in between: the refusal is in the log.
                Err(EngineError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(ended)
    }

    /// The data subjects about which nothing is under way, that no hold is on, and whose last case ended long enough ago.
    fn out_of_retention(&self) -> Result<Vec<SubjectId>, EngineError> {
        let environments = self.read(|state| state.environments.clone());
        let mut retentions = BTreeMap::new();
        for (env, digest) in environments {
            let release = self.release(digest)?;
            if let Some(retention) = release.and_then(|r| r.team().retention.clone()) {
                retentions.insert(env, retention);
            }
        }
        if retentions.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        Ok(self.read(|state| {
            let over = |subject: &Subject| {
                let last = subject.last.as_ref().filter(|_| subject.open == 0);
                last.is_some_and(|last| {
                    let retention = retentions.get(&last.env);
                    retention.is_some_and(|r| r.end(last.time) <= now)
                })
            };
            let kept = state.subjects.iter().filter(|(id, subject)| {
                over(subject) && !state.erased.contains_key(id) && !state.holds.contains_key(id)
            });
            kept.map(|(id, _)| *id).collect()
        }))
    }

    /// Whether an erasure could not be finished when it was last tried.
    #[must_use]
    pub fn has_unfinished_erasures(&self) -> bool {
        self.unerased.load(Ordering::Relaxed)
    }

    async fn erase(&self, subjects: Vec<(SubjectId, u64)>) -> Result<u64, EngineError> {
        let Some(first) = subjects.iter().map(|(_, record)| *record).min() else {
            return Ok(0);
        };
        let snapshots = self.snapshots().clone();
        let subjects: Vec<_> = subjects
            .into_iter()
            .map(|(subject, record)| (*subject.as_bytes(), record))
            .collect();
        let done = tokio::task::spawn_blocking(move || snapshots.erase(&subjects));
        let removed = match done.await {
            Ok(removed) => removed,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        self.unerased.store(removed.is_err(), Ordering::Relaxed);
        removed.map_err(|why| EngineError::NotErased { record: first, why })
    }
}
