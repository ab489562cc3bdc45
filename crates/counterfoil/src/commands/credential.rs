//! `principal key`: credentials of principals that are there already.

use std::path::{Path, PathBuf};

use duty::{
    canonical::to_vec,
    name::{CredentialId, PrincipalId},
    principal::{PrincipalKind, Proof},
    request::{AddCredential, Given, Request, RevokeCredential, Whose},
    signature::Signature,
    state::State,
    statement::{CredentialStatement, Signed},
};
use serde_json::json;

use super::proof;
use crate::{
    cli::{ComesWith, KeyCommand},
    door::{As, Door},
    fail::{Failure, named},
    keys,
    show::Listing,
    ssh,
};

pub(crate) async fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Add {
            id,
            ssh,
            comes_with,
            credential,
            signature,
            dir,
        } => {
            let (id, credential) = (named(&id)?, credential.as_deref());
            match ssh {
                Some(ssh) => add(&dir.dir, id, &ssh, credential, signature.as_deref()).await,
                None => give(&dir.dir, id, &comes_with, credential).await,
            }
        }
        KeyCommand::Revoke {
            credential,
            reason,
            dir,
        } => {
            let door = Door::open(&dir.dir).await?;
            let request = Request::RevokeCredential(RevokeCredential {
                credential: named(&credential)?,
                reason,
            });
            let records = door.submit(As::Admin, request).await?;
            println!(
                "credential `{credential}` revoked: record {}",
                records[0].seq
            );
            door.close()
        }
        KeyCommand::List { person, dir, form } => {
            let only = person.as_deref().map(named).transpose()?;
            list(&super::state_of(&dir.dir)?, only.as_ref(), form.json);
            Ok(())
        }
    }
}

async fn add(
    dir: &Path,
    person: PrincipalId,
    file: &Path,
    credential: Option<&str>,
    signature: Option<&Path>,
) -> Result<(), Failure> {
    let public = ssh::public_key(file)?;
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let credential = named_or_free(credential, &state, &person, "ssh")?;
    let statement = CredentialStatement {
        statement: CredentialStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        signer: person.clone(),
        credential: credential.clone(),
    };
    let Some(signature) = signature else {
        let bytes = to_vec(&statement).map_err(Failure::usage)?;
        println!("{}", ssh::how_to_sign(&bytes));
        eprintln!(
            "nothing was recorded: let `{person}` run these two commands with the new key, then come again with `--credential {credential} --signature statement.json.sig`"
        );
        return door.close();
    };
    let request = Request::AddCredential(AddCredential {
        proof: Proof::Ssh { public },
        whose: Whose::Shown(Signed {
            statement,
            signature: read(signature)?,
        }),
    });
    let records = door.submit(As::Admin, request).await?;
    println!("`{person}` has `{credential}`: record {}", records[0].seq);
    door.close()
}

/// Gives an agent or a service one credential more.
async fn give(
    dir: &Path,
    id: PrincipalId,
    comes_with: &ComesWith,
    credential: Option<&str>,
) -> Result<(), Failure> {
    let mut issued = proof::issued(dir, comes_with)?;
    let issued = match (issued.pop(), issued.is_empty(), comes_with.token) {
        (Some(one), true, false) => Some(one),
        (None, _, true) => None,
        _ => {
            return Err(Failure::usage(
                "name one thing: for a person `--ssh`; for an agent or a service `--issuer` with `--audience` and `--subject`, `--certificate`, or `--token`",
            ));
        }
    };
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let sort = issued.as_ref().map_or("token", |(sort, _)| *sort);
    let credential = named_or_free(credential, &state, &id, sort)?;
    let (proof, file) = match issued {
        Some((_, proof)) => (proof, None),
        None => {
            let file = file_of(dir, &state, &id, &credential)?;
            (keys::token_proof(&file)?, Some(file))
        }
    };
    let request = Request::AddCredential(AddCredential {
        proof,
        whose: Whose::Given(Given {
            principal: id.clone(),
            credential: credential.clone(),
        }),
    });
    let records = door.submit(As::Admin, request).await?;
    println!("`{id}` has `{credential}`: record {}", records[0].seq);
    if let Some(file) = file {
        proof::say_where(&file);
    }
    door.close()
}

