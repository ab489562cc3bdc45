//! Where language models are, set up in the data directory's `models.toml`, by the names that releases give to endpoints:
//!
//! ```toml
//! [openai]
//! url = "https://api.openai.com/v1"
//! key_file = "keys/openai"                # or key_env = "OPENAI_API_KEY"; none sends none
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agents::{Endpoint, Endpoints};
use serde::Deserialize;
use store::{config, secret};

use crate::fail::Failure;

/// The file of the data directory.
const FILE: &str = "models.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    #[serde(default)]
    plain_http: bool,
    #[serde(default = "first_wait")]
    first_wait_ms: u64,
    #[serde(default = "longest_wait")]
    longest_wait_seconds: u64,
}

fn first_wait() -> u64 {
    1_000
}

fn longest_wait() -> u64 {
    60
}

/// The endpoints that are set up in a data directory.
pub(crate) fn of(dir: &Path) -> Result<Arc<Endpoints>, Failure> {
    let file = dir.join(FILE);
    let written = config::read(&file)?;
    endpoints(&file, written.unwrap_or_default())
}

/// The endpoints that are set up in a file; key files are named from its directory.
pub(crate) fn in_file(file: &Path) -> Result<Arc<Endpoints>, Failure> {
    endpoints(file, config::read_named(file)?)
}

fn endpoints(file: &Path, written: BTreeMap<String, Written>) -> Result<Arc<Endpoints>, Failure> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let wrong = |why: &str| Failure::usage(format!("`{}`: {why}", file.display()));
    let mut endpoints = BTreeMap::new();
    for (name, written) in written {
        let key = key(dir, &name, &written, &wrong)?;
        let endpoint = Endpoint::new(
            &written.url,
            key,
            written.plain_http,
            Duration::from_millis(written.first_wait_ms),
            Duration::from_secs(written.longest_wait_seconds),
        );
        let endpoint = endpoint.map_err(|why| wrong(&format!("[{name}]: {why}")))?;
        endpoints.insert(name, endpoint);
    }
    Ok(Arc::new(Endpoints::new(endpoints)))
}

fn key(
    dir: &Path,
    name: &str,
    written: &Written,
    wrong: &dyn Fn(&str) -> Failure,
) -> Result<Option<String>, Failure> {
    match (&written.key_file, &written.key_env) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(wrong(&format!(
            "[{name}] has `key_file` and `key_env`; name one"
        ))),
        (Some(file), None) => {
            let bytes = secret::read_secret(&dir.join(file))?;
            let key = String::from_utf8(bytes.to_vec());
            let key = key.map_err(|_| wrong(&format!("[{name}]: the key is no text")))?;
            Ok(Some(key))
        }
        (None, Some(variable)) => match std::env::var(variable) {
            Ok(key) => Ok(Some(key)),
            Err(_) => Err(wrong(&format!(
                "[{name}] takes its key from `${variable}`, which is not set"
            ))),
        },
    }
}
