//! Requests of the core as they are, and statements that people signed.

use axum::{extract::State, response::IntoResponse};
use duty::{
    request::Request,
    statement::{
        ApprovalStatement, CompletionStatement, ConfirmationStatement, DelegationEndStatement,
        DelegationStatement, ErasureStatement, GlassReviewStatement, GlassStatement, HoldStatement,
        LiftStatement, PromotionStatement, ReleaseStatement, ThresholdStatement, TriageStatement,
        UnfreezeStatement, WithdrawalStatement,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Answer,
    act::{Act, Decided},
    describe::{Api, Operation},
    door::{Body, Caller, Door},
    problem::Problem,
    shape,
};
use crate::identity::Sender;

pub(super) fn routes(api: Api) -> Api {
    api.route(
        Operation::post::<Sent, Value>(
            "/v1/requests",
            "request",
            "A request of the core, as it is. Answers its records, or what the tool, retrieval or target said.",
        ),
        request,
    )
    .route(
        Operation::post::<shape::Signed, Decided>(
            "/v1/statements",
            "sign",
            "A statement that a person signed: an approval, a triage, a hold and so on, by its own `statement`. It needs nobody's token.",
        )
        .open(),
        statement,
    )
}

/// A request as it is sent to `POST /v1/requests`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// For the holder of the local token: which local service speaks, `admin` or `engine`.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub speaks_as: Option<String>,
    /// What is asked.
    #[schemars(with = "shape::Request")]
    pub request: Request,
}

async fn request(State(door): State<Door>, sender: Sender, body: Body) -> Answer {
    let sent: Sent = body.read()?;
    let caller = match door.signer(&sent.request) {
        Some(caller) => caller,
        None => door.caller(&sender, sent.speaks_as.as_deref())?,
    };
    let act = match sent.request {
        Request::Call(call) => Act::Call {
            case: call.case,
            action: call.action,
        },
        // What retrieval finds is never an agent's to say.
        Request::Retrieve(ask) => Act::Retrieve {
            case: ask.case,
            query: ask.query,
        },
        Request::UseGrant(using) => Act::Use {
            grant: using.grant,
            action: using.action,
        },
        request => Act::Submit(Box::new(request)),
    };
    door.carry_out(caller, &sender, &body.0, act).await
}

/// Sorts of statements, each with the word of the request that carries it.
const STATEMENTS: &[(&str, &str)] = &[
    (ApprovalStatement::TYPE, "approve"),
    (WithdrawalStatement::TYPE, "withdraw"),
    (DelegationStatement::TYPE, "delegate"),
    (DelegationEndStatement::TYPE, "end_delegation"),
    (CompletionStatement::TYPE, "assess"),
    (TriageStatement::TYPE, "triage"),
    (GlassStatement::TYPE, "break_glass"),
    (GlassReviewStatement::TYPE, "review_glass"),
    (UnfreezeStatement::TYPE, "unfreeze"),
    (HoldStatement::TYPE, "place_hold"),
    (LiftStatement::TYPE, "lift_hold"),
    (ErasureStatement::TYPE, "request_erasure"),
    (ConfirmationStatement::TYPE, "confirm_erasure"),
    (ReleaseStatement::TYPE, "sign_release"),
    (PromotionStatement::TYPE, "promote_signed"),
    (ThresholdStatement::TYPE, "sign_threshold"),
];

async fn statement(State(door): State<Door>, sender: Sender, body: Body) -> Answer {
    let Value::Object(mut signed) = body.read()? else {
        return Err(Problem::malformed(
            "the body is an object of `statement` and `signature`",
        ));
    };
    let sort = signed
        .get("statement")
        .and_then(|s| s["statement"].as_str());
    let known = STATEMENTS.iter().find(|(known, _)| Some(*known) == sort);
    let Some((_, word)) = known else {
        return Err(Problem::malformed(format!(
            "`{}` is no sort of statement that is sent here",
            sort.unwrap_or_default().escape_debug()
        )));
    };
    if signed.contains_key("type") {
        return Err(Problem::malformed("unknown field `type`"));
    }
    signed.insert("type".to_owned(), json!(word));
    let request: Request = serde_json::from_str(&Value::Object(signed).to_string())
        .map_err(|e| Problem::malformed(format!("the body: {e}")))?;
    let caller: Caller = door
        .signer(&request)
        .ok_or_else(|| Problem::malformed("nobody signed it"))?;
    let answer = door
        .carry_out(caller, &sender, &body.0, Act::Submit(Box::new(request)))
        .await?;
    Ok(answer.into_response())
}
