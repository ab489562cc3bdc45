//! The command line: words that scripts depend on.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::logging::Format;

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

/// Which data directory.
#[derive(Clone, Debug, Args)]
pub(crate) struct Dir {
    /// The data directory.
    #[arg(long, env = "COUNTERFOIL_DIR", default_value = "./counterfoil")]
    pub(crate) dir: PathBuf,
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Form {
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
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

#[derive(Debug, Subcommand)]
pub(crate) enum ControlCommand {
    /// List the catalogue: what is asserted, how it is tested, which criteria it answers to.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Attempt every violation of the catalogue under a release; all must be refused. The results are recorded for exactly
    /// that release, which a promotion needs, unless it is a directory.
    Test {
        /// The release's digest, or its first digits; without it, the release in force in `--env`.
        #[arg(conflicts_with = "release")]
        digest: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Assert every control over every record; exit 1 where one is violated.
    Report {
        /// A data directory, a bare copy of a log, or its URL; without it `--dir`.
        place: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// The log's verifier key, or a file with it: then the log is verified and re-performed too.
        #[arg(long)]
        vkey: Option<String>,
        #[command(flatten)]
        form: Form,
    },
}

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

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
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

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// List cases.
    List {
        #[command(flatten)]
        dir: Dir,
        /// Only those that ended so, or `open`.
        #[arg(long)]
        outcome: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Show a case's chain of custody.
    Show {
        /// The case.
        id: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Go through a case step by step, with the exact inputs that each agent saw.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The document.
    pub(crate) file: PathBuf,
    /// The letters that begin the ids of its clauses, where it does not give them whole: `PAY`.
    #[arg(long, value_name = "LETTERS")]
    pub(crate) id: String,
    /// Which edition it is.
    #[arg(long)]
    pub(crate) edition: String,
    /// Which document it is an edition of; the letters, where it is not said.
    #[arg(long)]
    pub(crate) document: Option<String>,
    /// The first day in force, like `2026-01-31`.
    #[arg(long, value_name = "DAY")]
    pub(crate) effective: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Its title, in the place of the one that it says.
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// The edition before: clauses keep its ids.
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Where the policy document goes; to standard output where it is not said. A file that is there is not written over.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Go on without what cannot be taken over.
    #[arg(long)]
    pub(crate) leave_out: bool,
    /// Take the ids that are guesses.
    #[arg(long)]
    pub(crate) confirm_ids: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The case.
    pub(crate) id: String,
    /// Make what language models were asked again, read what they answered again, and say what differs. Nobody is asked.
    #[arg(long, conflicts_with = "live")]
    pub(crate) model: bool,
    /// Ask the language models the same again, as they are now, and say what differs. It sends the case's data to their
    /// endpoints, and records nothing.
    #[arg(long)]
    pub(crate) live: bool,
    /// Send it: without this, `--live` only says what it would send.
    #[arg(long, requires = "live")]
    pub(crate) yes: bool,
    /// Send no more than so many questions.
    #[arg(long, requires = "live", value_name = "N")]
    pub(crate) most: Option<usize>,
    /// Where the models are, in the place of the data directory's `models.toml`.
    #[arg(long, requires = "live", value_name = "FILE")]
    pub(crate) models: Option<PathBuf>,
    /// The snapshots beside a bare copy of a log; the keys of their data subjects are in `../keys/subjects`, seen from there.
    #[arg(long, value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// Who decides, and why.
#[derive(Debug, Args)]
pub(crate) struct Signing {
    /// Who signs; the key is `keys/people/<id>.pem` of the data directory unless `--key` names another file.
    #[arg(long = "as", value_name = "PERSON")]
    pub(crate) person: String,
    /// The PKCS#8 PEM file with the Ed25519 key.
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

/// Other ways to sign than with a key file of ours.
#[derive(Debug, Args)]
pub(crate) struct Otherwise {
    /// Sign with this SSH key, by `ssh-keygen`: a private key, or a public one whose private key an agent holds.
    #[arg(long, value_name = "KEYFILE", conflicts_with_all = ["key", "credential"])]
    pub(crate) ssh: Option<PathBuf>,
    /// With which credential it is signed elsewhere.
    #[arg(long, conflicts_with = "key")]
    pub(crate) credential: Option<String>,
    /// The signature that was made elsewhere: an armored SSH signature, or a passkey's assertion.
    #[arg(long, value_name = "FILE", requires_all = ["credential", "signed"])]
    pub(crate) signature: Option<PathBuf>,
    /// When the statement says that it was signed, as the first call printed it.
    #[arg(long, value_name = "TIME", requires = "signature")]
    pub(crate) signed: Option<String>,
}

/// In which stage, for whom and for which listed reason.
#[derive(Debug, Args)]
pub(crate) struct Standing {
    /// The stage that it counts in; needed only where more than one is open to whoever signs.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// The person for whom a deputy signs.
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) on_behalf: Option<String>,
    /// The reason code of an override, where the release lists such codes.
    #[arg(long)]
    pub(crate) code: Option<String>,
}

/// Who signs, where somebody does.
#[derive(Debug, Args)]
pub(crate) struct MaybeSigning {
    /// Who signs; the key is `keys/people/<id>.pem` of the data directory unless `--key` names another file.
    #[arg(long = "as", value_name = "PERSON")]
    pub(crate) person: Option<String>,
    /// The PKCS#8 PEM file with the Ed25519 key.
    #[arg(long, requires = "person")]
    pub(crate) key: Option<PathBuf>,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

impl MaybeSigning {
    /// With the person, where one is named.
    pub(crate) fn whole(self) -> Option<Signing> {
        Some(Signing {
            person: self.person?,
            key: self.key,
            reason: self.reason,
        })
    }
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Check a release directory and put it into the log.
    Build {
        /// The directory with `team.toml`.
        path: PathBuf,
        /// Only check it.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        author: MaybeSigning,
    },
    /// Sign a release as its author, where `release build` did not: who signs so cannot promote it.
    Sign {
        /// The release's digest, or its first digits.
        digest: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: MaybeSigning,
    },
    /// Point an environment at a release. Anywhere but in `dev`, where effects are simulated, a human who is not its author
    /// signs (`--as`, `--reason`), and its control tests have passed.
    Promote {
        /// The release's digest, or its first digits.
        digest: String,
        /// The environment.
        #[arg(long)]
        env: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: MaybeSigning,
    },
    /// Point an environment back at the release before, as a promotion like any other.
    Rollback {
        /// The environment.
        #[arg(long)]
        env: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List releases and the environments that point at them.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Say what changed between two releases, in words, and what of it loosens.
    Diff {
        /// The older: a digest in the log, or a directory.
        from: String,
        /// The newer.
        to: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// List the tools that the servers of `targets.toml` offer now, and how that differs from a release's pins; exit 1 where a
    /// pinned tool changed.
    Tools {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Write what a server says of its tools into a release's directory, as pins.
    Pin(Pinning),
    /// Say who could ever hold two incompatible duties under a release, and through what; exit 1 where anybody could.
    Conflicts {
        /// A digest in the log, or a directory.
        release: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

/// What of which server is pinned where.
#[derive(Debug, Args)]
pub(crate) struct Pinning {
    /// The directory with `team.toml`.
    pub(crate) path: PathBuf,
    /// The server, as `targets.toml` names it.
    #[arg(long)]
    pub(crate) server: String,
    /// Also pin what `team.toml` does not name yet, and add a `[[tool]]` for it there; without it such entries are printed.
    #[arg(long)]
    pub(crate) add: bool,
    /// Of what is not named yet, this tool alone; may be given several times.
    #[arg(long, requires = "add")]
    pub(crate) tool: Vec<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
}

/// A release: in the log, or a directory.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A directory with a release; without it, the release in force in `--env`.
    #[arg(long)]
    pub(crate) release: Option<PathBuf>,
    /// The environment.
    #[arg(long, default_value = "staging")]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) dir: Dir,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Bring in a document that other software wrote (.md, .txt, .html, .docx, .pdf), with ids that stay over editions.
    Import(Import),
    /// List clauses.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Show one clause, and what rests on it.
    Show {
        /// Its id.
        id: String,
        /// The edition in force on this day (UTC) or at this time; now, where none is named.
        #[arg(long, value_name = "DAY")]
        as_of: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Search clauses as agents do, and say why each was found.
    Search {
        /// What to look for.
        query: String,
        /// Clauses in force on this day (UTC) or at this time; now, where none is named.
        #[arg(long, value_name = "DAY")]
        as_of: Option<String>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Compare two editions: clauses added, removed, reworded and renumbered, and what rests on each.
    Diff {
        /// A document, a directory with a release, or the digest of a release in the log.
        from: String,
        /// Another.
        to: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Make the vectors that a release needs to rank by meaning, and write them into its directory.
    Embed {
        /// The directory with the release, whose `team.toml` names the embedder.
        path: PathBuf,
        #[command(flatten)]
        dir: Dir,
    },
    /// Say what would be said of a call, by which rules and clauses; nothing is recorded. Exit code 3 where it is refused.
    Check(Box<PolicyCheck>),
}

/// A call that nobody makes.
#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// The agent.
    #[arg(long)]
    pub(crate) agent: String,
    /// The tool, `<server>.<tool>`.
    #[arg(long)]
    pub(crate) tool: String,
    /// Its arguments as a JSON object, or `@` and a file that holds it.
    #[arg(long, default_value = "{}")]
    pub(crate) args: String,
    /// A case under way: its facts, subject, environment and release.
    #[arg(long, conflicts_with_all = ["facts", "subject", "env"])]
    pub(crate) case: Option<String>,
    /// Facts as a JSON object of namespaces, or `@` and a file that holds it.
    #[arg(long, default_value = "{}")]
    pub(crate) facts: String,
    /// What the case would be about.
    #[arg(long, default_value = "hypothetical")]
    pub(crate) subject: String,
    /// The environment; without `--case`, `staging` where none is named.
    #[arg(long)]
    pub(crate) env: Option<String>,
    /// A directory with a release, or the digest of one in the log; without it that of the case, or the one in force.
    #[arg(long)]
    pub(crate) release: Option<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ThresholdCommand {
    /// List thresholds: signatures, use, what is left, and when they end, in each environment that runs the release.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Show one threshold, with use and headroom by key.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        form: Form,
    },
    /// Sign a threshold as one of the people who answer for it.
    Sign {
        /// Its id.
        id: String,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        sign: Signing,
    },
}

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
pub(crate) enum HoldCommand {
    /// Sign that nothing of a data subject may be erased: owners, approvers and auditors may.
    Place {
        /// The subject as its cases name it, or its id.
        subject: String,
        /// The law, contract or policy clause behind it.
        #[arg(long)]
        clause: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Sign that one hold ends: owners and approvers may.
    Lift {
        /// The record that placed it.
        record: u64,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List holds in force.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EraseCommand {
    /// Ask for it, as the first of two people: owners and approvers may.
    Request {
        /// The subject as its cases name it, or its id.
        subject: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// Confirm it, as the second. What is kept is destroyed for good.
    Confirm {
        /// The subject as its cases name it, or its id.
        subject: String,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        sign: Signing,
    },
    /// List what waits for a second person, and what was erased.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Find records.
    Query(Box<Query>),
    /// How often humans decided against each agent, in which direction, by reason code and by cited clause.
    Overrides {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        form: Form,
    },
    /// Measure how people sign: faster than reading, always the same pair, always yes.
    Approvers {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// How many seconds reading takes: what came sooner is counted.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
        #[command(flatten)]
        form: Form,
    },
    /// Run every recorded decision again and compare.
    Reperform {
        /// A data directory, a bare copy of a log directory, or a URL; without it `--dir`.
        source: Option<String>,
        #[command(flatten)]
        dir: Dir,
        /// Use this release's rules in place of those in the log, to see what would change.
        #[arg(long)]
        release: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// A data directory, or a bare copy of a log directory; without it `--dir`.
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Records that cite this clause.
    #[arg(long)]
    pub(crate) clause: Option<String>,
    /// Records of this agent.
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Records of, or signed by, this principal.
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// Records of this case.
    #[arg(long)]
    pub(crate) case: Option<String>,
    /// Cases of this risk tier.
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// Records of this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Cases with this outcome.
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Cases with this fact, like `vendor.id=V0007`.
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// Records from this moment, like `2026-01-01T00:00:00.000Z`.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Records before this moment.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: u32,
    /// Compare the whole index with the log first; end with 1 where they differ, and leave the index as it is. Without it, an
    /// index that differs is told of and built anew, and the index of a log of more than 100,000 records is compared row by
    /// row of the answer only.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

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
