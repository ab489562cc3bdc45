//! `mcp`: the bridge for local clients.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// The door's address, like `http://127.0.0.1:7878/mcp`.
    #[arg(long)]
    pub(crate) url: String,
    /// The file with the agent's bearer token, which nobody else may read.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The environment, where the agent works in several.
    #[arg(long)]
    pub(crate) environment: Option<String>,
}
