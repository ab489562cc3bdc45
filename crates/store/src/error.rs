//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store refused or failed. Each message says what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process owns the data directory.
    #[error("`{path}` is in use by another process; stop it, or send it the request over HTTP")]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// Cosignatures are asked for, and there is nobody to give them.
    #[error(
        "no witnesses are configured; name them and their quorum in `witness.policy` of the data directory"
    )]
    Unwitnessed,
    /// The log is open, or was moved on, from another copy of the data directory.
    #[error(
        "another process has this log open, or moved it on, from a copy of the directory (guard `{guard}`); stop it: two at once would fork the log"
    )]
    Elsewhere {
        /// The log's guard.
        guard: PathBuf,
    },
    /// An older copy of the log was put back.
    #[error(
        "`{path}` holds an older copy of the log: {have} records, and {had} were published (guard `{guard}`); put the newer copy back. If that is lost, keep this one as evidence and begin a new log with `counterfoil init`: going on here would fork the log, and witnesses and anchors would show it"
    )]
    RolledBack {
        /// The data directory.
        path: PathBuf,
        /// Records it holds.
        have: u64,
        /// Records that were published.
        had: u64,
        /// The log's guard.
        guard: PathBuf,
    },
    /// The log holds other records than the ones published.
    #[error(
        "`{path}` holds another history of the log than the one published up to record {size} (guard `{guard}`); put the right copy back, and keep this one as evidence"
    )]
    Forked {
        /// The data directory.
        path: PathBuf,
        /// Records of the last published checkpoint.
        size: u64,
        /// The log's guard.
        guard: PathBuf,
    },
    /// There is no data directory, or not one this program knows.
    #[error("`{path}` is no data directory: {why}")]
    NotADataDirectory {
        /// The path given.
        path: PathBuf,
        /// What is missing or wrong, and what to do.
        why: String,
    },
    /// A data directory cannot be made where something is already.
    #[error("`{path}` is taken: {why}; name a directory that is empty or not there yet")]
    Taken {
        /// The path given.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// The data directory cannot be written.
    #[error(
        "`{path}` cannot be written: {why}; make the directory writable for this user, or mount it so"
    )]
    ReadOnly {
        /// What could not be written.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// No space is left.
    #[error(
        "no space is left to write `{path}`: {why}; free some and start again, nothing acknowledged is lost"
    )]
    Full {
        /// What could not be written.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// Stored bytes are not what they must be.
    #[error(
        "the data directory is damaged or was changed at {place}: {why}; keep a copy and restore a good one"
    )]
    Corrupt {
        /// File and place in it.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Any other failure of the system.
    #[error("`{path}`: {why}; put it right and start again")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A private file can be read by others.
    #[error(
        "`{path}` can be read or written by other users (mode {mode:o}); run `chmod {want:o} {path}` and replace the secret if it leaked"
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        want: u32,
    },
    /// The log's key is protected, and no passphrase was given.
    #[error(
        "`{path}` is protected by a passphrase; give the file that holds it with `--passphrase-file`, or run the command on a terminal"
    )]
    Protected {
        /// The key's file.
        path: PathBuf,
    },
    /// The passphrase does not open the log's key.
    #[error("the passphrase does not open `{path}`; give the right one")]
    Passphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// Whatever holds the log's key did not sign: nothing was published, and it may be tried again.
    #[error(
        "no checkpoint can be signed: {why}; records stay committed, and are published when the signer answers"
    )]
    Signer {
        /// What it did.
        why: String,
    },
    /// A snapshot cannot be read without its key.
    #[error(
        "snapshot {commitment} is sealed, and the key of its data subject, `{key}`, is not here; restore `keys/subjects` from a copy"
    )]
    Sealed {
        /// The snapshot's commitment.
        commitment: String,
        /// Where its key would be.
        key: PathBuf,
    },
    /// Older bundles are in another archive than the one named.
    #[error(
        "{bundles} bundles are archived in `{archive}`; archive there, or copy all of it to the other place and name that in the file `archive`"
    )]
    ArchivedElsewhere {
        /// Where they are.
        archive: PathBuf,
        /// How many.
        bundles: u64,
    },
    /// Nothing more is kept of a data subject that was erased.
    #[error("its data subject was erased under record {record}, and nothing more is kept of it")]
    Erased {
        /// The record that says so.
        record: u64,
    },
    /// The journal stopped after a failure; the records were not taken.
    #[error("the journal has stopped: {why}")]
    Stopped {
        /// The failure that stopped it.
        why: String,
    },
    /// More records wait than memory should hold; the records were not taken.
    #[error("{bytes} bytes of records wait for the disk already; try again in a moment")]
    Busy {
        /// Bytes waiting.
        bytes: usize,
    },
    /// A record, or a group of records, is too long; none was taken.
    #[error("{what} of {bytes} bytes is longer than the {most} that fit; send less at once")]
    TooLong {
        /// "a record" or "a group of records".
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most allowed.
        most: usize,
    },
    /// A group does not begin where the log ends; none was taken.
    #[error(
        "the group begins at record {first} and the log goes on at {next}: whoever appends lost count"
    )]
    OutOfOrder {
        /// First record of the group.
        first: u64,
        /// The record that comes next.
        next: u64,
    },
    /// The reader of the log refused a record.
    #[error("record {index} of the log is refused: {why}")]
    Refused {
        /// Number of the record.
        index: u64,
        /// The reader's reason.
        why: String,
    },
    /// An origin, key or random source is unusable.
    #[error("{0}")]
    Key(String),
}

impl StoreError {
    /// The error of an operation on `path`.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let (path, why) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, why },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, why },
            _ => Self::Io { path, why },
        }
    }

    pub(crate) fn corrupt(place: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            place: place.to_string(),
            why: why.to_string(),
        }
    }
}
