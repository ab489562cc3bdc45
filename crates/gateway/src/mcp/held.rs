//! Calls whose outcome their caller has not been told: the same call of the same agent finds it, also after a restart.
//!
//! Kept in `mcp.db` is only which case a call belongs to, and how long the log was when it came; what became of it is read
//! from the log. A row that is lost costs people a second look: the same call asks them anew, and nothing happens twice
//! without their word.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use duty::{
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The most calls that are known; the oldest go first.
const MOST: i64 = 100_000;
/// Between two times that the file is tidied up.
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
///
/// Nobody waits for the disk here: the file is written to its own log only, and what forces that to the disk and folds it back
/// is done aside.
pub(super) struct Held {
    db: Mutex<Connection>,
    path: PathBuf,
    noted: AtomicU64,
    tidying: Arc<AtomicBool>,
}

impl Held {
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let path = dir.join("mcp.db");
        let fail = |e: rusqlite::Error| {
            format!(
                "`{}` cannot be used: {e}; delete it, and calls that wait are asked for anew",
                path.display()
            )
        };
        let db = connect(&path).map_err(fail)?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS calls (
                 agent TEXT NOT NULL, environment TEXT NOT NULL, held TEXT NOT NULL,
                 action BLOB NOT NULL, since INTEGER NOT NULL, told INTEGER NOT NULL,
                 PRIMARY KEY (agent, environment, held)
             ) WITHOUT ROWID;
             DROP INDEX IF EXISTS calls_action;
             CREATE INDEX IF NOT EXISTS calls_untold ON calls (agent, environment, action, since) WHERE told = 0;
             CREATE INDEX IF NOT EXISTS calls_since ON calls (since);",
        )
        .map_err(fail)?;
        Ok(Self {
            db: Mutex::new(db),
            path,
            noted: AtomicU64::new(0),
            tidying: Arc::default(),
        })
    }

    /// What this call began, where its outcome was not told.
    pub(super) fn find(&self, key: &Key) -> Result<Option<Begun>, String> {
        let (agent, environment, action) = of(key);
        self.with(|db| {
            // The index is named, here and below: without statistics SQLite rather reads all rows of an agent by the table's key.
            let mut find = db.prepare_cached(
                "SELECT held, since FROM calls INDEXED BY calls_untold
                 WHERE agent = ?1 AND environment = ?2 AND action = ?3 AND told = 0
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
        if self.noted.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.tidy();
        }
        Ok(())
    }

    /// Notes that the outcome of what a case was about is told: the same call is a new one from here on.
    pub(super) fn told(&self, key: &Key) -> Result<(), String> {
        let (agent, environment, action) = of(key);
        self.with(|db| {
            let mut told = db.prepare_cached(
                "UPDATE calls INDEXED BY calls_untold SET told = 1
                 WHERE agent = ?1 AND environment = ?2 AND action = ?3 AND told = 0",
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
            let mut told = db.prepare_cached(
                "UPDATE calls SET told = 1 WHERE agent = ?1 AND environment = ?2 AND held = ?3",
            )?;
            told.execute(params![agent, environment, case.as_str()])
        })?;
        Ok(())
    }

    /// Has the file tidied up on a thread of its own; what fails there is done next time.
    fn tidy(&self) {
        if self.tidying.swap(true, Ordering::AcqRel) {
            return;
        }
        let (path, tidying) = (self.path.clone(), Arc::clone(&self.tidying));
        std::thread::spawn(move || {
            if let Err(e) = tidy(&path) {
                eprintln!("`{}` could not be tidied up: {e}", path.display());
            }
            tidying.store(false, Ordering::Release);
        });
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, String> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        act(&db).map_err(|e| format!("calls that wait: {e}"))
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;",
    )?;
    Ok(db)
}

/// Removes the oldest calls where there are too many, and folds the file's own log back into it.
fn tidy(path: &Path) -> Result<(), rusqlite::Error> {
    let db = connect(path)?;
    let newest: Option<i64> = db
        .query_row(
            "SELECT since FROM calls ORDER BY since DESC LIMIT 1 OFFSET ?1",
            [MOST],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(since) = newest {
        db.execute("DELETE FROM calls WHERE since < ?1", [since])?;
    }
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
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

    #[test]
    fn is_tidied_up_aside() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::open(dir.path()).unwrap();
        for n in 0..3 * TIDY {
            let key = Key {
                agent: "ana".parse().unwrap(),
                environment: "prod".parse().unwrap(),
                action: Digest::of_bytes(&n.to_be_bytes()),
            };
            let case = format!("c-{n}").parse().unwrap();
            held.note(&key, &Begun { case, since: n }).unwrap();
        }
        while held.tidying.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // Folded back: the file has rows without its log.
        let alone = dir.path().join("alone.db");
        std::fs::copy(dir.path().join("mcp.db"), &alone).unwrap();
        let alone = Connection::open(alone).unwrap();
        let rows = alone.query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0));
        assert!(rows.unwrap() >= TIDY as i64);
    }
}
