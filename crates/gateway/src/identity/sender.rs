//! What a handler knows of whoever sent a request.

use std::{convert::Infallible, ops::Deref};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use engine::Seat;

use super::Peer;
use crate::http::{Door, Problem};

/// A request's headers, and whose they are. That nobody is known is an error only where somebody has to be: what a person signed
/// needs nobody's token.
pub(crate) struct Sender {
    headers: HeaderMap,
    seat: Result<Seat, Problem>,
}

impl Sender {
    /// Who has proved to ask.
    pub(crate) fn seat(&self) -> Result<Seat, Problem> {
        self.seat.clone()
    }
}

impl Deref for Sender {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.headers
    }
}

impl FromRequestParts<Door> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Infallible> {
        Ok(Self {
            seat: {
                let peer = parts.extensions.get::<Peer>();
                let identity = &door.identity;
                identity.seat(&door.engine, &parts.headers, peer).await
            },
            headers: parts.headers.clone(),
        })
    }
}
