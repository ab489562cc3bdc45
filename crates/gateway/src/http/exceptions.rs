//! What a human must triage. Triage is a signed statement (`POST /v1/statements`).

use axum::{Json, extract::State, response::IntoResponse};
use duty::{name::ItemId, state::Exception, time::Time};
use schemars::JsonSchema;
use serde::Serialize;

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
    api.route(
        Operation::get::<Page<ExceptionView>>(
            "/v1/exceptions",
            "listExceptions",
            "Exceptions that nobody has triaged, by id.",
        )
        .paged(),
        list,
    )
    .route(
        Operation::get::<ExceptionView>(
            "/v1/exceptions/{exception}",
            "readException",
            "One exception that nobody has triaged.",
        ),
        read,
    )
}

/// An exception that waits for triage.
#[derive(Serialize, JsonSchema)]
struct ExceptionView {
    /// Its id.
    exception: String,
    /// Its case.
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    /// What sort, like `override`.
    sort: &'static str,
    /// When it was raised.
    #[schemars(with = "shape::Moment")]
    raised: Time,
    /// What happened.
    text: String,
}

impl ExceptionView {
    fn of(id: &ItemId, exception: &Exception) -> Self {
        Self {
            exception: id.to_string(),
            case: id.case().map(|case| case.to_string()),
            sort: exception.sort.word(),
            raised: exception.raised,
            text: exception.text.clone(),
        }
    }
}

async fn list(State(door): State<Door>, sender: Sender, Query(paging): Query<Paging>) -> Answer {
    let _place = door.reader(&sender)?;
    let all = door.engine.read(|state| {
        let all = state.exceptions.iter();
        all.map(|(id, e)| (id.to_string(), ExceptionView::of(id, e)))
            .collect::<Vec<_>>()
    });
    Ok(Json(paging.page(all)?).into_response())
}

async fn read(State(door): State<Door>, sender: Sender, Id(id): Id<ItemId>) -> Answer {
    let _place = door.reader(&sender)?;
    let found = door
        .engine
        .read(|state| state.exceptions.get(&id).map(|e| ExceptionView::of(&id, e)));
    let found = found.ok_or_else(|| Problem::missing(format!("no exception `{id}` waits")))?;
    Ok(Json(found).into_response())
}
