//! How far each receiver has come, in `webhooks.db` of the data directory.
//!
//! What is to be told is in the log; kept here is the number of the record to go on with, so that nothing is lost, and nothing
//! is there twice. A row that is lost costs a receiver what lies between it and the end of the log. Other processes may look,
//! and move a cursor: whoever delivers moves it only from where it was found.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The file of the data directory.
pub const FILE: &str = "webhooks.db";

/// How one receiver stands. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The record to go on with: all that is told of those before it was taken.
    pub next: u64,
    /// Events that it took.
    pub delivered: u64,
    /// When it took the last one.
    pub delivered_at: Option<i64>,
    /// Attempts that failed since then.
    pub failures: u32,
    /// What the last one came to.
    pub problem: Option<String>,
    /// When the next one is made.
    pub retry_at: Option<i64>,
    /// Whether it answered 410: it is told nothing until it is resumed.
    pub gone: bool,
}

/// The receivers' cursors.
pub struct Cursors(Mutex<Connection>);

impl Cursors {
    /// Those of the data directory at `dir`.
    ///
    /// # Errors
    /// Why the file cannot be used, and what to do.
    pub fn open(dir: &Path) -> Result<Self, String> {
        let path = dir.join(FILE);
        let open = || {
            let db = Connection::open(&path)?;
            db.busy_timeout(std::time::Duration::from_secs(5))?;
            db.execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
                 CREATE TABLE IF NOT EXISTS receivers (
                     name TEXT PRIMARY KEY, url TEXT NOT NULL, next INTEGER NOT NULL,
                     delivered INTEGER NOT NULL DEFAULT 0, delivered_at INTEGER,
                     failures INTEGER NOT NULL DEFAULT 0, problem TEXT, retry_at INTEGER,
                     gone INTEGER NOT NULL DEFAULT 0
                 ) WITHOUT ROWID;",
            )?;
            Ok(db)
        };
        let db = open().map_err(|e: rusqlite::Error| {
            format!(
                "`{}` cannot be used: {e}; delete it, and receivers are told what happens from then on",
                path.display()
            )
        })?;
        Ok(Self(Mutex::new(db)))
    }

    /// How a receiver stands; one that is new begins at record `next`. Another address than before takes back that it is
    /// gone.
    ///
    /// # Errors
    /// The database's.
    pub fn begin(&self, name: &str, url: &str, next: u64) -> Result<Standing, String> {
        self.told(|db| {
            db.execute(
                "INSERT INTO receivers (name, url, next) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET
                     gone = CASE WHEN url = excluded.url THEN gone ELSE 0 END, url = excluded.url",
                params![name, url, number(next)],
            )?;
            standing(db, name)
        })?
        .ok_or_else(|| format!("`{FILE}`: receiver `{name}` is not there"))
    }

    /// How a receiver stands; none that never began.
    ///
    /// # Errors
    /// The database's.
    pub fn standing(&self, name: &str) -> Result<Option<Standing>, String> {
        self.told(|db| standing(db, name))
    }

    /// Moves a cursor on over records of which nothing is told; false where it is not at `from` any more.
    ///
    /// # Errors
    /// The database's.
    pub fn pass(&self, name: &str, from: u64, to: u64) -> Result<bool, String> {
        self.moved(
            "UPDATE receivers SET next = ?3 WHERE name = ?1 AND next = ?2",
            params![name, number(from), number(to)],
        )
    }

    /// Moves a cursor on over an event that was taken at `at`; false where it is not at `from` any more.
    ///
    /// # Errors
    /// The database's.
    pub fn taken(&self, name: &str, from: u64, to: u64, at: i64) -> Result<bool, String> {
        self.moved(
            "UPDATE receivers SET next = ?3, delivered = delivered + 1, delivered_at = ?4,
                 failures = 0, problem = NULL, retry_at = NULL
             WHERE name = ?1 AND next = ?2",
            params![name, number(from), number(to), at],
        )
    }

    /// Takes down an attempt that failed.
    ///
    /// # Errors
    /// The database's.
    pub fn failed(&self, name: &str, problem: &str, retry_at: i64) -> Result<(), String> {
        self.moved(
            "UPDATE receivers SET failures = failures + 1, problem = ?2, retry_at = ?3 WHERE name = ?1",
            params![name, problem, retry_at],
        )
        .map(drop)
    }

    /// Takes down that a receiver wants no more.
    ///
    /// # Errors
    /// The database's.
    pub fn gone(&self, name: &str) -> Result<(), String> {
        self.moved(
            "UPDATE receivers SET gone = 1, problem = ?2, retry_at = NULL WHERE name = ?1",
            params![name, "the receiver answers 410: it wants no more"],
        )
        .map(drop)
    }

    /// Lets a receiver go on at once, from where it stands or from record `from`; false where it never began.
    ///
    /// # Errors
    /// The database's.
    pub fn resume(&self, name: &str, from: Option<u64>) -> Result<bool, String> {
        self.moved(
            "UPDATE receivers SET gone = 0, failures = 0, retry_at = NULL, next = COALESCE(?2, next) WHERE name = ?1",
            params![name, from.map(number)],
        )
    }

    fn moved(&self, sql: &str, params: impl rusqlite::Params) -> Result<bool, String> {
        self.told(|db| db.execute(sql, params)).map(|rows| rows > 0)
    }

    fn told<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, String> {
        work(&self.lock()).map_err(|e| format!("`{FILE}`: {e}"))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(db: &Connection, name: &str) -> Result<Option<Standing>, rusqlite::Error> {
    let sql = "SELECT next, delivered, delivered_at, failures, problem, retry_at, gone FROM receivers WHERE name = ?1";
    let read = |row: &Row<'_>| {
        Ok(Standing {
            next: row.get::<_, i64>(0)?.unsigned_abs(),
            delivered: row.get::<_, i64>(1)?.unsigned_abs(),
            delivered_at: row.get(2)?,
            failures: row.get(3)?,
            problem: row.get(4)?,
            retry_at: row.get(5)?,
            gone: row.get(6)?,
        })
    };
    db.query_row(sql, params![name], read).optional()
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_moves_only_from_where_it_was_found_and_stays_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let cursors = Cursors::open(dir.path()).unwrap();
        assert_eq!(cursors.begin("desk", "u", 10).unwrap().next, 10);
        assert!(cursors.pass("desk", 10, 20).unwrap());
        assert!(!cursors.pass("desk", 10, 30).unwrap());
        cursors.failed("desk", "away", 5).unwrap();
        cursors.failed("desk", "away", 9).unwrap();
        drop(cursors);
        let cursors = Cursors::open(dir.path()).unwrap();
        let standing = cursors.begin("desk", "u", 99).unwrap();
        assert_eq!(
            (standing.next, standing.failures, standing.retry_at),
            (20, 2, Some(9))
        );
        assert!(cursors.taken("desk", 20, 21, 7).unwrap());
        let standing = cursors.standing("desk").unwrap().unwrap();
        assert_eq!(
            (standing.next, standing.failures, standing.delivered),
            (21, 0, 1)
        );
        assert_eq!(standing.problem, None);
    }

    #[test]
    fn a_receiver_that_is_gone_stays_so_until_it_is_resumed_or_moves() {
        let dir = tempfile::tempdir().unwrap();
        let (cursors, other) = (
            Cursors::open(dir.path()).unwrap(),
            Cursors::open(dir.path()).unwrap(),
        );
        cursors.begin("desk", "u", 10).unwrap();
        cursors.gone("desk").unwrap();
        assert!(cursors.begin("desk", "u", 10).unwrap().gone);
        assert!(other.resume("desk", Some(3)).unwrap());
        let standing = cursors.standing("desk").unwrap().unwrap();
        assert_eq!((standing.gone, standing.next), (false, 3));
        cursors.gone("desk").unwrap();
        assert!(!cursors.begin("desk", "another", 10).unwrap().gone);
        assert!(!cursors.resume("nobody", None).unwrap());
        assert_eq!(cursors.standing("nobody").unwrap(), None);
    }
}
