//! One-time links and sessions, in a small database of their own. Only digests of tokens are kept.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use duty::{canonical::Digest, name::PrincipalId, time::Time};
use rusqlite::{Connection, OptionalExtension, params};

use crate::ConsoleError;

/// How long a link works.
const LINK_MINUTES: u32 = 15;
/// How long a session lasts at most.
const SESSION_MINUTES: u32 = 8 * 60;
/// How long a session lasts without being used.
const IDLE_MINUTES: u32 = 30;

/// A signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) person: PrincipalId,
    /// What every form carries, so that another site cannot send it.
    pub(crate) csrf: String,
}

pub(crate) struct Sessions {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Sessions {
    pub(crate) fn open(dir: &Path) -> Result<Self, ConsoleError> {
        let path = dir.join("console.db");
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(&path)?;
            db.busy_timeout(std::time::Duration::from_secs(5))?;
            db.execute_batch(
                "CREATE TABLE IF NOT EXISTS links (token TEXT PRIMARY KEY, person TEXT NOT NULL, expires INTEGER NOT NULL);
                 CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, person TEXT NOT NULL, csrf TEXT NOT NULL,
                    started INTEGER NOT NULL, seen INTEGER NOT NULL);",
            )?;
            Ok(db)
        };
        let db = open().map_err(|e| fault(&path, &e))?;
        let db = Mutex::new(db);
        Ok(Self { path, db })
    }

    /// A new one-time link's token.
    pub(crate) fn new_link(&self, person: &PrincipalId, now: Time) -> Result<String, ConsoleError> {
        let token = random()?;
        let expires = now.plus_minutes(LINK_MINUTES).millis();
        let db = self.db();
        db.execute("DELETE FROM links WHERE expires <= ?1", [now.millis()])
            .and_then(|_| {
                db.execute(
                    "INSERT INTO links VALUES (?1, ?2, ?3)",
                    params![digest(&token), person.as_str(), expires],
                )
            })
            .map_err(|e| fault(&self.path, &e))?;
        Ok(token)
    }

    /// Whether a link would still work.
    pub(crate) fn link_works(&self, token: &str, now: Time) -> Result<bool, ConsoleError> {
        let found = self.db().query_row(
            "SELECT 1 FROM links WHERE token = ?1 AND expires > ?2",
            params![digest(token), now.millis()],
            |_| Ok(()),
        );
        Ok(found
            .optional()
            .map_err(|e| fault(&self.path, &e))?
            .is_some())
    }

    /// Uses a link up and begins a session; the session's token, or none where the link does not work (any more).
    pub(crate) fn enter(&self, token: &str, now: Time) -> Result<Option<String>, ConsoleError> {
        let (session, csrf) = (random()?, random()?);
        let mut db = self.db();
        let begin = || -> rusqlite::Result<Option<()>> {
            let transaction =
                db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let person: Option<String> = transaction
                .query_row(
                    "DELETE FROM links WHERE token = ?1 AND expires > ?2 RETURNING person",
                    params![digest(token), now.millis()],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(person) = person else {
                return Ok(None);
            };
            transaction.execute(
                "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?4)",
                params![digest(&session), person, csrf, now.millis()],
            )?;
            transaction.commit()?;
            Ok(Some(()))
        };
        let begun = { begin }().map_err(|e| fault(&self.path, &e))?;
        Ok(begun.map(|()| session))
    }

    /// The session of a token, if it is in force; it is then in use.
    pub(crate) fn find(&self, token: &str, now: Time) -> Result<Option<Session>, ConsoleError> {
        let oldest = now.minus_minutes(SESSION_MINUTES).millis();
        let idle = now.minus_minutes(IDLE_MINUTES).millis();
        let db = self.db();
        let found = db
            .query_row(
                "UPDATE sessions SET seen = max(seen, ?4) WHERE token = ?1 AND started > ?2 AND seen > ?3
                 RETURNING person, csrf",
                params![digest(token), oldest, idle, now.millis()],
                |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(|e| fault(&self.path, &e))?;
        Ok(found.and_then(|(person, csrf)| {
            let person = person.parse().ok()?;
            Some(Session { person, csrf })
        }))
    }

    pub(crate) fn end(&self, token: &str) -> Result<(), ConsoleError> {
        self.db()
            .execute("DELETE FROM sessions WHERE token = ?1", [digest(token)])
            .map_err(|e| fault(&self.path, &e))?;
        Ok(())
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // SQLite rolls an open transaction back when a panic drops it.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> Result<String, ConsoleError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| ConsoleError::Random(e.to_string()))?;
    Ok(hex::encode(bytes))
}

fn digest(token: &str) -> String {
    Digest::of_bytes(token.as_bytes()).to_string()
}

fn fault(path: &Path, e: &rusqlite::Error) -> ConsoleError {
    ConsoleError::Sessions {
        path: path.to_owned(),
        why: e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u32) -> Time {
        Time::EPOCH.plus_minutes(1_000_000 + minutes)
    }

    #[test]
    fn a_link_works_once_and_not_for_long() {
        let dir = tempfile::TempDir::new().unwrap();
        let sessions = Sessions::open(dir.path()).unwrap();
        let amira: PrincipalId = "amira".parse().unwrap();
        let link = sessions.new_link(&amira, at(0)).unwrap();
        assert!(sessions.link_works(&link, at(14)).unwrap());
        assert!(!sessions.link_works(&link, at(15)).unwrap());
        let session = sessions.enter(&link, at(1)).unwrap().unwrap();
        assert_eq!(sessions.enter(&link, at(1)).unwrap(), None);
        assert_eq!(
            sessions.find(&session, at(2)).unwrap().unwrap().person,
            amira
        );
        assert_eq!(sessions.find("other", at(2)).unwrap(), None);
    }

    #[test]
    fn sessions_end_when_idle_when_old_and_when_left() {
        let dir = tempfile::TempDir::new().unwrap();
        let sessions = Sessions::open(dir.path()).unwrap();
        let enter = || {
            let link = sessions.new_link(&"amira".parse().unwrap(), at(0)).unwrap();
            sessions.enter(&link, at(0)).unwrap().unwrap()
        };
        let (idle, old, left) = (enter(), enter(), enter());
        assert_eq!(sessions.find(&idle, at(30)).unwrap(), None);
        for minutes in (0..480).step_by(20) {
            assert!(
                sessions.find(&old, at(minutes)).unwrap().is_some(),
                "{minutes}"
            );
        }
        assert_eq!(sessions.find(&old, at(480)).unwrap(), None);
        sessions.end(&left).unwrap();
        assert_eq!(sessions.find(&left, at(1)).unwrap(), None);
    }
}
