//! The MCP door: agents of any make connect as themselves and see the tools of their permission set as one MCP server.
//!
//! The way of one call:
//!
//! 1. `frame` takes the message in: from somebody who is known, bounded, JSON-RPC. `caller` says under which release it falls
//!    (`/mcp`, or `/mcp/<environment>`).
//! 2. `server` speaks the protocol, in both of its dates, and hands a `tools/call` to `call`.
//! 3. `call` finds the tool among those that are shown to the agent (`tools`), and the case (`lane`).
//! 4. A tool without effect is read in that case. One with an effect goes through the duties (`effect`), the same call once at a
//!    time (`flight`): the agent's recommendation with the clauses that the release binds to the tool, the team's review, the verdict, the execution.
//! 5. What waits for people is told at once, and `held` knows it again when the same call comes back.
//! 6. `reply` makes an MCP result of whatever came of it; `task` a task, for clients that know tasks.
//!
//! `crowd` bounds how many cases of one agent are under way. `own` has the door's own tools, for agents that open cases, recommend, review and execute by themselves.
//!
//! Nothing is decided here: every refusal is the core's, and stands in the log.

mod call;
mod caller;
mod calls;
mod crowd;
mod effect;
mod flight;
mod frame;
mod held;
mod lane;
mod own;
mod reply;
mod server;
mod task;
mod tools;
mod traced;

use std::sync::Arc;

use axum::{Router, middleware};
use duty::{name::CaseId, record::Record};
use engine::{Engine, Executed, Pending, target::BoxFuture};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};

use crate::{
    http::{Meter, Room},
    identity::Identity,
};
pub use calls::Calls;
use crowd::Crowd;
use flight::Flights;
use frame::Underway;
use held::Held;
use lane::Lanes;
use server::Server;

/// The longest message that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// The built-in agents of teams, as the door needs them.
pub trait Team: Send + Sync {
    /// Takes a case in hand, so that nobody else goes on with it until the hand is dropped; none where somebody has it.
    fn hold(&self, case: &CaseId) -> Option<Box<dyn Hand>>;
}

/// A case in hand.
pub trait Hand: Send + Sync {
    /// Takes the case as far as the built-in agents can; or says in words why that failed.
    fn advance(&self) -> BoxFuture<'_, Result<Pending<Moved>, String>>;
}

/// How far a case came.
#[derive(Debug)]
pub struct Moved {
    /// What the last recommendation came to.
    pub decided: Vec<Record>,
    /// What was executed.
    pub executed: Option<Executed>,
}

/// What the door holds.
struct Gate {
    engine: Arc<Engine>,
    identity: Arc<Identity>,
    team: Arc<dyn Team>,
    meter: Arc<Meter>,
    crowd: Arc<Crowd>,
    calls: Calls,
    lanes: Lanes,
    held: Held,
    flights: Flights,
    underway: Underway,
    room: Room,
}

/// How long the log is, for as long as it is open.
fn size_of(engine: &Arc<Engine>) -> held::Size {
    let engine = Arc::downgrade(engine);
    Box::new(move || Some(engine.upgrade()?.read(|state| state.size)))
}

/// The door's routes. `hosts` are the names under which the server is reached, beyond this machine's own: a request that
/// names another comes from a page that was led here. `calls` counts.
///
/// # Errors
/// In words, where the data directory's `api.toml` or `mcp.db` cannot be used.
pub fn router(
    engine: Arc<Engine>,
    identity: Arc<Identity>,
    team: Arc<dyn Team>,
    hosts: impl IntoIterator<Item = String>,
    calls: Calls,
) -> Result<Router, String> {
    let dir = engine.dir().path();
    let meter = Arc::new(Meter::open(dir)?);
    let crowd = Arc::new(Crowd::new(&engine, &meter));
    let gate = Arc::new(Gate {
        calls,
        held: Held::open(dir, size_of(&engine))?,
        lanes: Lanes::of(&engine, &crowd),
        meter,
        crowd,
        flights: Flights::default(),
        underway: Underway::default(),
        room: Room::default(),
        engine,
        identity,
        team,
    });
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LONGEST)
        .enforce_origin_validation();
    config.allowed_hosts.extend(hosts);
    let origins = config.allowed_hosts.iter();
    let schemes = ["http", "https"];
    let origins = origins.flat_map(|host| schemes.map(|scheme| format!("{scheme}://{host}:*")));
    config.allowed_origins = origins.collect();
    let served = Arc::clone(&gate);
    let service = StreamableHttpService::new(
        move || Ok(Server::new(Arc::clone(&served))),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let known =
        middleware::from_fn(move |request, next| frame::admit(Arc::clone(&gate), request, next));
    Ok(Router::new()
        .route_service("/mcp", service.clone())
        .route_service("/mcp/{environment}", service)
        .layer(known))
}
