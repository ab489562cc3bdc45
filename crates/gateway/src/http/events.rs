//! What happens to approvals, as server-sent events; each carries the number of its record, so that a client goes on where
//! it was (`Last-Event-ID`).

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use serde_json::json;

use super::{
    Answer,
    describe::{Api, Operation},
    door::Door,
    problem::Problem,
};
use crate::identity::Sender;
use crate::told::{self, Told, What};

pub(super) fn routes(api: Api) -> Api {
    api.route(
        Operation::get::<String>(
            "/v1/approvals/events",
            "followApprovals",
            "What happens to approvals from now on, or after the record that `Last-Event-ID` names: the events of the webhooks, those of exceptions left out.",
        )
        .header(
            "Last-Event-ID",
            json!({"type": "string", "pattern": "^[0-9]{1,18}$"}),
            "The number of the last record that was seen.",
        )
        .text("text/event-stream"),
        follow,
    )
}

async fn follow(State(door): State<Door>, sender: Sender) -> Answer {
    let place = door.reader(&sender)?;
    let size = door.engine.read(|state| state.size);
    let from = match sender.get("last-event-id") {
        None => size,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse::<u64>().ok());
            let id = id.filter(|id| *id < size);
            id.map(|id| id + 1).ok_or_else(|| {
                Problem::malformed("`Last-Event-ID` is the number of a record of this log")
            })?
        }
    };
    let stream = futures_util::stream::unfold(
        (door, place, from, VecDeque::new()),
        |(door, place, mut from, mut ready)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    return Some((Ok::<_, Infallible>(event), (door, place, from, ready)));
                }
                // After a failure the client comes again with the last id it saw.
                let batch = told::after(&door.engine, from).await.ok()??;
                from = batch.next;
                ready.extend(batch.events.iter().filter_map(event));
            }
        },
    );
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

/// An event of an approval, as it is sent.
fn event(told: &Told) -> Option<Event> {
    let exception = matches!(
        told.what,
        What::ExceptionRaised(_) | What::ExceptionTriaged(_)
    );
    if exception {
        return None;
    }
    let event = Event::default()
        .id(told.record.to_string())
        .event(told.what.word());
    event.json_data(told).ok()
}
