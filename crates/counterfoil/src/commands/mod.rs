//! The commands, one module per noun, and what they share.

pub(crate) mod approval;
mod archive;
pub(crate) mod audit;
pub(crate) mod case;
pub(crate) mod certification;
mod check;
pub(crate) mod clauses;
pub(crate) mod control;
pub(crate) mod credential;
pub(crate) mod delegation;
pub(crate) mod erase;
pub(crate) mod exception;
pub(crate) mod freeze;
pub(crate) mod glass;
mod import;
pub(crate) mod log;
pub(crate) mod log_key;
pub(crate) mod mcp;
pub(crate) mod principal;
pub(crate) mod promote;
mod proof;
mod rebuild;
pub(crate) mod release;
mod replay;
pub(crate) mod threshold;
mod tools;
pub(crate) mod trail;
mod verify;
pub(crate) mod webhook;
pub(crate) mod witness;

use std::{path::Path, sync::Arc};

use duty::{
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
    state::State,
};
use engine::{
    clock::{Clock, SystemClock},
    fold::{self, Folded},
};
use policy::Release;
use store::{DataDir, NewKey};

pub(crate) use rebuild::rebuild;

use crate::{
    cli::{Init, Run, Serve, SignIn},
    door::{Door, SERVING, Serving},
    fail::{Failure, named},
    listen,
    logging::Logging,
    passphrase, serve as server, show,
    site::Site,
    tls::Tls,
};

/// `init`: a data directory with its log begun.
pub(crate) async fn init(init: Init) -> Result<(), Failure> {
    let dir = &init.dir.dir;
    let external = log_key::signer(&init.signer, &init.origin)?;
    let passphrase = passphrase::named()?;
    let key = match external {
        Some(config) => NewKey::External(config),
        None => NewKey::File {
            passphrase: passphrase.as_ref().map(|p| p.as_str()),
        },
    };
    DataDir::init_with(dir, &init.origin, &key)?;
    let site = Site::open(dir).await?;
    println!("made {} with the log `{}`", dir.display(), init.origin);
    println!("verifier key: {}", site.engine.dir().vkey());
    println!("next: add principals, build a release and promote it; see `counterfoil --help`");
    site.close()
}

/// `serve`: until it is stopped.
pub(crate) async fn serve(serve: Serve, logging: Option<&Logging>) -> Result<(), Failure> {
    let connections = listen::room(serve.connections).map_err(Failure::usage)?;
    let tls = Tls::open(serve.tls)?;
    let listener = server::listen(serve.listen).await?;
    let site = Site::open_with(&serve.dir.dir, serve.verify).await?;
    let ending = server::Ending::caught()?;
    println!("serving {}", server::url(&listener, tls.is_some())?);
    let place = server::Place {
        listener,
        public_url: serve.public_url,
        connections,
        tls,
    };
    let dropped = logging.map(Logging::dropped);
    server::serve(site, &serve.dir.dir, place, ending, dropped).await
}

/// `run`: opens a case if one is named, and lets agents go on.
pub(crate) async fn run(run: Run) -> Result<(), Failure> {
    let site = Site::open(&run.dir.dir).await?;
    if let (Some(case), Some(env), Some(subject), Some(source)) =
        (run.case, run.env, run.subject, run.source)
    {
        let bytes = std::fs::read(&source)
            .map_err(|e| Failure::usage(format!("`{}`: {e}", source.display())))?;
        let (case, env): (CaseId, Environment) = (named(&case)?, named(&env)?);
        site.runner.open(&case, &env, &subject, &bytes).await?;
    }
    site.advance(site.movable(), |case, stop| {
        if run.form.json {
            show::json(
                &serde_json::json!({"case": case, "stop": format!("{stop:?}").to_lowercase()}),
            );
        } else {
            show::line(&format!("{case} {stop:?}"));
        }
    })
    .await?;
    site.close()
}

