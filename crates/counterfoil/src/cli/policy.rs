//! `policy` and `threshold`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    common::{Dir, Form, Which},
    signing::Signing,
};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Bring in a document that other software wrote (.md, .txt, .html, .docx, .pdf), with ids that stay over editions.
    Import(Import),
    /// List clauses.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Show one clause, and what rests on it.
    Show {
        /// Its id.
        id: String,
        /// The edition in force on this day (UTC) or at this time; now, where none is named.
        #[arg(long, value_name = "DAY")]
        as_of: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Search clauses as agents do, and say why each was found.
    Search {
        /// What to look for.
        query: String,
        /// Clauses in force on this day (UTC) or at this time; now, where none is named.
        #[arg(long, value_name = "DAY")]
        as_of: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Compare two editions: clauses added, removed, reworded and renumbered, and what rests on each.
    Diff {
        /// A document, a directory with a release, or the digest of a release in the log.
        from: String,
        /// Another.
        to: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Make the vectors that a release needs to rank by meaning, and write them into its directory.
    Embed {
        /// The directory with the release, whose `team.toml` names the embedder.
        path: PathBuf,
        #[command(flatten)]
        dir: Dir,
    },
    /// Say what would be said of a call, by which rules and clauses; nothing is recorded. Exit code 3 where it is refused.
    Check(Box<PolicyCheck>),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The document.
    pub(crate) file: PathBuf,
    /// The letters that begin the ids of its clauses, where it does not give them whole: `PAY`.
    #[arg(long, value_name = "LETTERS")]
    pub(crate) id: String,
    /// Which edition it is.
    #[arg(long)]
    pub(crate) edition: String,
    /// Which document it is an edition of; the letters, where it is not said.
    #[arg(long)]
    pub(crate) document: Option<String>,
    /// The first day in force, like `2026-01-31`.
    #[arg(long, value_name = "DAY")]
    pub(crate) effective: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Its title, in the place of the one that it says.
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// The edition before: clauses keep its ids.
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Where the policy document goes; to standard output where it is not said. A file that is there is not written over.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Go on without what cannot be taken over.
    #[arg(long)]
    pub(crate) leave_out: bool,
    /// Take the ids that are guesses.
    #[arg(long)]
    pub(crate) confirm_ids: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// A call that nobody makes.
#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// The agent.
    #[arg(long)]
    pub(crate) agent: String,
    /// The tool, `<server>.<tool>`.
    #[arg(long)]
    pub(crate) tool: String,
    /// Its arguments as a JSON object, or `@` and a file that holds it.
    #[arg(long, default_value = "{}")]
    pub(crate) args: String,
    /// A case under way: its facts, subject, environment and release.
    #[arg(long, conflicts_with_all = ["facts", "subject", "env"])]
    pub(crate) case: Option<String>,
    /// Facts as a JSON object of namespaces, or `@` and a file that holds it.
    #[arg(long, default_value = "{}")]
    pub(crate) facts: String,
    /// What the case would be about.
    #[arg(long, default_value = "hypothetical")]
    pub(crate) subject: String,
    /// The environment; without `--case`, `staging` where none is named.
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// A directory with a release, or the digest of one in the log; without it that of the case, or the one in force.
    #[arg(long)]
    pub(crate) release: Option<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ThresholdCommand {
    /// List thresholds: signatures, use, what is left, and when they end, in each environment that runs the release.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Show one threshold, with use and headroom by key.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Sign a threshold as one of the people who answer for it.
    Sign {
        /// Its id.
        id: String,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        sign: Signing,
    },
}
