//! A projection of the log for queries, in SQLite. It holds nothing that the log does not, and can be deleted at any time.
//!
//! It remembers which log it is of, how far it has come, and the digest of the last record it took. Where any of these
//! does not fit the log, or the tables are of another version, it builds itself anew. That nobody has edited it is shown by
//! comparing it with the log ([`Index::rely`]), and the rows of an answer are read again from the log.

mod compare;
mod query;
mod schema;
mod summary;
mod take;

use std::path::Path;

use duty::{canonical::Digest, record::Record, time::Time};
use ledger::Source;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    EvidenceError, describe,
    exceptions::{ExceptionLine, Triaged},
    reader,
};

pub use compare::{COMPARED, Reliance};
pub use query::{CaseFilter, CaseRow, Query, Row};
pub use summary::Summary;

/// Records taken down in one transaction.
const AT_ONCE: u64 = 20_000;

/// A projection of one log.
#[derive(Debug)]
pub struct Index {
    db: Connection,
    path: String,
    /// Whether nobody else can write it.
    private: bool,
    /// SQLite's count of others' writes when it was compared with the log.
    compared: Option<i64>,
    /// What has become of it, for people.
    notes: Vec<String>,
}

/// How far the projection has come.
struct Mark {
    origin: String,
    size: u64,
    last: Vec<u8>,
}

impl Index {
    /// The projection `index.db` in a data directory; made where there is none.
    ///
    /// # Errors
    /// [`EvidenceError::Index`] where the file cannot be used.
    pub fn open(dir: &Path) -> Result<Self, EvidenceError> {
        let path = dir.join("index.db");
        let shown = path.display().to_string();
        let fail = |e: rusqlite::Error| fault(&shown, &e);
        let db = Connection::open(&path).map_err(fail)?;
        db.busy_timeout(std::time::Duration::from_secs(10))
            .map_err(fail)?;
        // Nothing here is a truth: what a power cut takes is built again.
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .map_err(fail)?;
        Self::with(db, shown.clone(), false)
    }

    /// A projection that is gone when the process ends.
    ///
    /// # Errors
    /// [`EvidenceError::Index`] where SQLite cannot be used.
    pub fn in_memory() -> Result<Self, EvidenceError> {
        let shown = ":memory:".to_owned();
        let db = Connection::open_in_memory().map_err(|e| fault(&shown, &e))?;
        Self::with(db, shown, true)
    }

    /// As [`Index::in_memory`], in a file without a name where it grows large.
    fn unnamed() -> Result<Self, EvidenceError> {
        let shown = "a temporary file".to_owned();
        let db = Connection::open("").map_err(|e| fault(&shown, &e))?;
        Self::with(db, shown, true)
    }

    fn with(db: Connection, path: String, private: bool) -> Result<Self, EvidenceError> {
        let index = Self {
            db,
            path,
            private,
            compared: None,
            notes: Vec::new(),
        };
        index.guard(|| {
            let version: i64 = index
                .db
                .pragma_query_value(None, "user_version", |r| r.get(0))?;
            if version != schema::VERSION {
                index.db.execute_batch("BEGIN IMMEDIATE")?;
                index.renew()?;
                index.db.execute_batch("COMMIT")?;
            }
            Ok(())
        })?;
        Ok(index)
    }

    /// Takes down what the log holds beyond what is here, up to its checkpoint; builds everything anew where what is here
    /// is not of this log. Returns the number of records here.
    ///
    /// # Errors
    /// [`EvidenceError`] where the log cannot be read or the file cannot be written.
    pub fn catch_up(&mut self, source: &dyn Source) -> Result<u64, EvidenceError> {
        let head = reader::head(source)?;
        // The lock comes before the look, so that two processes never take the same record down.
        self.guard(|| self.db.execute_batch("BEGIN IMMEDIATE"))?;
        let taken = self.take(source, &head.origin, head.size);
        if taken.is_err() {
            // The reason is `taken`'s; that rolling back fails as well adds nothing to it.
            let _rolled_back = self.db.execute_batch("ROLLBACK");
        }
        taken
    }

