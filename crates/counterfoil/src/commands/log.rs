//! `log`: verify, checkpoint.

use std::path::Path;

use evidence::{Fault, VerifyReport};
use serde_json::json;

use crate::{cli::LogCommand, fail::Failure, show};

pub(crate) fn run(command: LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Verify {
            source,
            vkey,
            since,
            form,
        } => verify(&source, &vkey, since.as_deref(), form.json),
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
    let vkey = key_text(vkey)?;
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
        "snapshots    {} here and as committed, {} not here",
        report.snapshots, report.absent
    ));
    for warning in &report.warnings {
        eprintln!("note: {warning}");
    }
}

/// The verifier key, given as itself or as the file that holds it.
fn key_text(given: &str) -> Result<String, Failure> {
    let path = Path::new(given);
    if !path.is_file() {
        return Ok(given.to_owned());
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("`{given}`: {e}")))?;
    Ok(text.trim().to_owned())
}
