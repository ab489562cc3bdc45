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
/// Use within this of the last is not written down again: a page costs no write to the disk, and idleness counts from at
/// most so much earlier.
const SEEN_MILLIS: i64 = 20_000;

/// A signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) person: PrincipalId,
    /// What every form carries, so that another site cannot send it.
    pub(crate) csrf: String,
    /// When the link was used.
    pub(crate) started: Time,
}

pub(crate) struct Sessions {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Sessions {
    pub(crate) fn open(dir: &Path) -> Result<Self, ConsoleError> {
        let path = dir.join("console.db");
        private(&path).map_err(|e| ConsoleError::Sessions {
            path: path.clone(),
            why: e.to_string(),
        })?;
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(&path)?;
            db.pragma_update(None, "secure_delete", true)?;
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
                "DELETE FROM sessions WHERE started <= ?1 OR seen <= ?2",
                [oldest(now), idle(now)],
            )?;
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
        let db = self.db();
        let found = db
            .query_row(
                "SELECT person, csrf, seen, started FROM sessions WHERE token = ?1 AND started > ?2 AND seen > ?3",
                params![digest(token), oldest(now), idle(now)],
                |row| {
                    let person: String = row.get(0)?;
                    let (seen, started): (i64, i64) = (row.get(2)?, row.get(3)?);
                    Ok((person, row.get(1)?, seen, started))
                },
            )
            .optional()
            .map_err(|e| fault(&self.path, &e))?;
        let Some((person, csrf, seen, started)) = found else {
            return Ok(None);
        };
        if now.millis() - seen > SEEN_MILLIS {
            db.execute(
                "UPDATE sessions SET seen = max(seen, ?2) WHERE token = ?1",
                params![digest(token), now.millis()],
            )
            .map_err(|e| fault(&self.path, &e))?;
        }
        Ok(person.parse().ok().map(|person| Session {
            person,
            csrf,
            started: Time::from_millis(started),
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

fn oldest(now: Time) -> i64 {
    now.minus_minutes(SESSION_MINUTES).millis()
}

fn idle(now: Time) -> i64 {
    now.minus_minutes(IDLE_MINUTES).millis()
}

/// Makes the file, where it is not there, for its owner alone: it holds the secrets of forms.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
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
    fn the_file_holds_no_token_and_is_its_owners_alone() {
        let dir = tempfile::TempDir::new().unwrap();
        let sessions = Sessions::open(dir.path()).unwrap();
        let link = sessions.new_link(&"amira".parse().unwrap(), at(0)).unwrap();
        let other = sessions.new_link(&"bram".parse().unwrap(), at(0)).unwrap();
        let session = sessions.enter(&link, at(1)).unwrap().unwrap();
        let path = dir.path().join("console.db");
        let held = std::fs::read(&path).unwrap();
        let holds = |text: &str| held.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(holds(&digest(&session)) && holds(&digest(&other)));
        assert!(!holds(&link) && !holds(&other) && !holds(&session));
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn two_processes_share_the_links_and_old_sessions_are_forgotten() {
        let dir = tempfile::TempDir::new().unwrap();
        let (server, command) = (
            Sessions::open(dir.path()).unwrap(),
            Sessions::open(dir.path()).unwrap(),
        );
        let enter = |now| {
            let link = command.new_link(&"amira".parse().unwrap(), now).unwrap();
            server.enter(&link, now).unwrap().unwrap()
        };
        enter(at(0));
        enter(at(40));
        let left: u32 = (server.db())
            .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 1);
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
