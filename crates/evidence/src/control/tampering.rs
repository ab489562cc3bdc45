//! Attempts on the log itself: a scene's log is published with a key of its own, changed, and must be found out.

use std::{fs, path::Path};

use duty::record::{Body, Record};
use ledger::{Checkpoint, Frontier, Signer, bundle::BundleError};
use policy::Release;

use super::{
    attempts::Tried,
    scene::{Lead, ORIGIN, Scene},
};
use crate::{ReperformError, ReperformOptions, open, reperform, verify};

fn signer() -> Lead<Signer> {
    Signer::from_seed(ORIGIN, &[7; 32]).map_err(|e| e.to_string())
}

/// Writes a log of these entries.
fn publish(log: &Path, entries: &[Vec<u8>]) -> Lead {
    let signer = signer()?;
    let write = |path: String, bytes: &[u8]| -> Lead {
        let path = log.join(path);
        let parent = path.parent().unwrap_or(log);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|e| format!("`{}`: {e}", path.display()))
    };
    let mut tree = Frontier::new();
    let mut failed = Ok(());
    for entry in entries {
        tree.push::<BundleError>(entry, &mut |path, bytes| {
            if failed.is_ok() {
                failed = write(path.to_string(), bytes);
            }
            Ok(())
        })
        .map_err(|e| e.to_string())?;
    }
    failed?;
    for (path, bytes) in tree.partials() {
        write(path.to_string(), &bytes)?;
    }
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: tree.size(),
        root: tree.root(),
        extensions: Vec::new(),
    };
    let note = checkpoint.sign(&signer).map_err(|e| e.to_string())?;
    write("checkpoint".to_owned(), &note)
}

/// Entries of a small log that the release alone decided, nothing supposed.
fn entries(release: &Release) -> Lead<Vec<Record>> {
    let mut scene = Scene::new(release)?;
    let opening = scene.opening("attempt")?;
    scene.must("scene-engine", opening.clone())?;
    scene.ask("scene-engine", opening)?;
    Ok(scene.records)
}

fn bytes(records: &[Record]) -> Lead<Vec<Vec<u8>>> {
    let bytes = records.iter().map(Record::to_bytes);
    bytes.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// A fresh place for a log.
fn place() -> Lead<tempfile::TempDir> {
    tempfile::tempdir().map_err(|e| e.to_string())
}

/// Whether `log verify` finds something, and what.
fn found(log: &Path, since: Option<&[u8]>) -> Lead<Option<String>> {
    let vkey = signer()?.verifier().vkey();
    let source = open(&log.display().to_string()).map_err(|e| e.to_string())?;
    Ok(verify(&*source, &vkey, since, None)
        .err()
        .map(|fault| fault.to_string()))
}

#[track_caller]
fn must_find(what: &str, log: &Path, since: Option<&[u8]>) -> Lead<String> {
    found(log, since)?.map_or_else(
        || Err(format!("a log with {what} was found sound")),
        |_| Ok(what.to_owned()),
    )
}

pub(super) fn edited(release: &Release) -> Lead<Tried> {
    let whole = bytes(&entries(release)?)?;
    let middle = whole.len() / 2;
    let honest = place()?;
    publish(honest.path(), &whole)?;
    if let Some(fault) = found(honest.path(), None)? {
        return Err(format!("an honest log was found at fault: {fault}"));
    }
    let checkpoint = fs::read(honest.path().join("checkpoint")).map_err(|e| e.to_string())?;
    let mut seen = Vec::new();
    // One byte of a bundle, the tree left as it was.
    let bundles = honest.path().join("tile/entries");
    let file = first_file(&bundles)?;
    let mut content = fs::read(&file).map_err(|e| e.to_string())?;
    let at = content.len() / 2;
    content[at] ^= 1;
    fs::write(&file, &content).map_err(|e| e.to_string())?;
    seen.push(must_find("a changed byte", honest.path(), None)?);
    // Rewritten whole with the log's own key: only an earlier checkpoint shows it.
    let mut rewritten = |what: &str, entries: &[Vec<u8>]| -> Lead {
        let log = place()?;
        publish(log.path(), entries)?;
        seen.push(must_find(what, log.path(), Some(&checkpoint))?);
        Ok(())
    };
    rewritten("its end cut off", &whole[..whole.len() - 1])?;
    let mut fork = whole.clone();
    fork.truncate(middle);
    fork.extend(whole[middle + 1..].iter().cloned());
    fork.push(whole[middle].clone());
    rewritten("a fork", &fork)?;
    // These no checkpoint is needed for: the records themselves do not follow.
    let mut removed = whole.clone();
    removed.remove(middle);
    let log = place()?;
    publish(log.path(), &removed)?;
    seen.push(must_find("a record removed", log.path(), None)?);
    let mut swapped = whole;
    swapped.swap(middle, middle + 1);
    let log = place()?;
    publish(log.path(), &swapped)?;
    seen.push(must_find("two records swapped", log.path(), None)?);
    Ok(Tried::Held(format!("found: {}", seen.join(", "))))
}

fn first_file(dir: &Path) -> Lead<std::path::PathBuf> {
    for entry in fs::read_dir(dir).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_file() {
            return Ok(path);
        }
        if let Ok(file) = first_file(&path) {
            return Ok(file);
        }
    }
    Err(format!("`{}` holds no file", dir.display()))
}

pub(super) fn decided_otherwise(release: &Release) -> Lead<Tried> {
    let mut records = entries(release)?;
    let run = |records: &[Record]| -> Lead<Result<u64, ReperformError>> {
        let log = place()?;
        publish(log.path(), &bytes(records)?)?;
        let source = open(&log.path().display().to_string()).map_err(|e| e.to_string())?;
        let done = reperform(&*source, &ReperformOptions::default());
        Ok(done.map(|report| report.decisions))
    };
    let decisions =
        run(&records)?.map_err(|e| format!("an honest log does not re-perform: {e}"))?;
    let refused = records.iter_mut().rev().find_map(|r| match &mut r.body {
        Body::RequestRefused(body) => Some(body),
        _ => None,
    });
    let refused = refused.ok_or("the scene holds no refusal")?;
    refused.refusal.why.push_str(", or so");
    match run(&records)? {
        Err(ReperformError::Disagrees(d)) => Ok(Tried::Held(format!(
            "{decisions} decisions come out the same; the changed one, record {}, does not",
            d.seq
        ))),
        Err(e) => Err(e.to_string()),
        Ok(_) => Err("a changed decision came out the same".to_owned()),
    }
}
