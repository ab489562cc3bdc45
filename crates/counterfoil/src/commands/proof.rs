//! What an agent or a service proves itself with, as the command line names it.

use std::path::Path;

use duty::{jwt::Subject, principal::Proof};
use gateway::identity::Identity;

use crate::{cli::ComesWith, fail::Failure, tls};

/// What others issue, each with its sort as ids of credentials have it.
pub(super) fn issued(
    dir: &Path,
    comes_with: &ComesWith,
) -> Result<Vec<(&'static str, Proof)>, Failure> {
    let mut proofs = Vec::new();
    if let ComesWith {
        issuer: Some(issuer),
        audience: Some(audience),
        subject: Some(subject),
        ..
    } = comes_with
    {
        let subject = Subject::new(issuer, audience, subject).map_err(Failure::usage)?;
        pinned(dir, &subject)?;
        proofs.push(("jwt", Proof::Jwt(subject)));
    }
    if let Some(file) = &comes_with.certificate {
        let spki = tls::spki_of_file(file)?;
        proofs.push(("certificate", Proof::Certificate { spki }));
    }
    Ok(proofs)
}

/// Refuses the subject of tokens that no door would take: its principal would be locked out, and nobody would know why.
fn pinned(dir: &Path, subject: &Subject) -> Result<(), Failure> {
    let identity = Identity::open(dir).map_err(Failure::usage)?;
    identity.pins(subject).map_err(|why| {
        Failure::usage(format!(
            "{why} in `{}`: no token of it would be taken, and nothing was recorded; write it there as `[issuers.NAME]`, start the server anew, and come again",
            dir.join(Identity::FILE).display()
        ))
    })
}

/// Says where a token that was made now is.
pub(super) fn say_where(file: &Path) {
    println!(
        "the secret is in {}; give it to its owner and remove it here",
        file.display()
    );
}
