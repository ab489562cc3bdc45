//! Calls whose outcome their caller has not been told: the same call of the same agent finds it, also after a restart.
//!
//! Kept in `mcp.db` is only which case a call belongs to, and how long the log was when it came; what became of it is read
//! from the log. A row that is lost costs people a second look: the same call asks them anew, and nothing happens twice
//! without their word.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use duty::{
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The most calls that are known; the oldest go first.
const MOST: i64 = 100_000;
/// Between two looks for calls that are too many.
const TIDY: u64 = 1_024;

/// What makes two calls the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) agent: PrincipalId,
    pub(super) environment: Environment,
    pub(super) action: Digest,
}

/// A call that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) case: CaseId,
    /// How long the log was.
    pub(super) since: u64,
}

/// Calls that were begun.
pub(super) struct Held(Mutex<(Connection, u64)>);

impl Held {
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let path = dir.join("mcp.db");
        let fail = |e: rusqlite::Error| {
            format!(
                "`{}` cannot be used: {e}; delete it, and calls that wait are asked for anew",
                path.display()
            )
        };
        let db = Connection::open(&path).map_err(fail)?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS calls (
                 agent TEXT NOT NULL, environment TEXT NOT NULL, held TEXT NOT NULL,
                 action BLOB NOT NULL, since INTEGER NOT NULL, told INTEGER NOT NULL,
                 PRIMARY KEY (agent, environment, held)
             ) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS calls_action ON calls (agent, environment, action);
             CREATE INDEX IF NOT EXISTS calls_since ON calls (since);",
        )
        .map_err(fail)?;
        Ok(Self(Mutex::new((db, 0))))
    }

    /// What this call began, where its outcome was not told.
    pub(super) fn find(&self, key: &Key) -> Result<Option<Begun>, String> {
        let (agent, environment, action) = of(key);
        self.with(|db| {
            let mut find = db.prepare_cached(
                "SELECT held, since FROM calls WHERE agent = ?1 AND environment = ?2 AND action = ?3 AND told = 0
                 ORDER BY since DESC LIMIT 1",
            )?;
            let found: Option<(String, i64)> = find
                .query_row(params![agent, environment, action], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            Ok(found.and_then(|(case, since)| {
                Some(Begun {
                    case: case.parse().ok()?,
                    since: u64::try_from(since).ok()?,
                })
            }))
        })
    }

    /// What an agent began in a case, told or not.
    pub(super) fn in_case(
        &self,
        agent: &PrincipalId,
        environment: &Environment,
        case: &CaseId,
    ) -> Result<Option<Begun>, String> {
        let (agent, environment) = (agent.as_str(), environment.as_str());
        let since: Option<i64> = self.with(|db| {
            let mut find = db.prepare_cached(
                "SELECT since FROM calls WHERE agent = ?1 AND environment = ?2 AND held = ?3",
            )?;
            find.query_row(params![agent, environment, case.as_str()], |row| row.get(0))
                .optional()
        })?;
        Ok(since.map(|since| Begun {
            case: case.clone(),
            since: u64::try_from(since).unwrap_or(0),
        }))
    }

    /// Notes what a call begins, before it does.
    pub(super) fn note(&self, key: &Key, begun: &Begun) -> Result<(), String> {
        let since = i64::try_from(begun.since).unwrap_or(i64::MAX);
        let (agent, environment, action) = of(key);
        self.with(|db| {
            let mut note = db.prepare_cached(
                "INSERT OR REPLACE INTO calls (agent, environment, held, action, since, told) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
            )?;
            note.execute(params![agent, environment, begun.case.as_str(), action, since])
        })?;
        self.tidy()
    }

    /// Notes that the outcome of what a case was about is told: the same call is a new one from here on.
    pub(super) fn told(&self, key: &Key) -> Result<(), String> {
        let (agent, environment, action) = of(key);
        self.with(|db| {
            let mut told = db.prepare_cached(
                "UPDATE calls SET told = 1 WHERE agent = ?1 AND environment = ?2 AND action = ?3 AND told = 0",
            )?;
            told.execute(params![agent, environment, action])
        })?;
        Ok(())
    }

    /// As [`Held::told`], by the case.
    pub(super) fn told_in(
        &self,
        agent: &PrincipalId,
        environment: &Environment,
        case: &CaseId,
    ) -> Result<(), String> {
        let (agent, environment) = (agent.as_str(), environment.as_str());
        self.with(|db| {
            db.execute(
                "UPDATE calls SET told = 1 WHERE agent = ?1 AND environment = ?2 AND held = ?3",
                params![agent, environment, case.as_str()],
            )
        })?;
        Ok(())
    }

    fn tidy(&self) -> Result<(), String> {
        let due = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.1 += 1;
            held.1.is_multiple_of(TIDY)
        };
        if due {
            self.with(|db| {
                db.execute(
                    "DELETE FROM calls WHERE since < (SELECT since FROM calls ORDER BY since DESC LIMIT 1 OFFSET ?1)",
                    [MOST],
                )
            })?;
        }
        Ok(())
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, String> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(&held.0).map_err(|e| format!("calls that wait: {e}"))
    }
}

fn of(key: &Key) -> (&str, &str, &[u8]) {
    (
        key.agent.as_str(),
        key.environment.as_str(),
        key.action.as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_until_it_is_told_also_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let key = |text: &str| Key {
            agent: "ana".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            action: Digest::of_bytes(text.as_bytes()),
        };
        let begun = Begun {
            case: "c-1".parse().unwrap(),
            since: 7,
        };
        Held::open(dir.path())
            .unwrap()
            .note(&key("a"), &begun)
            .unwrap();
        let held = Held::open(dir.path()).unwrap();
        assert_eq!(held.find(&key("a")).unwrap(), Some(begun.clone()));
        assert_eq!(held.find(&key("b")).unwrap(), None);
        let elsewhere = Key {
            environment: "staging".parse().unwrap(),
            ..key("a")
        };
        assert_eq!(held.find(&elsewhere).unwrap(), None);
        held.told(&key("a")).unwrap();
        assert_eq!(held.find(&key("a")).unwrap(), None);
        let (ana, prod) = (&key("a").agent, &key("a").environment);
        assert_eq!(held.in_case(ana, prod, &begun.case).unwrap(), Some(begun));
        let other = "c-2".parse().unwrap();
        assert_eq!(held.in_case(ana, prod, &other).unwrap(), None);
    }
}
