//! `release`: the rules, by content hash.

use std::{path::Path, sync::Arc};

use duty::{
    canonical::Digest,
    conflict::{self, findings},
    name::Environment,
    principal::Duty,
    release::Rules,
    request::{BuildRelease, RecordFile, Request},
    state::State,
};
use policy::{Direction, Release};
use serde_json::json;

use super::{promote, tools};
use crate::{
    cli::{Form, ReleaseCommand, Which},
    door::{As, Door},
    fail::{Failure, named},
    keys::Author,
    show::{self, Listing},
};

pub(crate) async fn run(command: ReleaseCommand) -> Result<(), Failure> {
    match command {
        ReleaseCommand::Build {
            path,
            check,
            dir,
            author,
        } => {
            let release = Release::from_dir(&path).map_err(Failure::usage)?;
            for finding in policy::lint(&release) {
                eprintln!("note: {finding}");
            }
            if !check {
                let door = Door::open(&dir.dir).await?;
                let state = super::state_of_door(&door, &dir.dir)?;
                warn_of_conflicts(&state, &release);
                build(&door, &state, &release).await?;
                if let Some(author) = author.whole() {
                    let author = Author::of(&dir.dir, &author)?;
                    promote::sign(&door, &state, release.digest(), &author).await?;
                }
                door.close()?;
            }
            println!("{}", release.digest());
            Ok(())
        }
        ReleaseCommand::Sign { digest, dir, sign } => {
            let sign = sign
                .whole()
                .ok_or_else(|| Failure::usage("say who the author is: `--as PERSON`"))?;
            let author = Author::of(&dir.dir, &sign)?;
            let door = Door::open(&dir.dir).await?;
            let state = super::state_of_door(&door, &dir.dir)?;
            let release = find(&state, &digest)?;
            promote::sign(&door, &state, release, &author).await?;
            println!(
                "release {} signed by `{}` as its author",
                release.short(),
                sign.person
            );
            door.close()
        }
        ReleaseCommand::Promote {
            digest,
            env,
            dir,
            sign,
        } => promote::run(&dir.dir, &digest, &env, sign.whole()).await,
        ReleaseCommand::Rollback { env, dir, sign } => {
            promote::rollback(&dir.dir, &env, sign).await
        }
        ReleaseCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let mut listing = Listing::new(
                form.json,
                &["release", "files", "author", "control tests", "in force in"],
            );
            for (digest, files) in &state.releases {
                let places = state.environments.iter().filter(|(_, d)| *d == digest);
                let places: Vec<_> = places.map(|(e, _)| e.to_string()).collect();
                let authors: Vec<_> = state.authors.get(digest).into_iter().flatten().collect();
                let tested = state.tested.get(digest);
                let words =
                    |w: Option<bool>| w.map_or("no", |w| if w { "passed" } else { "failed" });
                listing.row(
                    &json!({"release": digest, "files": files, "environments": places, "authors": authors,
                        "tested": tested.map(|t| json!({"record": t.record, "passed": t.passed}))}),
                    vec![
                        digest.to_string(),
                        files.len().to_string(),
                        authors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                        words(tested.map(|t| t.passed)).to_owned(),
                        places.join(" "),
                    ],
                );
            }
            listing.print("no release");
            Ok(())
        }
        ReleaseCommand::Diff {
            from,
            to,
            dir,
            form,
        } => {
            let (from, to) = (
                named_release(&dir.dir, &from)?,
                named_release(&dir.dir, &to)?,
            );
            diff(&from, &to, form);
            Ok(())
        }
        ReleaseCommand::Tools { which: w, form } => {
            // Before the first release there is nothing to compare with.
            let env = named::<Environment>(&w.env)?;
            let begun =
                w.release.is_some() || super::state_of(&w.dir.dir)?.environments.contains_key(&env);
            let release = begun.then(|| which(&w)).transpose()?;
            tools::list(&w.dir.dir, release.as_deref(), form).await
        }
        ReleaseCommand::Pin(pinning) => tools::pin(&pinning).await,
        ReleaseCommand::Conflicts { release, dir, form } => {
            let release = named_release(&dir.dir, &release)?;
            let found = findings(&super::state_of(&dir.dir)?, release.team());
            let mut listing = Listing::new(form.json, &["principal", "could", "and", "refused by"]);
            for finding in &found {
                let words = |(duty, path): &(Duty, conflict::Path)| path.words(*duty);
                listing.row(
                    finding,
                    vec![
                        finding.principal.to_string(),
                        words(&finding.first),
                        words(&finding.second),
                        finding.refused_by.to_owned(),
                    ],
                );
            }
            listing.print("nobody could hold two incompatible duties");
            match found.len() {
                0 => Ok(()),
                n => Err(Failure::check(format!(
                    "{n} ways to hold two incompatible duties; each is refused when it is tried, and better not there"
                ))),
            }
        }
    }
}

