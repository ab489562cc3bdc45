//! `policy`: clauses listed, shown, searched, compared, brought in and embedded.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use duty::{canonical::Digest, time::Time};
use engine::clock::{Clock, SystemClock};
use policy::{
    Clause, ClauseChange, Fate, Found, Query, Release, clauses_of, compare, vector_files,
};
use serde_json::{Value, json};

use super::release::{named_release, which};
use crate::{
    cli::{Form, PolicyCommand, Which},
    embedder,
    fail::{Failure, named},
    show::{self, Listing},
};

/// How many clauses a search shows.
const SHOWN: usize = 8;
/// How many texts are embedded at once.
const BATCH: usize = 64;

pub(crate) async fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::List { which: w, form } => {
            list(&*which(&w)?, form);
            Ok(())
        }
        PolicyCommand::Show {
            id,
            as_of,
            which: w,
            form,
        } => show(&*which(&w)?, &id, moment(as_of.as_deref())?, form),
        PolicyCommand::Search {
            query,
            as_of,
            which: w,
            form,
        } => search(&query, moment(as_of.as_deref())?, &w, form),
        PolicyCommand::Diff {
            from,
            to,
            dir,
            form,
        } => diff(&dir.dir, &from, &to, form),
        PolicyCommand::Embed { path, dir } => embed(&path, &dir.dir),
        PolicyCommand::Import(import) => super::import::run(&import).await,
        PolicyCommand::Check(check) => super::check::run(&check),
    }
}

/// A day or a time; now, where none is named.
fn moment(written: Option<&str>) -> Result<Time, Failure> {
    match written {
        None => Ok(SystemClock.now()),
        Some(day) if day.len() == "2026-01-31".len() => named(&format!("{day}T00:00:00.000Z")),
        Some(time) => named(time),
    }
}

fn list(release: &Release, form: Form) {
    let now = SystemClock.now();
    let mut listing = Listing::new(
        form.json,
        &["clause", "version", "in force", "document", "title"],
    );
    for c in release.clauses() {
        let value = json!({"id": c.id, "version": c.version, "document": c.document, "section": c.section,
            "title": c.title, "text": c.text, "digest": c.digest, "from": since(c), "until": c.until,
            "in_force": c.in_force(now)});
        listing.row(
            &value,
            vec![
                c.id.clone(),
                c.version.clone(),
                standing(c, now),
                c.document.clone(),
                c.title.clone(),
            ],
        );
    }
    listing.print("no clauses");
}

/// When a clause came into force, where its document says so.
fn since(clause: &Clause) -> Option<Time> {
    (clause.from > Time::EPOCH).then_some(clause.from)
}

fn standing(clause: &Clause, now: Time) -> String {
    let day = |time: Time| {
        time.to_string()
            .chars()
            .take("2026-01-31".len())
            .collect::<String>()
    };
    match clause.until {
        _ if now < clause.from => format!("from {}", day(clause.from)),
        Some(until) if until <= now => format!("ended {}", day(until)),
        Some(until) => format!("to {}", day(until)),
        None => "yes".to_owned(),
    }
}

fn show(release: &Release, id: &str, at: Time, form: Form) -> Result<(), Failure> {
    let editions: Vec<_> = release.clauses().iter().filter(|c| c.id == id).collect();
    let clause = editions.iter().find(|c| c.in_force(at));
    let clause = clause.ok_or_else(|| match editions.last() {
        None => Failure::usage(format!(
            "the release has no clause `{id}`; `policy list` shows them"
        )),
        Some(_) => Failure::usage(format!(
            "no edition of clause `{id}` is in force at {at}; `policy list` shows them, `--as-of` names another day"
        )),
    })?;
    if form.json {
        show::json(
            &json!({"id": clause.id, "version": clause.version, "title": clause.title,
            "text": clause.text, "digest": clause.digest, "from": since(clause), "until": clause.until}),
        );
        return Ok(());
    }
    println!(
        "{} {} (version {})",
        clause.id, clause.title, clause.version
    );
    println!("{}", clause.text);
    println!("digest {}", clause.digest);
    for touch in policy::touches(release, id) {
        println!("named in {}: {}", touch.place, touch.what);
    }
    Ok(())
}

fn search(query: &str, at: Time, w: &Which, form: Form) -> Result<(), Failure> {
    let release = which(w)?;
    let vector = match release.embedder() {
        Some(wanted) if release.vector_of(query).is_none() => {
            let made = embedder::named(&w.dir.dir, wanted)?.embed(&[query]);
            made.map_err(Failure::unavailable)?.into_iter().next()
        }
        _ => None,
    };
    let asked = Query {
        text: query,
        vector: vector.as_ref(),
        at,
    };
    let found = release
        .search(&asked, SHOWN)
        .map_err(Failure::unavailable)?;
    for (i, found) in found.iter().enumerate() {
        if form.json {
            show::json(&explained(&release, query, i + 1, found));
        } else {
            told(&release, query, i + 1, found);
        }
    }
    if found.is_empty() && !form.json {
        show::line("nothing found");
    }
    Ok(())
}

fn explained(release: &Release, query: &str, rank: usize, found: &Found) -> Value {
    json!({
        "rank": rank,
        "clause": found.clause,
        "title": found.title,
        "score_milli": found.score_milli,
        "bound": found.bound,
        "words": found.by_words.map(|place| json!({"rank": place.rank, "score_milli": place.score_milli,
            "terms": release.explain(query, &found.clause)})),
        "meaning": found.by_meaning,
    })
}

