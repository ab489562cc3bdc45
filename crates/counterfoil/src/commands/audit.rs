//! `audit`: query, overrides, how people sign, re-perform.

use evidence::{Overrides, Query as IndexQuery, ReperformError, ReperformOptions, ReperformReport};

use serde_json::json;

use crate::{
    cli::{AuditCommand, Query},
    fail::{Failure, named},
    show::{self, Listing},
};

pub(crate) fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Query(query) => run_query(&query),
        AuditCommand::Overrides { source, dir, form } => {
            let place = source.unwrap_or_else(|| dir.dir.display().to_string());
            let opened = evidence::open_at(&place).map_err(Failure::unavailable)?;
            let found = match evidence::overrides(&*opened.source) {
                Ok(found) => found,
                Err(e) if e.is_fault() => return Err(Failure::check(e)),
                Err(e) => return Err(Failure::unavailable(e)),
            };
            print_overrides(&found, form.json);
            Ok(())
        }
        AuditCommand::Approvers {
            source,
            dir,
            seconds,
            form,
        } => {
            let place = source.unwrap_or_else(|| dir.dir.display().to_string());
            let opened = evidence::open_at(&place).map_err(Failure::unavailable)?;
            let people = evidence::approvers(&*opened.source, seconds);
            list_approvers(&people.map_err(Failure::unavailable)?, seconds, form.json);
            Ok(())
        }
        AuditCommand::Reperform {
            source,
            dir,
            release,
            form,
        } => {
            let place = source.unwrap_or_else(|| dir.dir.display().to_string());
            let opened = evidence::open_at(&place).map_err(Failure::unavailable)?;
            let snapshots = opened.dir.as_ref().map(|d| d.join("snapshots"));
            let options = ReperformOptions {
                release,
                snapshots: snapshots.filter(|d| d.is_dir()),
                threads: opened.threads,
            };
            match evidence::reperform(&*opened.source, &options) {
                Ok(report) if report.differing == 0 => {
                    print_report(&report, form.json);
                    Ok(())
                }
                Ok(report) => {
                    print_report(&report, form.json);
                    Err(Failure::check(format!(
                        "{} of {} decisions come out otherwise under this release; the first: {}",
                        report.differing,
                        report.decisions,
                        report
                            .differences
                            .first()
                            .map(ToString::to_string)
                            .unwrap_or_default()
                    )))
                }
                Err(ReperformError::Disagrees(d)) => {
                    if form.json {
                        show::json(&d);
                    }
                    Err(Failure::check(format!("re-performance disagrees: {d}")))
                }
                Err(ReperformError::Evidence(e)) if e.is_fault() => Err(Failure::check(e)),
                Err(other) => Err(Failure::unavailable(other)),
            }
        }
    }
}

fn print_overrides(found: &Overrides, as_json: bool) {
    let mut listing = Listing::new(
        as_json,
        &[
            "agent", "clause", "made", "proceed", "refuse", "refer", "rejected", "approved",
            "codes",
        ],
    );
    for (agent, of) in &found.agents {
        let clauses = of
            .clauses
            .iter()
            .map(|(clause, tally)| (Some(clause), tally));
        for (clause, tally) in std::iter::once((None, &of.all)).chain(clauses) {
            let codes = tally.codes.iter().map(|(code, n)| format!("{code} {n}"));
            let codes: Vec<_> = codes.collect();
            let mut row = vec![
                agent.to_string(),
                clause.cloned().unwrap_or_else(|| "all".to_owned()),
            ];
            let numbers = [
                tally.made(),
                tally.proceed,
                tally.refuse,
                tally.refer,
                tally.rejected,
                tally.approved,
            ];
            row.extend(numbers.map(|n| n.to_string()));
            row.push(codes.join(", "));
            let value = json!({"agent": agent, "clause": clause, "made": tally.made(), "proceed": tally.proceed,
                "refuse": tally.refuse, "refer": tally.refer, "rejected": tally.rejected,
                "approved": tally.approved, "codes": tally.codes});
            listing.row(&value, row);
        }
    }
    listing.print("no agent recommended anything");
}

