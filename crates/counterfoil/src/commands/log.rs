//! `log`: verify, checkpoint; what witnesses and anchors say is in `trail`.

use std::path::Path;

use evidence::{Fault, VerifyReport};
use serde_json::json;

use ledger::Verifier;

use super::trail;
use crate::{cli::LogCommand, fail::Failure, show};

pub(crate) fn run(command: LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Verify {
            source,
            vkey,
            since,
            witnesses,
            anchors,
            form,
        } => verify(&source, &vkey, since.as_deref(), form.json).and_then(|()| {
            outside(
                &source,
                &vkey,
                witnesses.as_deref(),
                anchors.as_deref(),
                form.json,
            )
        }),
        LogCommand::Prove {
            source,
            records,
            vkey,
            out,
        } => trail::prove(&source, &records, &vkey, &out),
        LogCommand::Check {
            file,
            vkey,
            witnesses,
            form,
        } => trail::check(&file, &vkey, witnesses.as_deref(), form.json),
        LogCommand::Consistency {
            source,
            vkey,
            old,
            new,
        } => trail::consistent(&source, &vkey, &old, &new),
        LogCommand::Witness { dir, form } => trail::witnessed(&dir.dir, form.json),
        LogCommand::Anchor { dir, form } => trail::anchor(&dir.dir, form.json),
        LogCommand::Checkpoint { dir } => {
            let file = dir.dir.join("log/checkpoint");
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
            print!("{text}");
            Ok(())
        }
        LogCommand::Key(_) => Err(Failure::usage("`log key` is a command of its own")),
    }
}

fn verify(source: &str, vkey: &str, since: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let opened = evidence::open_at(source).map_err(Failure::unavailable)?;
    let vkey = super::key_text(vkey)?;
    let since = match since {
        Some(file) => {
            let bytes = std::fs::read(file)
                .map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))?;
            Some(bytes)
        }
        None => None,
    };
    let snapshots = opened.dir.as_ref().map(|d| d.join("snapshots"));
    let snapshots = snapshots.filter(|d| d.is_dir());
    match evidence::verify(
        &*opened.source,
        &vkey,
        since.as_deref(),
        snapshots.as_deref(),
    ) {
        Ok(report) => {
            print_report(&report, as_json);
            Ok(())
        }
        Err(fault) => Err(failed(&fault, as_json)),
    }
}

/// What others hold of a log that was verified: witnesses and anchors.
fn outside(
    source: &str,
    vkey: &str,
    witnesses: Option<&Path>,
    anchors: Option<&Path>,
    as_json: bool,
) -> Result<(), Failure> {
    let opened = evidence::open_at(source).map_err(Failure::unavailable)?;
    let vkey = super::key_text(vkey)?;
    let mut lines = Vec::new();
    if let Some(file) = witnesses {
        let verifier = Verifier::from_vkey(&vkey).map_err(Failure::usage)?;
        let found = trail::quorum(&*opened.source, &verifier, &trail::policy(file)?)?;
        let names: Vec<_> = found.by.iter().map(|(name, _)| name.as_str()).collect();
        let by = names.join(", ");
        lines.push(format!(
            "witnesses    {by}: a quorum, up to {} records",
            found.size
        ));
    }
    if let Some(file) = anchors {
        let size = evidence::head(&*opened.source)
            .map_err(Failure::unavailable)?
            .size;
        let dir = opened.dir.clone().unwrap_or_default();
        lines.extend(trail::compare_anchors(
            &*opened.source,
            size,
            &vkey,
            &dir,
            file,
        )?);
    }
    for line in lines {
        // The one JSON object is printed already.
        if as_json {
            eprintln!("{line}");
        } else {
            show::line(&line);
        }
    }
    Ok(())
}

fn failed(fault: &Fault, as_json: bool) -> Failure {
    if as_json {
        show::json(
            &json!({"verified": false, "record": fault.record, "place": fault.place, "why": fault.why}),
        );
    }
    if fault.unreadable {
        Failure::unavailable(format!("cannot verify: {fault}"))
    } else {
        Failure::check(format!("NOT verified: {fault}"))
    }
}

fn print_report(report: &VerifyReport, as_json: bool) {
    if as_json {
        show::json(&json!({"verified": true, "report": report}));
        return;
    }
    let time = |t: &Option<duty::time::Time>| t.map_or("-".to_owned(), |t| t.to_string());
    show::line(&format!(
        "verified: {} records of `{}`",
        report.size, report.origin
    ));
    show::line(&format!("root         {}", report.root));
    show::line(&format!(
        "from, to     {}, {}",
        time(&report.first),
        time(&report.last)
    ));
    show::line(&format!(
        "decisions    {}, of them {} refusals",
        report.decisions, report.refusals
    ));
    show::line(&format!(
        "signatures   {} of humans, all good",
        report.signatures
    ));
    show::line(&format!(
        "releases     {} of {} files",
        report.releases, report.files
    ));
    show::line(&format!(
        "snapshots    {} here and as committed, {} sealed here: no key, {} not here, {} erased",
        report.snapshots, report.sealed, report.absent, report.erased
    ));
    for warning in &report.warnings {
        eprintln!("note: {warning}");
    }
}
