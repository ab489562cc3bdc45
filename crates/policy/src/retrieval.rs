//! Retrieval: BM25 over the clauses, by SQLite's FTS5 in memory. The same query over the same clauses ranks the same.

use std::sync::{Mutex, PoisonError};

use duty::release::ClauseRef;
use rusqlite::{Connection, params};

use crate::clause::Clause;

/// A clause that retrieval found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The clause.
    pub clause: ClauseRef,
    /// Its BM25 score in thousandths; larger is better.
    pub score_milli: i64,
    /// Its title.
    pub title: String,
}

/// The index over one release's clauses.
pub(crate) struct Index(Mutex<Connection>);

impl Index {
    pub(crate) fn new(clauses: &[Clause]) -> Result<Self, String> {
        let build = || -> rusqlite::Result<Connection> {
            let db = Connection::open_in_memory()?;
            db.execute_batch(
                "CREATE VIRTUAL TABLE clauses USING fts5(place UNINDEXED, title, section, text,
                    tokenize = 'porter unicode61')",
            )?;
            {
                let mut insert = db.prepare("INSERT INTO clauses VALUES (?1, ?2, ?3, ?4)")?;
                for (place, c) in clauses.iter().enumerate() {
                    let place = i64::try_from(place).unwrap_or(i64::MAX);
                    insert.execute(params![place, c.title, c.section, c.text])?;
                }
            }
            Ok(db)
        };
        build()
            .map(|db| Self(Mutex::new(db)))
            .map_err(|e| e.to_string())
    }

    pub(crate) fn search(
        &self,
        clauses: &[Clause],
        query: &str,
        limit: usize,
    ) -> Result<Vec<Found>, String> {
        let words = quoted(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let db = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ranked = || -> rusqlite::Result<Vec<(i64, f64)>> {
            let mut find = db.prepare_cached(
                // The title weighs twice: a clause is named for what it is about.
                "SELECT place, bm25(clauses, 0.0, 2.0, 1.0, 1.0) FROM clauses WHERE clauses MATCH ?1",
            )?;
            let rows = find.query_map([&words], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let ranked = ranked().map_err(|e| e.to_string())?;
        let mut found: Vec<Found> = ranked
            .into_iter()
            .filter_map(|(place, score)| {
                let clause = clauses.get(usize::try_from(place).ok()?)?;
                Some(Found {
                    clause: clause.reference(),
                    score_milli: milli(-score),
                    title: clause.title.clone(),
                })
            })
            .collect();
        // Equal scores go by id, so that no order is left to chance.
        found.sort_by(|a, b| {
            let by_score = b.score_milli.cmp(&a.score_milli);
            by_score.then_with(|| a.clause.id.cmp(&b.clause.id))
        });
        found.truncate(limit);
        Ok(found)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a score is far below 2^53 thousandths"
)]
fn milli(score: f64) -> i64 {
    (score * 1000.0).round() as i64
}

/// Each word of the query quoted, joined by OR: whatever a user writes is words, never FTS5 syntax.
fn quoted(query: &str) -> String {
    let words = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty());
    let words: Vec<_> = words.take(64).map(|w| format!("\"{w}\"")).collect();
    words.join(" OR ")
}
