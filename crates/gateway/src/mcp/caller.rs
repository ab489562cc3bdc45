//! Who asks, in which environment, under which release, with which duty.

use std::sync::Arc;

use axum::http::request::Parts;
use duty::{
    name::{Environment, PrincipalId},
    principal::Duty,
    release::Rules,
};
use engine::{Engine, Seat};
use policy::Release;
use rmcp::{ErrorData, model::Extensions};

use super::Gate;
use crate::{
    access,
    http::{Payer, Place as Room, Problem},
    identity::Peer,
};

/// Who sends a message, and to which environment's address.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) seat: Seat,
    environment: Option<Environment>,
    /// Its place among the requests of its credential.
    room: Room,
}

impl Asker {
    /// Whoever sends a request, within its rate, and where it has room for one more.
    pub(super) async fn of(gate: &Gate, parts: &Parts) -> Result<Self, Problem> {
        let seat = {
            let peer = parts.extensions.get::<Peer>();
            let identity = &gate.identity;
            identity.seat(&gate.engine, &parts.headers, peer).await?
        };
        access::asked_by(&seat.principal);
        let payer = Payer::Proved(seat.clone());
        gate.meter.admit(&payer)?;
        let room = gate.room.enter(&payer)?;
        let named = parts.uri.path().strip_prefix("/mcp/");
        let environment = named.map(str::parse).transpose();
        Ok(Self {
            seat,
            environment: environment.map_err(Problem::missing)?,
            room,
        })
    }
}

/// Who asks, with all that the release says of it.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) seat: Seat,
    pub(super) environment: Environment,
    pub(super) release: Arc<Release>,
    /// Its duty in the release's team; none where it has no place there.
    pub(super) duty: Option<Duty>,
    /// Held for as long as anything works for the request, also where its client is gone.
    _room: Room,
}

impl Caller {
    /// Whoever sent the message that these came with.
    pub(super) fn of(engine: &Engine, extensions: &Extensions) -> Result<Self, ErrorData> {
        let parts = extensions.get::<Parts>();
        let asker = parts.and_then(|parts| parts.extensions.get::<Asker>());
        let Asker {
            seat,
            environment,
            room,
        } = asker
            .cloned()
            .ok_or_else(|| ErrorData::internal_error("the message came from nobody", None))?;
        let places = places(engine, &seat.principal)?;
        let fitting = |place: &&Place| match &environment {
            Some(named) => place.environment == *named,
            None => place.duty.is_some(),
        };
        let mut found = places.iter().filter(fitting);
        match (found.next(), found.next()) {
            (Some(place), None) => Ok(Self {
                seat,
                environment: place.environment.clone(),
                release: Arc::clone(&place.release),
                duty: place.duty,
                _room: room,
            }),
            (None, _) => Err(ErrorData::invalid_request(
                match environment {
                    Some(named) => format!("environment `{named}` points at no release"),
                    None => format!("`{}` is in the team of no environment", seat.principal),
                },
                None,
            )),
            (Some(one), Some(other)) => Err(ErrorData::invalid_request(
                format!(
                    "`{}` works in several environments; connect to `/mcp/{}` or `/mcp/{}`",
                    seat.principal, one.environment, other.environment
                ),
                None,
            )),
        }
    }
}

/// What an environment is to a principal.
struct Place {
    environment: Environment,
    release: Arc<Release>,
    duty: Option<Duty>,
}

fn places(engine: &Engine, who: &PrincipalId) -> Result<Vec<Place>, ErrorData> {
    let pointed = engine.read(|state| state.environments.clone());
    let mut places = Vec::new();
    for (environment, digest) in pointed {
        let release = engine
            .release(digest)
            .map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
        let Some(release) = release else { continue };
        places.push(Place {
            environment,
            duty: release.team().agent(who).map(|agent| agent.duty),
            release,
        });
    }
    Ok(places)
}