    fn take(&self, source: &dyn Source, origin: &str, head: u64) -> Result<u64, EvidenceError> {
        let mut size = match self.mark()? {
            Some(mark) if self.fits(source, &mark, origin, head)? => mark.size,
            Some(_) => {
                self.guard(|| self.renew())?;
                0
            }
            None => 0,
        };
        let mut last = None;
        reader::for_each_entry(source, size, &mut |seq, entry| {
            let record = reader::record(seq, entry)?;
            if record.seq != seq {
                return Err(EvidenceError::Record {
                    seq,
                    why: format!("it says that it is record {}", record.seq),
                });
            }
            self.guard(|| take::take(&self.db, &record))?;
            let digest = Digest::of_bytes(entry);
            size = seq + 1;
            if size.is_multiple_of(AT_ONCE) {
                self.save(origin, size, &digest)?;
                self.guard(|| self.db.execute_batch("COMMIT; BEGIN IMMEDIATE"))?;
            }
            last = Some(digest);
            Ok(())
        })?;
        if let Some(digest) = last {
            self.save(origin, size, &digest)?;
        }
        self.guard(|| self.db.execute_batch("COMMIT"))?;
        Ok(size)
    }

    /// Records, in the log's order unless the newest are wanted first. What each row says of its record is read again from
    /// the log; where it says something else, the index is built anew and asked again, and [`Index::notes`] tells of it.
    ///
    /// # Errors
    /// [`EvidenceError`] where the log cannot be read or the file cannot be used.
    pub fn query(&mut self, source: &dyn Source, query: &Query) -> Result<Vec<Row>, EvidenceError> {
        let rows = self.guard(|| query::records(&self.db, query))?;
        let Some(why) = self.unproved(source, &rows)? else {
            return Ok(rows);
        };
        self.heal(source, &why)?;
        self.guard(|| query::records(&self.db, query))
    }

    /// Cases, in the order in which they opened.
    ///
    /// # Errors
    /// [`EvidenceError::Index`].
    pub fn cases(&self, filter: &CaseFilter) -> Result<Vec<CaseRow>, EvidenceError> {
        self.guard(|| query::cases(&self.db, filter))
    }

    /// What it all comes to.
    ///
    /// # Errors
    /// [`EvidenceError::Index`].
    pub fn summary(&self) -> Result<Summary, EvidenceError> {
        self.guard(|| summary::of(&self.db))
    }

