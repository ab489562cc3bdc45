//! `approval`.

use clap::Subcommand;

use super::{
    common::{Dir, Form},
    signing::{Otherwise, Signing, Standing},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List what waits for humans.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Show what would be signed.
    Show {
        /// The request for approval.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Sign a yes to exactly this action. With `--credential` and no `--signature`, print the statement to be signed.
    Approve {
        /// The request for approval.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
        #[command(flatten)]
        otherwise: Otherwise,
        #[command(flatten)]
        standing: Standing,
        /// Say that this knowingly goes against the agents' recommendation.
        #[arg(long = "override")]
        overrides: bool,
    },
    /// Let it through in an emergency: with a reason, for minutes, and reviewed afterwards by somebody else. High risk takes two
    /// people. Only where the release has `[break_glass]`.
    BreakGlass {
        /// The request for approval that is passed over.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Sign a no. With `--credential` and no `--signature`, print the statement to be signed.
    Reject {
        /// The request for approval.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
        #[command(flatten)]
        otherwise: Otherwise,
        #[command(flatten)]
        standing: Standing,
    },
    /// Take a yes back, as long as its grant was not used: with a reason. A grant that rests on it is void then.
    Withdraw {
        /// The request for approval.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
}
