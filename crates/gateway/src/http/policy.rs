//! What binds the caller: who it is, its place in the team of an environment, and the clauses of the release there.

use std::sync::Arc;

use ::policy::Release;
use axum::{Json, extract::State, response::IntoResponse};
use duty::{name::Environment, release::Rules as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Answer,
    describe::{Api, Operation},
    door::{Door, Query},
    page::{Page, Paging},
    problem::Problem,
    shape,
};
use crate::identity::Sender;

pub(super) fn routes(api: Api) -> Api {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 64});
    api.route(
        Operation::get::<Me>(
            "/v1/me",
            "whoAmI",
            "Who the token's holder is, and its place in the team of an environment.",
        )
        .query(
            "environment",
            name.clone(),
            "The environment whose release is looked at.",
        ),
        me,
    )
    .route(
        Operation::get::<Page<ClauseView>>(
            "/v1/clauses",
            "listClauses",
            "Clauses of the release that an environment points at, by id.",
        )
        .query("environment", name, "The environment.")
        .query(
            "id",
            json!({"type": "string", "maxLength": 64}),
            "Only the clause of this id.",
        )
        .paged(),
        clauses,
    )
}

/// Who the token's holder is.
#[derive(Serialize, JsonSchema)]
struct Me {
    /// Its principal.
    principal: String,
    /// The credential of the token.
    credential: String,
    /// The human answerable for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// What it may take part as.
    roles: Vec<&'static str>,
    /// The release that the environment points at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Sha256>")]
    release: Option<String>,
    /// Its place in that release's team.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Place>,
}

/// An agent's place in a team.
#[derive(Serialize, JsonSchema)]
struct Place {
    /// The team.
    team: String,
    /// Its duty: `prepare`, `review` or `execute`.
    duty: &'static str,
    /// The model that the release pins.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// SHA-256 of the prompt that the release pins.
    #[schemars(with = "shape::Sha256")]
    prompt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Looking {
    environment: Option<String>,
}

async fn me(State(door): State<Door>, sender: Sender, Query(q): Query<Looking>) -> Answer {
    let seat = door.agent(&sender)?.seat;
    let _place = door.reader(&sender)?;
    let release = match &q.environment {
        Some(environment) => Some(release(&door, environment)?),
        None => None,
    };
    let (owner, roles) = door.engine.read(|state| {
        let known = state.principals.get(&seat.principal);
        let owner = known.and_then(|p| p.owner.as_ref().map(ToString::to_string));
        let roles = known.map(|p| p.roles.iter().map(|r| r.word()).collect());
        (owner, roles.unwrap_or_default())
    });
    let place = release.as_ref().and_then(|release| {
        let agent = release.team().agent(&seat.principal)?;
        Some(Place {
            team: release.team().name.clone(),
            duty: agent.duty.word(),
            model: agent.model.clone(),
            prompt: agent.prompt.to_string(),
        })
    });
    Ok(Json(Me {
        principal: seat.principal.to_string(),
        credential: seat.credential.to_string(),
        owner,
        roles,
        release: release.map(|r| r.digest().to_string()),
        agent: place,
    })
    .into_response())
}

/// A clause with its text.
#[derive(Serialize, JsonSchema)]
struct ClauseView {
    /// The clause, to be cited as it is.
    #[schemars(with = "shape::Clause")]
    clause: duty::release::ClauseRef,
    /// Its heading.
    title: String,
    /// Its exact text.
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    environment: Option<String>,
    id: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

async fn clauses(State(door): State<Door>, sender: Sender, Query(q): Query<Listing>) -> Answer {
    let _place = door.reader(&sender)?;
    let environment = q
        .environment
        .ok_or_else(|| Problem::malformed("`environment` is needed"))?;
    let release = release(&door, &environment)?;
    let wanted = |id: &str| q.id.as_deref().is_none_or(|only| only == id);
    let clauses = release.clauses().iter().filter(|c| wanted(&c.id));
    let mut all: Vec<_> = clauses
        .map(|c| {
            let view = ClauseView {
                clause: c.reference(),
                title: c.title.clone(),
                text: c.text.clone(),
            };
            (c.id.clone(), view)
        })
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Json(Paging::new(q.limit, q.cursor).page(all)?).into_response())
}

/// The release that an environment points at.
fn release(door: &Door, environment: &str) -> Result<Arc<Release>, Problem> {
    let name: Environment = environment.parse().map_err(Problem::malformed)?;
    let digest = door
        .engine
        .read(|state| state.environments.get(&name).copied());
    let release = match digest {
        Some(digest) => door.engine.release(digest)?,
        None => None,
    };
    release.ok_or_else(|| Problem::missing(format!("environment `{name}` points at no release")))
}