    /// Exceptions in the order in which they were raised; only those that wait, where `waiting`.
    ///
    /// # Errors
    /// [`EvidenceError::Index`].
    pub fn exceptions(&self, waiting: bool) -> Result<Vec<ExceptionLine>, EvidenceError> {
        let rows = self.guard(|| {
            let mut find = self.db.prepare_cached(
                "SELECT id, sort, case_id, raised, seq, text, triaged, triaged_by, finding FROM exceptions
                 WHERE triaged IS NULL OR NOT ?1 ORDER BY seq",
            )?;
            let rows = find.query_map([waiting], |row| {
                let word = |i| row.get::<_, Option<String>>(i);
                let triaged: Option<i64> = row.get(6)?;
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    word(2)?,
                    row.get::<_, i64>(3)?,
                    row.get::<_, i64>(4)?,
                    row.get::<_, String>(5)?,
                    triaged.zip(word(7)?).zip(word(8)?),
                ))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let lines = rows
            .into_iter()
            .map(|(id, sort, case, raised, seq, text, triage)| {
                let triage = triage.map(|((time, by), finding)| {
                    Ok::<_, String>(Triaged {
                        by: by.parse()?,
                        time: Time::from_millis(time),
                        finding,
                    })
                });
                Ok(ExceptionLine {
                    id: id.parse()?,
                    sort: summary::sort_word(&sort)?,
                    case: case.map(|c| c.parse()).transpose()?,
                    raised: Time::from_millis(raised),
                    seq: seq.cast_unsigned(),
                    text,
                    triage: triage.transpose()?,
                })
            });
        lines
            .collect::<Result<_, String>>()
            .map_err(|why| EvidenceError::Index {
                path: self.path.clone(),
                why,
            })
    }

    /// The places of a case's records, and of those that its story needs besides: principals, files and releases.
    pub(crate) fn story_of(&self, case: &str) -> Result<Vec<u64>, EvidenceError> {
        self.guard(|| {
            let mut find = self.db.prepare_cached(
                "SELECT seq FROM records WHERE case_id = ?1
                 UNION SELECT seq FROM records WHERE kind IN
                    ('log.opened', 'principal.added', 'file.recorded', 'release.built', 'threshold.signed')
                 ORDER BY seq",
            )?;
            let rows = find.query_map([case], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?;
            rows.collect()
        })
    }

    fn mark(&self) -> Result<Option<Mark>, EvidenceError> {
        self.guard(|| {
            self.db
                .query_row("SELECT origin, size, last FROM meta", [], |row| {
                    Ok(Mark {
                        origin: row.get(0)?,
                        size: row.get::<_, i64>(1)?.cast_unsigned(),
                        last: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    fn fits(
        &self,
        source: &dyn Source,
        mark: &Mark,
        origin: &str,
        size: u64,
    ) -> Result<bool, EvidenceError> {
        if mark.origin != origin || mark.size > size || mark.size == 0 {
            return Ok(false);
        }
        let entry = reader::entry(source, mark.size - 1, size)?;
        Ok(Digest::of_bytes(&entry).as_bytes()[..] == mark.last[..])
    }

    fn save(&self, origin: &str, size: u64, last: &Digest) -> Result<(), EvidenceError> {
        self.guard(|| {
            self.db.execute("DELETE FROM meta", [])?;
            self.db.execute(
                "INSERT INTO meta VALUES (?1, ?2, ?3, ?4)",
                params![
                    schema::VERSION,
                    origin,
                    size.cast_signed(),
                    &last.as_bytes()[..]
                ],
            )?;
            Ok(())
        })
    }

    fn renew(&self) -> rusqlite::Result<()> {
        // Whatever there is: an edited file may hold views and triggers too. With a table go its triggers and indexes.
        let mut find = self.db.prepare(
            "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?;
        let rows = find.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?;
        for (sort, name) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
            let name = name.replace('"', "\"\"");
            self.db.execute_batch(&format!("DROP {sort} \"{name}\""))?;
        }
        drop(find);
        self.db.execute_batch(schema::CREATE)?;
        self.db.pragma_update(None, "user_version", schema::VERSION)
    }

    fn guard<T>(&self, f: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, EvidenceError> {
        f().map_err(|e| fault(&self.path, &e))
    }
}

/// What a row must say of its record; what it says of the record's case is left as it is.
fn row_of(record: &Record, row: &Row) -> Row {
    let mut clauses: Vec<_> = record.clauses.iter().map(|c| c.id.clone()).collect();
    clauses.sort();
    clauses.dedup();
    let mut said = row.clauses.clone();
    said.sort();
    Row {
        seq: record.seq,
        time: record.time,
        kind: record.body.kind().to_owned(),
        case: record.case.as_ref().map(ToString::to_string),
        env: record.env.as_ref().map(ToString::to_string),
        actor: record.actor.id.to_string(),
        role: record.actor.role.map(|r| r.word().to_owned()),
        owner: record.actor.owner.as_ref().map(ToString::to_string),
        release: record.release.map(|r| r.to_string()),
        refusal: take::refusal(record).map(str::to_owned),
        tier: row.tier.clone(),
        outcome: row.outcome.clone(),
        text: describe(record),
        clauses: if said == clauses {
            row.clauses.clone()
        } else {
            clauses
        },
    }
}

fn fault(path: &str, error: &rusqlite::Error) -> EvidenceError {
    EvidenceError::Index {
        path: path.to_owned(),
        why: error.to_string(),
    }
}
