//! What waits for humans, and the statement that each would sign.

use axum::{Json, extract::State, response::IntoResponse};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{
    canonical,
    name::{CredentialId, ItemId, PrincipalId},
    statement::Choice,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Answer,
    describe::{Api, Operation},
    door::{Door, Id, Query},
    page::{Page, Paging},
    problem::Problem,
    shape,
};
use crate::identity::Sender;

pub(super) fn routes(api: Api) -> Api {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 64});
    api.route(
        Operation::get::<Page<shape::Waiting>>(
            "/v1/approvals",
            "listApprovals",
            "What waits for humans, soonest expiry first.",
        )
        .paged(),
        list,
    )
    .route(
        Operation::get::<shape::Waiting>(
            "/v1/approvals/{approval}",
            "readApproval",
            "One request for approval that waits.",
        ),
        read,
    )
    .route(
        Operation::get::<ToSign>(
            "/v1/approvals/{approval}/statement",
            "readStatement",
            "The statement that a person would sign, with the exact bytes. Whoever signs compares it with what they mean to sign.",
        )
        .query("signer", name.clone(), "Who would sign.")
        .query("credential", name, "With which credential.")
        .query("decision", json!({"type": "string", "enum": ["approve", "reject"]}), "Yes or no.")
        .query("reason", json!({"type": "string", "maxLength": 2000}), "Why; needed for a no and for an override."),
        statement,
    )
}

async fn list(State(door): State<Door>, sender: Sender, Query(paging): Query<Paging>) -> Answer {
    let _place = door.reader(&sender)?;
    let docket = door.engine.docket();
    let keyed = docket
        .into_iter()
        .map(|w| (format!("{} {}", w.expires, w.approval), w));
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Json(paging.page(keyed)?).into_response())
}

async fn read(State(door): State<Door>, sender: Sender, Id(id): Id<ItemId>) -> Answer {
    let _place = door.reader(&sender)?;
    let waiting = door.engine.waiting(&id).ok_or_else(|| missing(&id))?;
    Ok(Json(waiting).into_response())
}

fn missing(id: &ItemId) -> Problem {
    Problem::missing(format!("no approval `{id}` waits"))
}

/// What a person would sign.
#[derive(Serialize, JsonSchema)]
struct ToSign {
    /// The statement.
    #[schemars(with = "Value")]
    statement: Value,
    /// Its canonical JSON in base64: what the signature is over.
    bytes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    signer: Option<String>,
    credential: Option<String>,
    decision: Option<Choice>,
    #[serde(default)]
    reason: String,
}

async fn statement(
    State(door): State<Door>,
    sender: Sender,
    Id(id): Id<ItemId>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let _place = door.reader(&sender)?;
    let needed = |what: &str| Problem::malformed(format!("`{what}` is needed"));
    let signer = wanted.signer.ok_or_else(|| needed("signer"))?;
    let credential = wanted.credential.ok_or_else(|| needed("credential"))?;
    let decision = wanted.decision.ok_or_else(|| needed("decision"))?;
    let signer: PrincipalId = signer.parse().map_err(Problem::malformed)?;
    let credential: CredentialId = credential.parse().map_err(Problem::malformed)?;
    let waiting = door.engine.waiting(&id).ok_or_else(|| missing(&id))?;
    let statement = waiting.statement(
        door.engine.now(),
        decision,
        &wanted.reason,
        signer,
        credential,
    );
    let bytes = canonical::to_vec(&statement).map_err(|e| Problem::malformed(e.to_string()))?;
    Ok(Json(ToSign {
        statement: json!(statement),
        bytes: BASE64_STANDARD.encode(bytes),
    })
    .into_response())
}
