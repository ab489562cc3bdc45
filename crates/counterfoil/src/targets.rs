//! `targets.toml`: the MCP servers behind a data directory.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use engine::target::Target;
use gateway::upstream::{Launch, Patience, Place, Remote, SHORTEST_SECRET, Tls, Upstream};
use serde::Deserialize;
use store::{config, secret};

use crate::fail::Failure;

/// The file that names target systems.
pub(crate) const TARGETS: &str = "targets.toml";

/// One target system.
///
/// `{dir}` in an argument stands for the data directory, `{self}` as the program for this executable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// A program to start.
    program: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    /// Environment variables whose values are in files below the data directory.
    #[serde(default)]
    secrets: BTreeMap<String, PathBuf>,
    /// Or an address to reach.
    url: Option<String>,
    /// Headers whose values are in files below the data directory.
    #[serde(default)]
    headers: BTreeMap<String, PathBuf>,
    /// The certificates of the authorities that vouch for it, in place of the system's.
    ca: Option<PathBuf>,
    /// The certificate that it is shown, with what it was issued with, and its key.
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default = "default_timeout")]
    timeout_seconds: u64,
    /// How old a look at the tools' descriptions may be when a pinned tool is called.
    #[serde(default = "default_recheck")]
    recheck_seconds: u64,
}

fn default_timeout() -> u64 {
    30
}

fn default_recheck() -> u64 {
    60
}

/// All of them by name; none where there is no file.
pub(crate) fn upstreams(dir: &Path) -> Result<BTreeMap<String, Upstream>, Failure> {
    let file = dir.join(TARGETS);
    let configs: Option<BTreeMap<String, Config>> = config::read(&file)?;
    let upstream = |(name, config): (String, Config)| {
        let wrong = |why: &str| Failure::usage(format!("`{}` [{name}]: {why}", file.display()));
        let patience = Patience {
            timeout: Duration::from_secs(config.timeout_seconds),
            recheck: Duration::from_secs(config.recheck_seconds),
        };
        let place = place(dir, config, &wrong)?;
        Ok((name, Upstream::new(place, patience)))
    };
    configs.into_iter().flatten().map(upstream).collect()
}

/// As [`upstreams`], for the engine.
pub(crate) fn targets(dir: &Path) -> Result<HashMap<String, Arc<dyn Target>>, Failure> {
    let upstreams = upstreams(dir)?.into_iter();
    let targets = upstreams.map(|(name, upstream)| (name, Arc::new(upstream) as Arc<dyn Target>));
    Ok(targets.collect())
}

fn place(dir: &Path, config: Config, wrong: &dyn Fn(&str) -> Failure) -> Result<Place, Failure> {
    let tls = tls(dir, &config, wrong)?;
    match (config.program, config.url) {
        (Some(program), None) => {
            if !config.headers.is_empty() || tls.is_some() {
                return Err(wrong(
                    "`headers`, `ca`, `certificate` and `key` are for a `url`; a program takes `secrets`",
                ));
            }
            let program = if program == "{self}" {
                std::env::current_exe()
                    .map_err(|e| Failure::unavailable(format!("this program's own path: {e}")))?
            } else {
                PathBuf::from(program)
            };
            let home = dir.display().to_string();
            let args = config.args.iter().map(|a| a.replace("{dir}", &home));
            let secrets = config.secrets.into_iter();
            let env = secrets.map(|(name, file)| Ok((name, value(dir, &file)?)));
            Ok(Place::Child(Launch {
                program,
                args: args.collect(),
                env: env.collect::<Result<_, Failure>>()?,
            }))
        }
        (None, Some(url)) => {
            if !config.args.is_empty() || !config.secrets.is_empty() {
                return Err(wrong(
                    "`args` and `secrets` are for a `program`; a url takes `headers`",
                ));
            }
            let mut headers = Vec::new();
            for (name, file) in config.headers {
                let known = name.parse::<HeaderName>();
                let known = known.map_err(|_| wrong(&format!("`{name}` is no header's name")))?;
                let held = HeaderValue::try_from(value(dir, &file)?);
                let mut held = held
                    .map_err(|_| wrong(&format!("`{}` holds no header's value", file.display())))?;
                held.set_sensitive(true);
                headers.push((known, held));
            }
            let tls = tls.unwrap_or_default();
            let remote = Remote { url, headers, tls };
            remote
                .check()
                .map_err(|why| wrong(&format!("`url` {why}")))?;
            Ok(Place::Remote(remote))
        }
        _ => Err(wrong(
            "names a `program` to start or a `url` to reach, and one of them",
        )),
    }
}

/// Certificates for an address; none where none are named.
fn tls(
    dir: &Path,
    config: &Config,
    wrong: &dyn Fn(&str) -> Failure,
) -> Result<Option<Tls>, Failure> {
    let read = |file: &PathBuf| {
        let file = dir.join(file);
        std::fs::read(&file).map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))
    };
    let ca = config.ca.as_ref().map(read).transpose()?;
    let identity = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            let mut pem = zeroize::Zeroizing::new(read(certificate)?);
            pem.push(b'\n');
            pem.extend_from_slice(&secret::read_secret(&dir.join(key))?);
            Some(pem)
        }
        (None, None) => None,
        _ => return Err(wrong("`certificate` and `key` go together")),
    };
    if ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    let tls = Tls::new(ca.as_deref(), identity.as_ref().map(|pem| pem.as_slice()));
    tls.map(Some).map_err(|why| wrong(&why))
}

fn value(dir: &Path, file: &Path) -> Result<String, Failure> {
    let bytes = secret::read_secret(&dir.join(file))?;
    let value = String::from_utf8_lossy(&bytes).trim().to_owned();
    if value.len() < SHORTEST_SECRET {
        return Err(Failure::usage(format!(
            "`{}` holds a secret of {} bytes, which can neither guard anything nor be kept out of answers: it has at least {SHORTEST_SECRET}",
            file.display(),
            value.len()
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_guards_nothing_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let with = |held: &str| {
            secret::write_secret(&home.path().join("keys/t"), held.as_bytes()).unwrap();
            let text = "[t]\nprogram = \"true\"\nsecrets = { KEY = \"keys/t\" }\n";
            std::fs::write(home.path().join(TARGETS), text).unwrap();
            upstreams(home.path()).err().map(|failure| failure.message)
        };
        let why = with(" abc\n").unwrap();
        assert!(why.contains("keys/t") && why.contains("3 bytes"), "{why}");
        assert!(!why.contains("abc"), "{why}");
        assert_eq!(with("abcdef"), None);
    }
}
