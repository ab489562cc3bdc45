//! Failures of a command: a message, and an exit code that scripts can depend on.

use std::fmt::Display;

use engine::EngineError;
use store::config::ConfigError;

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// A check failed: a tampered log, a disagreement.
    pub(crate) fn check(message: impl Display) -> Self {
        Self::new(1, message)
    }

    /// Wrong usage or bad input.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(2, message)
    }

    /// Refused by policy.
    pub(crate) fn refused(message: impl Display) -> Self {
        Self::new(3, message)
    }

    /// The store or something else that is needed is away.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(4, message)
    }

    fn new(code: u8, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(e: EngineError) -> Self {
        match &e {
            EngineError::Refused(_) => Self::refused(e),
            EngineError::TooLong { .. }
            | EngineError::Canonical(_)
            | EngineError::Missing(_)
            | EngineError::ByCaller(_)
            | EngineError::NotRotated => Self::usage(e),
            EngineError::Store(_)
            | EngineError::Unreleased { .. }
            | EngineError::NotErased { .. }
            | EngineError::Stop { .. }
            | EngineError::Release { .. }
            | EngineError::Fold(_)
            | EngineError::Unauthenticated
            | EngineError::NoTarget(_)
            | EngineError::Undescribed { .. }
            | EngineError::Embedder(_)
            | EngineError::Retrieval(_) => Self::unavailable(e),
        }
    }
}

impl From<agents::RunError> for Failure {
    fn from(e: agents::RunError) -> Self {
        match e {
            agents::RunError::Engine(e) => e.into(),
            other => Self::unavailable(other),
        }
    }
}

impl From<store::StoreError> for Failure {
    fn from(e: store::StoreError) -> Self {
        Self::unavailable(e)
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        match e {
            ConfigError::Missing { .. } | ConfigError::Unreadable { .. } => Self::unavailable(e),
            ConfigError::Wrong { .. } => Self::usage(e),
        }
    }
}

/// Reads a word that the user typed as one of the project's names.
pub(crate) fn named<T: std::str::FromStr<Err = String>>(s: &str) -> Result<T, Failure> {
    s.parse().map_err(Failure::usage)
}
