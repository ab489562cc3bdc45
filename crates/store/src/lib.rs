//! The embedded store: one data directory, one owner, plain files.
//!
//! ```text
//! append -> queue -> committer: write-ahead log, one fdatasync a batch -> tickets resolve (durable)
//!    attach /                  \-> publisher, every 200 ms: bundles, tiles, then the signed checkpoint (published)
//!                                  \-> tidier: snapshots forced to the device, published segments removed
//! ```
//!
//! The log is one sequence, and so is the queue: what is durable makes all before it durable. Whoever takes several steps
//! appends them ahead, and waits once, for the last. A snapshot goes the same way, before the record that names it.
//!
//! Opening a [`Journal`] *is* recovery: the published log is verified, whole or from a trusted [`Fold`] on, the write-ahead
//! log is read on from there, and what was committed but not published is published before anything new is taken.
//!
//! | what fails | what is true afterwards |
//! |---|---|
//! | the process, or the machine, at any instant | every record whose ticket resolved is in the log after the next start |
//! | a write or sync (disk full, I/O error) | the journal is poisoned: nothing more is taken until it is opened again |
//! | a ticket's own write | its records are in the log whole or not at all; the next start tells which |

mod archive;
pub mod config;
mod datadir;
mod disk;
mod error;
mod fold;
mod guard;
mod journal;
mod key;
mod publish;
mod recover;
pub mod secret;
mod snapshots;
mod wal;

pub use archive::{Moved, archive};
pub use datadir::DataDir;
pub use error::StoreError;
pub use fold::{Fold, Folds, Unusable};
pub use journal::{Cosign, Journal, Ticket, Witnessed};
pub use key::{NewKey, Passphrase, SignerConfig, Staged, Unlock};
pub use snapshots::{Snapshots, Written};

#[cfg(test)]
mod tests;
