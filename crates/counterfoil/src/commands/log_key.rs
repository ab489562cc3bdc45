//! `log key`: list, protect, unprotect, rotate.

use std::path::Path;

use ed25519_dalek::{VerifyingKey, pkcs8::DecodePublicKey as _};
use engine::{Engine, Options};
use ledger::{Verifier, rotation::Act};
use serde_json::json;
use store::{DataDir, NewKey, SignerConfig};

use crate::{
    cli::{LogKeyCommand, NewSigner, Rotate},
    fail::Failure,
    passphrase, show, site,
};

pub(crate) async fn run(command: LogKeyCommand) -> Result<(), Failure> {
    match command {
        LogKeyCommand::List { dir, form } => list(&dir.dir, form.json),
        LogKeyCommand::Protect {
            dir,
            new_passphrase_file,
        } => {
            let open = open(&dir.dir)?;
            let fresh = passphrase::fresh(new_passphrase_file.as_deref())?;
            open.protect(&|| passphrase::unlock(&dir.dir), Some(&fresh))?;
            show::line("the log's key opens with its passphrase alone from now on");
            Ok(())
        }
        LogKeyCommand::Unprotect { dir } => {
            open(&dir.dir)?.protect(&|| passphrase::unlock(&dir.dir), None)?;
            show::line("the log's key is in its file without protection");
            Ok(())
        }
        LogKeyCommand::Rotate(rotate) => rotated(rotate).await,
    }
}

fn open(dir: &Path) -> Result<DataDir, Failure> {
    let unlock = || passphrase::unlock(dir);
    Ok(DataDir::open_with(dir, &site::guards()?, &unlock)?)
}

fn list(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let opened = evidence::open_at(&dir.display().to_string()).map_err(Failure::unavailable)?;
    let vkey = opened
        .vkey()
        .ok_or_else(|| Failure::unavailable(format!("`{}` has no `log.vkey`", dir.display())))?;
    let key = Verifier::from_vkey(&vkey).map_err(Failure::unavailable)?;
    let chain = ledger::rotation::Chain::read(&*opened.source, &key).map_err(Failure::check)?;
    let mut from = None;
    for (at, key) in chain.keys().iter().enumerate() {
        let ended = chain.statements().get(at).map(|signed| &signed.statement);
        if as_json {
            show::json(&json!({
                "key": key.vkey(), "above": from, "to": ended.map(|s| s.size),
                "act": ended.map(|s| s.act.word()), "reason": ended.map(|s| &s.reason),
            }));
        } else {
            let above = from.map_or("from the beginning".to_owned(), |n| {
                format!("above {n} records")
            });
            let until = ended.map_or(", in force".to_owned(), |s| {
                let why = if s.reason.is_empty() { "" } else { ": " };
                format!(" to {}, then {}{why}{}", s.size, s.act.word(), s.reason)
            });
            show::line(&format!("{key}\n    signs checkpoints {above}{until}"));
        }
        from = ended.map(|s| s.size);
    }
    Ok(())
}

async fn rotated(rotate: Rotate) -> Result<(), Failure> {
    let dir = &rotate.dir.dir;
    let engine = Engine::open(dir, options(dir)?).await?;
    let origin = engine.dir().origin().to_owned();
    let old = engine.dir().vkey();
    let external = signer(&rotate.signer, &origin)?;
    // A key that was protected is followed by one that is.
    let protected = external.is_none() && is_protected(dir);
    let passphrase = match protected {
        true => Some(passphrase::unlock(dir)?),
        false => None,
    };
    let new = match external {
        Some(config) => NewKey::External(config),
        None => NewKey::File {
            passphrase: passphrase.as_ref().map(|p| p.as_str()),
        },
    };
    let act = if rotate.revoke {
        Act::Revoked
    } else {
        Act::Rotated
    };
    let vkey = engine.rotate_key(&new, act, rotate.reason.trim())?;
    show::line(&format!("the log's key is now {vkey}"));
    let later = |e: Failure| Failure {
        message: format!(
            "the key is changed; its record and first checkpoint follow at the next start: {}",
            e.message
        ),
        ..e
    };
    // The first record under the new key is the change itself.
    let finish =
        async || -> Result<(), Failure> { Ok(Engine::open(dir, options(dir)?).await?.close()?) };
    finish().await.map_err(later)?;
    show::line(&format!("it was {old}"));
    show::line("next: hand the new verifier key to auditors, and tell every witness of it");
    Ok(())
}

fn options(dir: &Path) -> Result<Options, Failure> {
    let home = dir.to_owned();
    Ok(Options {
        unlock: Some(Box::new(move || passphrase::unlock(&home))),
        ..Options::new(&site::guards()?)
    })
}

fn is_protected(dir: &Path) -> bool {
    let key = store::secret::read_secret(&dir.join("keys/log.key"));
    key.is_ok_and(|bytes| bytes.starts_with(b"-----BEGIN ENCRYPTED"))
}

/// The external signer that the command line describes, if it does.
pub(crate) fn signer(given: &NewSigner, origin: &str) -> Result<Option<SignerConfig>, Failure> {
    let Some(key) = &given.signer_key else {
        return Ok(None);
    };
    Ok(Some(SignerConfig {
        vkey: public_key(key, origin)?.vkey(),
        command: given.signer_command.clone(),
        timeout_seconds: given.signer_timeout,
    }))
}

/// A verifier key, given as itself, or in a file with it or with an Ed25519 public key (SubjectPublicKeyInfo, PEM or DER).
fn public_key(given: &str, origin: &str) -> Result<Verifier, Failure> {
    let refuse = |why: String| Failure::usage(format!("`{given}`: {why}"));
    let path = Path::new(given);
    if !path.is_file() {
        return Verifier::from_vkey(given).map_err(|e| refuse(e.to_string()));
    }
    let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) if text.starts_with("-----BEGIN") => {
            VerifyingKey::from_public_key_pem(text.trim_end())
        }
        Ok(text) if text.starts_with(origin) => {
            return Verifier::from_vkey(text).map_err(|e| refuse(e.to_string()));
        }
        _ => VerifyingKey::from_public_key_der(&bytes),
    };
    let key = key.map_err(|e| refuse(format!("not an Ed25519 public key: {e}")))?;
    Verifier::new(origin, key.as_bytes()).map_err(|e| refuse(e.to_string()))
}
