//! `control`: the catalogue, violations that are attempted, and what the records say.

use std::{fs, path::Path, sync::Arc};

use duty::{
    canonical::Digest,
    name::Environment,
    release::Rules as _,
    request::{RecordControlTests, Request},
    state::State,
};
use evidence::control::{self, CATALOGUE, Tested};
use policy::Release;
use serde_json::json;

use crate::{
    cli::{ControlCommand, Form, Which},
    door::{As, Door},
    fail::{Failure, named},
    show::{self, Listing},
};

pub(crate) async fn run(command: ControlCommand) -> Result<(), Failure> {
    match command {
        ControlCommand::List { form } => {
            let mut listing = Listing::new(
                form.json,
                &["control", "title", "asserts", "tests", "criteria"],
            );
            for c in CATALOGUE {
                let row = vec![
                    c.id.to_owned(),
                    c.title.to_owned(),
                    c.asserts.to_owned(),
                    c.tests().collect::<Vec<_>>().join("; "),
                    c.criteria.join(", "),
                ];
                listing.row(&c.to_json(), row);
            }
            listing.print("no controls");
            Ok(())
        }
        ControlCommand::Test {
            digest,
            which,
            form,
        } => test_command(digest, &which, form).await,
        ControlCommand::Report {
            place,
            dir,
            vkey,
            form,
        } => report(place, &dir.dir, vkey, form),
    }
}

async fn test_command(digest: Option<String>, which: &Which, form: Form) -> Result<(), Failure> {
    let dir = &which.dir.dir;
    if let Some(path) = &which.release {
        // Not in any log: tried, and recorded nowhere.
        let release = Release::from_dir(path).map_err(Failure::usage)?;
        return judge(&print(&release, form)?);
    }
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let digest = match digest {
        Some(digest) => super::release::find(&state, &digest)?,
        None => in_force(&state, &which.env)?,
    };
    let release = super::release_in_log(dir, &state, digest)?;
    let tested = print(&release, form)?;
    let record = record(&door, digest, &tested).await?;
    if !form.json {
        show::line(&format!(
            "record {record} holds these results for release {}",
            digest.short()
        ));
    }
    door.close()?;
    judge(&tested)
}

fn in_force(state: &State, env: &str) -> Result<Digest, Failure> {
    let env: Environment = named(env)?;
    state.environments.get(&env).copied().ok_or_else(|| {
        Failure::usage(format!(
            "environment `{env}` points at no release; name one by its digest, as `release list` shows it"
        ))
    })
}

/// Attempts everything under a release and records what that came to; a failed attempt is an error.
pub(crate) async fn test(door: &Door, release: Arc<Release>) -> Result<(), Failure> {
    let digest = release.digest();
    let tested = attempted(release).await?;
    record(door, digest, &tested).await?;
    judge(&tested)
}

async fn attempted(release: Arc<Release>) -> Result<Vec<Tested>, Failure> {
    let run = tokio::task::spawn_blocking(move || control::test(&release));
    run.await.map_err(Failure::unavailable)
}

async fn record(door: &Door, release: Digest, tested: &[Tested]) -> Result<u64, Failure> {
    let program = std::env::current_exe().and_then(fs::read);
    let program = program.map_err(|e| {
        Failure::unavailable(format!(
            "the program's own file cannot be read, whose digest goes with the results: {e}"
        ))
    })?;
    let request = Request::RecordControlTests(RecordControlTests {
        release,
        catalogue: control::catalogue_digest(),
        binary: Digest::of_bytes(&program),
        results: control::results(tested),
    });
    Ok(door.submit(As::Engine, request).await?[0].seq)
}

fn print(release: &Release, form: Form) -> Result<Vec<Tested>, Failure> {
    let tested = control::test(release);
    let mut listing = Listing::new(form.json, &["control", "attempt", "result", "how"]);
    for t in &tested {
        let result = match t.passed {
            Some(true) => "held",
            Some(false) => "FAILED",
            None => "not applicable",
        };
        let row = vec![
            t.control.to_owned(),
            t.test.to_owned(),
            result.to_owned(),
            t.detail.clone(),
        ];
        listing.row(t, row);
    }
    listing.print("no control tests");
    Ok(tested)
}

fn judge(tested: &[Tested]) -> Result<(), Failure> {
    let failed: Vec<_> = tested.iter().filter(|t| t.passed == Some(false)).collect();
    match &failed[..] {
        [] => Ok(()),
        [first, ..] => Err(Failure::check(format!(
            "{} control tests failed, {} first: {}: {}",
            failed.len(),
            first.control,
            first.test,
            first.detail
        ))),
    }
}

fn report(
    place: Option<String>,
    dir: &Path,
    vkey: Option<String>,
    form: Form,
) -> Result<(), Failure> {
    let own = dir.join("log.vkey");
    let vkey = match (vkey, &place) {
        (Some(given), _) => Some(super::key_text(&given)?),
        (None, None) if own.exists() => Some(super::key_text(&own.display().to_string())?),
        (None, _) => None,
    };
    let place = place.unwrap_or_else(|| dir.display().to_string());
    let source = evidence::open(&place).map_err(Failure::unavailable)?;
    let report = control::report(&*source, vkey.as_deref()).map_err(|e| {
        if e.is_fault() {
            Failure::check(e)
        } else {
            Failure::unavailable(e)
        }
    })?;
    if form.json {
        show::json(
            &json!({"size": report.size, "root": report.root, "catalogue": report.catalogue}),
        );
    }
    let mut listing = Listing::new(
        form.json,
        &["control", "title", "result", "looked at", "violations"],
    );
    for c in &report.controls {
        let mut value = serde_json::to_value(c).map_err(Failure::unavailable)?;
        value["result"] = json!(c.result());
        let row = vec![
            c.control.to_owned(),
            c.title.to_owned(),
            c.result().to_owned(),
            c.population.to_string(),
            c.violations.to_string(),
        ];
        listing.row(&value, row);
    }
    listing.print("no controls");
    if !form.json {
        for c in &report.controls {
            for v in &c.first {
                show::line(&format!("{}: record {}: {}", c.control, v.record, v.what));
            }
        }
        let root = report
            .root
            .as_deref()
            .map(|r| format!(", root {r}"))
            .unwrap_or_default();
        show::line(&format!(
            "over {} records{root}; catalogue {}",
            report.size,
            report.catalogue.short()
        ));
    }
    match report.controls.iter().find(|c| c.violations > 0) {
        None => Ok(()),
        Some(first) => Err(Failure::check(format!(
            "{} is violated; see above",
            first.control
        ))),
    }
}
