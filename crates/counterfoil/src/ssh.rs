//! Signing with SSH keys: by `ssh-keygen`, which knows files, agents and hardware.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use duty::ssh::{NAMESPACE, SshKey};

use crate::fail::Failure;

/// The public key of `file`: itself, or what lies beside a private key.
pub(crate) fn public_key(file: &Path) -> Result<SshKey, Failure> {
    let beside = {
        let mut name = file.as_os_str().to_owned();
        name.push(".pub");
        std::path::PathBuf::from(name)
    };
    let file = if beside.is_file() { &beside } else { file };
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::usage(format!(
            "cannot read the SSH public key `{}`: {e}",
            file.display()
        ))
    })?;
    SshKey::read(&text).map_err(|why| {
        Failure::usage(format!(
            "`{}` is not an SSH public key that is taken: {why}",
            file.display()
        ))
    })
}

/// Signs with the key in `file`; of a public key file, the agent signs.
pub(crate) fn sign(file: &Path, message: &[u8]) -> Result<String, Failure> {
    let away = |e: std::io::Error| {
        Failure::unavailable(format!(
            "`ssh-keygen` cannot be run: {e}; install OpenSSH's client (openssh-client), or sign elsewhere and give `--signature`"
        ))
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(away)?;
    if let Some(mut to) = child.stdin.take() {
        // Where it ends before it has read all, its own words say why.
        let _ = to.write_all(message);
    }
    let done = child.wait_with_output().map_err(away)?;
    if !done.status.success() {
        return Err(Failure::usage(format!(
            "`ssh-keygen` did not sign with `{}`; nothing was recorded",
            file.display()
        )));
    }
    String::from_utf8(done.stdout)
        .map_err(|_| Failure::unavailable("`ssh-keygen` answered something that is no text"))
}

/// The commands that sign `message` elsewhere, for a shell.
pub(crate) fn how_to_sign(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).replace('\'', r"'\''");
    format!(
        "printf '%s' '{text}' > statement.json\nssh-keygen -Y sign -n {NAMESPACE} -f KEYFILE statement.json"
    )
}
