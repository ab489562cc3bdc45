//! Questions to the projection.

use duty::time::Time;
use rusqlite::{Connection, ToSql, types::Value as Sql};
use serde::{Deserialize, Serialize};

/// The most rows that one answer holds, whatever is asked.
pub(super) const MOST: u32 = 100_000;

/// Which records. All that is given must hold (AND); nothing given means every record.
///
/// `clause`, `agent`, `principal`, `kind`, `env`, `refusal`, `case`, `from` and `to` ask about the record itself. `tier`,
/// `outcome` and `field` ask about the case that the record belongs to, since a tier, an outcome or a fact is the whole
/// case's: all records of such a case are found, and records without a case are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The record cites this clause id.
    pub clause: Option<String>,
    /// The record's actor.
    pub agent: Option<String>,
    /// Somebody with a part in the record: its actor, the signer in it, or the owner of the agent that acted.
    pub principal: Option<String>,
    /// The tier of its case.
    pub tier: Option<String>,
    /// The record's kind, like `approval.given`.
    pub kind: Option<String>,
    /// How its case ended, like `executed`.
    pub outcome: Option<String>,
    /// A fact of its case (`vendor.id`) or an argument of its action (`args.amount_cents`), with its value as text.
    pub field: Option<(String, String)>,
    /// The case.
    pub case: Option<String>,
    /// The environment.
    pub env: Option<String>,
    /// The code of a refusal.
    pub refusal: Option<String>,
    /// Not before.
    pub from: Option<Time>,
    /// Before.
    pub to: Option<Time>,
    /// Newest first; else in the log's order.
    pub newest_first: bool,
    /// At most so many rows; 100,000 where none is given.
    pub limit: Option<u32>,
}

/// A record, as the index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its place in the log.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Its kind.
    pub kind: String,
    /// Its case.
    pub case: Option<String>,
    /// Its environment.
    pub env: Option<String>,
    /// Who.
    pub actor: String,
    /// As what.
    pub role: Option<String>,
    /// The human answerable for it.
    pub owner: Option<String>,
    /// The release.
    pub release: Option<String>,
    /// The code, for a refusal.
    pub refusal: Option<String>,
    /// The tier of its case.
    pub tier: Option<String>,
    /// How its case ended.
    pub outcome: Option<String>,
    /// What it says, in one line.
    pub text: String,
    /// Ids of the clauses that it cites.
    pub clauses: Vec<String>,
}

/// Which cases. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaseFilter {
    /// The case itself.
    pub case: Option<String>,
    /// Where it stands: open, prepared, judged, waiting, granted, executing, unknown, closed.
    pub stage: Option<String>,
    /// Its tier.
    pub tier: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Its environment.
    pub env: Option<String>,
    /// The threshold that it ran under.
    pub threshold: Option<String>,
    /// A fact or an argument, with its value as text.
    pub field: Option<(String, String)>,
    /// Only cases that are under way.
    pub under_way: bool,
    /// At most so many.
    pub limit: Option<u32>,
}

/// A case, as the index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// Where it runs.
    pub env: String,
    /// What it is about.
    pub subject: String,
    /// The release that it runs under.
    pub release: String,
    /// When it opened.
    pub opened: Time,
    /// When it ended.
    pub closed: Option<Time>,
    /// Where it stands.
    pub stage: String,
    /// Its tier.
    pub tier: Option<String>,
    /// Where the verdict sent it.
    pub route: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What is known of the effect.
    pub effect: Option<String>,
    /// The threshold that covers it.
    pub threshold: Option<String>,
    /// The request for approval.
    pub approval: Option<String>,
    /// How many humans must sign.
    pub humans: Option<u32>,
    /// How many have said yes.
    pub yes: u32,
    /// When the request for approval or the grant expires.
    pub expires: Option<Time>,
    /// Whether a human decided against the agents.
    pub overridden: bool,
    /// Why it ended.
    pub why: Option<String>,
    /// Its first record.
    pub first: u64,
    /// Its last record.
    pub last: u64,
}

/// Conditions with their values.
#[derive(Default)]
struct Where {
    parts: Vec<String>,
    values: Vec<Sql>,
}

impl Where {
    /// Adds `sql`, in which `?` stands for the value.
    fn add(&mut self, sql: &str, value: Option<impl Into<Sql>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.parts
                .push(sql.replace('?', &format!("?{}", self.values.len())));
        }
    }

    fn field(&mut self, column: &str, field: Option<&(String, String)>) {
        if let Some((path, value)) = field {
            let n = self.values.len();
            self.values
                .extend([Sql::from(path.clone()), Sql::from(value.clone())]);
            self.parts.push(format!(
                "{column} IN (SELECT case_id FROM fields WHERE path = ?{} AND value = ?{})",
                n + 1,
                n + 2
            ));
        }
    }

    fn sql(&self) -> String {
        if self.parts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.parts.join(" AND "))
        }
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|v| v as &dyn ToSql).collect()
    }
}

