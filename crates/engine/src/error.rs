//! What can go wrong in the shell, apart from a refusal's being recorded as such.

use duty::{name::ItemId, refusal::Refusal, release::Level};
use policy::ReleaseErrors;
use store::StoreError;

/// Why a request had no effect.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The core refused it; the refusal is in the log.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// The store is away or full: nothing was acknowledged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request is longer than a record may be, so that not even its refusal could be recorded.
    #[error("the request has {bytes} bytes, and a record holds at most {most}; send less")]
    TooLong {
        /// Its canonical length.
        bytes: usize,
        /// The most that fits.
        most: usize,
    },
    /// The release in the log cannot be loaded.
    #[error("release {digest} in the log cannot be loaded: {errors}")]
    Release {
        /// Its digest.
        digest: String,
        /// All that is wrong with it.
        errors: ReleaseErrors,
    },
    /// The log does not fold: it was not written by this program, or by another version of it.
    #[error("the log does not fold: {0}; run `counterfoil log verify` on a copy of it")]
    Fold(#[from] duty::FoldError),
    /// No credential fits.
    #[error("the credential is not known, or was revoked; see `counterfoil principal list`")]
    Unauthenticated,
    /// No target system by that name.
    #[error("no target system is configured for `{0}`; name its server in the configuration")]
    NoTarget(String),
    /// The tool's effect is carried out by whoever uses the grant, so that the engine calls nobody.
    #[error(
        "the effect of `{0}` is its caller's: use the grant, carry it out, and report the outcome"
    )]
    ByCaller(String),
    /// A tool is pinned, and nobody can say how its server describes it now. Nothing was recorded or consumed.
    #[error("`{tool}` is pinned by the release, and cannot be compared with its server: {why}")]
    Undescribed {
        /// The tool.
        tool: String,
        /// What stands in the way.
        why: String,
    },
    /// There is no such call or grant to act on.
    #[error("`{0}` is not there to act on")]
    Missing(ItemId),
    /// A grant that must not be used yet. Nothing was consumed; it may be tried again while the grant stands.
    #[error("the grant waits: what authorises it is not {} yet: {why}", .level.word())]
    Unreleased {
        /// The level that the release asks for.
        level: Level,
        /// What is missing.
        why: String,
    },
    /// An erasure that stands in the log, while what it erases is not all gone.
    #[error(
        "erased under record {record}, but not all of it is gone yet: {why}; a running server tries it again, and so does every start"
    )]
    NotErased {
        /// The record; the first, where there are several.
        record: u64,
        /// What stands in the way.
        why: StoreError,
    },
    /// An order to stop that cannot be taken: nothing goes on until it is understood.
    #[error("`{}` orders a stop and cannot be taken: {why}; place it again with `counterfoil freeze`, and remove the file then", .file.display())]
    Stop {
        /// The order.
        file: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The index over the clauses fails.
    #[error("retrieval failed: {0}")]
    Retrieval(String),
    /// The model that makes vectors of queries does not; nothing was recorded, and nothing is ranked without it.
    #[error("the embedder {0}; configure it, or release policies without one")]
    Embedder(String),
    /// A change of the log's key that did not take place.
    #[error(
        "the log's key did not change so; change it with `counterfoil log key rotate` while no server runs, which takes it down by itself"
    )]
    NotRotated,
    /// A value cannot be written exactly.
    #[error(transparent)]
    Canonical(#[from] duty::canonical::CanonicalError),
}