fn told(release: &Release, query: &str, rank: usize, found: &Found) {
    let milli = |n: i64| format!("{}.{:03}", n / 1000, n.rem_euclid(1000));
    let bound = if found.bound {
        "  bound to a tool: always found"
    } else {
        ""
    };
    show::line(&format!(
        "{rank:>2}  {:<10} {:>8}  {}{bound}",
        found.clause.id,
        milli(found.score_milli),
        found.title
    ));
    if let Some(place) = found.by_words {
        let terms = release.explain(query, &found.clause).into_iter().map(|m| {
            let synonym = m.synonym.map_or(String::new(), |s| format!(" as {s}"));
            let places = [
                ("title", m.counts.title),
                ("section", m.counts.section),
                ("text", m.counts.text),
            ];
            let places = places.iter().filter(|(_, n)| *n > 0);
            let places: Vec<_> = places.map(|(field, n)| format!("{field} {n}")).collect();
            format!(
                "{}{synonym} {} ({})",
                m.term,
                milli(m.points_milli),
                places.join(", ")
            )
        });
        let terms: Vec<_> = terms.collect();
        show::line(&format!(
            "      words: rank {}, BM25 {}: {}",
            place.rank,
            milli(place.score_milli),
            terms.join("; ")
        ));
    }
    if let Some(place) = found.by_meaning {
        show::line(&format!(
            "      meaning: rank {}, cosine {}",
            place.rank,
            milli(place.score_milli)
        ));
    }
}

/// Writes the vectors of a release's directory anew.
fn embed(path: &Path, dir: &Path) -> Result<(), Failure> {
    let plan = Release::files_in(path)
        .and_then(Release::to_embed)
        .map_err(Failure::usage)?;
    let embedder = embedder::named(dir, &plan.embedder)?;
    let mut vectors = BTreeMap::new();
    for texts in plan.texts.chunks(BATCH) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let made = embedder.embed(&texts).map_err(Failure::unavailable)?;
        if made.len() != texts.len() {
            return Err(Failure::unavailable(format!(
                "`{}` made {} vectors of {} texts",
                plan.embedder,
                made.len(),
                texts.len()
            )));
        }
        let digests = texts.iter().map(|t| Digest::of_bytes(t.as_bytes()));
        vectors.extend(digests.zip(made));
    }
    let folder = path.join("vectors");
    let failed = |e: std::io::Error| Failure::usage(format!("`{}`: {e}", folder.display()));
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir(&folder).map_err(failed)?;
    let files = vector_files(&plan.embedder, &vectors);
    for (name, text) in &files {
        std::fs::write(path.join(name), text).map_err(failed)?;
    }
    show::line(&format!(
        "{} texts embedded by `{}` into {} files of `{}`",
        vectors.len(),
        plan.embedder,
        files.len(),
        folder.display()
    ));
    Ok(())
}

/// One side of a comparison.
struct Side {
    clauses: Vec<Clause>,
    /// Where what a change touches is looked for.
    release: Option<Arc<Release>>,
}

/// A document (`policies/payment-authority.md`), a directory with a release, or a release of the log.
fn side(dir: &Path, name: &str) -> Result<Side, Failure> {
    let path = Path::new(name);
    if !path.is_file() {
        let release = named_release(dir, name)?;
        return Ok(Side {
            clauses: release.clauses().to_vec(),
            release: Some(release),
        });
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("`{name}` cannot be read: {e}")))?;
    let clauses = clauses_of(name, &text).map_err(Failure::usage)?;
    // A document in its release is compared with what rests on it.
    let home = path.parent().and_then(Path::parent);
    let home = home.filter(|home| home.join("team.toml").is_file());
    let release = match home {
        Some(home) => Some(Arc::new(Release::from_dir(home).map_err(Failure::usage)?)),
        None => None,
    };
    Ok(Side { clauses, release })
}

fn diff(dir: &Path, from: &str, to: &str, form: Form) -> Result<(), Failure> {
    let (from, to) = (side(dir, from)?, side(dir, to)?);
    let releases = (
        from.release.as_deref(),
        to.release.as_deref().or(from.release.as_deref()),
    );
    let changes = compare(&from.clauses, &to.clauses, releases);
    if form.json {
        changes.iter().for_each(show::json);
        return Ok(());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &changes {
        *counts.entry(fate(change)).or_default() += 1;
        difference(change);
    }
    if counts.is_empty() {
        show::line("no clause differs");
    } else {
        let counts: Vec<_> = counts
            .iter()
            .map(|(fate, n)| format!("{n} {fate}"))
            .collect();
        show::line(&counts.join(", "));
    }
    Ok(())
}

fn fate(change: &ClauseChange) -> &'static str {
    match change.fate {
        Fate::Added => "added",
        Fate::Removed => "removed",
        Fate::Reworded { .. } => "reworded",
        Fate::Renumbered { .. } => "renumbered",
        Fate::Reissued => "the same in another edition",
    }
}

fn difference(change: &ClauseChange) {
    let editions = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("edition {from} → {to}"),
        (Some(edition), None) | (None, Some(edition)) => format!("edition {edition}"),
        (None, None) => String::new(),
    };
    let to = match &change.fate {
        Fate::Renumbered { to } => format!(" to {to}"),
        _ => String::new(),
    };
    show::line(&format!(
        "{} {}: {}{to} ({editions})",
        change.id,
        change.title,
        fate(change)
    ));
    // The same words ask nobody to think again.
    if change.fate == Fate::Reissued {
        return;
    }
    if let Fate::Reworded { title, text } = &change.fate {
        for words in [title, text].into_iter().flatten() {
            show::line(&format!("    {words}"));
        }
    }
    for touch in &change.touches {
        show::line(&format!("    touches {}: {}", touch.place, touch.what));
    }
}
