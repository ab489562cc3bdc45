//! `mcp.db`: the calls, and the record up to which it has all of them.

use std::path::{Path, PathBuf};

use duty::{
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{Begun, Change, Key, Place};

/// The most calls that are known, about; the oldest go first.
pub(super) const MOST: u64 = 100_000;
/// Between two times that the oldest are looked for.
pub(super) const TIDY: u64 = 1_024;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS calls (
        agent TEXT NOT NULL, environment TEXT NOT NULL, held TEXT NOT NULL,
        action BLOB NOT NULL, since INTEGER NOT NULL, told INTEGER NOT NULL,
        PRIMARY KEY (agent, environment, held)
    ) WITHOUT ROWID;
    DROP INDEX IF EXISTS calls_action;
    DROP INDEX IF EXISTS calls_untold;
    CREATE INDEX IF NOT EXISTS calls_since ON calls (since);
    CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL);";

/// The file.
pub(super) struct File {
    db: Connection,
    path: PathBuf,
    /// As in `seen`, since it was written here.
    written: u64,
    /// Since the oldest were looked for.
    noted: u64,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let opened = Connection::open(path).and_then(|db| {
            db.execute_batch(SCHEMA)?;
            Ok(db)
        });
        let db = opened.map_err(|e| {
            format!(
                "`{}` cannot be used: {e}; delete it, and calls that wait are asked for anew",
                path.display()
            )
        })?;
        Ok(Self {
            db,
            path: path.to_owned(),
            written: 0,
            noted: 0,
        })
    }

    /// The record up to which it has all calls; none where it never said.
    pub(super) fn upto(&mut self) -> Result<Option<u64>, String> {
        let upto: Option<i64> = self.with(|db| {
            db.query_row("SELECT upto FROM seen", [], |row| row.get(0))
                .optional()
        })?;
        Ok(upto.and_then(|upto| u64::try_from(upto).ok()))
    }

    /// What [`File::write`] was told last.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Calls that were not told, the newest of a key last.
    pub(super) fn untold(&mut self) -> Result<Vec<(Key, Begun)>, String> {
        self.with(|db| {
            let mut all = db.prepare(
                "SELECT agent, environment, action, held, since FROM calls WHERE told = 0 ORDER BY since",
            )?;
            let rows = all.query_map([], |row| {
                let text = |at: usize| row.get::<_, String>(at);
                let (agent, environment, case) = (text(0)?, text(1)?, text(3)?);
                let (action, since): ([u8; 32], i64) = (row.get(2)?, row.get(4)?);
                let key = || {
                    Some(Key {
                        agent: agent.parse().ok()?,
                        environment: environment.parse().ok()?,
                        action: Digest::from_bytes(action),
                    })
                };
                Ok(key().zip(begun(&case, since)))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// What an agent began in a case, told or not.
    pub(super) fn in_case(
        &mut self,
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
        Ok(since.and_then(|since| begun(case.as_str(), since)))
    }

    /// Writes changes, after which it has all calls up to a record.
    pub(super) fn write<'c>(
        &mut self,
        changes: impl IntoIterator<Item = &'c Change>,
        upto: u64,
    ) -> Result<(), String> {
        let mut noted = 0;
        self.with(|db| {
            let change = db.transaction()?;
            for one in changes {
                match one {
                    Change::Begun(key, begun) => {
                        noted += 1;
                        insert(&change, "REPLACE", key, begun)?;
                    }
                    Change::Found(key, begun) => insert(&change, "IGNORE", key, begun)?,
                    Change::Told(place) => tell(&change, place)?,
                }
            }
            reach(&change, upto)?;
            change.commit()
        })?;
        self.noted += noted;
        self.written = upto;
        Ok(())
    }

    /// Removes the oldest calls where there are too many, now and then; answers since when those are that stay, if some went.
    pub(super) fn tidy(&mut self) -> Result<Option<u64>, String> {
        if self.noted < TIDY {
            return Ok(None);
        }
        self.noted = 0;
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let newest: Option<i64> = self.with(|db| {
            let newest = db
                .query_row(
                    "SELECT since FROM calls ORDER BY since DESC LIMIT 1 OFFSET ?1",
                    [most],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(since) = newest {
                db.execute("DELETE FROM calls WHERE since < ?1", [since])?;
            }
            Ok(newest)
        })?;
        Ok(newest.and_then(|since| u64::try_from(since).ok()))
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, String> {
        act(&mut self.db).map_err(|e| format!("calls that wait, in `{}`: {e}", self.path.display()))
    }
}

fn begun(case: &str, since: i64) -> Option<Begun> {
    Some(Begun {
        case: case.parse().ok()?,
        since: u64::try_from(since).ok()?,
    })
}

/// What is done where the call is there already, is SQLite's word for it.
fn insert(
    change: &Transaction<'_>,
    otherwise: &str,
    key: &Key,
    begun: &Begun,
) -> Result<(), rusqlite::Error> {
    let mut note = change.prepare_cached(&format!(
        "INSERT OR {otherwise} INTO calls (agent, environment, held, action, since, told) VALUES (?1, ?2, ?3, ?4, ?5, 0)"
    ))?;
    let since = i64::try_from(begun.since).unwrap_or(i64::MAX);
    note.execute(params![
        key.agent.as_str(),
        key.environment.as_str(),
        begun.case.as_str(),
        key.action.as_bytes(),
        since
    ])?;
    Ok(())
}

fn tell(change: &Transaction<'_>, place: &Place) -> Result<(), rusqlite::Error> {
    let mut told = change.prepare_cached(
        "UPDATE calls SET told = 1 WHERE agent = ?1 AND environment = ?2 AND held = ?3",
    )?;
    let (agent, environment) = (place.agent.as_str(), place.environment.as_str());
    told.execute([agent, environment, place.case.as_str()])?;
    Ok(())
}

fn reach(change: &Transaction<'_>, upto: u64) -> Result<(), rusqlite::Error> {
    let upto = i64::try_from(upto).unwrap_or(i64::MAX);
    let mut reach =
        change.prepare_cached("INSERT OR REPLACE INTO seen (one, upto) VALUES (1, ?1)")?;
    reach.execute([upto])?;
    Ok(())
}
