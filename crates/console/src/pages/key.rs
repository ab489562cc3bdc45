//! The person's signing keys: the one in this browser, and passkeys.

use askama::Template;
use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use duty::{
    passkey::Passkey,
    principal::Proof,
    request::{AddCredential, Request, Whose},
    statement::{CredentialStatement, Signed},
};
use engine::{EngineError, Seat};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Chrome, Signer, render, signer};
use crate::{Desk, passkeys::Passkeys, session::Session};

/// How long after the sign-in link was used a passkey can be enrolled: the link is what says who this is.
const FRESH_MINUTES: u32 = 15;

#[derive(Template)]
#[template(path = "key.html")]
struct Page {
    chrome: Chrome,
    signer: Option<Signer>,
    passkeys: Passkeys,
    fresh: bool,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
) -> Response {
    render(&Page {
        chrome: Chrome::new(&session, "key"),
        signer: signer(&desk, &session),
        passkeys: of(&desk, &session),
        fresh: is_fresh(&desk, &session),
    })
}

/// The passkeys of whoever is signed in.
pub(crate) fn of(desk: &Desk, session: &Session) -> Passkeys {
    desk.engine
        .read(|state| Passkeys::of(state, desk.place.as_ref(), &session.person))
}

fn is_fresh(desk: &Desk, session: &Session) -> bool {
    desk.engine.now() < session.started.plus_minutes(FRESH_MINUTES)
}

/// A passkey as the browser made it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    id: String,
    algorithm: String,
    public: String,
    possession: Signed<CredentialStatement>,
}

/// Takes a new passkey in. That this is the person is the admin's word, given with the sign-in link; that the person holds the
/// passkey shows its signature.
pub(crate) async fn enrol(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    body: Result<Json<Made>, JsonRejection>,
) -> Response {
    let refused = |status: StatusCode, why: String, remedy: &str| {
        (status, Json(json!({"why": why, "remedy": remedy}))).into_response()
    };
    let made = match body {
        Ok(Json(made)) => made,
        Err(e) => {
            return refused(
                StatusCode::BAD_REQUEST,
                e.body_text(),
                "load the page again",
            );
        }
    };
    if made.possession.statement.signer != session.person {
        let why = "the statement is not yours".to_owned();
        return refused(StatusCode::FORBIDDEN, why, "sign in as yourself");
    }
    if !is_fresh(&desk, &session) {
        let why = format!("you signed in more than {FRESH_MINUTES} minutes ago");
        let remedy = "ask for a new sign-in link, and enrol the passkey at once";
        return refused(StatusCode::FORBIDDEN, why, remedy);
    }
    let Some(place) = &desk.place else {
        let why = "this console is not served under a domain".to_owned();
        let remedy = "serve it with TLS under a domain (`--public-url`), or on this machine alone";
        return refused(StatusCode::FORBIDDEN, why, remedy);
    };
    // Where it may be used is the server's to say, and not the browser's.
    let passkey = Passkey::new(
        &place.rp,
        &place.origins,
        &made.id,
        &made.algorithm,
        &made.public,
    );
    let passkey = match passkey {
        Ok(passkey) => passkey,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why, "use another authenticator"),
    };
    let request = Request::AddCredential(AddCredential {
        proof: Proof::Passkey(passkey),
        whose: Whose::Shown(made.possession),
    });
    match desk.engine.submit(&Seat::admin(), request).await {
        Ok(records) => Json(json!({"record": records.first().map(|r| r.seq)})).into_response(),
        Err(EngineError::Refused(r)) => {
            let body: Json<Value> =
                Json(json!({"code": r.code, "why": r.why, "remedy": r.remedy, "clause": r.clause}));
            (StatusCode::FORBIDDEN, body).into_response()
        }
        Err(e) => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            e.to_string(),
            "nothing was recorded; try again",
        ),
    }
}
