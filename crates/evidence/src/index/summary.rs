//! What it all comes to.

use std::collections::BTreeMap;

use duty::record::ExceptionSort;
use rusqlite::Connection;
use serde::Serialize;

/// Counts over a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records.
    pub records: u64,
    /// Cases.
    pub cases: u64,
    /// Ended cases by outcome.
    pub by_outcome: BTreeMap<String, u64>,
    /// Judged cases by tier.
    pub by_tier: BTreeMap<String, u64>,
    /// Judged cases by where the verdict sent them.
    pub by_route: BTreeMap<String, u64>,
    /// All cases by where they stand.
    pub by_stage: BTreeMap<String, u64>,
    /// Cases that ran under a threshold, by threshold.
    pub by_threshold: BTreeMap<String, u64>,
    /// Cases that wait for a human's signature.
    pub waiting: u64,
    /// Cases in which a human decided against the agents.
    pub overridden: u64,
    /// Refused requests by code.
    pub refusals: BTreeMap<String, u64>,
    /// Exceptions that nobody has triaged, by sort.
    pub exceptions: BTreeMap<String, u64>,
}

pub(super) fn of(db: &Connection) -> rusqlite::Result<Summary> {
    let count = |sql: &str| db.query_row(sql, [], |r| r.get::<_, i64>(0).map(i64::cast_unsigned));
    let by = |sql: &str| -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut find = db.prepare(sql)?;
        let rows = find.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?.cast_unsigned())))?;
        rows.collect()
    };
    Ok(Summary {
        records: count("SELECT count(*) FROM records")?,
        cases: count("SELECT count(*) FROM cases")?,
        by_outcome: by("SELECT outcome, count(*) FROM cases WHERE outcome IS NOT NULL GROUP BY 1")?,
        by_tier: by("SELECT tier, count(*) FROM cases WHERE tier IS NOT NULL GROUP BY 1")?,
        by_route: by("SELECT route, count(*) FROM cases WHERE route IS NOT NULL GROUP BY 1")?,
        by_stage: by("SELECT stage, count(*) FROM cases GROUP BY 1")?,
        by_threshold: by(
            "SELECT threshold, count(*) FROM cases WHERE threshold IS NOT NULL GROUP BY 1",
        )?,
        waiting: count("SELECT count(*) FROM cases WHERE stage = 'waiting'")?,
        overridden: count("SELECT count(*) FROM cases WHERE overridden")?,
        refusals: by("SELECT refusal, count(*) FROM records WHERE refusal IS NOT NULL GROUP BY 1")?,
        exceptions: by("SELECT sort, count(*) FROM exceptions WHERE triaged IS NULL GROUP BY 1")?,
    })
}

/// The word of a sort as the core writes it.
pub(super) fn sort_word(word: &str) -> Result<&'static str, String> {
    let sort: ExceptionSort = serde_json::from_value(word.into()).map_err(|e| e.to_string())?;
    Ok(sort.word())
}
