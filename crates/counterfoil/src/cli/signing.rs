//! Who signs, with what, and why.

use std::path::PathBuf;

use clap::Args;

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
