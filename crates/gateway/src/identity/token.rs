//! One token, held against its issuer: signature, algorithm, issuer, audience, times (RFC 7519, RFC 8725).

use std::{sync::Arc, time::Duration};

use duty::{jwt::Subject, time::Time};
use serde::Deserialize;
use serde_json::Value;

use super::{
    jws::{Algorithm, Token},
    keys::{Keys, Lack},
};

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// Why a token does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is wrong: why, in words of our own, for the log.
    Refused(&'static str),
    /// Its issuer's keys are not known just now.
    Keyless,
}

/// What is asked of an issuer's tokens.
pub(super) struct Demands {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) leeway: Duration,
    pub(super) longest: Duration,
}

/// A pinned issuer.
pub(super) struct Issuer {
    name: String,
    demands: Demands,
    keys: Arc<Keys>,
}

/// What is read of a token. A claim that is there twice makes it unreadable.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    /// A key that its bearer has to show (RFC 7800).
    cnf: Option<Value>,
}

/// One, or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Whether it has the form of a signed token: three parts.
pub(super) fn looks_like_one(token: &str) -> bool {
    token.bytes().filter(|b| *b == b'.').count() == 2
}

/// A token in its parts, and who it claims to be from. Nothing is verified yet.
pub(super) fn claimed(token: &str) -> Result<(Token<'_>, String), &'static str> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
    }
    if token.len() > LONGEST {
        return Err("it is too long");
    }
    let token = Token::parse(token)?;
    let Claimed { iss } = token.claims()?;
    Ok((token, iss))
}

impl Issuer {
    pub(super) fn new(name: &str, demands: Demands, keys: Arc<Keys>) -> Self {
        Self {
            name: name.to_owned(),
            demands,
            keys,
        }
    }

    /// What it calls itself.
    pub(super) fn id(&self) -> &str {
        &self.demands.issuer
    }

    /// For whom its tokens are.
    pub(super) fn audience(&self) -> &str {
        &self.demands.audience
    }

    /// What the configuration calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Of whom a token speaks, where it holds at this moment.
    pub(super) async fn verify(&self, token: &Token<'_>, now: Time) -> Result<Subject, Wrong> {
        let Demands {
            issuer,
            audience,
            algorithms,
            ..
        } = &self.demands;
        let (by, key) = token.signed_with(algorithms).map_err(Wrong::Refused)?;
        let key = self.keys.find(key, by).await.map_err(|lack| match lack {
            Lack::Unknown => Wrong::Refused("its key is not one of the issuer's"),
            Lack::Unavailable => Wrong::Keyless,
        })?;
        if !token.holds(by, &key) {
            return Err(Wrong::Refused("its signature does not hold"));
        }
        let claims: Claims = token.claims().map_err(Wrong::Refused)?;
        if claims.iss != *issuer {
            return Err(Wrong::Refused("its issuer is another"));
        }
        let said_here = match &claims.aud {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.contains(audience),
        };
        if !said_here {
            return Err(Wrong::Refused("its audience is another"));
        }
        if claims.cnf.is_some() {
            let why = "it is bound to a key that is not looked at here";
            return Err(Wrong::Refused(why));
        }
        self.in_time(&claims, now).map_err(Wrong::Refused)?;
        Subject::new(issuer, audience, &claims.sub)
            .map_err(|_| Wrong::Refused("its subject cannot be anybody's"))
    }

    fn in_time(&self, claims: &Claims, now: Time) -> Result<(), &'static str> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this age are exact in 53 bits"
        )]
        let now = now.millis() as f64 / 1_000.0;
        let leeway = self.demands.leeway.as_secs_f64();
        let Claims { exp, nbf, iat, .. } = *claims;
        if exp + leeway <= now {
            Err("it has expired")
        } else if exp > now + leeway + self.demands.longest.as_secs_f64() {
            Err("it holds for too long")
        } else if nbf.is_some_and(|from| from > now + leeway) {
            Err("it does not hold yet")
        } else if iat.is_some_and(|at| at > now + leeway || at > exp) {
            Err("it was issued in the future")
        } else {
            Ok(())
        }
    }
}
