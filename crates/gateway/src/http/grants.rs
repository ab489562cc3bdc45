//! Grants: used, and what came of those whose user carries the effect out.

use axum::extract::State;
use duty::{action::Action, name::ItemId, request::Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer,
    act::{Act, Decided, Used},
    describe::{Api, Operation},
    door::{Body, Door, Id},
    shape,
};
use crate::identity::Sender;

pub(super) fn routes(api: Api) -> Api {
    api.route(
        Operation::post::<Using, Used>(
            "/v1/grants/{grant}/use",
            "useGrant",
            "Uses a grant, once. The engine calls the target; where the tool's effect is its caller's, `carry_out` says to go. An `Idempotency-Key` here must not outlive the process that carries the effect out.",
        ),
        using,
    )
    .route(
        Operation::post::<Reporting, Decided>(
            "/v1/grants/{grant}/outcome",
            "reportOutcome",
            "What came of an effect that the user of its grant carried out.",
        ),
        report,
    )
}

/// A grant to be used.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Using {
    /// The action, exactly as approved.
    #[schemars(with = "shape::Action")]
    action: Action,
}

async fn using(
    State(door): State<Door>,
    sender: Sender,
    Id(grant): Id<ItemId>,
    body: Body,
) -> Answer {
    let using: Using = body.read()?;
    let caller = door.agent(&sender)?;
    let act = Act::Use {
        grant,
        action: using.action,
    };
    door.carry_out(caller, &sender, &body.0, act).await
}

/// What came of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reporting {
    /// `succeeded`, `failed` (certainly not done) or `unknown`.
    #[schemars(with = "String", regex(pattern = "^(succeeded|failed|unknown)$"))]
    outcome: Outcome,
    /// In one line; no personal data.
    #[serde(default)]
    detail: String,
    /// The result; kept as a sealed snapshot.
    result: Option<Value>,
}

async fn report(
    State(door): State<Door>,
    sender: Sender,
    Id(grant): Id<ItemId>,
    body: Body,
) -> Answer {
    let report: Reporting = body.read()?;
    let caller = door.agent(&sender)?;
    let act = Act::Report {
        grant,
        outcome: report.outcome,
        detail: report.detail,
        result: report.result,
    };
    door.carry_out(caller, &sender, &body.0, act).await
}
