//! An issuer's keys (RFC 7517): fetched when they are first needed, kept for a time, and fetched again when a token names one that
//! is not among them. Without keys nothing holds.

use std::{
    io::Read as _,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::{
    TARGET,
    jws::{Algorithm, Public},
};
use crate::upstream::{Remote, Tls};

/// From one try to the next, at least, whatever tokens name: whoever makes key ids up causes no more requests than this.
pub(super) const AGAIN: Duration = Duration::from_secs(10);
/// Keys that are older than this are asked for again, while they go on being used.
const REFRESH: Duration = Duration::from_secs(300);
/// Keys that nobody confirmed for so long are used no more.
const USABLE: Duration = Duration::from_secs(3_600);
/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest set of keys, in bytes, and in keys.
const LONGEST: usize = 256 * 1024;
const MOST: usize = 100;

/// Where keys come from.
pub(super) enum Source {
    /// A file, which is read anew as an address would be.
    File(PathBuf),
    /// An address.
    Url(Remote),
}

impl Source {
    /// An address: of https, or of http on this machine.
    pub(super) fn at(url: String) -> Result<Self, String> {
        let remote = Remote {
            url,
            headers: Vec::new(),
            tls: Tls::default(),
        };
        remote.check().map_err(|why| format!("`jwks_url` {why}"))?;
        if !remote.is_guarded() {
            return Err("`jwks_url` is an address of https, or of http on this machine: keys that come over an open line are anybody's".to_owned());
        }
        Ok(Self::Url(remote))
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(file) => {
                let place = |e: std::io::Error| format!("`{}`: {e}", file.display());
                let mut bytes = Vec::new();
                let opened = std::fs::File::open(file).map_err(place)?;
                let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
                opened.take(most).read_to_end(&mut bytes).map_err(place)?;
                bounded(bytes)
            }
            Self::Url(remote) => {
                let client = remote.client(|client| client.timeout(PATIENCE))?;
                let away = |e: reqwest::Error| e.without_url().to_string();
                let mut answer = client.get(&remote.url).send().await.map_err(away)?;
                if answer.status() != reqwest::StatusCode::OK {
                    return Err(format!("the answer was {}", answer.status()));
                }
                let mut bytes = Vec::new();
                while let Some(more) = answer.chunk().await.map_err(away)? {
                    bytes.extend_from_slice(&more);
                    bytes = bounded(bytes)?;
                }
                Ok(bytes)
            }
        }
    }
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.len() > LONGEST {
        return Err(format!("a set of keys has at most {LONGEST} bytes"));
    }
    Ok(bytes)
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The issuer publishes none like it.
    Unknown,
    /// What the issuer publishes is not known.
    Unavailable,
}

/// One key, for one way of signing.
struct Key {
    id: String,
    fits: Vec<Algorithm>,
    key: Arc<Public>,
}

/// What was fetched, and when.
struct Held {
    keys: Vec<Key>,
    at: Instant,
}

impl Held {
    /// The key of this id for this algorithm. Where there are two, nobody knows which is meant.
    fn find(&self, id: &str, algorithm: Algorithm) -> Option<Arc<Public>> {
        let fits = |key: &&Key| key.id == id && key.fits.contains(&algorithm);
        let mut found = self.keys.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(one), None) => Some(Arc::clone(&one.key)),
            _ => None,
        }
    }
}

/// The keys of one issuer.
pub(super) struct Keys {
    source: Source,
    /// The issuer's name in the configuration.
    name: String,
    held: RwLock<Option<Arc<Held>>>,
    /// When they were last asked for. Whoever holds this asks.
    tried: Arc<Mutex<Option<Instant>>>,
}

impl Keys {
    pub(super) fn of(source: Source, name: &str) -> Self {
        Self {
            source,
            name: name.to_owned(),
            held: RwLock::default(),
            tried: Arc::default(),
        }
    }

    /// A key, from what is held or from another look at its source.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: &str,
        algorithm: Algorithm,
    ) -> Result<Arc<Public>, Lack> {
        if let Some(held) = self.held()
            && let Some(key) = held.find(id, algorithm)
        {
            if held.at.elapsed() >= REFRESH
                && let Ok(turn) = Arc::clone(&self.tried).try_lock_owned()
            {
                drop(turn);
                let keys = Arc::clone(self);
                tokio::spawn(async move { keys.fetch().await });
            }
            return Ok(key);
        }
        // In a task of its own: a client that hangs up does not use up the try.
        let keys = Arc::clone(self);
        let fetched = tokio::spawn(async move { keys.fetch().await });
        let known = fetched.await.unwrap_or(false);
        let found = self.held().and_then(|held| held.find(id, algorithm));
        found.ok_or(if known {
            Lack::Unknown
        } else {
            Lack::Unavailable
        })
    }

    /// What is held, for as long as it may be used.
    fn held(&self) -> Option<Arc<Held>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(|held| held.at.elapsed() < USABLE)
    }

    /// Asks for them, if that was not done just now; whether the last answer is one to go by.
    async fn fetch(&self) -> bool {
        let mut tried = self.tried.lock().await;
        let recent = tried.is_some_and(|at| at.elapsed() < AGAIN);
        if recent {
            // The last try brought what is held, or nothing.
            return self.held().is_some_and(|held| Some(held.at) >= *tried);
        }
        *tried = Some(Instant::now());
        let read = match self.source.read().await {
            Ok(bytes) => parse(&bytes),
            Err(why) => Err(why),
        };
        match read {
            Ok(keys) => {
                info!(target: TARGET, issuer = self.name, keys = keys.len(), "keys fetched");
                let at = Instant::now();
                let held = Some(Arc::new(Held { keys, at }));
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
                true
            }
            Err(why) => {
                warn!(target: TARGET, issuer = self.name, why, "keys cannot be had");
                false
            }
        }
    }
}

