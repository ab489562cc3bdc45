//! `anchors.toml` of a data directory.
//!
//! ```toml
//! every_minutes = 60
//!
//! [anchor.vault]
//! kind = "directory"
//! path = "/mnt/vault/payables"
//!
//! [anchor.locked]
//! kind = "s3"
//! endpoint = "https://s3.eu-central-1.amazonaws.com"
//! bucket = "our-checkpoints"
//! region = "eu-central-1"
//! prefix = "payables/"
//! access_key_file = "keys/s3.id"
//! secret_key_file = "keys/s3.secret"
//! retain_days = 3650
//!
//! [anchor.stamped]
//! kind = "timestamp"
//! url = "http://timestamp.example/tsr"
//!
//! [anchor.auditor]
//! kind = "webhook"
//! url = "https://auditor.example/checkpoints"
//! secret_file = "keys/auditor.secret"
//! ```
//!
//! Paths are relative to the data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use store::{
    config,
    secret::{random_seed, read_secret},
};

use super::{Anchor, directory::Directory, s3, timestamp::Authority, webhook::Webhook};

/// Name of the file.
pub const FILE: &str = "anchors.toml";

/// Where answers of time-stamp authorities are kept, in the data directory.
const ANSWERS: &str = "anchors";

/// The anchors of a data directory.
pub struct Anchors {
    /// How often checkpoints go there.
    pub every: Duration,
    /// Each by its name.
    pub anchors: BTreeMap<String, Box<dyn Anchor>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    every_minutes: u32,
    #[serde(default)]
    anchor: BTreeMap<String, Kind>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Kind {
    Directory {
        path: PathBuf,
    },
    S3 {
        endpoint: String,
        bucket: String,
        region: String,
        #[serde(default)]
        prefix: String,
        access_key_file: PathBuf,
        secret_key_file: PathBuf,
        retain_days: u32,
    },
    Timestamp {
        url: String,
    },
    Webhook {
        url: String,
        secret_file: PathBuf,
    },
}

impl Anchors {
    /// Reads the file of the data directory at `dir`; without one there are no anchors. `clock` tells seconds since 1970.
    ///
    /// # Errors
    /// What is wrong, with the file and the anchor.
    pub fn read(dir: &Path, clock: fn() -> u64) -> Result<Self, String> {
        Self::read_file(dir, &dir.join(FILE), clock)
    }

    /// Reads another file of the same form.
    ///
    /// # Errors
    /// As [`Anchors::read`].
    pub fn read_file(dir: &Path, file: &Path, clock: fn() -> u64) -> Result<Self, String> {
        let fail = |why: String| format!("`{}`: {why}", file.display());
        let written: Option<Written> = config::read(file).map_err(|why| why.to_string())?;
        let Some(written) = written else {
            return Ok(Self {
                every: Duration::from_secs(3600),
                anchors: BTreeMap::new(),
            });
        };
        if written.every_minutes == 0 {
            return Err(fail("`every_minutes` must be 1 or more".to_owned()));
        }
        let mut anchors = BTreeMap::new();
        for (name, kind) in written.anchor {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(fail(format!(
                    "`{name}`: a name has letters, digits and `-`"
                )));
            }
            let anchor = kind.anchor(dir, &name, clock);
            let anchor = anchor.map_err(|why| fail(format!("[anchor.{name}]: {why}")))?;
            anchors.insert(name, anchor);
        }
        Ok(Self {
            every: Duration::from_secs(u64::from(written.every_minutes) * 60),
            anchors,
        })
    }
}

impl Kind {
    fn anchor(self, dir: &Path, name: &str, clock: fn() -> u64) -> Result<Box<dyn Anchor>, String> {
        Ok(match self {
            Self::Directory { path } => Box::new(Directory::new(&dir.join(path))),
            Self::S3 {
                endpoint,
                bucket,
                region,
                prefix,
                access_key_file,
                secret_key_file,
                retain_days,
            } => {
                if retain_days == 0 {
                    return Err("`retain_days` must be 1 or more".to_owned());
                }
                let place = s3::Place {
                    endpoint,
                    bucket,
                    region,
                    prefix,
                    retain: Duration::from_secs(u64::from(retain_days) * 86_400),
                };
                let key = secret(&dir.join(access_key_file))?;
                let secret = secret(&dir.join(secret_key_file))?;
                Box::new(s3::S3::new(place, &key, &secret, clock)?)
            }
            Self::Timestamp { url } => {
                let answers = dir.join(ANSWERS).join(name);
                Box::new(Authority::new(&url, &answers, nonce))
            }
            Self::Webhook { url, secret_file } => {
                let secret = secret(&dir.join(secret_file))?;
                Box::new(Webhook::new(&url, &secret, clock)?)
            }
        })
    }
}

fn secret(path: &Path) -> Result<String, String> {
    let bytes = read_secret(path).map_err(|why| why.to_string())?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|why| format!("`{}`: {why}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn nonce() -> Result<[u8; 16], String> {
    let seed = random_seed().map_err(|why| why.to_string())?;
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&seed[..16]);
    Ok(nonce)
}
