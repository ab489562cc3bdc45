//! `hold` and `erase`: what is kept of data subjects.

use clap::Subcommand;

use super::{
    common::{Dir, Form},
    signing::Signing,
};

#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Sign that nothing of a data subject may be erased: owners, approvers and auditors may.
    Place {
        /// The subject as its cases name it, or its id.
        subject: String,
        /// The law, contract or policy clause behind it.
        #[arg(long)]
        clause: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Sign that one hold ends: owners and approvers may.
    Lift {
        /// The record that placed it.
        record: u64,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List holds in force.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EraseCommand {
    /// Ask for it, as the first of two people: owners and approvers may.
    Request {
        /// The subject as its cases name it, or its id.
        subject: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Confirm it, as the second. What is kept is destroyed for good.
    Confirm {
        /// The subject as its cases name it, or its id.
        subject: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List what waits for a second person, and what was erased.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}