/// The keys of a set that verify. What is not understood, or is for something else, is passed over (RFC 7517, section 5).
fn parse(bytes: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(bytes)
        .map_err(|_| "it is no set of keys (RFC 7517): a JSON object with `keys`".to_owned())?;
    if set.keys.len() > MOST {
        return Err(format!("a set has at most {MOST} keys"));
    }
    Ok(set.keys.iter().filter_map(key).collect())
}

fn key(written: &Value) -> Option<Key> {
    let text = |name: &str| written.get(name).and_then(Value::as_str);
    if written.get("use").is_some() && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = written.get("key_ops") {
        let verifies = |one: &Value| one.as_str() == Some("verify");
        if !operations.as_array()?.iter().any(verifies) {
            return None;
        }
    }
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let point = |size: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        let whole = x.len() == size && y.len() == size;
        whole.then(|| Public::Point([vec![4], x, y].concat()))
    };
    let (mut fits, key) = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let fits = vec![RS256, RS384, RS512, PS256, PS384, PS512];
            (fits, Public::Rsa { n, e })
        }
        ("EC", Some("P-256")) => (vec![ES256], point(32)?),
        ("EC", Some("P-384")) => (vec![ES384], point(48)?),
        ("OKP", Some("Ed25519")) => (vec![EdDSA], Public::Point(bytes("x")?)),
        _ => return None,
    };
    if written.get("alg").is_some() {
        let only = Algorithm::named(text("alg")?)?;
        fits.retain(|a| *a == only);
    }
    Some(Key {
        id: text("kid")?.to_owned(),
        fits,
        key: Arc::new(key),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn held(keys: Value) -> Held {
        let bytes = json!({ "keys": keys }).to_string();
        Held {
            keys: parse(bytes.as_bytes()).unwrap(),
            at: Instant::now(),
        }
    }

    #[test]
    fn only_keys_that_verify_are_taken() {
        let point = |more: Value| {
            let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": "A".repeat(43), "y": "A".repeat(43)});
            let fields = more.as_object().unwrap().clone();
            key.as_object_mut().unwrap().extend(fields);
            key
        };
        let found = |keys: Value| held(keys).find("a", Algorithm::ES256).is_some();
        assert!(found(json!([point(json!({}))])));
        assert!(found(json!([point(
            json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]})
        )])));
        for wrong in [
            json!({"use": "enc"}),
            json!({"use": 7}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": "verify"}),
            json!({"alg": "ES384"}),
            json!({"alg": "HS256"}),
            json!({"alg": null}),
            json!({"crv": "P-384"}),
            json!({"crv": "secp256k1"}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kid": "b"}),
            json!({"kid": null}),
            json!({"x": "~"}),
            json!({"x": null}),
        ] {
            assert!(!found(json!([point(wrong.clone())])), "{wrong}");
        }
        // Two of one name: nobody knows which is meant.
        assert!(!found(json!([point(json!({})), point(json!({}))])));
        // What is not understood does not stand in the way of what is.
        assert!(found(json!([7, {"kty": "new"}, point(json!({}))])));
    }

    #[test]
    fn what_is_no_set_of_keys_is_none() {
        for wrong in ["", "[]", "{}", "{\"keys\":{}}", "<html>"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let many = json!({"keys": vec![json!({}); MOST + 1]}).to_string();
        assert!(parse(many.as_bytes()).is_err());
    }

    #[tokio::test]
    async fn without_keys_nothing_is_known_and_a_set_that_comes_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("keys.json");
        let keys = Arc::new(Keys::of(Source::File(file.clone()), "t"));
        let find = || async { keys.find("a", Algorithm::ES256).await.map(|_| ()) };
        assert_eq!(find().await, Err(Lack::Unavailable));
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": "A".repeat(43), "y": "A".repeat(43)}]});
        std::fs::write(&file, set.to_string()).unwrap();
        // Too soon: whoever makes ids up causes no more reads than that.
        assert_eq!(find().await, Err(Lack::Unavailable));
        *keys.tried.lock().await = None;
        assert_eq!(find().await, Ok(()));
        let other = keys.find("b", Algorithm::ES256).await.map(|_| ());
        assert_eq!(other, Err(Lack::Unknown));
        *keys.tried.lock().await = None;
        std::fs::write(&file, "x".repeat(LONGEST + 1)).unwrap();
        let other = keys.find("b", Algorithm::ES256).await.map(|_| ());
        assert_eq!(other, Err(Lack::Unavailable));
        // What is held goes on for its time.
        assert_eq!(find().await, Ok(()));
    }
}
