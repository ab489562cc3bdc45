//! `mcp`: the bridge for local clients.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// The door's address, like `http://127.0.0.1:7878/mcp`.
    #[arg(long)]
    pub(crate) url: String,
    /// The file with the agent's bearer token, which nobody else may read.
    #[arg(long, value_name = "FILE", required_unless_present = "certificate")]
    pub(crate) token_file: Option<PathBuf>,
    /// The agent's client certificate, and those between it and its authority, in PEM: in place of a token, or beside it.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key in PEM, which nobody else may read.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// The environment, where the agent works in several.
    #[arg(long)]
    pub(crate) environment: Option<String>,
}
