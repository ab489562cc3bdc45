//! `release`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    common::{Dir, Form, Which},
    signing::{MaybeSigning, Signing},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Check a release directory and put it into the log.
    Build {
        /// The directory with `team.toml`.
        path: PathBuf,
        /// Only check it.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        author: MaybeSigning,
    },
    /// Sign a release as its author, where `release build` did not: who signs so cannot promote it.
    Sign {
        /// The release's digest, or its first digits.
        digest: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: MaybeSigning,
    },
    /// Point an environment at a release. Anywhere but in `dev`, where effects are simulated, a human who is not its author
    /// signs (`--as`, `--reason`), and its control tests have passed.
    Promote {
        /// The release's digest, or its first digits.
        digest: String,
        /// The environment.
        #[arg(long)]
        env: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: MaybeSigning,
    },
    /// Point an environment back at the release before, as a promotion like any other.
    Rollback {
        /// The environment.
        #[arg(long)]
        env: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List releases and the environments that point at them.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Say what changed between two releases, in words, and what of it loosens.
    Diff {
        /// The older: a digest in the log, or a directory.
        from: String,
        /// The newer.
        to: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// List the tools that the servers of `targets.toml` offer now, and how that differs from a release's pins; exit 1 where a
    /// pinned tool changed.
    Tools {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Write what a server says of its tools into a release's directory, as pins.
    Pin(Pinning),
    /// Say who could ever hold two incompatible duties under a release, and through what; exit 1 where anybody could.
    Conflicts {
        /// A digest in the log, or a directory.
        release: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

/// What of which server is pinned where.
#[derive(Debug, Args)]
pub(crate) struct Pinning {
    /// The directory with `team.toml`.
    pub(crate) path: PathBuf,
    /// The server, as `targets.toml` names it.
    #[arg(long)]
    pub(crate) server: String,
    /// Also pin what `team.toml` does not name yet, and add a `[[tool]]` for it there; without it such entries are printed.
    #[arg(long)]
    pub(crate) add: bool,
    /// Of what is not named yet, this tool alone; may be given several times.
    #[arg(long, requires = "add")]
    pub(crate) tool: Vec<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
}
