//! `log` and `witness`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use super::common::{Dir, Form};

#[derive(Debug, Args)]
pub(crate) struct VerifyLog {
    /// A data directory, a bare copy of a log directory, a URL, or `s3://bucket/prefix` (see `--s3`).
    pub(crate) source: String,
    /// The verifier key, or a file that holds it.
    #[arg(long)]
    pub(crate) vkey: String,
    /// An earlier checkpoint of the same log, or a file that holds it.
    #[arg(long)]
    pub(crate) since: Option<PathBuf>,
    /// A file of your own that says how far you had checked this log: go on from there, and keep it up to date.
    #[arg(long)]
    pub(crate) state: Option<PathBuf>,
    /// Tell of progress on standard error where that is no terminal, too.
    #[arg(long)]
    pub(crate) progress: bool,
    /// How to reach a bucket: `endpoint`, `region`, `access_key_file`, `secret_key_file` (TOML). Without it, the variables
    /// `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` say so.
    #[arg(long)]
    pub(crate) s3: Option<PathBuf>,
    /// Ask for a quorum of cosignatures: a trust policy (c2sp.org/tlog-policy) of your own.
    #[arg(long)]
    pub(crate) witnesses: Option<PathBuf>,
    /// Compare with what the anchors in this file keep (the form of `anchors.toml`).
    #[arg(long)]
    pub(crate) anchors: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Read every byte of a log and check everything that can be checked.
    Verify(VerifyLog),
    /// Write a proof file for records: each proves its record and clauses offline, with the key alone.
    Prove {
        /// A data directory, a bare copy of a log directory, or a URL.
        source: String,
        /// Numbers of the records.
        #[arg(required = true)]
        records: Vec<u64>,
        /// The verifier key, or a file that holds it.
        #[arg(long)]
        vkey: String,
        /// Where the files go, named `<record>.tlog-proof`.
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
    /// Check a proof file.
    Check {
        /// The proof file.
        file: PathBuf,
        /// The verifier key, or a file that holds it.
        #[arg(long)]
        vkey: String,
        /// Ask for a quorum of cosignatures: a trust policy (c2sp.org/tlog-policy).
        #[arg(long)]
        witnesses: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
    /// Prove that one checkpoint continues another; prints the hashes of the proof (RFC 6962).
    Consistency {
        /// A data directory, a bare copy of a log directory, or a URL.
        source: String,
        /// The verifier key, or a file that holds it.
        #[arg(long)]
        vkey: String,
        /// File of the older checkpoint.
        #[arg(long)]
        old: PathBuf,
        /// File of the newer one.
        #[arg(long)]
        new: PathBuf,
    },
    /// Show who cosigned the newest witnessed checkpoint.
    Witness {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Take the newest checkpoint to every anchor of `anchors.toml` now.
    Anchor {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Move the older records to cold storage: the disk shrinks, and the log stays whole.
    Archive {
        /// The directory that takes them, on other storage; without it the one of the last time.
        #[arg(long)]
        to: Option<PathBuf>,
        /// Those before this record.
        #[arg(
            long,
            required_unless_present = "older_than",
            conflicts_with = "older_than"
        )]
        before: Option<u64>,
        /// Those older than so many days.
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Print the last checkpoint.
    Checkpoint {
        #[command(flatten)]
        dir: Dir,
    },
    /// The log's key: list, protect, unprotect, rotate.
    #[command(subcommand)]
    Key(LogKeyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogKeyCommand {
    /// List the keys that the log has had, and what each may sign.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Put the key's file behind a passphrase: that of `--passphrase-file`, or one asked for.
    Protect {
        #[command(flatten)]
        dir: Dir,
        /// The file with the new passphrase, where the key has one already.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Take the key's file out from behind its passphrase.
    Unprotect {
        #[command(flatten)]
        dir: Dir,
    },
    /// Have a new key take over, while no server runs. Both keys sign that, in the log.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Why, in a line that everybody can read.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// The old key may be in other hands: what it signed is not to be believed by itself any more.
    #[arg(long, requires = "reason")]
    pub(crate) revoke: bool,
    #[command(flatten)]
    pub(crate) signer: NewSigner,
}

/// Another program that signs for the log, in place of a key in a file.
#[derive(Clone, Debug, Args)]
pub(crate) struct NewSigner {
    /// Its public key: a verifier key, or a file with one or with an Ed25519 public key in PEM or DER.
    #[arg(long, value_name = "KEY", requires = "signer_command")]
    pub(crate) signer_key: Option<String>,
    /// Seconds that it may take over one signature.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) signer_timeout: u64,
    /// The program with its arguments, as the last option: it gets the bytes to sign on standard input, and prints the
    /// signature (64 bytes, or their base64). Others can see arguments: no secret belongs here.
    #[arg(long, value_name = "PROGRAM ARGS", num_args = 1.., allow_hyphen_values = true, requires = "signer_key")]
    pub(crate) signer_command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Witness {
    /// Where it keeps its key and what it cosigned.
    #[arg(long, default_value = "./counterfoil-witness")]
    pub(crate) dir: PathBuf,
    /// Make it, under this name, like `example.com/witness`.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A log that it is to cosign: its verifier key, or a file that holds it. May be given again; is remembered.
    #[arg(long = "log")]
    pub(crate) logs: Vec<String>,
    /// Where to serve; without it the witness is set up, shown, and not run.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
}
