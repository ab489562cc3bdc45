//! `principal` and `delegation`: who there is, as what, and who stands in for whom.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    common::{Dir, Form},
    signing::Signing,
};

#[derive(Debug, Subcommand)]
pub(crate) enum PrincipalCommand {
    /// Add a human with a new signing key, or an agent or a service with a new token, or with tokens of an identity provider.
    Add {
        /// The id.
        id: String,
        /// A human.
        #[arg(long, conflicts_with_all = ["owner", "issuer", "certificate", "token"])]
        human: bool,
        /// A service, like an app that opens cases.
        #[arg(long, conflicts_with_all = ["owner", "human"])]
        service: bool,
        /// An agent of this human.
        #[arg(long, required_unless_present_any = ["human", "service"])]
        owner: Option<String>,
        /// What it may take part as. A human may have all roles from groups.
        #[arg(long = "role", required_unless_present = "human")]
        roles: Vec<RoleWord>,
        /// What is said of it, like `department=finance`; stages of an approval may ask for it.
        #[arg(long = "attribute", value_name = "NAME=VALUE")]
        attributes: Vec<String>,
        #[command(flatten)]
        comes_with: ComesWith,
        #[command(flatten)]
        dir: Dir,
    },
    /// Say anew what is said of a principal: all of it; what is not named is said no more.
    Set {
        /// The id.
        id: String,
        /// What is said, like `department=finance`.
        #[arg(long = "attribute", value_name = "NAME=VALUE")]
        attributes: Vec<String>,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// List principals.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Credentials of principals that are there already.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Groups: roles that several hold together.
    #[command(subcommand)]
    Group(GroupCommand),
    /// End a principal.
    Revoke {
        /// The id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        dir: Dir,
    },
}

/// A role as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    Analyst,
    Reviewer,
    Executor,
    Approver,
    Owner,
    Auditor,
    Intake,
}

/// What an agent or a service proves itself with.
#[derive(Debug, Args)]
pub(crate) struct ComesWith {
    /// Tokens (JWT) that this identity provider signs, by its `iss`; `identity.toml` of the data directory has to pin it.
    #[arg(long, requires_all = ["audience", "subject"])]
    pub(crate) issuer: Option<String>,
    /// For whom they are, by their `aud`.
    #[arg(long, requires = "issuer")]
    pub(crate) audience: Option<String>,
    /// Of whom they speak, by their `sub`.
    #[arg(long, requires = "issuer")]
    pub(crate) subject: Option<String>,
    /// A TLS client certificate in PEM. Its key counts, so that one that is renewed for the same key is the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// A bearer token that is made now. A new agent or service gets one where nothing else is said.
    #[arg(long)]
    pub(crate) token: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Give a person an SSH key to sign with, or an agent or a service tokens of an identity provider, a certificate or a bearer
    /// token beside what it has. For a person, without `--signature`, print what the person has to sign with it.
    Add {
        /// The person, the agent or the service.
        id: String,
        /// OpenSSH's public key file.
        #[arg(long, value_name = "FILE.pub", conflicts_with_all = ["issuer", "certificate", "token"])]
        ssh: Option<PathBuf>,
        #[command(flatten)]
        comes_with: ComesWith,
        /// The credential's id; like `<id>.jwt-1`, with the next free number, if not given.
        #[arg(long)]
        credential: Option<String>,
        /// What `ssh-keygen -Y sign` made.
        #[arg(long, value_name = "FILE", requires = "ssh")]
        signature: Option<PathBuf>,
        #[command(flatten)]
        dir: Dir,
    },
    /// End one credential: approvals given with it do not count any more.
    Revoke {
        /// The credential.
        credential: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// List credentials.
    List {
        /// Only those of this principal.
        person: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group. Its roles stay.
    Create {
        /// Its name.
        group: String,
        /// What whoever is in it may take part as.
        #[arg(long = "role", required = true)]
        roles: Vec<RoleWord>,
        #[command(flatten)]
        dir: Dir,
    },
    /// Put somebody into a group.
    Join {
        /// The group.
        group: String,
        /// Who.
        id: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// Take somebody out of a group.
    Leave {
        /// The group.
        group: String,
        /// Who.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// List groups with their roles and who is in them.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DelegationCommand {
    /// Let another human sign approvals for oneself. They sign in their own name; both count as one person.
    Add {
        /// Who may sign.
        deputy: String,
        /// For so many days, 30 at most.
        #[arg(long)]
        days: u32,
        /// From this moment, like `2026-01-01T00:00:00.000Z`; from now if not given.
        #[arg(long)]
        from: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List delegations whose time is not over.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// End one before its time: the delegator signs, or the deputy.
    End {
        /// The record that holds it, as `delegation list` shows it.
        record: u64,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
}
