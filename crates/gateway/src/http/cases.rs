//! Cases: open, read, call, retrieve, recommend, record what was decided elsewhere.

use std::time::Duration;

use axum::{Json, extract::State, response::IntoResponse};
use duty::{
    action::Action,
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
    principal::Duty,
    record::CaseOutcome,
    release::ClauseRef,
    request::{Quote, Recommend, RecordDecision, Request, Stance},
    state::{CallAnswer, Case, State as Log},
    time::Time,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Answer,
    act::{self, Act, Decided, Found},
    describe::{Api, Operation},
    door::{Body, Door, Id, Query},
    page::{Page, Paging},
    problem::Problem,
    replay::key_of,
    shape,
};
use crate::{access, identity::Sender};

/// The longest that a reader waits, in seconds: clients and proxies commonly give up after a minute.
pub(super) const LONGEST_WAIT: u64 = 55;

pub(super) fn routes(api: Api) -> Api {
    let wait = json!({"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT});
    api.route(
        Operation::post::<Opening, Decided>(
            "/v1/cases",
            "openCase",
            "Opens a case. Without `case` it gets an id; with an `Idempotency-Key` always the same one.",
        ),
        open,
    )
    .route(
        Operation::get::<Page<CaseLine>>("/v1/cases", "listCases", "Cases, by id.")
            .query(
                "open",
                json!({"type": "boolean"}),
                "Only those under way, or only those that ended.",
            )
            .paged(),
        list,
    )
    .route(
        Operation::get::<CaseView>("/v1/cases/{case}", "readCase", "Where a case stands.")
            .query("wait", wait, "At most so many seconds, as long as the case stands where `while` says.")
            .query(
                "while",
                json!({"type": "string", "maxLength": 16}),
                "The stage that is waited out, like `waiting`.",
            ),
        read,
    )
    .route(
        Operation::post::<Calling, act::CallAnswer>(
            "/v1/cases/{case}/calls",
            "call",
            "Calls a tool without effect, through the agent's permission set.",
        ),
        call,
    )
    .route(
        Operation::post::<Asking, Found>(
            "/v1/cases/{case}/retrievals",
            "retrieve",
            "Looks for clauses of the release. What is cited must have been found so.",
        ),
        retrieve,
    )
    .route(
        Operation::post::<Recommending, Decided>(
            "/v1/cases/{case}/recommendations",
            "recommend",
            "Recommends, as the analyst or as the reviewer; the reviewer's brings the verdict.",
        ),
        recommend,
    )
    .route(
        Operation::post::<Recording, Decided>(
            "/v1/cases/{case}/decisions",
            "recordDecision",
            "Takes down a decision that was made elsewhere; the case ends with it, and nothing is authorised by it.",
        ),
        record,
    )
}

/// A case to be opened.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Opening {
    /// Its id, never used before.
    #[schemars(with = "Option<shape::CaseName>")]
    case: Option<CaseId>,
    /// Where it runs.
    #[schemars(with = "shape::Name")]
    environment: Environment,
    /// What it is about: a reference, no personal data.
    #[schemars(length(min = 1, max = 256))]
    subject: String,
    /// What came in, as text; kept as a sealed snapshot.
    #[serde(default)]
    source: String,
}

async fn open(State(door): State<Door>, sender: Sender, body: Body) -> Answer {
    let opening: Opening = body.read()?;
    let caller = door.agent(&sender)?;
    if !(1..=256).contains(&opening.subject.len()) {
        return Err(Problem::malformed("`subject` is 1 to 256 bytes"));
    }
    if let Some(case) = &opening.case {
        access::about(case);
    }
    let case = match opening.case {
        Some(case) => case,
        None => new_id(&caller.seat.principal, key_of(&sender)?)?,
    };
    let act = Act::Open {
        case,
        environment: opening.environment,
        subject: opening.subject,
        source: opening.source.into_bytes(),
    };
    door.carry_out(caller, &sender, &body.0, act).await
}

/// An id for a case: with a key always the same, so that a retry opens no second one.
fn new_id(who: &PrincipalId, key: Option<&str>) -> Result<CaseId, Problem> {
    let name = match key {
        Some(key) => Digest::of_bytes(format!("case\n{who}\n{key}").as_bytes()).to_string(),
        None => {
            let mut random = [0_u8; 16];
            getrandom::fill(&mut random).map_err(|e| Problem::unavailable(e.to_string()))?;
            hex::encode(random)
        }
    };
    format!("c-{}", &name[..32])
        .parse()
        .map_err(Problem::unavailable)
}

/// A case in a listing.
#[derive(Serialize, JsonSchema)]
struct CaseLine {
    /// Its id.
    case: String,
    /// Where it stands: `open`, `prepared`, `judged`, `waiting`, `granted`, `executing`, `unknown`, or `ended`.
    stage: &'static str,
    /// How it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
    /// What it is about; of one under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Where it runs; of one under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
}

impl CaseLine {
    fn of(id: &CaseId, case: &Case) -> Self {
        Self {
            case: id.to_string(),
            stage: case.stage(),
            ended: None,
            subject: Some(case.subject.clone()),
            environment: Some(case.env.to_string()),
        }
    }

    fn ended(id: &CaseId, outcome: CaseOutcome) -> Self {
        Self {
            case: id.to_string(),
            stage: "ended",
            ended: Some(outcome.word()),
            subject: None,
            environment: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    open: Option<bool>,
    limit: Option<usize>,
    cursor: Option<String>,
}

async fn list(State(door): State<Door>, sender: Sender, Query(q): Query<Listing>) -> Answer {
    let _place = door.reader(&sender)?;
    let paging = Paging::new(q.limit, q.cursor);
    let (from, limit) = (paging.after()?, paging.limit()?);
    // A page of each is enough for a page of both.
    let beyond = |id: &&CaseId| from.as_deref().is_none_or(|from| id.as_str() > from);
    let mut lines = door.engine.read(|state| {
        let under_way = state.cases.iter().filter(|(id, _)| beyond(id));
        let under_way = under_way.take(limit + 1).filter(|_| q.open != Some(false));
        let ended = state.closed.iter().filter(|(id, _)| beyond(id));
        let ended = ended.take(limit + 1).filter(|_| q.open != Some(true));
        under_way
            .map(|(id, case)| (id.to_string(), CaseLine::of(id, case)))
            .chain(ended.map(|(id, outcome)| (id.to_string(), CaseLine::ended(id, *outcome))))
            .collect::<Vec<_>>()
    });
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Json(paging.page(lines)?).into_response())
}

/// Where a case stands.
#[derive(Serialize, JsonSchema)]
struct CaseView {
    #[serde(flatten)]
    line: CaseLine,
    /// The release that it runs under.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Sha256>")]
    release: Option<String>,
    /// Commitment to its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Sha256>")]
    snapshot: Option<String>,
    /// The risk tier, when there is a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
    /// The action that is recommended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Action>")]
    action: Option<Action>,
    /// Calls so far, in order; none of a case that has ended.
    calls: Vec<CallView>,
    /// What was recommended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    prepared: Option<Recommend>,
    /// And by the reviewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    reviewed: Option<Recommend>,
    /// The request for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalView>,
    /// The grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantView>,
}

/// A call in a case.
#[derive(Serialize, JsonSchema)]
struct CallView {
    /// By whom.
    agent: String,
    /// Which tool.
    tool: String,
    /// Commitment to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Sha256>")]
    snapshot: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A request for approval.
#[derive(Serialize, JsonSchema)]
struct ApprovalView {
    /// Its id.
    approval: String,
    /// How many humans must sign.
    humans: u32,
    /// Who has said yes.
    have: Vec<String>,
    /// When it expires.
    #[schemars(with = "shape::Moment")]
    expires: Time,
}

/// A grant.
#[derive(Serialize, JsonSchema)]
struct GrantView {
    /// Its id.
    grant: String,
    /// When it expires.
    #[schemars(with = "shape::Moment")]
    expires: Time,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Moment>")]
    used: Option<Time>,
    /// Where its user carries the effect out: by when it must have reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Moment>")]
    report_by: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    wait: Option<u64>,
    #[serde(rename = "while")]
    stage: Option<String>,
}

async fn read(
    State(door): State<Door>,
    sender: Sender,
    Id(id): Id<CaseId>,
    Query(waiting): Query<Waiting>,
) -> Answer {
    let _place = door.reader(&sender)?;
    let seconds = waiting.wait.unwrap_or(0);
    if seconds > LONGEST_WAIT {
        return Err(Problem::malformed(format!(
            "`wait` is at most {LONGEST_WAIT} seconds"
        )));
    }
    let mut news = door.engine.follow();
    let until = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(until);
    loop {
        let view = door.engine.read(|state| view(state, &id));
        let view = view.ok_or_else(|| Problem::missing(format!("there is no case `{id}`")))?;
        let stays = waiting.stage.as_deref() == Some(view.line.stage);
        if !stays || seconds == 0 {
            return Ok(Json(view).into_response());
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() {
                return Ok(Json(view).into_response());
            },
            () = &mut until => return Ok(Json(view).into_response()),
        }
    }
}

fn view(state: &Log, id: &CaseId) -> Option<CaseView> {
    let Some(case) = state.cases.get(id) else {
        let outcome = state.closed.get(id)?;
        return Some(CaseView {
            line: CaseLine::ended(id, *outcome),
            release: None,
            snapshot: None,
            tier: None,
            action: None,
            calls: Vec::new(),
            prepared: None,
            reviewed: None,
            approval: None,
            grant: None,
        });
    };
    let calls = case.calls.iter().map(|call| CallView {
        agent: call.agent.to_string(),
        tool: call.action.tool.clone(),
        snapshot: match &call.answer {
            Some(CallAnswer::Snapshot(digest)) => Some(digest.to_string()),
            _ => None,
        },
        problem: match &call.answer {
            Some(CallAnswer::Problem(why)) => Some(why.clone()),
            _ => None,
        },
    });
    Some(CaseView {
        line: CaseLine::of(id, case),
        release: Some(case.release.to_string()),
        snapshot: Some(case.snapshot.to_string()),
        tier: case.tier.map(|t| t.word()),
        action: case.action().cloned(),
        calls: calls.collect(),
        prepared: case.prepared.as_ref().map(|(_, r)| r.clone()),
        reviewed: case.reviewed.as_ref().map(|(_, r)| r.clone()),
        approval: case.approval.as_ref().map(|a| ApprovalView {
            approval: a.id.to_string(),
            humans: a.humans,
            have: a.yes.iter().map(|yes| yes.who.to_string()).collect(),
            expires: a.expires,
        }),
        grant: case.grant.as_ref().map(|g| GrantView {
            grant: g.id.to_string(),
            expires: g.expires,
            used: g.used,
            report_by: g.report_by,
        }),
    })
}

/// A tool to be called.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Calling {
    /// The call.
    #[schemars(with = "shape::Action")]
    action: Action,
}

async fn call(
    State(door): State<Door>,
    sender: Sender,
    Id(case): Id<CaseId>,
    body: Body,
) -> Answer {
    let calling: Calling = body.read()?;
    let caller = door.agent(&sender)?;
    let act = Act::Call {
        case,
        action: calling.action,
    };
    door.carry_out(caller, &sender, &body.0, act).await
}

/// What to look for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asking {
    /// In plain words.
    #[schemars(length(min = 1, max = 1000))]
    query: String,
}

async fn retrieve(
    State(door): State<Door>,
    sender: Sender,
    Id(case): Id<CaseId>,
    body: Body,
) -> Answer {
    let asking: Asking = body.read()?;
    let caller = door.agent(&sender)?;
    if !(1..=4000).contains(&asking.query.len()) {
        return Err(Problem::malformed("`query` is 1 to 4000 bytes"));
    }
    let act = Act::Retrieve {
        case,
        query: asking.query,
    };
    door.carry_out(caller, &sender, &body.0, act).await
}

/// What an agent recommends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recommending {
    /// `prepare` for the analyst, `review` for the reviewer.
    #[schemars(with = "String", regex(pattern = "^(prepare|review)$"))]
    duty: Duty,
    /// `proceed`, `refuse` or `refer`.
    #[schemars(with = "String", regex(pattern = "^(proceed|refuse|refer)$"))]
    stance: Stance,
    /// The exact action, where one could be formed.
    #[schemars(with = "Option<shape::Action>")]
    action: Option<Action>,
    /// In whole percent.
    #[schemars(range(max = 100))]
    confidence: u8,
    /// In plain sentences; no personal data.
    rationale: String,
    /// The clauses relied on, each found by retrieval in this case.
    #[schemars(with = "Vec<shape::Clause>")]
    clauses: Vec<ClauseRef>,
    /// Words of those clauses on which it rests.
    #[serde(default)]
    #[schemars(with = "Vec<shape::Quote>")]
    quotes: Vec<Quote>,
    /// The model that decided: the one that the release pins.
    model: String,
    /// SHA-256 of the prompt that it ran on; not needed where effects are simulated.
    #[schemars(with = "Option<shape::Sha256>")]
    prompt: Option<Digest>,
    /// Commitments to everything that the agent saw: of the case's source, and of answers it got.
    #[schemars(with = "Vec<shape::Sha256>")]
    inputs: Vec<Digest>,
}

