//! The door's own tools: for agents that open cases, look for clauses, recommend, review and execute by themselves. Each is
//! shown to those whose duty it is.

use std::sync::Arc;

use duty::{
    action::Action,
    canonical::Digest,
    name::{CaseId, ItemId, PrincipalId},
    principal::{Duty, Role},
    release::{ClauseRef, Rules},
    request::{OpenCase, Outcome, Quote, Recommend, Request, Stance},
};
use engine::{Ahead, Begun, EngineError};
use rmcp::{
    ErrorData,
    model::{JsonObject, Tool as Shown, ToolAnnotations},
};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Gate, call::Answered, caller::Caller, effect, reply::Reply};

/// How many waiting cases are listed.
const LISTED: usize = 50;

/// One of the door's own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    CaseOpen,
    CasesWaiting,
    CaseStatus,
    ClausesFind,
    Recommend,
    Review,
    GrantUse,
    GrantReport,
}

const ALL: [Own; 8] = [
    Own::CaseOpen,
    Own::CasesWaiting,
    Own::CaseStatus,
    Own::ClausesFind,
    Own::Recommend,
    Own::Review,
    Own::GrantUse,
    Own::GrantReport,
];

/// Those that the caller is shown.
pub(super) fn shown(gate: &Gate, caller: &Caller) -> Vec<Shown> {
    let theirs = ALL.into_iter().filter(|own| own.is_for(gate, caller));
    theirs.map(Own::described).collect()
}

/// The one of this name, where the caller is shown it.
pub(super) fn named(gate: &Gate, caller: &Caller, name: &str) -> Option<Own> {
    let mut named = ALL.into_iter().filter(|own| own.name() == name);
    named.next().filter(|own| own.is_for(gate, caller))
}

/// Carries one out.
pub(super) async fn call(
    gate: &Arc<Gate>,
    caller: &Caller,
    own: Own,
    arguments: JsonObject,
) -> Result<Answered, ErrorData> {
    let value = Value::Object(arguments);
    match own {
        Own::CaseOpen => Ok(open(gate, caller, read(value)?).await),
        Own::CasesWaiting => {
            let Nothing {} = read(value)?;
            Ok((waiting(gate, caller).await, None))
        }
        Own::CaseStatus => Ok(status(gate, caller, read(value)?).await),
        Own::ClausesFind => Ok(find(gate, caller, read(value)?).await),
        Own::Recommend => Ok(recommend(gate, caller, Duty::Prepare, read(value)?).await),
        Own::Review => Ok(recommend(gate, caller, Duty::Review, read(value)?).await),
        Own::GrantUse => Ok(use_grant(gate, caller, read(value)?).await),
        Own::GrantReport => Ok(report(gate, caller, read(value)?).await),
    }
}

impl Own {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CaseOpen => "case_open",
            Self::CasesWaiting => "cases_waiting",
            Self::CaseStatus => "case_status",
            Self::ClausesFind => "clauses_find",
            Self::Recommend => "recommend",
            Self::Review => "review",
            Self::GrantUse => "grant_use",
            Self::GrantReport => "grant_report",
        }
    }

    fn is_for(self, gate: &Gate, caller: &Caller) -> bool {
        let Some(duty) = caller.duty else {
            return self == Self::CaseOpen && takes_in(gate, &caller.seat.principal);
        };
        match self {
            Self::CaseOpen => takes_in(gate, &caller.seat.principal),
            Self::CasesWaiting | Self::CaseStatus => true,
            Self::ClausesFind => matches!(duty, Duty::Prepare | Duty::Review),
            Self::Recommend => duty == Duty::Prepare,
            Self::Review => duty == Duty::Review,
            Self::GrantUse | Self::GrantReport => duty == Duty::Execute,
        }
    }

    fn described(self) -> Shown {
        let (words, schema) = match self {
            Self::CaseOpen => (
                "Opens a case: one piece of work about one subject, over its source.",
                schema::<Opening>(),
            ),
            Self::CasesWaiting => ("Lists cases in which it is your turn.", schema::<Nothing>()),
            Self::CaseStatus => (
                "Says where a case stands, with its source and what was recommended.",
                schema::<InCase>(),
            ),
            Self::ClausesFind => (
                "Looks for policy clauses in a case. Only clauses found so can be cited.",
                schema::<Finding>(),
            ),
            Self::Recommend => (
                "Recommends what should be done in a case: the exact action, and the clauses it rests on. Ends your part.",
                schema::<Recommending>(),
            ),
            Self::Review => (
                "Reviews what was recommended in a case, from its source. Ends your part, and brings the verdict.",
                schema::<Recommending>(),
            ),
            Self::GrantUse => (
                "Uses the grant of a case, once: its action is carried out, or you are told to carry it out.",
                schema::<InCase>(),
            ),
            Self::GrantReport => (
                "Reports what came of a grant that you carried out yourself.",
                schema::<Reporting>(),
            ),
        };
        let reads = matches!(self, Self::CasesWaiting | Self::CaseStatus);
        let hints = ToolAnnotations::new().read_only(reads);
        Shown::new(self.name(), words, Arc::new(schema)).with_annotations(hints)
    }
}

