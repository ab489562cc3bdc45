//! `webhooks.toml` of a data directory: a table per receiver.
//!
//! ```toml
//! [desk]
//! url = "https://desk.example/hooks"
//! secret_files = ["keys/webhooks/desk.secret"]   # each signs; a second one while a secret is being changed
//! events = ["approval.*", "exception.raised"]     # left out: all
//! environments = ["prod"]                         # left out: all
//! ```
//!
//! Paths are relative to the data directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use store::{config, secret::read_secret};
use url::Url;

use crate::{
    address::{self, Reach},
    sign::Signer,
};

/// Name of the file.
pub const FILE: &str = "webhooks.toml";

/// A receiver, as it is configured.
pub struct Endpoint {
    pub(crate) url: Url,
    pub(crate) reach: Reach,
    pub(crate) signers: Vec<Signer>,
    pub(crate) plan: Plan,
}

/// What a receiver is told, and how patiently.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its address without its query, which may hold a secret: fit to be shown.
    pub shown: String,
    /// The types of events that it is told.
    pub events: BTreeSet<&'static str>,
    /// The environments; all where it names none. What belongs to no environment is told to everybody.
    pub environments: Option<BTreeSet<String>>,
    /// The public halves of its keys.
    pub keys: Vec<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long is waited after the first failure.
    pub first_wait: Duration,
    /// And at most.
    pub longest_wait: Duration,
}

impl Plan {
    /// Whether the receiver is told of an event.
    #[must_use]
    pub fn wants(&self, event: &str, environment: Option<&str>) -> bool {
        let here = match (&self.environments, environment) {
            (Some(wanted), Some(environment)) => wanted.contains(environment),
            _ => true,
        };
        here && self.events.contains(event)
    }
}

impl Endpoint {
    /// What it is told, and how patiently.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    secret_files: Vec<PathBuf>,
    events: Option<Vec<String>>,
    environments: Option<BTreeSet<String>>,
    #[serde(default)]
    private_network: bool,
    #[serde(default = "timeout")]
    timeout_seconds: u64,
    #[serde(default = "first_wait")]
    first_wait_ms: u64,
    #[serde(default = "longest_wait")]
    longest_wait_seconds: u64,
}

fn timeout() -> u64 {
    15
}

fn first_wait() -> u64 {
    5_000
}

fn longest_wait() -> u64 {
    3_600
}

/// The receivers of the data directory at `dir`, by name; none where there is no file. `known` are all types of events.
///
/// # Errors
/// What is wrong, with the file and the receiver.
pub fn read(dir: &Path, known: &[&'static str]) -> Result<BTreeMap<String, Endpoint>, String> {
    let file = dir.join(FILE);
    let fail = |why: String| format!("`{}`: {why}", file.display());
    let written: Option<BTreeMap<String, Written>> =
        config::read(&file).map_err(|e| e.to_string())?;
    let mut endpoints = BTreeMap::new();
    for (name, written) in written.unwrap_or_default() {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(fail(format!(
                "`{name}`: a name has letters, digits and `-`"
            )));
        }
        let endpoint = endpoint(dir, written, known);
        let endpoint = endpoint.map_err(|why| fail(format!("[{name}]: {why}")))?;
        endpoints.insert(name, endpoint);
    }
    Ok(endpoints)
}

