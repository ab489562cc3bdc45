//! The tables of the projection.

/// The version of the tables; another one is built anew.
pub(super) const VERSION: i64 = 2;

/// The tables' names.
pub(super) const TABLES: [&str; 7] = [
    "meta",
    "records",
    "record_clauses",
    "principals",
    "fields",
    "cases",
    "exceptions",
];

/// The tables. Times are milliseconds since 1970. Every index ends in `seq`, so that a filter comes out in the log's order
/// without sorting.
pub(super) const CREATE: &str = "
CREATE TABLE meta (
    version INTEGER NOT NULL, origin TEXT NOT NULL, size INTEGER NOT NULL, last BLOB NOT NULL
);
CREATE TABLE records (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, case_id TEXT, env TEXT,
    actor TEXT NOT NULL, role TEXT, owner TEXT, release TEXT, refusal TEXT, text TEXT NOT NULL
);
CREATE INDEX records_time ON records (time, seq);
CREATE INDEX records_kind ON records (kind, seq);
CREATE INDEX records_case ON records (case_id, seq);
CREATE INDEX records_actor ON records (actor, seq);
CREATE INDEX records_refusal ON records (refusal, seq) WHERE refusal IS NOT NULL;
CREATE TABLE record_clauses (clause TEXT NOT NULL, seq INTEGER NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (clause, seq)) WITHOUT ROWID;
CREATE INDEX record_clauses_seq ON record_clauses (seq);
CREATE TABLE principals (principal TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (principal, seq)) WITHOUT ROWID;
CREATE TABLE fields (path TEXT NOT NULL, value TEXT NOT NULL, case_id TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (path, value, case_id)) WITHOUT ROWID;
CREATE TABLE cases (
    id TEXT PRIMARY KEY, env TEXT NOT NULL, subject TEXT NOT NULL, release TEXT NOT NULL,
    opened INTEGER NOT NULL, closed INTEGER, stage TEXT NOT NULL, tier TEXT, route TEXT,
    outcome TEXT, effect TEXT, threshold TEXT, approval TEXT, humans INTEGER, yes INTEGER NOT NULL DEFAULT 0,
    expires INTEGER, asked_until INTEGER, overridden INTEGER NOT NULL DEFAULT 0, why TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE INDEX cases_outcome ON cases (outcome, last);
CREATE INDEX cases_tier ON cases (tier, last);
CREATE INDEX cases_stage ON cases (stage, last);
CREATE TABLE exceptions (
    id TEXT PRIMARY KEY, sort TEXT NOT NULL, case_id TEXT, raised INTEGER NOT NULL, seq INTEGER NOT NULL,
    text TEXT NOT NULL, triaged INTEGER, triaged_by TEXT, finding TEXT
);
CREATE INDEX exceptions_open ON exceptions (seq) WHERE triaged IS NULL;
";
