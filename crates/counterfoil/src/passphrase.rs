//! The passphrase of the log's key: from a file, or a person at a terminal. Never from an environment variable or the
//! command line, where others could read it.

use std::{
    io::IsTerminal as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use store::{Passphrase, StoreError, secret};
use zeroize::Zeroizing;

use crate::fail::Failure;

/// The file that was named on the command line. One process has one command line.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Where systemd puts a service's credentials (`LoadCredential=`, `LoadCredentialEncrypted=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Takes the file down that was named on the command line.
pub(crate) fn name_file(file: Option<PathBuf>) {
    if let Some(file) = file {
        // Called once, before anything else.
        let _ = FILE.set(file);
    }
}

/// The passphrase in the file that was named, where one was.
pub(crate) fn named() -> Result<Option<Passphrase>, StoreError> {
    FILE.get().map(|file| read(file)).transpose()
}

/// The passphrase that opens the log's key of the data directory `dir`.
pub(crate) fn unlock(dir: &Path) -> Result<Passphrase, StoreError> {
    if let Some(passphrase) = named()? {
        return Ok(passphrase);
    }
    let path = dir.join("keys/log.key");
    if !std::io::stdin().is_terminal() {
        return Err(StoreError::Protected { path });
    }
    ask(&format!("passphrase of `{}`: ", path.display()))
}

/// A passphrase for a key that has none yet: from `file`, from the file named for the command, or asked for twice.
pub(crate) fn fresh(file: Option<&Path>) -> Result<Passphrase, Failure> {
    let given = match file {
        Some(file) => Some(read(file)?),
        None => named()?,
    };
    if let Some(given) = given {
        return Ok(given);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask for a passphrase on: give the file that holds it with `--passphrase-file`",
        ));
    }
    let first = ask("new passphrase: ")?;
    if *first != *ask("and once more: ")? {
        return Err(Failure::usage(
            "the two are not the same; nothing was changed",
        ));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<Passphrase, StoreError> {
    let answer = rpassword::prompt_password(prompt);
    answer.map(Zeroizing::new).map_err(|e| {
        StoreError::Key(format!(
            "no passphrase could be read from the terminal: {e}"
        ))
    })
}

/// The file's one line.
fn read(file: &Path) -> Result<Passphrase, StoreError> {
    let bytes = if is_credential(file)? {
        let failed = |e: std::io::Error| StoreError::Io {
            path: file.to_owned(),
            why: e.to_string(),
        };
        Zeroizing::new(std::fs::read(file).map_err(failed)?)
    } else {
        secret::read_secret(file)?
    };
    let refuse =
        |why: &str| StoreError::Key(format!("the passphrase file `{}` {why}", file.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    if line.is_empty() || line.contains('\n') {
        return Err(refuse("must hold one line, the passphrase"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Whether it is one of this service's credentials. They belong to root and are opened to the service by an access list,
/// which shows as permission for the group.
fn is_credential(file: &Path) -> Result<bool, StoreError> {
    let Some(home) = std::env::var_os(CREDENTIALS).filter(|home| !home.is_empty()) else {
        return Ok(false);
    };
    let (Ok(file), Ok(home)) = (file.canonicalize(), Path::new(&home).canonicalize()) else {
        return Ok(false);
    };
    let mode = std::fs::metadata(&file).map_or(0o777, |m| m.permissions().mode());
    Ok(file.starts_with(home) && mode & 0o027 == 0)
}
