//! Who asks, whether they may now, and how what they ask is carried out once.

use std::{str::FromStr, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request as HttpRequest},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use duty::{
    canonical::{self, Digest},
    request::Request,
};
use engine::{Engine, Seat};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use super::{
    Answer,
    act::Act,
    limit::{Meter, Payer},
    problem::Problem,
    replay::{Keys, Known, key_of},
    room::{Place, Room},
};
use crate::{
    access,
    identity::{Identity, Sender, bearer},
};

/// What the door holds.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) identity: Arc<Identity>,
    local: Digest,
    keys: Keys,
    meter: Meter,
    room: Room,
}

impl std::ops::Deref for Door {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Who asks, and on whose account.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) seat: Seat,
    payer: Payer,
}

impl Door {
    pub(super) fn open(
        engine: Arc<Engine>,
        identity: Arc<Identity>,
        local: &str,
    ) -> Result<Self, String> {
        let dir = engine.dir().path();
        let (keys, meter) = (Keys::open(dir)?, Meter::open(dir)?);
        Ok(Self(Arc::new(Inner {
            identity,
            local: Digest::of_bytes(local.as_bytes()),
            keys,
            meter,
            room: Room::default(),
            engine,
        })))
    }

    /// Who sends a request that nobody signed. `speaks_as` is for the holder of the local token.
    pub(super) fn caller(
        &self,
        sender: &Sender,
        speaks_as: Option<&str>,
    ) -> Result<Caller, Problem> {
        if self.is_local(sender) {
            let seat = match speaks_as {
                Some(engine::ADMIN) => Seat::admin(),
                Some(engine::ENGINE) => Seat::engine(),
                _ => {
                    return Err(Problem::malformed(
                        "the local token needs `as`: `admin` or `engine`",
                    ));
                }
            };
            let payer = Payer::Local;
            return Ok(Caller { seat, payer });
        }
        let seat = sender.seat()?;
        access::asked_by(&seat.principal);
        let payer = Payer::Proved(seat.clone());
        Ok(Caller { seat, payer })
    }

    /// Who sends a request to a route of its own: the local token speaks for the engine there.
    pub(super) fn agent(&self, sender: &Sender) -> Result<Caller, Problem> {
        self.caller(sender, Some(engine::ENGINE))
    }

    /// Who signed a request: as the statement says, whether or not that holds. The core decides, and a signature that does not
    /// hold is on nobody's account.
    pub(super) fn signer(&self, request: &Request) -> Option<Caller> {
        let (principal, credential) = request.signer()?;
        let seat = Seat {
            principal: principal.clone(),
            credential: credential.clone(),
        };
        let proved = self.engine.read(|state| {
            let person = state.principals.get(principal);
            person.and_then(|p| p.key(credential)).cloned()
        });
        let holds = proved.is_some_and(|key| request.holds_under(&key));
        let payer = if holds {
            access::asked_by(principal);
            Payer::Proved(seat.clone())
        } else {
            Payer::Unproved
        };
        Some(Caller { seat, payer })
    }

    /// Whoever has a token may read, for as long as it holds its place.
    pub(super) fn reader(&self, sender: &Sender) -> Result<Place, Problem> {
        let payer = if self.is_local(sender) {
            Payer::Local
        } else {
            let seat = sender.seat()?;
            access::asked_by(&seat.principal);
            Payer::Proved(seat)
        };
        self.meter.admit(&payer)?;
        self.room.enter(&payer)
    }

    /// Carries it out, once for each key, within its rate. It goes on where the client goes away.
    pub(super) async fn carry_out(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        body: &[u8],
        act: Act,
    ) -> Answer {
        self.meter.admit(&caller.payer)?;
        let place = self.room.enter(&caller.payer)?;
        let key = key_of(headers)?.map(str::to_owned);
        let (door, body) = (self.clone(), Digest::of_bytes(body));
        let once = async move {
            let _place = place;
            door.once(caller, key, body, act).await
        };
        let task = tokio::spawn(once.in_current_span());
        task.await
            .map_err(|e| Problem::unavailable(format!("the request ended badly: {e}")))?
    }

    async fn once(&self, caller: Caller, key: Option<String>, body: Digest, act: Act) -> Answer {
        let Caller { seat, payer } = caller;
        let engine = &self.engine;
        let Some(key) = key else {
            return self.perform(&seat, &payer, act).await;
        };
        // In a signer's name anybody can send anything: such a key is known with its body alone.
        let scope = match &payer {
            Payer::Unproved => format!("body {body}"),
            Payer::Local | Payer::Proved(_) => seat.principal.to_string(),
        };
        let flight = self.keys.take(&scope, &key)?;
        let size = engine.read(|state| state.size);
        if let Known::Since(since) = flight.note(body, size, engine.now())?
            && let Some(before) = act.recall(engine, &seat, since).await?
        {
            let mut answer = before.map(Json)?.into_response();
            let told = header::HeaderValue::from_static("true");
            answer.headers_mut().insert("idempotent-replayed", told);
            return Ok(answer);
        }
        let done = self.perform(&seat, &payer, act).await;
        if done.as_ref().is_err_and(|problem| !problem.is_refusal()) {
            flight.forget();
        }
        done
    }

    async fn perform(&self, seat: &Seat, payer: &Payer, act: Act) -> Answer {
        let done = act.perform(&self.engine, seat).await;
        if done.as_ref().is_err_and(Problem::is_refusal) {
            self.meter.refused(payer);
        }
        Ok(Json(done?).into_response())
    }

    /// Compared by digest, so that the time it takes tells nothing of the token.
    fn is_local(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_ok_and(|token| Digest::of_bytes(token.as_bytes()) == self.local)
    }
}

/// A body's bytes, said to be JSON.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    /// What is in it, where no number of it is rounded on the way.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let wrong = |e: &dyn std::fmt::Display| Problem::malformed(format!("the body: {e}"));
        let read = serde_json::from_slice(&self.0).map_err(|e| wrong(&e))?;
        canonical::check_text(&self.0).map_err(|e| wrong(&e))?;
        Ok(read)
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "the body is JSON: send it as `application/json`",
            ));
        }
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-long",
                format!("a body has at most {} bytes", super::LONGEST_BODY),
            )),
            Err(e) => Err(Problem::malformed(e.body_text())),
        }
    }
}

/// A name in the path.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr<Err = String> + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|e| Problem::malformed(e.body_text()))?;
        text.parse().map(Self).map_err(Problem::missing)
    }
}

/// The query of a URL.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|query| Self(query.0))
            .map_err(|e| Problem::malformed(e.body_text()))
    }
}
