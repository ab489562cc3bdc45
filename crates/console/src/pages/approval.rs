//! One request for approval: everything that a person needs to decide well in a minute, and the signature.

use askama::Template;
use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use duty::{
    Way,
    name::ItemId,
    record::{Body, Record},
    request::{Recommend, Request},
    state::CallAnswer,
    statement::{ApprovalStatement, Signed, Statement, WithdrawalStatement},
    time::Time,
};
use engine::{EngineError, Seat, Waiting};
use evidence::{Story, story::What};
use serde_json::{Value, json};

use super::{Chrome, Signer, failed, key, missing, render, signer, story};
use crate::{
    Desk,
    passkeys::Passkeys,
    session::Session,
    standing::{Obstacle, ways},
    view::{self, Differs, Pair},
};

#[derive(Template)]
#[template(path = "approval.html")]
struct Page {
    chrome: Chrome,
    signer: Option<Signer>,
    passkeys: Passkeys,
    w: Waiting,
    /// The waiting request as JSON, for the script that signs.
    data: String,
    amount: String,
    arguments: Vec<Pair>,
    left: String,
    now: Time,
    reasons: Vec<Reason>,
    said: Vec<Said>,
    clauses: Vec<ClauseView>,
    facts: Vec<(String, Vec<Pair>)>,
    differences: Vec<Differs>,
    source: Option<String>,
    read: Vec<Read>,
    asked: String,
    patience: Option<Obstacle>,
    /// Whether a no is all that is left to them.
    no_only: bool,
    obstacle: Option<Obstacle>,
    ways: Vec<WayView>,
    /// Whether the first way says more than that the person signs for themself.
    named: bool,
}

/// How the person could sign.
struct WayView {
    /// What goes into the statement, as JSON.
    value: String,
    words: String,
}

/// What an agent read, whole: for the person who decides, and in no record.
struct Read {
    who: String,
    tool: String,
    fields: Vec<Pair>,
}

struct Reason {
    why: String,
    rule: String,
    clause: Option<String>,
}

struct Said {
    who: &'static str,
    stance: &'static str,
    confidence: u8,
    rationale: String,
    model: String,
    row: String,
    clauses: Vec<String>,
    same_action: bool,
}

struct ClauseView {
    id: String,
    version: String,
    title: String,
    document: String,
    text: Vec<String>,
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Response {
    let waiting = id
        .parse::<ItemId>()
        .ok()
        .and_then(|id| desk.engine.waiting(&id));
    let Some(w) = waiting else {
        return missing(
            &session,
            format!(
                "Nothing waits under {id}: it was decided, or it expired. The case's page tells what became of it."
            ),
        );
    };
    let found = match ways(&desk, std::slice::from_ref(&w), &session.person) {
        Ok(mut found) => found.pop(),
        Err(e) => return failed(&e),
    };
    let (ways, found) = match found {
        Some(Ok(ways)) => (ways, None),
        Some(Err(obstacle)) => (Vec::new(), Some(obstacle)),
        None => (Vec::new(), None),
    };
    let (patience, obstacle) = match found {
        Some(o) if o.for_now || o.no_only => (Some(o), None),
        other => (None, other),
    };
    let story = match story(&desk, &w.case).await {
        Ok(Some(story)) => story,
        Ok(None) => return missing(&session, format!("The log holds no case {}.", w.case)),
        Err(e) => return failed(&*e),
    };
    let facts = desk
        .engine
        .read(|s| s.cases.get(&w.case).map(|c| c.facts.clone()))
        .unwrap_or_default();
    let source = desk
        .engine
        .read(|s| s.cases.get(&w.case).map(|c| c.snapshot))
        .and_then(|snapshot| {
            desk.engine
                .snapshots()
                .get(snapshot.as_bytes())
                .ok()
                .flatten()
        })
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let page = Page {
        chrome: Chrome::new(&session, "inbox"),
        signer: signer(&desk, &session),
        passkeys: key::of(&desk, &session),
        data: serde_json::to_string(&w).unwrap_or_default(),
        amount: view::amount(&w.action),
        arguments: view::arguments(&w.action),
        left: view::span(desk.engine.now(), w.expires),
        now: desk.engine.now(),
        reasons: reasons(&story),
        said: said(&w),
        clauses: clauses(&story),
        differences: view::differences(&facts, &w.action),
        facts: view::facts(&facts, &w.action),
        source,
        read: read(&desk, &w),
        asked: view::span(w.asked, desk.engine.now()),
        no_only: patience.as_ref().is_some_and(|o| o.no_only),
        patience,
        obstacle,
        named: ways.iter().any(|way| *way != Way::default()),
        ways: ways.iter().map(way_view).collect(),
        w,
    };
    render(&page)
}

fn way_view(way: &Way) -> WayView {
    let for_whom = match &way.on_behalf {
        Some(root) => format!("for {root}"),
        None => "for yourself".to_owned(),
    };
    WayView {
        value: serde_json::to_string(way).unwrap_or_default(),
        words: match &way.stage {
            Some(stage) => format!("{for_whom}, in stage {stage}"),
            None => for_whom,
        },
    }
}

fn reasons(story: &Story) -> Vec<Reason> {
    let judged = story.events.iter().rev().find_map(|e| match &e.what {
        What::Judged { reasons, .. } => Some(reasons),
        _ => None,
    });
    let hits = judged.into_iter().flatten().map(|hit| Reason {
        why: hit.why.clone(),
        rule: hit.rule.clone(),
        clause: hit.clause.clone(),
    });
    hits.collect()
}

fn read(desk: &Desk, w: &Waiting) -> Vec<Read> {
    let calls = desk
        .engine
        .read(|s| s.cases.get(&w.case).map(|c| c.calls.clone()));
    let answered = calls.into_iter().flatten().filter_map(|call| {
        let Some(CallAnswer::Snapshot(commitment)) = call.answer else {
            return None;
        };
        let bytes = desk.engine.snapshots().get(commitment.as_bytes()).ok()??;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let fields = value.as_object()?.iter().map(|(name, value)| Pair {
            name: name.clone(),
            value: view::plain(value),
        });
        Some(Read {
            who: call.agent.to_string(),
            tool: call.action.tool,
            fields: fields.collect(),
        })
    });
    answered.collect()
}

fn said(w: &Waiting) -> Vec<Said> {
    let one = |who: &'static str, made: &Option<Recommend>| {
        made.as_ref().map(|r| Said {
            who,
            stance: r.stance.word(),
            confidence: r.confidence,
            rationale: r.rationale.clone(),
            model: r.model.chars().take(18).collect(),
            row: r.row.clone().unwrap_or_default(),
            clauses: r.clauses.iter().map(|c| c.id.clone()).collect(),
            same_action: r.action.is_none() || r.action.as_ref() == Some(&w.action),
        })
    };
    [one("Analyst", &w.prepared), one("Reviewer", &w.reviewed)]
        .into_iter()
        .flatten()
        .collect()
}

