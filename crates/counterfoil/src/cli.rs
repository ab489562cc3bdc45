//! The command line: words that scripts depend on.

mod approval;
mod audit;
mod case;
mod certification;
mod common;
mod erase;
mod exception;
mod log;
mod mcp;
mod policy;
mod principal;
mod release;
mod serve;
mod signing;
mod webhook;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::common::Dir;
pub(crate) use self::{
    approval::ApprovalCommand,
    audit::{AuditCommand, ControlCommand, Query},
    case::{CaseCommand, Replay},
    certification::{CertificationCommand, Completion},
    common::{Form, Which},
    erase::{EraseCommand, HoldCommand},
    exception::{ExceptionCommand, Freeze, GlassCommand},
    log::{LogCommand, LogKeyCommand, NewSigner, Rotate, VerifyLog, Witness},
    mcp::Mcp,
    policy::{Import, PolicyCheck, PolicyCommand, ThresholdCommand},
    principal::{
        ComesWith, DelegationCommand, GroupCommand, KeyCommand, PrincipalCommand, RoleWord,
    },
    release::{Pinning, ReleaseCommand},
    serve::{Demo, Init, Rebuild, Run, Serve, SignIn, TlsFiles},
    signing::{Otherwise, Signing, Standing},
    webhook::WebhookCommand,
};

/// Separation of duties for teams of AI agents, with an audit trail that an auditor accepts.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The file with the passphrase of the log's key, where the key is protected: mode 0600, or a systemd credential.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up the accounts-payable example, run its cases and serve the console.
    Demo(Demo),
    /// Make a data directory with its log and keys.
    Init(Init),
    /// Serve the console and the HTTP door, and go on with cases as humans sign.
    Serve(Serve),
    /// Speak MCP over stdin and stdout to a local client, and carry its messages to the door of a running server.
    Mcp(Mcp),
    /// Open a case, or go on with open ones, as far as agents can.
    Run(Run),
    /// Fold the whole log anew, compare with the folds that were written down, and write one.
    Rebuild(Rebuild),
    /// Cases: list, show the chain of custody, replay.
    #[command(subcommand)]
    Case(CaseCommand),
    /// Requests for approval: list, show, approve, reject, withdraw.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Releases: build from a directory, promote, list, diff.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Policy clauses: list, show, search; check a hypothetical call.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Thresholds: list, show, sign.
    #[command(subcommand)]
    Threshold(ThresholdCommand),
    /// Exceptions: list, triage.
    #[command(subcommand)]
    Exception(ExceptionCommand),
    /// Emergencies that nobody has reviewed: list, review.
    #[command(subcommand)]
    Glass(GlassCommand),
    /// Controls: list, test, report.
    #[command(subcommand)]
    Control(ControlCommand),
    /// Stop one agent, team, tool or everything, at once; without any of them, list what is frozen. It works by a file in the
    /// data directory, whether or not a server answers.
    Freeze(Freeze),
    /// Lift a freeze: an owner signs, but not of the very agent that was stopped.
    Unfreeze {
        /// The record that placed it, as `freeze` lists it.
        freeze: u64,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Legal holds on data subjects: place, lift, list.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Erase what is kept of a data subject, by two people: request, confirm, list.
    #[command(subcommand)]
    Erase(EraseCommand),
    /// The auditor's desk: query, overrides, re-perform.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The log: verify, checkpoint.
    #[command(subcommand)]
    Log(LogCommand),
    /// Cosign the checkpoints of logs: a witness that anybody can run, best on another machine.
    Witness(Witness),
    /// Who outside is told of approvals and exceptions: list, test, resume; make a secret.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Principals: add, list, set, revoke.
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Who may sign approvals for whom, for a time: add, list, end.
    #[command(subcommand)]
    Delegation(DelegationCommand),
    /// Certifications: add, assess, end, list.
    #[command(subcommand)]
    Certification(CertificationCommand),
    /// Print a one-time link for signing in to the console.
    SignIn(SignIn),
    /// The example's bank: an MCP server on standard input and output.
    #[command(hide = true)]
    Treasury {
        /// Its database.
        #[arg(long)]
        db: PathBuf,
        /// Milliseconds to wait before and after writing, for tests.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
    /// The example's books: an MCP server on standard input and output.
    #[command(hide = true)]
    Books {
        /// The directory with its CSV files.
        #[arg(long)]
        data: PathBuf,
    },
}
