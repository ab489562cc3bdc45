//! Whether a projection says what the log says, and all of it.
//!
//! Nothing in the file can vouch for the file: whoever can edit a row can edit a checksum beside it. So it is held against
//! another one, made from the log: every table both ways, what the tables are, and SQLite's own look at its indexes.

use duty::record::Record;
use ledger::Source;
use rusqlite::{Connection, types::ValueRef};

use super::{Index, Row, fault, row_of, schema};
use crate::{EvidenceError, reader};

/// A log of at most so many records is compared with its index before every answer that rests on it.
pub const COMPARED: u64 = 100_000;

/// How many differences of a kind are named.
const NAMED: u32 = 3;

/// How far a projection was found to be the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliance {
    /// It was compared, or nobody but this process could have written it.
    Compared,
    /// The log is longer than [`COMPARED`]: the rows of answers are checked, and that none is missing is not.
    RowsOnly,
}

impl Index {
    /// Catches up with the log, and compares with it where anybody else may have written since; what differs is built
    /// anew, and [`Index::notes`] tells of it.
    ///
    /// # Errors
    /// [`EvidenceError`] where the log cannot be read or the file cannot be used.
    pub fn rely(&mut self, source: &dyn Source) -> Result<Reliance, EvidenceError> {
        let size = self.catch_up(source)?;
        if self.private {
            return Ok(Reliance::Compared);
        }
        if size > COMPARED {
            return Ok(Reliance::RowsOnly);
        }
        let version = self.data_version()?;
        if self.compared != Some(version) {
            let differs = self.differences(source)?;
            if let Some(first) = differs.first() {
                self.heal(source, first)?;
            }
            self.compared = Some(version);
        }
        Ok(Reliance::Compared)
    }

    /// What differs from an index that is built from the log now, in words; empty where nothing does.
    ///
    /// # Errors
    /// [`EvidenceError`] where the log cannot be read or the file cannot be used.
    pub fn differences(&mut self, source: &dyn Source) -> Result<Vec<String>, EvidenceError> {
        if self.private {
            return Ok(Vec::new());
        }
        let mut fresh = Self::unnamed()?;
        // The log may grow meanwhile: both have to have come as far.
        let mut size = fresh.catch_up(source)?;
        while size != self.catch_up(source)? {
            size = fresh.catch_up(source)?;
        }
        compare(&fresh.db, &self.path).map_err(|e| fault(&self.path, &e))
    }

    /// Builds everything anew, and notes why.
    pub(super) fn heal(&mut self, source: &dyn Source, why: &str) -> Result<(), EvidenceError> {
        self.notes.push(format!(
            "the index `{}` is not what the log says: {why}; it was edited, and is built anew",
            self.path
        ));
        self.guard(|| {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.renew()?;
            self.db.execute_batch("COMMIT")
        })?;
        self.catch_up(source)?;
        Ok(())
    }

    /// The first row that the log does not bear out, with what is wrong.
    pub(super) fn unproved(
        &self,
        source: &dyn Source,
        rows: &[Row],
    ) -> Result<Option<String>, EvidenceError> {
        if self.private || rows.is_empty() {
            return Ok(None);
        }
        let size = reader::head(source)?.size;
        for row in rows {
            if row.seq >= size {
                return Ok(Some(format!("the log has no record {}", row.seq)));
            }
            let record: Record = reader::record(row.seq, &reader::entry(source, row.seq, size)?)?;
            if row_of(&record, row) != *row {
                return Ok(Some(format!("record {} says something else", row.seq)));
            }
        }
        Ok(None)
    }

    /// What has become of it since this was asked last, for people.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// A number that another one follows whenever anybody else has written.
    fn data_version(&self) -> Result<i64, EvidenceError> {
        self.guard(|| {
            self.db
                .pragma_query_value(None, "data_version", |r| r.get(0))
        })
    }
}

fn compare(fresh: &Connection, path: &str) -> rusqlite::Result<Vec<String>> {
    fresh.execute("ATTACH ?1 AS kept", [path])?;
    let mut found = Vec::new();
    let tables = "SELECT type, name, tbl_name, sql FROM";
    let own = "WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let one = |side: &str| format!("{tables} {side}.sqlite_master {own}");
    both(fresh, "tables", &one, &mut found)?;
    if !found.is_empty() {
        // What is no table of ours cannot be asked like one.
        return Ok(found);
    }
    for table in schema::TABLES {
        both(
            fresh,
            table,
            &|side| format!("SELECT * FROM {side}.{table}"),
            &mut found,
        )?;
    }
    let mut look = fresh.prepare("PRAGMA kept.integrity_check")?;
    let said = look.query_map([], |row| row.get::<_, String>(0))?;
    for said in said {
        let said = said?;
        if said != "ok" {
            found.push(format!("its own indexes disagree: {said}"));
        }
    }
    Ok(found)
}

/// Rows on one side only.
fn both(
    db: &Connection,
    table: &str,
    rows: &dyn Fn(&str) -> String,
    found: &mut Vec<String>,
) -> rusqlite::Result<()> {
    for (here, there, what) in [
        ("main", "kept", "lacks"),
        ("kept", "main", "has, and the log does not,"),
    ] {
        let sql = format!("{} EXCEPT {} LIMIT {NAMED}", rows(here), rows(there));
        let mut find = db.prepare(&sql)?;
        let columns: Vec<String> = find.column_names().map(str::to_owned).collect();
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let mut cells = Vec::new();
            for (i, column) in columns.iter().enumerate() {
                if let Some(word) = word(row.get_ref(i)?) {
                    cells.push(format!("{column}={word}"));
                }
            }
            found.push(format!("`{table}` {what} {}", cells.join(" ")));
        }
    }
    Ok(())
}

/// A value, shortly; none where there is none.
fn word(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(n) => n.to_string(),
        ValueRef::Text(text) => {
            let text: String = String::from_utf8_lossy(text).chars().take(60).collect();
            format!("`{text}`")
        }
        ValueRef::Blob(bytes) => hex::encode(bytes),
    })
}