async fn recommend(
    State(door): State<Door>,
    sender: Sender,
    Id(case): Id<CaseId>,
    body: Body,
) -> Answer {
    let r: Recommending = body.read()?;
    let caller = door.agent(&sender)?;
    let request = Request::Recommend(Recommend {
        case,
        duty: r.duty,
        stance: r.stance,
        action: r.action,
        confidence: r.confidence,
        rationale: r.rationale,
        clauses: r.clauses,
        quotes: r.quotes,
        model: r.model,
        prompt: r.prompt,
        row: None,
        inputs: r.inputs,
    });
    door.carry_out(caller, &sender, &body.0, Act::Submit(Box::new(request)))
        .await
}

/// A decision that was made elsewhere.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recording {
    /// `proceed`, `refuse` or `refer`.
    #[schemars(with = "String", regex(pattern = "^(proceed|refuse|refer)$"))]
    stance: Stance,
    /// What it was about, where there was an action.
    #[schemars(with = "Option<shape::Action>")]
    action: Option<Action>,
    /// In whole percent.
    #[schemars(range(max = 100))]
    confidence: u8,
    /// In plain sentences; no personal data.
    rationale: String,
    /// The clauses relied on, as the release has them.
    #[schemars(with = "Vec<shape::Clause>")]
    clauses: Vec<ClauseRef>,
    /// The model, or the name of what decided.
    #[schemars(length(min = 1, max = 128))]
    model: String,
    /// The system in which it was decided.
    #[schemars(length(min = 1, max = 128))]
    system: String,
}

async fn record(
    State(door): State<Door>,
    sender: Sender,
    Id(case): Id<CaseId>,
    body: Body,
) -> Answer {
    let r: Recording = body.read()?;
    let caller = door.agent(&sender)?;
    let request = Request::RecordDecision(RecordDecision {
        case,
        stance: r.stance,
        action: r.action,
        confidence: r.confidence,
        rationale: r.rationale,
        clauses: r.clauses,
        model: r.model,
        system: r.system,
    });
    door.carry_out(caller, &sender, &body.0, Act::Submit(Box::new(request)))
        .await
}
