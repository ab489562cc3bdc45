//! `webhook`.

use std::path::PathBuf;

use clap::Subcommand;

use super::common::{Dir, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// List the receivers of `webhooks.toml`, and how each stands.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Send a receiver a signed message of type `webhook.test`, once; exit 4 where it does not take it.
    Test {
        /// The receiver.
        name: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// Let a receiver go on at once, also one that answered 410.
    Resume {
        /// The receiver.
        name: String,
        /// Go on with this record instead of where it stands: an earlier one is told again, what lies before a later one never.
        #[arg(long, value_name = "RECORD")]
        from: Option<u64>,
        #[command(flatten)]
        dir: Dir,
    },
    /// Make a secret and write it to a file. What the receiver needs is printed with `--asymmetric`, and else in the file.
    Secret {
        /// The file, relative to the data directory; none may be there.
        file: PathBuf,
        /// A key of Ed25519, whose public half the receiver gets (`v1a`), and not a secret that both share (`v1`).
        #[arg(long)]
        asymmetric: bool,
        #[command(flatten)]
        dir: Dir,
    },
}
