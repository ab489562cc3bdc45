//! `policy import`: a document that other software wrote, into a policy document whose clauses keep their ids.

mod poppler;

use std::{collections::BTreeMap, fs, path::Path};

use duty::canonical::Digest;
use intake::{Assigned, Form as Kind, Header, How, Outline, Previous};
use policy::{Clause, clauses_of};
use serde_json::json;

use crate::{cli::Import, fail::Failure, show};

pub(crate) async fn run(args: &Import) -> Result<(), Failure> {
    let named = args.file.display().to_string();
    let kind = Kind::of(&args.file).map_err(Failure::usage)?;
    let about = |e: &dyn std::fmt::Display| Failure::usage(format!("`{named}`: {e}"));
    let size = fs::metadata(&args.file).map_err(|e| about(&e))?.len();
    if size > intake::read::LARGEST as u64 {
        return Err(about(&format!(
            "{size} bytes, and at most {} are read; split the document",
            intake::read::LARGEST
        )));
    }
    let bytes = fs::read(&args.file).map_err(|e| about(&e))?;
    let letters = letters(&args.id)?;
    let read = match kind {
        Kind::Pdf => {
            let layout = poppler::layout(&args.file).await?;
            let mut read = intake::read(&layout, kind).map_err(|e| about(&e))?;
            read.left.extend(poppler::pictures(&args.file).await?);
            read
        }
        _ => intake::read(&bytes, kind).map_err(|e| about(&e))?,
    };
    let outline = intake::outline(read, args.title.as_deref()).map_err(|e| about(&e))?;
    let previous = match &args.previous {
        Some(path) => previous(path)?,
        None => Vec::new(),
    };
    let (ids, gone) = intake::assign(&outline, letters, &previous).map_err(|e| about(&e))?;
    let name = args.file.file_name().unwrap_or_default();
    let header = Header {
        document: args.document.clone().unwrap_or_else(|| letters.to_owned()),
        edition: args.edition.clone(),
        effective: args.effective.clone(),
        owner: args.owner.clone(),
        source: name.to_string_lossy().into_owned(),
        source_sha256: Digest::of_bytes(&bytes).to_string(),
    };
    let text = intake::document(&header, &outline, &ids).map_err(Failure::usage)?;
    read_back(&text, &outline, &ids)?;
    report(args, &outline, &ids, &gone);
    refuse_doubts(args, &outline, &ids)?;
    match &args.out {
        None => show::line(text.trim_end()),
        Some(out) => write(out, &text)?,
    }
    Ok(())
}

/// The letters that begin ids.
fn letters(id: &str) -> Result<&str, Failure> {
    let fits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_uppercase());
    fits.then_some(id)
        .ok_or_else(|| Failure::usage(format!("`--id {id}`: capital letters, like `PAY`")))
}

fn previous(path: &Path) -> Result<Vec<Previous>, Failure> {
    let named = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|e| Failure::usage(format!("`{named}`: {e}")))?;
    let clauses = clauses_of(&named, &text).map_err(Failure::usage)?;
    let of = |clause: Clause| Previous {
        id: clause.id,
        title: clause.title,
        text: clause.text,
    };
    Ok(clauses.into_iter().map(of).collect())
}

/// What was written must be read as exactly the clauses that were found, by the reader of releases.
fn read_back(text: &str, outline: &Outline, ids: &[Assigned]) -> Result<(), Failure> {
    let clauses = clauses_of("the policy document", text).map_err(Failure::usage)?;
    let by_id: BTreeMap<&str, &Clause> = clauses.iter().map(|c| (c.id.as_str(), c)).collect();
    for (clause, id) in outline.clauses.iter().zip(ids) {
        let back = by_id.get(id.id.as_str()).map(|c| c.text.as_str());
        if back != Some(clause.text.as_str()) {
            return Err(Failure::usage(format!(
                "{}: the text of `{}` cannot stand in a policy document as it is; change it in the original",
                clause.place, id.id
            )));
        }
    }
    match clauses.len() == outline.clauses.len() {
        true => Ok(()),
        false => Err(Failure::usage(
            "a line of the document would be read as a clause of its own; change it in the original",
        )),
    }
}

/// What was found, on standard error where the document itself is on standard output.
fn report(args: &Import, outline: &Outline, ids: &[Assigned], gone: &[String]) {
    let mut lines = Vec::new();
    for (clause, id) in outline.clauses.iter().zip(ids) {
        let title = &clause.title;
        let doubt = id.doubt();
        if args.form.json {
            let object = json!({"clause": id.id, "place": clause.place, "title": title, "how": id.how,
                "alike": id.alike, "confirm": doubt});
            lines.push(object.to_string());
            continue;
        }
        let how = match (&id.how, id.alike) {
            (How::New, _) => "new".to_owned(),
            (_, Some(100)) => "the same text".to_owned(),
            (_, Some(percent)) => format!("reworded, {percent} percent alike"),
            (_, None) => "not in the edition before".to_owned(),
        };
        lines.push(format!("{}: {} {title} ({how})", clause.place, id.id));
        lines.extend(doubt.map(|doubt| format!("    CONFIRM: {doubt}")));
    }
    for id in gone {
        lines.push(match args.form.json {
            true => json!({"removed": id}).to_string(),
            false => format!("removed: {id}"),
        });
    }
    for left in &outline.left {
        lines.push(match args.form.json {
            true => json!({"left_out": left}).to_string(),
            false => format!("NOT TAKEN OVER: {}: {}", left.place, left.what),
        });
    }
    for line in lines {
        match args.out {
            Some(_) => show::line(&line),
            None => eprintln!("{line}"),
        }
    }
}

/// Nothing is left out and no id is guessed without somebody's word.
fn refuse_doubts(args: &Import, outline: &Outline, ids: &[Assigned]) -> Result<(), Failure> {
    let doubts = ids.iter().filter(|id| id.doubt().is_some()).count();
    let left = outline.left.len();
    if left > 0 && !args.leave_out {
        return Err(Failure::usage(format!(
            "nothing was written: {left} things of the document would not be taken over; change the original, or look at each and say `--leave-out`"
        )));
    }
    if doubts > 0 && !args.confirm_ids {
        return Err(Failure::usage(format!(
            "nothing was written: {doubts} ids are guesses; look at each and say `--confirm-ids`, or write the ids into the headings of the original"
        )));
    }
    Ok(())
}

fn write(out: &Path, text: &str) -> Result<(), Failure> {
    let fault = |e: std::io::Error| Failure::unavailable(format!("`{}`: {e}", out.display()));
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(out);
    let mut file = file.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "`{}` is there already; an edition is never written over",
            out.display()
        )),
        _ => fault(e),
    })?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(fault)
}