/// Puts a release into the log: the files that are not there yet, then the release.
pub(crate) async fn build(door: &Door, state: &State, release: &Release) -> Result<(), Failure> {
    if state.releases.contains_key(&release.digest()) {
        return Ok(());
    }
    let mut sent = std::collections::BTreeSet::new();
    for content in release.files().values() {
        let digest = Digest::of_bytes(content.as_bytes());
        if !state.files.contains_key(&digest) && sent.insert(digest) {
            let content = content.clone();
            door.submit(As::Admin, Request::RecordFile(RecordFile { content }))
                .await?;
        }
    }
    let files = release.manifest();
    door.submit(As::Admin, Request::BuildRelease(BuildRelease { files }))
        .await?;
    Ok(())
}

pub(crate) fn find(state: &State, prefix: &str) -> Result<Digest, Failure> {
    let mut found = state
        .releases
        .keys()
        .filter(|d| d.to_string().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(digest), None) if !prefix.is_empty() => Ok(*digest),
        (Some(_), _) => Err(Failure::usage(format!(
            "`{prefix}` fits more than one release; give more digits"
        ))),
        (None, _) => Err(Failure::usage(format!(
            "the log holds no release `{prefix}`; `release list` shows them"
        ))),
    }
}

pub(crate) fn named_release(dir: &Path, name: &str) -> Result<Arc<Release>, Failure> {
    let path = Path::new(name);
    if path.is_dir() {
        return Release::from_dir(path)
            .map(Arc::new)
            .map_err(Failure::usage);
    }
    let state = super::state_of(dir)?;
    super::release_in_log(dir, &state, find(&state, name)?)
}

fn diff(from: &Release, to: &Release, form: Form) {
    let changes = policy::diff(from, to);
    if form.json {
        changes.iter().for_each(show::json);
        return;
    }
    for change in &changes {
        let mark = match change.direction {
            Direction::Loosens => "LOOSENS ",
            Direction::Tightens => "tightens",
            Direction::Open => "        ",
        };
        show::line(&format!("{mark} {}: {}", change.about, change.what));
        for line in change.lines.iter().flat_map(|l| l.lines()) {
            show::line(&format!("             {line}"));
        }
    }
    match changes.len() {
        0 => show::line("nothing differs"),
        n => {
            let looser = changes.iter().filter(|c| c.direction == Direction::Loosens);
            show::line(&format!("{n} changes, of which {} loosen", looser.count()));
        }
    }
}

/// What a builder should know before anybody runs under the release.
fn warn_of_conflicts(state: &State, release: &Release) {
    for finding in findings(state, release.team()) {
        eprintln!(
            "conflict: `{}` could hold two duties ({}; {}): refused by {} when it is tried",
            finding.principal,
            finding.first.1.words(finding.first.0),
            finding.second.1.words(finding.second.0),
            finding.refused_by
        );
    }
}

pub(super) fn which(which: &Which) -> Result<Arc<Release>, Failure> {
    if let Some(path) = &which.release {
        return Release::from_dir(path)
            .map(Arc::new)
            .map_err(Failure::usage);
    }
    let state = super::state_of(&which.dir.dir)?;
    let env: Environment = named(&which.env)?;
    let digest = state.environments.get(&env).ok_or_else(|| {
        Failure::usage(format!("environment `{env}` points at no release; promote one, or name a directory with `--release`"))
    })?;
    super::release_in_log(&which.dir.dir, &state, *digest)
}
