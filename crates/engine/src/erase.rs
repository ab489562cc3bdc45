//! Erasing what the log says is erased: the record comes first, and a start finishes what a crash has left.

use std::sync::atomic::Ordering;

use duty::{
    record::{Body, Record},
    subject::SubjectId,
};

use crate::{Engine, EngineError};

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
