//! `log verify`: the check of a whole log, from where an earlier one had come to, with its progress on standard error.

use std::{
    cell::Cell,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use evidence::{Fault, Opened, S3Access, VerifyOptions, VerifyReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::Verifier;
use serde::Deserialize;
use serde_json::json;
use store::{config, secret::read_secret};

use super::trail;
use crate::{cli::VerifyLog, fail::Failure, show};

/// How often a line tells of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &VerifyLog) -> Result<(), Failure> {
    let opened = open(args)?;
    let vkey = super::key_text(&args.vkey)?;
    let since = args.since.as_ref().map(|file| {
        fs::read(file).map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))
    });
    let since = since.transpose()?;
    let snapshots = opened.dir.as_ref().map(|d| d.join("snapshots"));
    let snapshots = snapshots.filter(|d| d.is_dir());
    let progress = Progress::new(args.progress);
    let told = |done, size| progress.tell(done, size);
    let options = VerifyOptions {
        since: since.as_deref(),
        snapshots: snapshots.as_deref(),
        state: args.state.as_deref(),
        threads: opened.threads,
        progress: Some(&told),
        ..VerifyOptions::default()
    };
    let verified = evidence::verify_with(&*opened.source, &vkey, options);
    progress.bar.finish_and_clear();
    let report = verified.map_err(|fault| failed(&fault, args.form.json))?;
    print_report(&report, args.form.json);
    outside(args, &opened, &vkey)
}

/// Opens the log, in a bucket with the access that a file describes.
fn open(args: &VerifyLog) -> Result<Opened, Failure> {
    let Some(file) = &args.s3 else {
        return evidence::open_at(&args.source).map_err(Failure::unavailable);
    };
    if !args.source.starts_with("s3://") {
        return Err(Failure::usage(
            "`--s3` is for a log at `s3://bucket/prefix`",
        ));
    }
    let access = s3_access(file)?;
    evidence::open_s3(&args.source, &access).map_err(Failure::unavailable)
}

/// The fields of an anchor of kind `s3`, as far as reading needs them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct S3File {
    endpoint: Option<String>,
    region: String,
    access_key_file: Option<PathBuf>,
    secret_key_file: Option<PathBuf>,
}

fn s3_access(file: &Path) -> Result<S3Access, Failure> {
    let fail = |why: String| Failure::usage(format!("`{}`: {why}", file.display()));
    let written: S3File = config::read_named(file).map_err(Failure::usage)?;
    let secret = |path: &PathBuf| {
        let path = file.parent().unwrap_or(Path::new("")).join(path);
        let bytes = read_secret(&path).map_err(|e| fail(e.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|e| fail(e.to_string()))?;
        Ok::<_, Failure>(text.trim().to_owned())
    };
    let keys = match (&written.access_key_file, &written.secret_key_file) {
        (Some(id), Some(key)) => Some((secret(id)?, secret(key)?, None)),
        (None, None) => None,
        _ => {
            return Err(fail(
                "`access_key_file` and `secret_key_file` go together".into(),
            ));
        }
    };
    Ok(S3Access {
        endpoint: written.endpoint,
        region: written.region,
        keys,
    })
}

/// Records done, how many a second, and the time left: a bar on a terminal, otherwise a line now and then where asked for.
struct Progress {
    bar: ProgressBar,
    lines: bool,
    begun: Instant,
    /// Records that were done at the beginning.
    first: Cell<Option<u64>>,
    told: Cell<Instant>,
}

impl Progress {
    fn new(asked: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let form = "verifying {bar:30} {human_pos} of {human_len} records, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self {
            bar,
            lines: asked && !terminal,
            begun: now,
            first: Cell::new(None),
            told: Cell::new(now),
        }
    }

    fn tell(&self, done: u64, size: u64) {
        let first = self.first.get().unwrap_or_else(|| {
            self.first.set(Some(done));
            self.bar.set_length(size);
            // What an earlier check did says nothing of how fast this one is.
            self.bar.set_position(done);
            self.bar.reset_eta();
            done
        });
        self.bar.set_position(done);
        if !self.lines || (done < size && self.told.get().elapsed() < LINE_EVERY) {
            return;
        }
        self.told.set(Instant::now());
        let rate = (done - first) as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let left = (size - done) as f64 / rate.max(1.0);
        eprintln!("verified {done} of {size} records, {rate:.0} records/s, {left:.0} s left");
    }
}

/// What others hold of a log that was verified: witnesses and anchors.
fn outside(args: &VerifyLog, opened: &Opened, vkey: &str) -> Result<(), Failure> {
    let mut lines = Vec::new();
    if let Some(file) = &args.witnesses {
        let verifier = Verifier::from_vkey(vkey).map_err(Failure::usage)?;
        let found = trail::quorum(&*opened.source, &verifier, &trail::policy(file)?)?;
        let names: Vec<_> = found.by.iter().map(|(name, _)| name.as_str()).collect();
        let by = names.join(", ");
        lines.push(format!(
            "witnesses    {by}: a quorum, up to {} records",
            found.size
        ));
    }
    if let Some(file) = &args.anchors {
        let size = evidence::head(&*opened.source)
            .map_err(Failure::unavailable)?
            .size;
        let dir = opened.dir.clone().unwrap_or_default();
        lines.extend(trail::compare_anchors(
            &*opened.source,
            size,
            vkey,
            &dir,
            file,
        )?);
    }
    for line in lines {
        // The one JSON object is printed already.
        if args.form.json {
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
