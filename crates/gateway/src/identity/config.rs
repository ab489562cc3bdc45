//! `identity.toml` in the data directory: the identity providers whose tokens are taken.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use duty::jwt::Subject;
use serde::Deserialize;
use store::config;

use super::{
    Identity,
    jws::Algorithm,
    keys::{Keys, Source},
    token::{Demands, Issuer},
};

/// The most leeway that clocks get, in seconds.
const MOST_LEEWAY: u64 = 300;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    issuers: BTreeMap<String, One>,
}

/// One identity provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    /// What it calls itself: `iss`, byte by byte.
    issuer: String,
    /// What its tokens for this door say in `aud`.
    audience: String,
    /// With which algorithms it signs.
    algorithms: Vec<Algorithm>,
    /// Where its keys are: an address, or a file below the data directory.
    jwks_url: Option<String>,
    jwks_file: Option<std::path::PathBuf>,
    /// How far clocks may be apart.
    #[serde(default = "leeway")]
    leeway_seconds: u64,
    /// How long a token may hold from now on at most: the provider cannot take it back before.
    #[serde(default = "longest")]
    longest_seconds: u64,
}

fn leeway() -> u64 {
    30
}

fn longest() -> u64 {
    86_400
}

/// All of them; none where there is no file.
pub(super) fn read(dir: &Path) -> Result<Vec<Issuer>, String> {
    let file = dir.join(Identity::FILE);
    let place = |why: String| format!("`{}`: {why}", file.display());
    let written: Option<Written> = config::read(&file).map_err(|e| e.to_string())?;
    let mut issuers: Vec<Issuer> = Vec::new();
    for (name, one) in written.unwrap_or_default().issuers {
        let wrong = |why: String| place(format!("[issuers.{name}]: {why}"));
        if issuers.iter().any(|other| other.id() == one.issuer) {
            return Err(wrong(format!("`{}` is pinned twice", one.issuer)));
        }
        issuers.push(issuer(dir, &name, one).map_err(wrong)?);
    }
    Ok(issuers)
}

fn issuer(dir: &Path, name: &str, one: One) -> Result<Issuer, String> {
    // Whoever is in the log has the same form; the subject is a token's to say.
    Subject::new(&one.issuer, &one.audience, "any")?;
    if one.algorithms.is_empty() {
        return Err("`algorithms` names at least one, like `ES256`".to_owned());
    }
    if one.leeway_seconds > MOST_LEEWAY {
        return Err(format!("`leeway_seconds` is at most {MOST_LEEWAY}"));
    }
    if one.longest_seconds == 0 {
        return Err("`longest_seconds` is at least 1".to_owned());
    }
    let source = match (one.jwks_url, one.jwks_file) {
        (Some(url), None) => Source::at(url)?,
        (None, Some(file)) => Source::File(dir.join(file)),
        _ => return Err("names a `jwks_url` or a `jwks_file`, and one of them".to_owned()),
    };
    let keys = Arc::new(Keys::of(source, name));
    let demands = Demands {
        issuer: one.issuer,
        audience: one.audience,
        algorithms: one.algorithms,
        leeway: Duration::from_secs(one.leeway_seconds),
        longest: Duration::from_secs(one.longest_seconds),
    };
    Ok(Issuer::new(name, demands, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pins_nothing_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let with = |text: &str| {
            std::fs::write(home.path().join(Identity::FILE), text).unwrap();
            read(home.path()).map(|issuers| issuers.len())
        };
        assert!(matches!(read(home.path()), Ok(none) if none.is_empty()));
        let fine = "[issuers.corp]\nissuer = \"https://id.example\"\naudience = \"counterfoil\"\nalgorithms = [\"ES256\"]\njwks_file = \"corp.json\"\n";
        assert_eq!(with(fine), Ok(1));
        for (from, to, why) in [
            ("[\"ES256\"]", "[\"HS256\"]", "unknown variant"),
            ("[\"ES256\"]", "[\"ES256\", \"HS512\"]", "unknown variant"),
            ("[\"ES256\"]", "[\"none\"]", "unknown variant"),
            ("[\"ES256\"]", "[]", "at least one"),
            ("\"counterfoil\"", "\"\"", "audience"),
            ("\"https://id.example\"", "\" \"", "issuer"),
            ("jwks_file = \"corp.json\"", "", "one of them"),
            (
                "jwks_file = \"corp.json\"",
                "jwks_url = \"http://id.example/keys\"",
                "https",
            ),
            (
                "jwks_file = \"corp.json\"",
                "jwks_url = \"https://a:b@id.example/keys\"",
                "password",
            ),
            (
                "jwks_file = \"corp.json\"",
                "jwks_file = \"a\"\njwks_url = \"https://id.example\"",
                "one of them",
            ),
            (
                "jwks_file",
                "leeway_seconds = 301\njwks_file",
                "at most 300",
            ),
            ("jwks_file", "longest_seconds = 0\njwks_file", "at least 1"),
            ("jwks_file", "secret = \"a\"\njwks_file", "secret"),
        ] {
            let told = with(&fine.replace(from, to)).unwrap_err();
            assert!(told.contains(why), "{to}: {told}");
        }
        let twice = format!("{fine}{}", fine.replace("corp]", "same]"));
        assert!(with(&twice).unwrap_err().contains("twice"));
    }
}
