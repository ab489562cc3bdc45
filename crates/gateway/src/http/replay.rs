//! Idempotency keys: the same key with the same body has the same answer, also after a crash.
//!
//! Answers are not kept: the log has them. What is kept of a key, in `door.db`, is a digest of the body and how long the log
//! was when it came first; a retry looks from there for what came of it, and only where there is nothing is it carried out. So
//! nothing that was erased lives on in a kept answer, and a key that is lost costs at most a second reading call: what must not
//! happen twice (opening, recommending, signing, using a grant) the core refuses by itself.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, StatusCode};
use duty::{canonical::Digest, time::Time};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::problem::Problem;

/// How long a key is known, in milliseconds.
const KNOWN: i64 = 24 * 60 * 60 * 1000;
/// The most keys that are known; the oldest go first.
const MOST: i64 = 100_000;
/// Between two looks for keys that are too old.
const TIDY: u64 = 256;
/// The longest key, in bytes.
const LONGEST: usize = 128;

/// Keys in use and known.
pub(super) struct Keys {
    db: Mutex<(Connection, u64)>,
    flying: Mutex<HashSet<(String, String)>>,
}

/// What is known of a key.
pub(super) enum Known {
    /// Nothing.
    New,
    /// It came with the same body, when the log was so long.
    Since(u64),
}

/// A key whose request is under way; nobody else may use it until this is dropped.
pub(super) struct Flight<'k> {
    keys: &'k Keys,
    scope: String,
    key: String,
}

impl Keys {
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let path = dir.join("door.db");
        let fail = |e: rusqlite::Error| {
            format!(
                "`{}` cannot be used: {e}; delete it, only keys of retries are lost",
                path.display()
            )
        };
        let db = Connection::open(&path).map_err(fail)?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS keys (
                 scope TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, since INTEGER NOT NULL, at INTEGER NOT NULL,
                 PRIMARY KEY (scope, key)
             ) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS keys_at ON keys (at);",
        )
        .map_err(fail)?;
        Ok(Self {
            db: Mutex::new((db, 0)),
            flying: Mutex::default(),
        })
    }

    /// Takes a key for one request.
    pub(super) fn take(&self, scope: &str, key: &str) -> Result<Flight<'_>, Problem> {
        let flight = (scope.to_owned(), key.to_owned());
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if !flying.insert(flight) {
            let why = format!(
                "a request with the key `{}` is under way",
                key.escape_debug()
            );
            return Err(Problem::new(StatusCode::CONFLICT, "in-flight", why).after(1));
        }
        Ok(Flight {
            keys: self,
            scope: scope.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl Flight<'_> {
    /// Notes the key down with its body, or says that it was before.
    pub(super) fn note(&self, body: Digest, size: u64, now: Time) -> Result<Known, Problem> {
        let fault = |e: rusqlite::Error| Problem::unavailable(format!("keys of retries: {e}"));
        let mut held = self.keys.db.lock().unwrap_or_else(PoisonError::into_inner);
        let (db, count) = &mut *held;
        let now = now.millis();
        let known: Option<(Vec<u8>, i64)> = db
            .query_row(
                "SELECT body, since FROM keys WHERE scope = ?1 AND key = ?2 AND at > ?3",
                params![self.scope, self.key, now - KNOWN],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(fault)?;
        if let Some((before, since)) = known {
            if before != body.as_bytes() {
                let why = format!(
                    "the key `{}` was used with another body; make a new key for a new request",
                    self.key.escape_debug()
                );
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "key-reused",
                    why,
                ));
            }
            return Ok(Known::Since(u64::try_from(since).unwrap_or(0)));
        }
        let since = i64::try_from(size).unwrap_or(i64::MAX);
        db.execute(
            "INSERT OR REPLACE INTO keys (scope, key, body, since, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.scope, self.key, body.as_bytes(), since, now],
        )
        .map_err(fault)?;
        *count += 1;
        if count.is_multiple_of(TIDY) {
            db.execute("DELETE FROM keys WHERE at <= ?1", [now - KNOWN])
                .map_err(fault)?;
            db.execute(
                "DELETE FROM keys WHERE at <= (SELECT at FROM keys ORDER BY at DESC LIMIT 1 OFFSET ?1)",
                [MOST],
            )
            .map_err(fault)?;
        }
        Ok(Known::New)
    }

    /// Forgets the key: nothing came of its request, and it may be sent again.
    pub(super) fn forget(&self) {
        let held = self.keys.db.lock().unwrap_or_else(PoisonError::into_inner);
        // A key that stays is looked for in the log, where there is nothing: it is carried out then.
        let _stays = held.0.execute(
            "DELETE FROM keys WHERE scope = ?1 AND key = ?2",
            params![self.scope, self.key],
        );
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flying = self
            .keys
            .flying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        flying.remove(&(self.scope.clone(), self.key.clone()));
    }
}

/// The request's `Idempotency-Key`.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok();
    let fine = |key: &&str| {
        (1..=LONGEST).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    };
    key.filter(fine).map(Some).ok_or_else(|| {
        Problem::malformed(format!(
            "`Idempotency-Key` is 1 to {LONGEST} visible ASCII characters"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of_bytes(text.as_bytes())
    }

    #[test]
    fn a_key_is_known_with_its_body_alone_and_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let now = Time::from_millis(1_000_000_000_000);
        {
            let keys = Keys::open(dir.path()).unwrap();
            let flight = keys.take("ana", "k").unwrap();
            assert!(matches!(flight.note(digest("a"), 7, now), Ok(Known::New)));
            assert!(keys.take("ana", "k").is_err(), "one at a time");
            assert!(keys.take("rev", "k").is_ok(), "another's key is another");
        }
        let keys = Keys::open(dir.path()).unwrap();
        let flight = keys.take("ana", "k").unwrap();
        assert!(matches!(
            flight.note(digest("a"), 9, now),
            Ok(Known::Since(7))
        ));
        assert_eq!(
            flight.note(digest("b"), 9, now).err().unwrap().code(),
            "key-reused"
        );
        let tomorrow = now.plus_minutes(24 * 60);
        assert!(matches!(
            flight.note(digest("b"), 9, tomorrow),
            Ok(Known::New)
        ));
        flight.forget();
        assert!(matches!(
            flight.note(digest("c"), 11, tomorrow),
            Ok(Known::New)
        ));
    }

    #[test]
    fn keys_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let now = Time::from_millis(1_000_000_000_000);
        let old = now.minus_minutes(24 * 60 + 1);
        for n in 0..TIDY {
            let at = if n + 1 == TIDY { now } else { old };
            let flight = keys.take("ana", &format!("k{n}")).unwrap();
            flight.note(digest("a"), n, at).unwrap();
        }
        let held = keys.db.lock().unwrap();
        let left: i64 = held
            .0
            .query_row("SELECT count(*) FROM keys", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 1);
    }
}
