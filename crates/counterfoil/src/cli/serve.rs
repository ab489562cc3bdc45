//! Setting up, serving and going on: what runs the platform.

use std::path::PathBuf;

use clap::Args;

use super::{
    common::{Dir, Form},
    log::NewSigner,
};
use crate::logging::Format;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The data directory.
    #[arg(long, env = "COUNTERFOIL_DIR", default_value = "./counterfoil-demo")]
    pub(crate) dir: PathBuf,
    /// Stop after the summary.
    #[arg(long)]
    pub(crate) once: bool,
    /// How many cases; without it all that the example has.
    #[arg(long)]
    pub(crate) cases: Option<usize>,
    /// Seed of the example's data, on the first run; without it the data that is shipped.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Print the summary as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where to serve.
    #[arg(long, default_value = "127.0.0.1:7878")]
    pub(crate) listen: std::net::SocketAddr,
    /// Milliseconds that the example's bank waits around each transfer, for trying what an interruption does.
    #[arg(long, default_value_t = 0, hide = true)]
    pub(crate) treasury_delay_ms: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The log's origin: a name that is yours alone, like `example.com/payables`.
    #[arg(long)]
    pub(crate) origin: String,
    #[command(flatten)]
    pub(crate) signer: NewSigner,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Where to serve.
    #[arg(long, default_value = "127.0.0.1:7878")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where people reach it, if not there: the address of a proxy that holds the certificate, like `https://pay.example`. Passkeys
    /// are made for its domain.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// How many connections there may be at once; whoever comes after them waits. 4,096, or as many as the system's bound on open
    /// files leaves room for, where it is not said.
    #[arg(long, value_name = "COUNT", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) connections: Option<usize>,
    #[command(flatten)]
    pub(crate) tls: TlsFiles,
    /// Verify and fold the whole log first, whatever fold was written down.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// TLS 1.3 at the doors. The files are read again when they change.
#[derive(Debug, Args)]
pub(crate) struct TlsFiles {
    /// The server's certificate, and those between it and its authority, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key in PEM, which nobody else may read.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The authority of clients' certificates, in PEM: agents may come with one in place of a token.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,
    /// What that authority revoked, and each between it and clients: their lists (CRLs) in PEM, in one file.
    #[arg(long, value_name = "FILE", requires = "client_ca")]
    pub(crate) client_crl: Option<PathBuf>,
}

/// How lines about what goes on are written to standard error; which of them is said by `COUNTERFOIL_LOG`, like
/// `info,engine=debug`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Log {
    /// As text for people, or as JSON, an object a line.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Open this case first.
    #[arg(long, requires_all = ["env", "subject", "source"])]
    pub(crate) case: Option<String>,
    /// Its environment.
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// What it is about: a reference, no personal data.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// The file with its source.
    #[arg(long)]
    pub(crate) source: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct SignIn {
    /// The person.
    pub(crate) person: String,
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The console's address.
    #[arg(long)]
    pub(crate) url: Option<String>,
}
