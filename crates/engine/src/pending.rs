//! Steps that are taken one after another and waited for once.
//!
//! What is decided has its place in the log at once, and the next step may build on it; it may leave this process, as an answer
//! or as an effect, only when it is durable. Since the log is one sequence, waiting for the last record waits for all before
//! it. So a step taken ahead answers with a [`Pending`], whose value is had in two ways: by waiting, or by taking it over
//! [`Pending::onto`] an [`Ahead`], which makes what comes of it pending again.
//!
//! Effects need no care: [`Engine::execute`](crate::Engine::execute) and [`Engine::call`](crate::Engine::call) wait for the
//! record that authorises them, and so for every one before it. Nor do refusals: an engine's error that tells of one is told
//! when the refusal is durable.

use duty::{
    Decision,
    record::{Body, Record},
};

use crate::{Engine, EngineError};

/// A value that rests on records which may not be durable yet.
#[must_use = "what rests on records may be told only when they are durable"]
#[derive(Debug)]
pub struct Pending<T> {
    value: T,
    upto: u64,
}

/// Records that were decided and that nobody has waited for.
#[must_use = "what rests on records may be told only when they are durable"]
#[derive(Debug, Default)]
pub struct Ahead {
    upto: u64,
}

impl<T> Pending<T> {
    pub(crate) fn new(value: T, upto: u64) -> Self {
        Self { value, upto }
    }

    /// Waits until what the value rests on is durable.
    ///
    /// # Errors
    /// [`EngineError::Store`] where that will not be: nobody may learn of the value then.
    pub async fn durable(self, engine: &Engine) -> Result<T, EngineError> {
        engine.wait(self.upto).await?;
        Ok(self.value)
    }

    /// The value, to go on with: what comes of it is pending as well, by `ahead`.
    pub fn onto(self, ahead: &mut Ahead) -> T {
        ahead.upto = ahead.upto.max(self.upto);
        self.value
    }

    /// What `make` makes of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Pending<U> {
        Pending::new(make(self.value), self.upto)
    }
}

impl Pending<Decision> {
    /// Whether it must be durable before anybody goes on: a refusal, which ends what it was a step of, and an erasure, which
    /// is carried out now.
    pub(crate) fn is_told_at_once(&self) -> bool {
        let erases = |record: &Record| matches!(record.body, Body::SubjectErased(_));
        self.value.refusal.is_some() || self.value.records.iter().any(erases)
    }
}

impl Ahead {
    /// A value that rests on all this.
    pub fn with<T>(self, value: T) -> Pending<T> {
        Pending::new(value, self.upto)
    }
}