/// The clauses that the decision turns on: what the agents cite, and what the verdict and the request for approval rest on.
/// Those behind each single read are on the case's page.
fn clauses(story: &Story) -> Vec<ClauseView> {
    let weighty = |kind: &str| {
        [
            "recommendation.made",
            "verdict.reached",
            "approval.requested",
        ]
        .contains(&kind)
    };
    let events = story.events.iter().filter(|e| weighty(e.kind));
    let cited: std::collections::BTreeSet<&String> = events.flat_map(|e| &e.clauses).collect();
    let texts = story
        .clauses
        .iter()
        .filter(|(id, _)| cited.contains(id))
        .map(|(id, c)| ClauseView {
            id: id.clone(),
            version: c.version.clone(),
            title: c.title.clone(),
            document: c.document.clone(),
            text: view::paragraphs(&c.text),
        });
    texts.collect()
}

/// Takes a signed statement in. The session says only whose page it came from; what counts is the signature.
pub(crate) async fn sign(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    body: Result<Json<Signed<ApprovalStatement>>, JsonRejection>,
) -> Response {
    let about = |s: &ApprovalStatement| s.approval.to_string();
    let records = match taken(&desk, &session, &id, body, about, Request::Approve).await {
        Ok(records) => records,
        Err(response) => return response,
    };
    let next = records.iter().find_map(|r| match &r.body {
        Body::GrantIssued(_) => Some("All signatures are there: the executor acts now."),
        Body::CaseClosed(_) => Some("The case is closed."),
        _ => None,
    });
    let next = next.unwrap_or("Another person must sign too.");
    Json(json!({"record": records.first().map(|r| r.seq), "next": next})).into_response()
}

/// Takes a yes back, as [`sign`] takes it in.
pub(crate) async fn withdraw(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    body: Result<Json<Signed<WithdrawalStatement>>, JsonRejection>,
) -> Response {
    let about = |s: &WithdrawalStatement| s.approval.to_string();
    match taken(&desk, &session, &id, body, about, Request::Withdraw).await {
        Ok(records) => Json(json!({"record": records.first().map(|r| r.seq)})).into_response(),
        Err(response) => response,
    }
}

/// Has a statement decided that the person of the session signed on the page of `id`.
async fn taken<S>(
    desk: &Desk,
    session: &Session,
    id: &str,
    body: Result<Json<Signed<S>>, JsonRejection>,
    about: impl Fn(&S) -> String,
    request: impl Fn(Signed<S>) -> Request,
) -> Result<Vec<Record>, Response>
where
    S: Statement,
{
    let refused = |status: StatusCode, why: String, remedy: &str| {
        (status, Json(json!({"why": why, "remedy": remedy}))).into_response()
    };
    let Json(signed) = body.map_err(|e| {
        refused(
            StatusCode::BAD_REQUEST,
            e.body_text(),
            "load the page again",
        )
    })?;
    let s = &signed.statement;
    if *s.signer() != session.person || about(s) != id {
        let why = "the statement is not yours, or not about this page".to_owned();
        return Err(refused(StatusCode::FORBIDDEN, why, "sign in as yourself"));
    }
    let seat = Seat {
        principal: s.signer().clone(),
        credential: s.credential().clone(),
    };
    let done = desk.engine.submit(&seat, request(signed)).await;
    done.map_err(|e| match e {
        EngineError::Refused(r) => {
            let body: Json<Value> =
                Json(json!({"code": r.code, "why": r.why, "remedy": r.remedy, "clause": r.clause}));
            (StatusCode::FORBIDDEN, body).into_response()
        }
        e => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            e.to_string(),
            "nothing was recorded; try again",
        ),
    })
}