fn list_approvers(people: &[evidence::Approver], seconds: u32, as_json: bool) {
    let hasty = format!("under {seconds} s");
    let mut listing = Listing::new(
        as_json,
        &[
            "who",
            "yes",
            "no",
            "overrides",
            "soonest",
            "median",
            "shortest gap",
            &hasty,
            "most in an hour",
            "refused",
            "mostly with",
        ],
    );
    let span = |ms: Option<u64>| {
        ms.map_or_else(String::new, |ms| {
            format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
        })
    };
    for p in people {
        let with = p.partner.as_ref();
        let cells = vec![
            p.person.to_string(),
            format!("{} ({} %)", p.yes, p.yes_percent),
            p.no.to_string(),
            p.overrides.to_string(),
            span(p.soonest_ms),
            span(p.median_ms),
            span(p.shortest_gap_ms),
            p.hasty.to_string(),
            p.most_in_an_hour.to_string(),
            (p.refused_too_soon + p.refused_too_many).to_string(),
            with.map_or_else(String::new, |w| {
                format!("{} ({}, {} %)", w.person, w.together, w.percent)
            }),
        ];
        listing.row(p, cells);
    }
    listing.print("nobody has signed");
}

fn print_report(report: &ReperformReport, as_json: bool) {
    if as_json {
        show::json(report);
        return;
    }
    show::line(&format!(
        "re-performed {} decisions in {} records, {} of them refusals, {} verdicts",
        report.decisions, report.records, report.refusals, report.verdicts
    ));
    show::line(&format!(
        "recommendations run again from their snapshots: {} ({} without their snapshots, {} whose snapshots were erased, {} of other models)",
        report.recommendations,
        report.recommendations_not_here,
        report.recommendations_erased,
        report.recommendations_other
    ));
    show::line(&format!("retrievals run again: {}", report.retrievals));
    if report.differing == 0 {
        show::line("all agree");
    }
}

/// The index, if it says what the log says; as it is, so that whoever edited it is not helped.
fn checked(place: &str) -> Result<super::Indexed, Failure> {
    let mut indexed = super::index_as_it_is(place)?;
    let source = &*indexed.opened.source;
    let differs = indexed.index.differences(source);
    let differs = differs.map_err(Failure::unavailable)?;
    if differs.is_empty() {
        eprintln!("the index says what the log says, and all of it");
        return Ok(indexed);
    }
    Err(Failure::check(format!(
        "the index is not what the log says:\n  {}\nkeep it as evidence, or delete `index.db`: it is built anew from the log",
        differs.join("\n  ")
    )))
}

fn run_query(query: &Query) -> Result<(), Failure> {
    let place = query
        .source
        .clone()
        .unwrap_or_else(|| query.dir.dir.display().to_string());
    let mut index = if query.check {
        checked(&place)?
    } else {
        super::index(&place)?
    };
    let field = match &query.field {
        None => None,
        Some(text) => {
            let (path, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage("`--field` is written `namespace.field=value`"))?;
            Some((path.to_owned(), value.to_owned()))
        }
    };
    let time = |text: &Option<String>| text.as_deref().map(named::<duty::time::Time>).transpose();
    let wanted = IndexQuery {
        clause: query.clause.clone(),
        agent: query.agent.clone(),
        principal: query.principal.clone(),
        case: query.case.clone(),
        tier: query.tier.clone(),
        kind: query.kind.clone(),
        outcome: query.outcome.clone(),
        field,
        from: time(&query.from)?,
        to: time(&query.to)?,
        limit: Some(query.limit),
        ..IndexQuery::default()
    };
    let rows = index.query(&wanted)?;
    let mut listing = Listing::new(
        query.form.json,
        &["seq", "time", "kind", "case", "actor", "what"],
    );
    for row in &rows {
        listing.row(
            row,
            vec![
                row.seq.to_string(),
                row.time.to_string(),
                row.kind.clone(),
                row.case.clone().unwrap_or_default(),
                row.actor.clone(),
                row.text.clone(),
            ],
        );
    }
    listing.print("no record fits");
    if rows.len() == query.limit as usize && !query.form.json {
        eprintln!("there may be more: raise `--limit`");
    }
    Ok(())
}
