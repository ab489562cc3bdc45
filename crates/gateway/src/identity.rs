//! Who asks at the doors, by what they bring: a token that the log knows, one that a pinned identity provider signed, or a client
//! certificate.
//!
//! | module | what |
//! |---|---|
//! | `config` | `identity.toml`: which issuers, with which audience, algorithms and keys |
//! | `keys` | an issuer's keys: fetched, kept for a time, fetched again |
//! | `token` | one token, held against its issuer |
//! | `jws` | the form of a token, and its signature |
//! | `sender` | what a handler knows of a request's sender |
//! | `metadata` | where clients find out which issuers there are (RFC 9728) |
//!
//! Nothing here says what anybody may do: a token that holds is a proof, whose it is stands in the log, and so does its end.

mod config;
mod jws;
mod keys;
mod metadata;
mod sender;
mod token;

use std::{path::Path, sync::Arc};

use axum::http::{HeaderMap, header};
use duty::{canonical::Digest, jwt::Subject, principal::Proof, time::Time};
use engine::{Engine, EngineError, Seat};
use tracing::{info, warn};

use crate::http::Problem;
pub use metadata::announced;
pub(crate) use sender::Sender;
use token::{Issuer, Wrong};

/// The target of the lines about tokens that did not hold.
const TARGET: &str = "counterfoil::identity";

/// The certificate that the client of a connection has shown to hold the key of, and that chains to the authority of clients: SHA-256
/// of its SubjectPublicKeyInfo. Whoever accepts a connection puts it among the extensions of its requests.
#[derive(Clone, Debug)]
pub struct Peer(pub Digest);

/// The issuers that are pinned, each with what is asked of its tokens.
#[derive(Default)]
pub struct Identity {
    issuers: Vec<Issuer>,
}

impl Identity {
    /// The file of the data directory that pins them.
    pub const FILE: &str = "identity.toml";

    /// What the data directory's `identity.toml` pins; nobody where there is none.
    ///
    /// # Errors
    /// In words, what is wrong with the file.
    pub fn open(dir: &Path) -> Result<Arc<Self>, String> {
        let issuers = config::read(dir)?;
        Ok(Arc::new(Self { issuers }))
    }

    /// Says why no token of a subject could hold: its issuer is not pinned, or for another audience.
    ///
    /// # Errors
    /// In words: what is pinned, and what is not.
    pub fn pins(&self, subject: &Subject) -> Result<(), String> {
        let (issuer, audience) = (subject.issuer(), subject.audience());
        match self.issuers.iter().find(|i| i.id() == issuer) {
            Some(pinned) if pinned.audience() == audience => Ok(()),
            Some(pinned) => Err(format!(
                "the issuer `{issuer}` is pinned for the audience `{}`, and not for `{audience}`",
                pinned.audience()
            )),
            None => Err(format!("the issuer `{issuer}` is not pinned")),
        }
    }

    /// The addresses of the issuers, as they call themselves.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(Issuer::id)
    }

    /// Who sends a request: by its token, or by the certificate of its connection. A token that does not hold is not made good by a
    /// certificate, and the two of two principals are nobody's.
    pub(crate) async fn seat(
        &self,
        engine: &Engine,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Seat, Problem> {
        let shown = peer.map(|Peer(spki)| engine.seat_of(&Proof::Certificate { spki: *spki }));
        if !headers.contains_key(header::AUTHORIZATION) {
            let shown = shown.unwrap_or(Err(EngineError::Unauthenticated));
            return shown.map_err(Problem::from);
        }
        let seat = self.by_token(engine, headers).await?;
        if let Some(Ok(shown)) = shown
            && shown.principal != seat.principal
        {
            let why = "the certificate of the connection is another principal's";
            info!(target: TARGET, why, "token refused");
            return Err(EngineError::Unauthenticated.into());
        }
        Ok(seat)
    }

    /// Whose token a request carries. What is wrong with it goes to the log; who sent it is told only that it does not hold.
    async fn by_token(&self, engine: &Engine, headers: &HeaderMap) -> Result<Seat, Problem> {
        let token = bearer(headers)?;
        let unknown = match engine.authenticate(token) {
            Ok(seat) => return Ok(seat),
            Err(unknown) => unknown,
        };
        if self.issuers.is_empty() || !token::looks_like_one(token) {
            return Err(unknown.into());
        }
        let proof = match self.prove(token, engine.now()).await {
            Ok(proof) => proof,
            Err((issuer, Wrong::Refused(why))) => {
                info!(target: TARGET, issuer, why, "token refused");
                return Err(unknown.into());
            }
            Err((issuer, Wrong::Keyless)) => {
                warn!(target: TARGET, issuer, "token refused: the issuer's keys cannot be had");
                let why = "the keys of the token's issuer cannot be had just now";
                return Err(Problem::unavailable(why).after(keys::AGAIN.as_secs()));
            }
        };
        engine.seat_of(&proof).map_err(|unknown| {
            let why = "it is nobody's credential, or was revoked";
            info!(target: TARGET, why, "token refused");
            unknown.into()
        })
    }

    /// What a token proves; or which issuer's it claimed to be, by its name in the configuration, and what is wrong.
    async fn prove(&self, token: &str, now: Time) -> Result<Proof, (&str, Wrong)> {
        let nobody = |why| ("none", Wrong::Refused(why));
        let (token, claimed) = token::claimed(token).map_err(nobody)?;
        let issuer = self.issuers.iter().find(|i| i.id() == claimed);
        let issuer = issuer.ok_or(nobody("its issuer is not pinned"))?;
        let subject = issuer.verify(&token, now).await;
        let subject = subject.map_err(|wrong| (issuer.name(), wrong))?;
        Ok(Proof::Jwt(subject))
    }
}

/// The bearer token of a request: one, so that nobody can see another than the one that is looked at.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let one = match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    one.and_then(|one| one.strip_prefix("Bearer "))
        .ok_or_else(|| EngineError::Unauthenticated.into())
}
