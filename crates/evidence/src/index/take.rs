//! Taking records down.

use duty::{
    facts::Scalar,
    record::{Body, Record},
    request::{Outcome, Request},
    statement::Choice,
};
use rusqlite::{Connection, Result, params};

use crate::describe;

/// Writes one record into every table that it touches.
pub(super) fn take(db: &Connection, record: &Record) -> Result<()> {
    let seq = record.seq.cast_signed();
    let case = record.case.as_ref().map(|c| c.as_str());
    let refusal = refusal(record);
    db.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
        .execute(params![
            seq,
            record.time.millis(),
            record.body.kind(),
            case,
            record.env.as_ref().map(|e| e.as_str()),
            record.actor.id.as_str(),
            record.actor.role.map(|r| r.word()),
            record.actor.owner.as_ref().map(|o| o.as_str()),
            record.release.map(|r| r.to_string()),
            refusal,
            describe(record),
        ])?;
    let mut cite = db.prepare_cached("INSERT OR IGNORE INTO record_clauses VALUES (?1, ?2, ?3)")?;
    for clause in &record.clauses {
        cite.execute(params![clause.id, seq, clause.version])?;
    }
    people(db, record)?;
    if refusal.is_none() {
        fields(db, record)?;
        of_case(db, record)?;
        of_exceptions(db, record)?;
    }
    Ok(())
}

/// The code, for a refusal.
pub(super) fn refusal(record: &Record) -> Option<&'static str> {
    match &record.body {
        Body::RequestRefused(b) => Some(b.refusal.code.word()),
        _ => None,
    }
}

/// Who had a part in a record: as actor, as signer, as owner of the agent that acted.
fn people(db: &Connection, record: &Record) -> Result<()> {
    let seq = record.seq.cast_signed();
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO principals VALUES (?1, ?2)")?;
    insert.execute(params![record.actor.id.as_str(), seq])?;
    if let Some(owner) = &record.actor.owner {
        insert.execute(params![owner.as_str(), seq])?;
    }
    let signer = record.body.request().and_then(Request::signer);
    if let Some((signer, _)) = signer {
        insert.execute(params![signer.as_str(), seq])?;
    }
    Ok(())
}

