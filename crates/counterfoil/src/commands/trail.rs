//! The rest of `log`: proofs, witnesses, anchors.

use std::path::Path;

use ledger::{
    Checkpoint, Source, Verifier,
    note::Note,
    proof::{Tiles, consistency, root, verify_consistency},
    rotation::Chain,
    tile::{CHECKPOINT, WITNESSED},
    trust::Policy,
};
use serde_json::json;
use witness::anchor::{Kept, compare, config::Anchors, schedule::States};

use super::witness::seconds;
use crate::{fail::Failure, show, site};

/// `log prove`: a proof file for each record.
pub(crate) fn prove(source: &str, records: &[u64], vkey: &str, out: &Path) -> Result<(), Failure> {
    let opened = evidence::open_at(source).map_err(Failure::unavailable)?;
    let verifier = verifier(vkey)?;
    for seq in records {
        let text = evidence::proof::prove(&*opened.source, &verifier, *seq).map_err(broken)?;
        let file = out.join(format!("{seq}.tlog-proof"));
        std::fs::write(&file, text)
            .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
        show::line(&file.display().to_string());
    }
    Ok(())
}

/// `log check`: checks a proof file, and nothing else is needed.
pub(crate) fn check(
    file: &Path,
    vkey: &str,
    witnesses: Option<&Path>,
    as_json: bool,
) -> Result<(), Failure> {
    let text = read(file)?;
    let policy = match witnesses {
        Some(file) => policy(file)?,
        None => Policy::none(),
    };
    let proved = evidence::proof::check(&text, &verifier(vkey)?, &policy);
    let proved = proved.map_err(|e| Failure::check(format!("NOT proved: {e}")))?;
    if !proved.quorum {
        let by: Vec<_> = proved
            .witnesses
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        return Err(Failure::check(format!(
            "NOT proved: the checkpoint lacks the quorum of witnesses; it was cosigned by {}",
            if by.is_empty() {
                "none".to_owned()
            } else {
                by.join(", ")
            }
        )));
    }
    let head = &proved.checkpoint;
    if as_json {
        show::json(&json!({
            "proved": true,
            "record": proved.record,
            "clauses": proved.clauses,
            "origin": head.origin,
            "size": head.size,
            "root": hex::encode(head.root),
            "witnesses": proved.witnesses,
        }));
        return Ok(());
    }
    let (seq, origin, size) = (proved.record.seq, &head.origin, head.size);
    show::line(&format!(
        "proved: record {seq} of `{origin}`, under the checkpoint of {size} records"
    ));
    for (name, time) in &proved.witnesses {
        show::line(&format!("witness      {name}, at {time} s since 1970"));
    }
    show::line(&format!("record       {}", proved.bytes));
    for clause in &proved.clauses {
        show::line(&format!(
            "clause       {} ({}) {}",
            clause.id, clause.version, clause.title
        ));
        show::line(&clause.text);
    }
    Ok(())
}

/// `log consistency`: the proof that one checkpoint continues another, both of which are files.
pub(crate) fn consistent(source: &str, vkey: &str, old: &Path, new: &Path) -> Result<(), Failure> {
    let opened = evidence::open_at(source).map_err(Failure::unavailable)?;
    let verifier = verifier(vkey)?;
    let keys = keys(&*opened.source, &verifier)?;
    let open = |file: &Path| {
        let head = keys.open(read(file)?.as_bytes(), true);
        head.map_err(|e| Failure::check(format!("`{}`: {e}", file.display())))
    };
    let (old, new) = (open(old)?, open(new)?);
    if old.size > new.size {
        return Err(Failure::usage(
            "the checkpoint of `--old` is the larger one",
        ));
    }
    let newest = head(&*opened.source, &verifier)?;
    let tiles = Tiles::new(&*opened.source, newest.size);
    let proof = consistency(&tiles, old.size, new.size).map_err(broken)?;
    verify_consistency(old.size, new.size, &proof, &old.root, &new.root)
        .map_err(|e| Failure::check(format!("NOT consistent: {e}")))?;
    eprintln!(
        "the checkpoint of {} records continues that of {}",
        new.size, old.size
    );
    for hash in proof {
        show::line(&hex::encode(hash));
    }
    Ok(())
}

/// `log witness`: who cosigned the newest witnessed checkpoint.
pub(crate) fn witnessed(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let policy = site::witness_policy(dir)?.ok_or_else(|| {
        let file = dir.join(site::WITNESS_POLICY);
        Failure::usage(format!(
            "no witnesses: write `{}` (c2sp.org/tlog-policy)",
            file.display()
        ))
    })?;
    let opened = evidence::open_at(&dir.display().to_string()).map_err(Failure::unavailable)?;
    let vkey = opened.vkey().unwrap_or_default();
    let published = head(&*opened.source, &verifier(&vkey)?)?.size;
    let found = quorum(&*opened.source, &verifier(&vkey)?, &policy)?;
    if as_json {
        show::json(&json!({
            "published": published,
            "witnessed": found.size,
            "by": found.by,
        }));
        return Ok(());
    }
    show::line(&format!("published     {published} records"));
    show::line(&format!("witnessed     {} records", found.size));
    for (name, time) in found.by {
        show::line(&format!("cosigned by   {name}, at {time} s since 1970"));
    }
    Ok(())
}

/// A checkpoint with the quorum of a policy.
pub(crate) struct Found {
    pub(crate) size: u64,
    pub(crate) by: Vec<(String, u64)>,
}