fn takes_in(gate: &Gate, who: &PrincipalId) -> bool {
    gate.engine.read(|state| {
        let known = state.principals.get(who);
        known.is_some_and(|known| known.roles.contains(&Role::Intake))
    })
}

fn schema<T: JsonSchema>() -> JsonObject {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ErrorData> {
    serde_json::from_value(arguments)
        .map_err(|e| ErrorData::invalid_params(format!("the arguments: {e}"), None))
}

/// No arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Opening {
    /// What it is about.
    #[schemars(length(min = 1, max = 256))]
    subject: String,
    /// What the work starts from: a message, a document, a row.
    source: String,
}

async fn open(gate: &Gate, caller: &Caller, opening: Opening) -> Answered {
    if !(1..=256).contains(&opening.subject.len()) {
        return (
            Reply::Unavailable("`subject` is 1 to 256 bytes".to_owned()),
            None,
        );
    }
    if let Err(reply) = gate.crowd.admit(&caller.seat.principal) {
        return (reply, None);
    }
    let opened = async {
        let case = super::lane::new_id("c-")?;
        let subject = opening.subject;
        let kept = gate.engine.keep(&subject, opening.source.into_bytes());
        let request = Request::OpenCase(OpenCase {
            case: case.clone(),
            environment: caller.environment.clone(),
            snapshot: kept.await?,
            subject,
        });
        gate.engine.submit(&caller.seat, request).await?;
        gate.crowd.note(&caller.seat.principal, &case);
        Ok::<_, EngineError>(case)
    };
    match opened.await {
        Ok(case) => (Reply::Done(json!({"case": case})), Some(case)),
        Err(e) => (e.into(), None),
    }
}

