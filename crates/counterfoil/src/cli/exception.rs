//! What goes another way than planned: `exception`, `glass`, `freeze`.

use clap::{Args, Subcommand};

use super::{
    common::{Dir, Form},
    signing::Signing,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ExceptionCommand {
    /// List exceptions.
    List {
        #[command(flatten)]
        dir: Dir,
        /// Also those that were triaged.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Sign what was found and done.
    Triage {
        /// The exception.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GlassCommand {
    /// List emergencies that wait for their review.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Sign what was found about one; whoever broke the glass cannot.
    Review {
        /// The grant that was given, as `glass list` shows it.
        grant: String,
        /// It was not right to break it.
        #[arg(long)]
        unjustified: bool,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Freeze {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Everything: all agents, and cases that would open.
    #[arg(long, conflicts_with_all = ["agent", "team", "tool"])]
    pub(crate) everything: bool,
    /// One agent, and those that act for it.
    #[arg(long, conflicts_with_all = ["team", "tool"])]
    pub(crate) agent: Option<String>,
    /// The agents of one team.
    #[arg(long, conflicts_with = "tool")]
    pub(crate) team: Option<String>,
    /// One tool, `<server>.<tool>`.
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) form: Form,
}