fn endpoint(dir: &Path, written: Written, known: &[&'static str]) -> Result<Endpoint, String> {
    let (url, reach) = address::parse(&written.url, written.private_network)?;
    let numbers = [
        ("timeout_seconds", written.timeout_seconds, 1..=60),
        ("first_wait_ms", written.first_wait_ms, 10..=3_600_000),
        (
            "longest_wait_seconds",
            written.longest_wait_seconds,
            1..=86_400,
        ),
    ];
    for (name, number, range) in numbers {
        if !range.contains(&number) {
            return Err(format!("`{name}` is {} to {}", range.start(), range.end()));
        }
    }
    let mut signers = Vec::new();
    for file in &written.secret_files {
        let path = dir.join(file);
        let bytes = read_secret(&path).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| format!("`{}`: the secret is no text", path.display()))?;
        let signer = Signer::parse(text);
        signers.push(signer.map_err(|why| format!("`{}`: {why}", path.display()))?);
    }
    if signers.is_empty() {
        return Err("`secret_files` names none; `counterfoil webhook secret` makes one".to_owned());
    }
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let plan = Plan {
        shown: shown.to_string(),
        events: events(written.events.as_deref(), known)?,
        environments: written.environments,
        keys: signers.iter().filter_map(Signer::public).collect(),
        timeout: Duration::from_secs(written.timeout_seconds),
        first_wait: Duration::from_millis(written.first_wait_ms),
        longest_wait: Duration::from_secs(written.longest_wait_seconds),
    };
    Ok(Endpoint {
        url,
        reach,
        signers,
        plan,
    })
}

/// The types that a list names, one by one or as `approval.*`.
fn events(
    listed: Option<&[String]>,
    known: &[&'static str],
) -> Result<BTreeSet<&'static str>, String> {
    let Some(listed) = listed else {
        return Ok(known.iter().copied().collect());
    };
    let mut events = BTreeSet::new();
    for pattern in listed {
        let named = known
            .iter()
            .filter(|event| match pattern.strip_suffix('*') {
                Some(group) => group.ends_with('.') && event.starts_with(group),
                None => *event == pattern,
            });
        let named: Vec<_> = named.copied().collect();
        if named.is_empty() {
            return Err(format!(
                "`events`: there is no `{pattern}`; there are {}",
                known.join(", ")
            ));
        }
        events.extend(named);
    }
    if events.is_empty() {
        return Err("`events` names none".to_owned());
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use store::secret::write_secret;

    use super::*;

    const KNOWN: &[&str] = &["approval.requested", "approval.signed", "exception.raised"];

    fn read_text(text: &str) -> Result<BTreeMap<String, Endpoint>, String> {
        let dir = tempfile::tempdir().unwrap();
        write_secret(
            &dir.path().join("a.secret"),
            Signer::text_of(&[1; 32], false).as_bytes(),
        )
        .unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        read(dir.path(), KNOWN)
    }

    fn why(text: &str) -> String {
        read_text(text).err().unwrap_or_default()
    }

    #[test]
    fn a_receiver_is_told_what_it_asks_for() {
        let text = r#"
            [desk]
            url = "https://desk.example/hooks?key=1"
            secret_files = ["a.secret"]
            events = ["approval.*"]
            environments = ["prod"]
            [all]
            url = "https://all.example/"
            secret_files = ["a.secret"]
        "#;
        let read = read_text(text).unwrap();
        let desk = read["desk"].plan();
        assert!(desk.wants("approval.signed", Some("prod")));
        assert!(desk.wants("approval.signed", None));
        assert!(!desk.wants("approval.signed", Some("staging")));
        assert!(!desk.wants("exception.raised", Some("prod")));
        assert_eq!(desk.shown, "https://desk.example/hooks");
        assert!(
            read["all"]
                .plan()
                .wants("exception.raised", Some("staging"))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let of = |more: &str| why(&format!("[desk]\nurl = \"https://desk.example/\"\n{more}"));
        assert!(of("secret_files = []").contains("names none"));
        assert!(of("secret_files = [\"b.secret\"]").contains("b.secret"));
        let secret = "secret_files = [\"a.secret\"]\n";
        let all = of(&format!("{secret}events = [\"approvals.*\"]"));
        assert!(
            all.contains("[desk]") && all.contains("approval.requested"),
            "{all}"
        );
        assert!(of(&format!("{secret}timeout_seconds = 0")).contains("timeout_seconds"));
        assert!(of(&format!("{secret}retries = 3")).contains("retries"));
        assert!(why("[de_sk]\nurl = \"https://d.example\"\nsecret_files = []").contains("de_sk"));
        assert_eq!(of(secret), "");
    }
}
