//! The log as a data structure: C2SP formats, RFC 6962 hashing, proofs and verification.
//!
//! Everything here is pure; bytes come in through [`source::Source`] and go out as values, so the crate runs the same
//! over a directory, an HTTP mirror or a map in a test. It knows nothing of agents.
//!
//! | module | what |
//! |---|---|
//! | [`hash`] | RFC 6962 leaf and node hashes |
//! | [`tile`] | paths of tiles and bundles (`tlog-tiles`) |
//! | [`bundle`] | entry bundles (`tlog-tiles`) |
//! | [`note`] | signed notes and keys (`signed-note`) |
//! | [`checkpoint`] | checkpoints (`tlog-checkpoint`) |
//! | [`cosignature`] | a witness's signature on a checkpoint (`tlog-cosignature`) |
//! | [`trust`] | which witnesses make a quorum (`tlog-policy`) |
//! | [`witness`] | the witness protocol's messages and judgement (`tlog-witness`) |
//! | [`tree`] | the right edge of a growing tree, which yields the files to write |
//! | [`proof`] | inclusion and consistency proofs, and `tlog-proof` files |
//! | [`rotation`] | a log's keys: how one takes over from another |
//! | [`source`] | where a log's files are read from |
//! | [`verify`] | the check of a whole log |
//! | [`snapshot`] | salted commitments to the bytes an agent saw |

pub mod archive;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod hash;
pub mod note;
pub mod proof;
pub mod rotation;
pub mod snapshot;
pub mod source;
pub mod tile;
pub mod tree;
pub mod trust;
pub mod verify;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use hash::Hash;
pub use note::{Sign, Signer, Verifier};
pub use source::{Directory, Source, SourceError};
pub use tree::Frontier;
pub use verify::{Fault, Options, Verified};