/// The newest witnessed checkpoint: signed by the log, cosigned by a quorum, and a beginning of the log.
pub(crate) fn quorum(
    source: &dyn Source,
    verifier: &Verifier,
    policy: &Policy,
) -> Result<Found, Failure> {
    let wrong = |why: String| Failure::check(format!("{WITNESSED}: {why}"));
    let note = source.read(WITNESSED).map_err(|e| wrong(e.to_string()))?;
    let witnessed = keys(source, verifier)?.open(&note, true);
    let witnessed = witnessed.map_err(|e| wrong(e.to_string()))?;
    let note = Note::parse(&note).map_err(|e| wrong(e.to_string()))?;
    let cosigned = policy.verify(&note).map_err(|e| wrong(e.to_string()))?;
    let name = |place: &usize| policy.witnesses.get(*place).map(|w| w.name.clone());
    let by: Vec<_> = cosigned
        .by
        .iter()
        .filter_map(|(w, time)| Some((name(w)?, *time)))
        .collect();
    if !cosigned.quorum {
        let names: Vec<_> = by.iter().map(|(name, _)| name.as_str()).collect();
        return Err(wrong(format!(
            "no quorum of the policy: cosigned by [{}]",
            names.join(", ")
        )));
    }
    let newest = head(source, verifier)?;
    let tiles = Tiles::new(source, newest.size);
    let fits = witnessed.size <= newest.size
        && root(&tiles, witnessed.size).map_err(broken)? == witnessed.root;
    if !fits {
        return Err(wrong(format!(
            "witnesses cosigned another history of {} records: the log was cut or rewritten",
            witnessed.size
        )));
    }
    Ok(Found {
        size: witnessed.size,
        by,
    })
}

/// `log anchor`: takes the newest checkpoint to every anchor now.
pub(crate) fn anchor(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let anchors = anchors(dir, None)?;
    let file = dir.join("log").join(CHECKPOINT);
    let note = std::fs::read(&file)
        .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
    let note = Kept::new(&note).map_err(Failure::unavailable)?;
    let mut states = States::read(dir);
    let wrong = states.run(&anchors, &note, seconds(), true);
    states.write(dir).map_err(Failure::unavailable)?;
    for (name, state) in &states.0 {
        if as_json {
            show::json(
                &json!({"anchor": name, "size": state.size, "at": state.at, "problem": state.problem}),
            );
        } else {
            let problem = state.problem.as_deref().unwrap_or("kept");
            show::line(&format!("{name}: {} records, {problem}", state.size));
        }
    }
    match wrong.first() {
        None => Ok(()),
        Some((name, why)) => Err(Failure::unavailable(format!("anchor `{name}`: {why}"))),
    }
}

/// `log verify --anchors`: compares all that the anchors keep with a log that was verified; names the first divergence.
pub(crate) fn compare_anchors(
    source: &dyn Source,
    size: u64,
    vkey: &str,
    dir: &Path,
    file: &Path,
) -> Result<Vec<String>, Failure> {
    let anchors = anchors(dir, Some(file))?;
    let keys = keys(source, &verifier(vkey)?)?.keys().to_vec();
    let mut lines = Vec::new();
    let mut first: Option<(u64, String)> = None;
    for (name, anchor) in &anchors.anchors {
        let kept = anchor.kept();
        let kept = kept.map_err(|e| Failure::unavailable(format!("anchor `{name}`: {e}")))?;
        let Some(kept) = kept else {
            lines.push(format!(
                "anchor       {name} cannot be asked; compare what it received by hand"
            ));
            continue;
        };
        match compare(source, size, &keys, kept) {
            Ok(c) => lines.push(format!(
                "anchor       {name}: {} checkpoints fit, up to {} records",
                c.fit, c.newest
            )),
            Err(d) => {
                let said = format!("anchor `{name}`: {d}");
                if first.as_ref().is_none_or(|(size, _)| d.size < *size) {
                    first = Some((d.size, said));
                }
            }
        }
    }
    match first {
        None => Ok(lines),
        Some((_, said)) => Err(Failure::check(format!("NOT verified: {said}"))),
    }
}

/// The anchors of a data directory, or of a file.
pub(crate) fn anchors(dir: &Path, file: Option<&Path>) -> Result<Anchors, Failure> {
    let read = match file {
        Some(file) if !file.is_file() => {
            return Err(Failure::usage(format!("`{}` is no file", file.display())));
        }
        Some(file) => Anchors::read_file(dir, file, seconds),
        None => Anchors::read(dir, seconds),
    };
    read.map_err(Failure::usage)
}

/// A trust policy from a file.
pub(crate) fn policy(file: &Path) -> Result<Policy, Failure> {
    let policy = Policy::parse(&read(file)?);
    policy.map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))
}

fn head(source: &dyn Source, verifier: &Verifier) -> Result<Checkpoint, Failure> {
    let note = source.read(CHECKPOINT).map_err(Failure::unavailable)?;
    let head = keys(source, verifier)?.open(&note, true);
    head.map_err(Failure::check)
}

/// The keys that the log has had, of which one is trusted.
fn keys(source: &dyn Source, trusted: &Verifier) -> Result<Chain, Failure> {
    Chain::read(source, trusted).map_err(|e| Failure::check(format!("the log's keys: {e}")))
}

fn verifier(given: &str) -> Result<Verifier, Failure> {
    Verifier::from_vkey(&super::key_text(given)?).map_err(Failure::usage)
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))
}

fn broken(e: impl std::fmt::Display) -> Failure {
    Failure::check(e)
}