/// `sign-in`: a one-time link to the console.
pub(crate) fn sign_in(sign_in: SignIn) -> Result<(), Failure> {
    let dir = &sign_in.dir.dir;
    let person: PrincipalId = named(&sign_in.person)?;
    let state = state_of(dir)?;
    let known = state.principals.get(&person).is_some_and(|p| !p.revoked);
    if !known {
        return Err(Failure::usage(format!(
            "nobody in force is called `{person}`"
        )));
    }
    let url = match sign_in.url {
        Some(url) => url,
        None => {
            let text = std::fs::read(dir.join(SERVING)).map_err(|_| {
                Failure::unavailable(
                    "no server runs on this directory: start `counterfoil serve`, or give `--url`",
                )
            })?;
            let serving: Serving = serde_json::from_slice(&text).map_err(Failure::unavailable)?;
            serving.public_url.unwrap_or(serving.url)
        }
    };
    let link = console::sign_in_link(dir, &person, &url, SystemClock.now())
        .map_err(Failure::unavailable)?;
    show::line(&link);
    if let Some(rest) = link.strip_prefix("http://127.0.0.1") {
        // WebAuthn takes names only.
        eprintln!("for passkeys, open it as http://localhost{rest}");
    }
    Ok(())
}

/// A verifier key, given as itself or as the file that holds it.
pub(crate) fn key_text(given: &str) -> Result<String, Failure> {
    let path = Path::new(given);
    if !path.is_file() {
        return Ok(given.to_owned());
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("`{given}`: {e}")))?;
    Ok(text.trim().to_owned())
}

/// The state that the published log comes to.
pub(crate) fn state_of(dir: &Path) -> Result<State, Failure> {
    folded(dir).map(|folded| folded.state)
}

/// The state as the door has it.
pub(crate) fn state_of_door(door: &Door, dir: &Path) -> Result<State, Failure> {
    match door {
        Door::Here(site) => Ok(site.engine.read(State::clone)),
        Door::There { .. } => state_of(dir),
    }
}

/// A release, from the files that the log holds.
pub(crate) fn release_in_log(
    dir: &Path,
    state: &State,
    digest: Digest,
) -> Result<Arc<Release>, Failure> {
    let contents = folded(dir)?.files;
    let paths = state
        .releases
        .get(&digest)
        .ok_or_else(|| Failure::usage(format!("the log holds no release {}", digest.short())))?;
    let files = paths
        .iter()
        .filter_map(|(path, digest)| Some((path.clone(), contents.get(digest)?.clone())));
    Release::from_files(files.collect())
        .map(Arc::new)
        .map_err(Failure::unavailable)
}

fn folded(dir: &Path) -> Result<Folded, Failure> {
    // Said of what is no log at all before anything is looked for in it.
    evidence::open(&dir.display().to_string()).map_err(Failure::unavailable)?;
    fold::published(dir, &fold::in_log()).map_err(Failure::unavailable)
}

/// A log with the index over it.
pub(crate) struct Indexed {
    pub(crate) opened: evidence::Opened,
    pub(crate) index: evidence::Index,
}

/// The index over a log: kept in a data directory, in memory for a bare copy; caught up with what is published, and compared
/// with it, or a note says that it was not.
pub(crate) fn index(place: &str) -> Result<Indexed, Failure> {
    let mut indexed = index_as_it_is(place)?;
    let Indexed { opened, index } = &mut indexed;
    let reliance = index.rely(&*opened.source).map_err(Failure::unavailable)?;
    if reliance == evidence::Reliance::RowsOnly {
        eprintln!(
            "note: the log has more than {} records, so that its index was not compared with it: what is shown was read again from the log, \
             that nothing is missing is shown by `audit query --check`",
            evidence::COMPARED
        );
    }
    indexed.tell();
    Ok(indexed)
}

/// As [`index`], not yet caught up or compared.
pub(crate) fn index_as_it_is(place: &str) -> Result<Indexed, Failure> {
    let opened = evidence::open_at(place).map_err(Failure::unavailable)?;
    let index = match &opened.dir {
        Some(dir) => match evidence::Index::open(dir) {
            Ok(index) => index,
            Err(e) => {
                eprintln!("note: {e}; answering from an index in memory");
                evidence::Index::in_memory().map_err(Failure::unavailable)?
            }
        },
        None => evidence::Index::in_memory().map_err(Failure::unavailable)?,
    };
    Ok(Indexed { opened, index })
}

impl Indexed {
    /// Records, as [`evidence::Index::query`].
    pub(crate) fn query(&mut self, query: &evidence::Query) -> Result<Vec<evidence::Row>, Failure> {
        let rows = self.index.query(&*self.opened.source, query);
        self.tell();
        rows.map_err(Failure::unavailable)
    }

    fn tell(&mut self) {
        for note in self.index.notes() {
            eprintln!("note: {note}");
        }
    }
}