/// The file of a later token: beside the first, where the built-in team finds it.
fn file_of(
    dir: &Path,
    state: &State,
    id: &PrincipalId,
    credential: &CredentialId,
) -> Result<PathBuf, Failure> {
    match state.principals.get(id).map(|p| p.kind) {
        Some(PrincipalKind::Agent) => Ok(keys::agent_file(dir, credential)),
        Some(PrincipalKind::Service) => Ok(keys::service_file(dir, credential)),
        Some(PrincipalKind::Human) | None => Err(Failure::usage(format!(
            "no agent and no service is called `{id}`; `principal list` shows them"
        ))),
    }
}

/// A signature that was made elsewhere: armored, or a passkey's assertion in JSON.
pub(crate) fn read(file: &Path) -> Result<Signature, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::usage(format!(
            "cannot read the signature `{}`: {e}",
            file.display()
        ))
    })?;
    if !text.trim_start().starts_with('{') {
        // A carrier may have turned the ends of its lines into others, or dropped the last; records hold what OpenSSH writes.
        let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
        let text = lines.join("\n");
        let armored = text.starts_with("-----BEGIN");
        return Ok(Signature::Text(if armored { text + "\n" } else { text }));
    }
    serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format!(
            "`{}` is neither an armored SSH signature nor a passkey's assertion: {e}",
            file.display()
        ))
    })
}

/// The person's credential with this SSH key.
pub(crate) fn with_ssh_key(
    state: &State,
    person: &PrincipalId,
    file: &Path,
) -> Result<CredentialId, Failure> {
    let key = ssh::public_key(file)?;
    let known = state.principals.get(person);
    let mut own = known.into_iter().flat_map(|p| p.signing());
    let found = own.find(|c| matches!(&c.proof, Proof::Ssh { public } if *public == key));
    found.map(|c| c.id.clone()).ok_or_else(|| {
        Failure::usage(format!(
            "the log records no credential in force of `{person}` with the key `{}`; `principal key list` shows those that there are",
            file.display()
        ))
    })
}

/// The id that was named, or the first of its sort that was never used.
fn named_or_free(
    credential: Option<&str>,
    state: &State,
    whose: &PrincipalId,
    sort: &str,
) -> Result<CredentialId, Failure> {
    if let Some(credential) = credential {
        return named(credential);
    }
    let ids = (1_u32..).map(|n| format!("{whose}.{sort}-{n}"));
    let mut free = ids.filter(|id| state.credentials.keys().all(|taken| taken.as_str() != id));
    named(&free.next().unwrap_or_default())
}

fn list(state: &State, only: Option<&PrincipalId>, as_json: bool) {
    let mut listing = Listing::new(as_json, &["credential", "principal", "kind", "in force"]);
    for (id, p) in &state.principals {
        if only.is_some_and(|only| only != id) {
            continue;
        }
        for credential in &p.credentials {
            let kind = match &credential.proof {
                Proof::Ed25519 { .. } => "ed25519",
                Proof::Passkey(_) => "passkey",
                Proof::Ssh { .. } => "ssh",
                Proof::Token { .. } => "token",
                Proof::Jwt(_) => "jwt",
                Proof::Certificate { .. } => "certificate",
                Proof::Local => "local",
            };
            let revoked = p.revoked || p.ended.contains(&credential.id);
            let value = json!({"id": credential.id, "principal": id, "proof": credential.proof,
                "counter": p.counters.get(&credential.id), "revoked": revoked});
            listing.row(
                &value,
                vec![
                    credential.id.to_string(),
                    id.to_string(),
                    kind.to_owned(),
                    if revoked { "revoked" } else { "yes" }.to_owned(),
                ],
            );
        }
    }
    listing.print("nobody has a credential");
}