/// Facts as `namespace.field`, and the arguments of the prepared action as `args.field`.
fn fields(db: &Connection, record: &Record) -> Result<()> {
    let Some(case) = &record.case else {
        return Ok(());
    };
    let seq = record.seq.cast_signed();
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO fields VALUES (?1, ?2, ?3, ?4)")?;
    match record.body.request() {
        Some(Request::Answer(r)) => {
            for (namespace, fields) in r.facts.iter() {
                for (field, value) in fields {
                    let path = format!("{namespace}.{field}");
                    insert.execute(params![path, value.to_string(), case.as_str(), seq])?;
                }
            }
        }
        Some(Request::Recommend(r)) => {
            for (field, value) in r.action.iter().flat_map(|a| &a.arguments) {
                if let Some(value) = Scalar::of(value) {
                    let path = format!("args.{field}");
                    insert.execute(params![path, value.to_string(), case.as_str(), seq])?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Where a case stands.
fn of_case(db: &Connection, record: &Record) -> Result<()> {
    let Some(case) = &record.case else {
        return Ok(());
    };
    let case = case.as_str();
    let seq = record.seq.cast_signed();
    let time = record.time.millis();
    let set = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        db.prepare_cached(sql)?.execute(values).map(|_| ())
    };
    match &record.body {
        Body::CaseOpened(b) => {
            if let Request::OpenCase(r) = &b.request {
                set(
                    "INSERT INTO cases (id, env, subject, release, opened, stage, first, last)
                     VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?6)",
                    &[
                        &case,
                        &r.environment.as_str(),
                        &r.subject,
                        &record.release.map(|d| d.to_string()).unwrap_or_default(),
                        &time,
                        &seq,
                    ],
                )?;
            }
        }
        Body::RecommendationMade(b) => {
            if let Request::Recommend(r) = &b.request {
                let stage = match r.duty {
                    duty::principal::Duty::Review => "judged",
                    _ => "prepared",
                };
                set(
                    "UPDATE cases SET stage = ?2 WHERE id = ?1",
                    &[&case, &stage],
                )?;
            }
        }
        Body::VerdictReached(b) => set(
            "UPDATE cases SET tier = ?2, route = ?3 WHERE id = ?1",
            &[&case, &b.tier.map(|t| t.word()), &b.route.word()],
        )?,
        Body::ThresholdApplied(b) => set(
            "UPDATE cases SET threshold = ?2 WHERE id = ?1",
            &[&case, &b.threshold.as_str()],
        )?,
        Body::ApprovalRequested(b) => set(
            "UPDATE cases SET stage = 'waiting', approval = ?2, humans = ?3, expires = ?4, asked_until = ?4 WHERE id = ?1",
            &[&case, &b.approval.as_str(), &b.humans, &b.expires.millis()],
        )?,
        Body::ApprovalGiven(b) => {
            if let Request::Approve(r) = &b.request
                && r.statement.decision == Choice::Approve
            {
                set("UPDATE cases SET yes = yes + 1 WHERE id = ?1", &[&case])?;
            }
        }
        Body::ApprovalWithdrawn(_) => {
            set("UPDATE cases SET yes = yes - 1 WHERE id = ?1", &[&case])?;
        }
        // It waits again, for as long as it was asked to.
        Body::GrantVoided(_) => set(
            "UPDATE cases SET stage = 'waiting', expires = asked_until WHERE id = ?1",
            &[&case],
        )?,
        Body::OverrideRecorded(_) => {
            set("UPDATE cases SET overridden = 1 WHERE id = ?1", &[&case])?;
        }
        Body::GrantIssued(b) => set(
            "UPDATE cases SET stage = 'granted', expires = ?2 WHERE id = ?1",
            &[&case, &b.expires.millis()],
        )?,
        Body::GrantUsed(_) => set(
            "UPDATE cases SET stage = 'executing', expires = NULL WHERE id = ?1",
            &[&case],
        )?,
        Body::OutcomeRecorded(b) => {
            if let Request::RecordOutcome(r) = &b.request {
                set(
                    "UPDATE cases SET effect = ?2 WHERE id = ?1",
                    &[&case, &r.outcome.word()],
                )?;
                if r.outcome == Outcome::Unknown {
                    set("UPDATE cases SET stage = 'unknown' WHERE id = ?1", &[&case])?;
                }
            }
        }
        Body::CaseClosed(b) => set(
            "UPDATE cases SET stage = 'closed', closed = ?2, outcome = ?3, why = ?4, expires = NULL WHERE id = ?1",
            &[&case, &time, &b.outcome.word(), &b.why],
        )?,
        _ => {}
    }
    set("UPDATE cases SET last = ?2 WHERE id = ?1", &[&case, &seq])
}

fn of_exceptions(db: &Connection, record: &Record) -> Result<()> {
    match &record.body {
        Body::ExceptionRaised(b) => {
            db.prepare_cached(
                "INSERT INTO exceptions (id, sort, case_id, raised, seq, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                b.exception.as_str(),
                b.sort.word(),
                record.case.as_ref().map(|c| c.as_str()),
                record.time.millis(),
                record.seq.cast_signed(),
                b.text,
            ])?;
        }
        Body::ExceptionTriaged(b) => {
            if let Request::Triage(r) = &b.request {
                db.prepare_cached(
                    "UPDATE exceptions SET triaged = ?2, triaged_by = ?3, finding = ?4 WHERE id = ?1",
                )?
                .execute(params![
                    r.statement.exception.as_str(),
                    record.time.millis(),
                    r.statement.signer.as_str(),
                    r.statement.finding,
                ])?;
            }
        }
        _ => {}
    }
    Ok(())
}
