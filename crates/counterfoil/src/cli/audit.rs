//! `control` and `audit`: the auditor's desk.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{Dir, Form, Which};

#[derive(Debug, Subcommand)]
pub(crate) enum ControlCommand {
    /// List the catalogue: what is asserted, how it is tested, which criteria it answers to.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Attempt every violation of the catalogue under a release; all must be refused. The results are recorded for exactly
    /// that release, which a promotion needs, unless it is a directory.
    Test {
        /// The release's digest, or its first digits; without it, the release in force in `--env`.
        #[arg(conflicts_with = "release")]
        digest: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Assert every control over every record; exit 1 where one is violated.
    Report {
        /// A data directory, a bare copy of a log, or its URL; without it `--dir`.
        place: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// The log's verifier key, or a file with it: then the log is verified and re-performed too.
        #[arg(long)]
        vkey: Option<String>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Find records.
    Query(Box<Query>),
    /// How often humans decided against each agent, in which direction, by reason code and by cited clause.
    Overrides {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Measure how people sign: faster than reading, always the same pair, always yes.
    Approvers {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// How many seconds reading takes: what came sooner is counted.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
        #[command(flatten)]
        form: Form,
    },
    /// Run every recorded decision again and compare.
    Reperform {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// Use this release's rules in place of those in the log, to see what would change.
        #[arg(long)]
        release: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// A data directory, or a bare copy of a log directory; without it `--dir`.
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Records that cite this clause.
    #[arg(long)]
    pub(crate) clause: Option<String>,
    /// Records of this agent.
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Records of, or signed by, this principal.
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// Records of this case.
    #[arg(long)]
    pub(crate) case: Option<String>,
    /// Cases of this risk tier.
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// Records of this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Cases with this outcome.
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Cases with this fact, like `vendor.id=V0007`.
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// Records from this moment, like `2026-01-01T00:00:00.000Z`.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Records before this moment.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: u32,
    /// Compare the whole index with the log first; end with 1 where they differ, and leave the index as it is. Without it, an
    /// index that differs is told of and built anew, and the index of a log of more than 100,000 records is compared row by
    /// row of the answer only.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}
