//! `certification`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{Dir, Form, Which};

/// A completion of a course.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The person.
    pub(crate) person: String,
    /// The course.
    pub(crate) course: String,
    /// In force for so many days from its completion; without it as many as the release gives, or 365.
    #[arg(long)]
    pub(crate) days: Option<u32>,
    /// When it was completed, like `2026-01-31T09:00:00.000Z`; without it now.
    #[arg(long)]
    pub(crate) completed: Option<String>,
    /// SHA-256 of the content that was passed; without it the content of the release in force.
    #[arg(long)]
    pub(crate) content: Option<String>,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertificationCommand {
    /// Record that a person passed a course.
    Add {
        #[command(flatten)]
        completion: Completion,
        /// Who assessed it: needed where the release declares the course.
        #[arg(long)]
        assessor: Option<String>,
    },
    /// Sign that somebody else passed a course of the release in force.
    Assess {
        #[command(flatten)]
        completion: Completion,
        /// The assessor, who signs.
        #[arg(long = "as", value_name = "PERSON")]
        assessor: String,
        /// The file with their key; without it the one under `keys/people`.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// End what a person passed of a course.
    End {
        /// The person.
        person: String,
        /// The course.
        course: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// List certifications, and until when they count by the release in force in `--env`.
    List {
        /// Only those that are over within so many days, or were over.
        #[arg(long, value_name = "DAYS")]
        expiring: Option<u32>,
        /// The environment.
        #[arg(long, default_value = "staging")]
        env: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}
