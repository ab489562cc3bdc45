//! What many commands take: where the data is, which release, how a listing is printed.

use std::path::PathBuf;

use clap::Args;

/// Which data directory.
#[derive(Clone, Debug, Args)]
pub(crate) struct Dir {
    /// The data directory.
    #[arg(long, env = "COUNTERFOIL_DIR", default_value = "./counterfoil")]
    pub(crate) dir: PathBuf,
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Form {
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A release: in the log, or a directory.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A directory with a release; without it, the release in force in `--env`.
    #[arg(long)]
    pub(crate) release: Option<PathBuf>,
    /// The environment.
    #[arg(long, default_value = "staging")]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) dir: Dir,
}