/// Cases whose next step is the caller's.
async fn waiting(gate: &Gate, caller: &Caller) -> Reply {
    let release = caller.release.digest();
    let ids = gate.engine.look(|state| {
        let theirs = state.cases.iter().filter(|(_, case)| {
            let turn = match case.stage() {
                "open" => Duty::Prepare,
                "prepared" => Duty::Review,
                "granted" => Duty::Execute,
                _ => Duty::Approve,
            };
            case.env == caller.environment && case.release == release && Some(turn) == caller.duty
        });
        let named = theirs.map(|(id, case)| json!({"case": id, "subject": case.subject}));
        named.take(LISTED).collect::<Vec<_>>()
    });
    match ids.durable(&gate.engine).await {
        Ok(ids) => Reply::Done(json!({"cases": ids})),
        Err(e) => e.into(),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InCase {
    /// The case.
    #[schemars(with = "String")]
    case: CaseId,
}

async fn status(gate: &Gate, caller: &Caller, asked: InCase) -> Answered {
    let id = asked.case;
    let view = gate.engine.look(|state| {
        let Some(case) = state.cases.get(&id) else {
            let ended = state.closed.get(&id)?;
            return Some((json!({"case": id, "stage": "ended", "ended": ended.word()}), None));
        };
        if case.env != caller.environment {
            return None;
        }
        let view = json!({
            "case": id, "stage": case.stage(), "subject": case.subject, "tier": case.tier.map(|t| t.word()),
            "prepared": case.prepared.as_ref().map(|(_, r)| json!({
                "stance": r.stance, "action": r.action, "confidence": r.confidence, "rationale": r.rationale,
                "clauses": r.clauses,
            })),
            "approval": case.approval.as_ref().map(|a| json!({
                "approval": a.id, "humans": a.humans, "have": a.yes.len(), "expires": a.expires,
            })),
            "grant": case.grant.as_ref().map(|g| json!({"grant": g.id, "expires": g.expires})),
        });
        Some((view, Some(case.snapshot)))
    });
    let view = match view.durable(&gate.engine).await {
        Ok(view) => view,
        Err(e) => return (e.into(), Some(id)),
    };
    let Some((mut view, source)) = view else {
        let why = format!("there is no case `{id}` here");
        return (Reply::Ended("missing", why), None);
    };
    if let Some(digest) = source {
        match gate.engine.snapshots().get(digest.as_bytes()) {
            Ok(bytes) => {
                view["source"] = json!(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()));
            }
            Err(e) => return (Reply::Unavailable(e.to_string()), Some(id)),
        }
    }
    (Reply::Done(view), Some(id))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finding {
    /// The case.
    #[schemars(with = "String")]
    case: CaseId,
    /// In plain words.
    #[schemars(length(min = 1, max = 1000))]
    query: String,
}

async fn find(gate: &Gate, caller: &Caller, asked: Finding) -> Answered {
    let Finding { case, query } = asked;
    if !(1..=4000).contains(&query.len()) {
        return (
            Reply::Unavailable("`query` is 1 to 4000 bytes".to_owned()),
            Some(case),
        );
    }
    let found = match gate.engine.retrieve(&caller.seat, &case, &query).await {
        Ok(found) => found,
        Err(e) => return (e.into(), Some(case)),
    };
    let clauses: Vec<_> = found
        .iter()
        .map(|ranked| {
            let clause = caller.release.cited(&ranked.clause);
            json!({
                "clause": ranked.clause.id, "version": ranked.clause.version, "score_milli": ranked.score_milli,
                "title": clause.map(|c| c.title.as_str()), "text": clause.map(|c| c.text.as_str()),
            })
        })
        .collect();
    (Reply::Done(json!({"clauses": clauses})), Some(case))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recommending {
    /// The case.
    #[schemars(with = "String")]
    case: CaseId,
    /// `proceed`, `refuse` or `refer`.
    #[schemars(with = "String", regex(pattern = "^(proceed|refuse|refer)$"))]
    stance: Stance,
    /// The exact action, where one could be formed; a reviewer may leave it out.
    action: Option<Wanted>,
    /// In whole percent.
    #[schemars(range(max = 100))]
    confidence: u8,
    /// In plain sentences; no personal data.
    rationale: String,
    /// Ids of the clauses relied on, each found by `clauses_find` in this case.
    clauses: Vec<String>,
    /// Words of those clauses on which it rests.
    #[serde(default)]
    quotes: Vec<Words>,
}

/// A tool call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The tool, as `<server>.<tool>` or as it is listed.
    tool: String,
    /// Its arguments.
    arguments: JsonObject,
}

/// A quotation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Words {
    /// The clause.
    clause: String,
    /// Its words.
    words: String,
}

async fn recommend(gate: &Arc<Gate>, caller: &Caller, duty: Duty, asked: Recommending) -> Answered {
    let case = asked.case.clone();
    let Some(hand) = gate.team.hold(&case) else {
        let why = format!("case `{case}` is in other hands; try again");
        return (Reply::Unavailable(why), Some(case));
    };
    let request = Request::Recommend(made(gate, caller, duty, asked));
    let mut ahead = Ahead::default();
    let said = gate.engine.submit_ahead(&caller.seat, request).await;
    let reply = match said.map(|records| records.onto(&mut ahead)) {
        Err(e) => e.into(),
        Ok(records) => match effect::of_verdict(&records) {
            Some(reply) => reply,
            None => effect::advance(gate, &*hand, &case, &mut ahead).await,
        },
    };
    (effect::durable(gate, ahead, reply).await, Some(case))
}

fn made(gate: &Gate, caller: &Caller, duty: Duty, asked: Recommending) -> Recommend {
    let agent = &caller.seat.principal;
    let now = gate.engine.now();
    let clauses = asked.clauses.iter().map(|id| {
        let known = caller.release.clause(id, now).cloned();
        // What the release does not have is the core's to refuse.
        known.unwrap_or_else(|| ClauseRef {
            id: id.clone(),
            version: String::new(),
            digest: Digest::of_bytes(b""),
        })
    });
    let plan = caller.release.team().agent(agent);
    Recommend {
        case: asked.case.clone(),
        duty,
        stance: asked.stance,
        action: asked.action.map(|wanted| {
            let tools = &caller.release.team().tools;
            let listed = |tool: &&String| super::tools::plain(tool) == wanted.tool;
            let name = tools.keys().find(listed).cloned();
            Action {
                tool: name.unwrap_or(wanted.tool),
                arguments: wanted.arguments,
            }
        }),
        confidence: asked.confidence,
        rationale: asked.rationale,
        clauses: clauses.collect(),
        quotes: asked
            .quotes
            .into_iter()
            .map(|quote| Quote {
                clause: quote.clause,
                words: quote.words,
            })
            .collect(),
        model: plan.and_then(|plan| plan.model.clone()).unwrap_or_default(),
        prompt: plan.map(|plan| plan.prompt),
        row: None,
        inputs: gate.engine.read(|state| {
            let case = state.cases.get(&asked.case);
            case.map_or_else(Vec::new, |case| effect::seen(case, agent))
        }),
    }
}

async fn use_grant(gate: &Gate, caller: &Caller, asked: InCase) -> Answered {
    let case = asked.case;
    let found = gate.engine.read(|state| {
        let case = state.cases.get(&case)?;
        Some((case.grant.as_ref()?.id.clone(), case.action()?.clone()))
    });
    let Some((grant, action)) = found else {
        let why = format!("case `{case}` has no grant");
        return (Reply::Ended("missing", why), Some(case));
    };
    let Some(_hand) = gate.team.hold(&case) else {
        let why = format!("case `{case}` is in other hands; try again");
        return (Reply::Unavailable(why), Some(case));
    };
    let begun = gate.engine.begin(&caller.seat, &grant, action.clone());
    let reply = match begun.await {
        Ok(Begun::Done(executed)) => effect::of_execution(executed),
        Ok(Begun::Simulated) => Reply::Done(json!({"status": "simulated", "grant": grant})),
        Ok(Begun::Go { report_by }) => Reply::Done(json!({
            "status": "carry_out", "grant": grant, "action": action, "report_by": report_by,
        })),
        Err(e) => e.into(),
    };
    (reply, Some(case))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reporting {
    /// The grant.
    #[schemars(with = "String")]
    grant: ItemId,
    /// `succeeded`, `failed` or `unknown`.
    #[schemars(with = "String", regex(pattern = "^(succeeded|failed|unknown)$"))]
    outcome: Outcome,
    /// In a sentence; no personal data.
    detail: String,
    /// The target's answer.
    result: Option<Value>,
}

async fn report(gate: &Gate, caller: &Caller, asked: Reporting) -> Answered {
    let case = asked.grant.case();
    let reported = gate.engine.report(
        &caller.seat,
        &asked.grant,
        asked.outcome,
        &asked.detail,
        asked.result.as_ref(),
    );
    let reply = match reported.await {
        Ok(_) => Reply::Done(json!({"status": "reported", "outcome": asked.outcome})),
        Err(e) => e.into(),
    };
    (reply, case)
}
