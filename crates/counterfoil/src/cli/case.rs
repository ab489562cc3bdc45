//! `case`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{Dir, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// List cases.
    List {
        #[command(flatten)]
        dir: Dir,
        /// Only those that ended so, or `open`.
        #[arg(long)]
        outcome: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Show a case's chain of custody.
    Show {
        /// The case.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Go through a case step by step, with the exact inputs that each agent saw.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The case.
    pub(crate) id: String,
    /// Make what language models were asked again, read what they answered again, and say what differs. Nobody is asked.
    #[arg(long, conflicts_with = "live")]
    pub(crate) model: bool,
    /// Ask the language models the same again, as they are now, and say what differs. It sends the case's data to their
    /// endpoints, and records nothing.
    #[arg(long)]
    pub(crate) live: bool,
    /// Send it: without this, `--live` only says what it would send.
    #[arg(long, requires = "live")]
    pub(crate) yes: bool,
    /// Send no more than so many questions.
    #[arg(long, requires = "live", value_name = "N")]
    pub(crate) most: Option<usize>,
    /// Where the models are, in the place of the data directory's `models.toml`.
    #[arg(long, requires = "live", value_name = "FILE")]
    pub(crate) models: Option<PathBuf>,
    /// The snapshots beside a bare copy of a log; the keys of their data subjects are in `../keys/subjects`, seen from there.
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
}
