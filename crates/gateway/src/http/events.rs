//! What happens to approvals, as server-sent events; each carries the number of its record, so that a client goes on where
//! it was (`Last-Event-ID`).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use duty::record::{Body, Record};
use serde_json::{Value, json};

use super::{
    Answer,
    describe::{Api, Operation},
    door::Door,
    problem::Problem,
};
use crate::feed;

/// Events that are read at once.
const AT_ONCE: usize = 256;

pub(super) fn routes(api: Api) -> Api {
    api.route(
        Operation::get::<String>(
            "/v1/approvals/events",
            "followApprovals",
            "What happens to approvals from now on, or after the record that `Last-Event-ID` names: `approval.requested`, `approval.given`, `approval.expired`, `glass.broken`, `grant.issued`, `case.closed`.",
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

async fn follow(State(door): State<Door>, headers: HeaderMap) -> Answer {
    let place = door.reader(&headers)?;
    let size = door.engine.read(|state| state.size);
    let from = match headers.get("last-event-id") {
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
        (door, place, from, Vec::<(u64, Event)>::new()),
        |(door, place, mut from, mut ready)| async move {
            let mut news = door.engine.follow();
            loop {
                if !ready.is_empty() {
                    let (_, event) = ready.remove(0);
                    return Some((Ok::<_, Infallible>(event), (door, place, from, ready)));
                }
                if door.engine.journal().committed() <= from {
                    news.changed().await.ok()?;
                    continue;
                }
                let read = feed::each(
                    &door.engine,
                    from,
                    (from, Vec::new()),
                    |(next, found), record| {
                        *next = record.seq + 1;
                        found.extend(event(record).map(|e| (record.seq, e)));
                        found.len() < AT_ONCE
                    },
                );
                match read.await {
                    Ok((next, found)) => (from, ready) = (next, found),
                    // The client comes again with the last id it saw.
                    Err(_) => return None,
                }
            }
        },
    );
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

fn event(record: &Record) -> Option<Event> {
    let data = told(record)?;
    let event = Event::default()
        .id(record.seq.to_string())
        .event(record.body.kind());
    Some(event.data(data.to_string()))
}

/// What others are told of a record that is about approvals.
fn told(record: &Record) -> Option<Value> {
    let mut data = match &record.body {
        Body::ApprovalRequested(b) => json!({
            "approval": b.approval, "digest": b.digest, "tier": b.tier, "humans": b.humans, "expires": b.expires,
        }),
        Body::ApprovalGiven(b) => json!({"have": b.have, "need": b.need, "by": record.actor.id}),
        Body::ApprovalExpired(b) => json!({"approval": b.approval}),
        Body::GlassBroken(b) => {
            json!({"approval": b.approval, "grant": b.grant, "signers": b.signers, "review_by": b.review_by})
        }
        Body::GrantIssued(b) => json!({"grant": b.grant, "expires": b.expires}),
        Body::CaseClosed(b) => json!({"ended": b.outcome.word()}),
        _ => return None,
    };
    data["record"] = json!(record.seq);
    data["time"] = json!(record.time);
    data["case"] = json!(record.case);
    Some(data)
}
