//! What keeps evidence from being read at all; that it is wrong is said by [`crate::Fault`] and [`crate::Disagreement`].

use duty::FoldError;

/// Why evidence cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Nothing at this place is a log.
    #[error(
        "`{place}` is neither a data directory (with `log/`), nor a log directory (with `checkpoint`), nor an http(s) or s3 URL; name one of these"
    )]
    NotALog {
        /// What was named.
        place: String,
    },
    /// A bucket cannot be opened as it is named.
    #[error("`{place}` cannot be opened: {why}")]
    Bucket {
        /// What was named.
        place: String,
        /// Why.
        why: String,
    },
    /// A file of the log cannot be read.
    #[error("`{path}` of {place} cannot be read: {why}")]
    File {
        /// The file, in the log.
        path: String,
        /// Of what.
        place: String,
        /// Why.
        why: String,
    },
    /// An entry of the log is not a record.
    #[error("record {seq}: {why}; `log verify` says more")]
    Record {
        /// Its place in the log.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// A record cannot follow those before it.
    #[error("{0}; `log verify` says more")]
    Fold(#[from] FoldError),
    /// The log does not hold a release that it names, or holds one that cannot be loaded.
    #[error("release {digest} cannot be loaded from the log: {why}")]
    Release {
        /// The release.
        digest: String,
        /// Why.
        why: String,
    },
    /// A release directory cannot be loaded.
    #[error("the release in `{dir}` cannot be loaded: {why}")]
    ReleaseDir {
        /// Which.
        dir: String,
        /// Why.
        why: String,
    },
    /// A snapshot that is there was changed.
    #[error("snapshot {commitment}: {why}; restore `snapshots` from a copy")]
    Snapshot {
        /// Its commitment.
        commitment: String,
        /// Why.
        why: String,
    },
    /// The index cannot be used.
    #[error("the index `{path}` cannot be used: {why}; delete it, and it is built anew")]
    Index {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// Nothing in the log is called so.
    #[error("the log holds no case `{0}`; `case list` shows those it holds")]
    NoCase(String),
    /// Whoever reads has had enough.
    #[error("{0}")]
    Stopped(String),
}

impl EvidenceError {
    /// Whether the evidence was read and is wrong, rather than not to be read: a check then has failed.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Record { .. } | Self::Fold(_) | Self::Release { .. } | Self::Snapshot { .. } => {
                true
            }
            Self::NotALog { .. }
            | Self::Bucket { .. }
            | Self::File { .. }
            | Self::ReleaseDir { .. }
            | Self::Index { .. }
            | Self::NoCase(_)
            | Self::Stopped(_) => false,
        }
    }
}
