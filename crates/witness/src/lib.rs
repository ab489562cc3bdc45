//! Checkpoints leave the platform: witnesses that cosign them, anchors that keep them.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | asks witnesses for cosignatures until there is a quorum (`tlog-witness`) |
//! | [`server`] | a witness of its own: cosigns what continues, refuses what forks (`tlog-witness`) |
//! | [`anchor`] | copies of checkpoints elsewhere: directory, S3 with Object Lock, RFC 3161, webhook |
//! | [`keeper`] | what a witness keeps on disk, and the one place where it cosigns |

pub mod anchor;
pub mod client;
pub mod keeper;
pub mod server;

pub use client::Client;
pub use keeper::{Keeper, KeeperError};
