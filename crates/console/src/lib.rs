//! The console: pages for approvers and auditors.
//!
//! The server renders what is asked and can sign for nobody: a person's key lives in their browser, and what arrives here
//! is a signed statement like any other.

mod assets;
mod guard;
mod pages;
mod passkeys;
mod session;
mod standing;
mod view;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use duty::{name::PrincipalId, time::Time};
use engine::Engine;
use evidence::Index;

use crate::session::Sessions;

/// What the console is opened with.
pub struct Options {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The data directory.
    pub dir: PathBuf,
    /// Where people reach it, like `http://127.0.0.1:7878`. Passkeys are made for its domain; an address of this very machine stands
    /// for `localhost`, and any other address allows none.
    pub public_url: String,
    /// What others hold of the log, asked for anew for every page.
    pub outside: Outside,
}

/// Tells how witnesses and anchors fare.
pub type Outside = Arc<dyn Fn() -> Vec<Holder> + Send + Sync>;

/// A witness or an anchor, as the page of the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `witness` or `anchor`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Size of the newest checkpoint that it holds.
    pub size: u64,
    /// When it came there; none where it never did.
    pub at: Option<Time>,
    /// Why the last attempt failed, where it did.
    pub problem: Option<String>,
}

/// Why the console cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Its sessions cannot be kept.
    #[error(
        "the console's sessions in `{path}` cannot be used: {why}; delete the file, everybody signs in again"
    )]
    Sessions {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Its index cannot be used.
    #[error(transparent)]
    Evidence(#[from] evidence::EvidenceError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// What every page may use.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) dir: PathBuf,
    pub(crate) public_url: String,
    /// Where passkeys are used; none where the address allows none.
    pub(crate) place: Option<passkeys::Place>,
    pub(crate) outside: Outside,
    pub(crate) sessions: Sessions,
    pub(crate) index: Mutex<Index>,
}

impl std::ops::Deref for Desk {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The console's routes.
///
/// # Errors
/// Where its sessions or its index cannot be opened.
pub fn router(options: Options) -> Result<Router, ConsoleError> {
    let desk = Desk(Arc::new(Inner {
        sessions: Sessions::open(&options.dir)?,
        index: Mutex::new(Index::open(&options.dir)?),
        engine: options.engine,
        dir: options.dir,
        outside: options.outside,
        place: passkeys::Place::of(&options.public_url),
        public_url: options.public_url,
    }));
    let inside = Router::new()
        .route("/", get(pages::inbox::page))
        .route("/approvals/{id}", get(pages::approval::page))
        .route("/approvals/{id}/sign", post(pages::approval::sign))
        .route("/approvals/{id}/withdraw", post(pages::approval::withdraw))
        .route("/cases", get(pages::cases::page))
        .route("/cases/{id}", get(pages::case::page))
        .route("/exceptions", get(pages::exceptions::page))
        .route("/thresholds", get(pages::thresholds::page))
        .route("/log", get(pages::log::page))
        .route("/key", get(pages::key::page))
        .route("/key/passkeys", post(pages::key::enrol))
        .route("/sign-out", post(pages::sign_in::sign_out))
        .layer(middleware::from_fn_with_state(
            desk.clone(),
            guard::signed_in,
        ));
    let app = Router::new()
        .route("/sign-in", get(pages::sign_in::page))
        .route(
            "/sign-in/{token}",
            get(pages::sign_in::link).post(pages::sign_in::enter),
        )
        .route("/assets/{name}", get(assets::serve))
        .merge(inside)
        .layer(middleware::from_fn_with_state(
            desk.clone(),
            guard::everybody,
        ))
        // Whatever probes it knows the machine, and perhaps not its public name.
        .route("/healthz", get(async || "ok"))
        .with_state(desk);
    Ok(app)
}

/// A link that signs `person` in once, within a quarter of an hour of `now`.
///
/// # Errors
/// Where the console's sessions cannot be opened.
pub fn sign_in_link(
    dir: &Path,
    person: &PrincipalId,
    public_url: &str,
    now: Time,
) -> Result<String, ConsoleError> {
    let token = Sessions::open(dir)?.new_link(person, now)?;
    Ok(format!(
        "{}/sign-in/{token}",
        public_url.trim_end_matches('/')
    ))
}