/// The first record not before a time.
const FIRST_AT: &str = "coalesce((SELECT seq FROM records WHERE time >= ? ORDER BY time, seq LIMIT 1), 9223372036854775807)";

pub(super) fn records(db: &Connection, query: &Query) -> rusqlite::Result<Vec<Row>> {
    let mut w = Where::default();
    w.add("r.kind = ?", query.kind.clone());
    w.add("r.actor = ?", query.agent.clone());
    w.add("r.case_id = ?", query.case.clone());
    w.add("r.env = ?", query.env.clone());
    w.add("r.refusal = ?", query.refusal.clone());
    // Time never goes back along the log, so a span of time is a span of places.
    w.add(
        &format!("r.seq >= {FIRST_AT}"),
        query.from.map(Time::millis),
    );
    w.add(&format!("r.seq < {FIRST_AT}"), query.to.map(Time::millis));
    // One table gives the records in the log's order, so that a limit ends the search early.
    let from = match (&query.clause, &query.principal) {
        (Some(_), _) => "record_clauses d CROSS JOIN records r ON r.seq = d.seq",
        (None, Some(_)) => "principals d CROSS JOIN records r ON r.seq = d.seq",
        (None, None) => "records r",
    };
    w.add("d.clause = ?", query.clause.clone());
    let principal = if query.clause.is_some() {
        "EXISTS (SELECT 1 FROM principals p WHERE p.principal = ? AND p.seq = r.seq)"
    } else {
        "d.principal = ?"
    };
    w.add(principal, query.principal.clone());
    w.add("c.tier = ?", query.tier.clone());
    w.add("c.outcome = ?", query.outcome.clone());
    w.field("r.case_id", query.field.as_ref());
    let sql = format!(
        "SELECT r.seq, r.time, r.kind, r.case_id, r.env, r.actor, r.role, r.owner, r.release, r.refusal, c.tier,
                c.outcome, r.text,
                (SELECT group_concat(clause, ' ') FROM record_clauses WHERE seq = r.seq)
         FROM {from} LEFT JOIN cases c ON c.id = r.case_id{} ORDER BY {} {} LIMIT {}",
        w.sql(),
        if from == "records r" { "r.seq" } else { "d.seq" },
        if query.newest_first { "DESC" } else { "ASC" },
        query.limit.unwrap_or(MOST).min(MOST),
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(w.values().as_slice(), |row| {
        let clauses: Option<String> = row.get(13)?;
        Ok(Row {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            time: Time::from_millis(row.get(1)?),
            kind: row.get(2)?,
            case: row.get(3)?,
            env: row.get(4)?,
            actor: row.get(5)?,
            role: row.get(6)?,
            owner: row.get(7)?,
            release: row.get(8)?,
            refusal: row.get(9)?,
            tier: row.get(10)?,
            outcome: row.get(11)?,
            text: row.get(12)?,
            clauses: clauses
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    })?;
    rows.collect()
}

pub(super) fn cases(db: &Connection, filter: &CaseFilter) -> rusqlite::Result<Vec<CaseRow>> {
    let mut w = Where::default();
    w.add("id = ?", filter.case.clone());
    w.add("stage = ?", filter.stage.clone());
    w.add("tier = ?", filter.tier.clone());
    w.add("outcome = ?", filter.outcome.clone());
    w.add("env = ?", filter.env.clone());
    w.add("threshold = ?", filter.threshold.clone());
    w.field("id", filter.field.as_ref());
    w.add("stage != ?", filter.under_way.then(|| "closed".to_owned()));
    let sql = format!(
        "SELECT id, env, subject, release, opened, closed, stage, tier, route, outcome, effect, threshold, approval,
                humans, yes, expires, overridden, why, first, last
         FROM cases{} ORDER BY first LIMIT {}",
        w.sql(),
        filter.limit.unwrap_or(MOST).min(MOST)
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(w.values().as_slice(), |row| {
        Ok(CaseRow {
            id: row.get(0)?,
            env: row.get(1)?,
            subject: row.get(2)?,
            release: row.get(3)?,
            opened: Time::from_millis(row.get(4)?),
            closed: row.get::<_, Option<i64>>(5)?.map(Time::from_millis),
            stage: row.get(6)?,
            tier: row.get(7)?,
            route: row.get(8)?,
            outcome: row.get(9)?,
            effect: row.get(10)?,
            threshold: row.get(11)?,
            approval: row.get(12)?,
            humans: row.get(13)?,
            yes: row.get(14)?,
            expires: row.get::<_, Option<i64>>(15)?.map(Time::from_millis),
            overridden: row.get(16)?,
            why: row.get(17)?,
            first: row.get::<_, i64>(18)?.cast_unsigned(),
            last: row.get::<_, i64>(19)?.cast_unsigned(),
        })
    })?;
    rows.collect()
}
