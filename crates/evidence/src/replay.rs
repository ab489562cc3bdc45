//! One case again, step by step, with exactly what each agent saw.

use std::fmt;

use duty::{
    canonical::Digest,
    language::ModelCall,
    name::{CaseId, PrincipalId},
    record::{Body, Record},
    request::Request,
    state::{CallAnswer, Case},
    subject::SubjectId,
    time::Time,
};
use ledger::Source;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    EvidenceError, Kept, Vault,
    ahead::cores,
    describe,
    reperform::{again, submission},
    rerun::{Rerun, Rerunner, case_of},
    walk::{Group, groups},
};

/// Why an agent cannot be run again.
const NOT_HERE: &str = "a snapshot that the agent saw is not here, or its key";

/// One request of a case, decided again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The record of the request.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// The record's kind.
    pub kind: &'static str,
    /// Who asked.
    pub actor: PrincipalId,
    /// What the records say, in a line each: the request's first, then its consequences.
    pub says: Vec<String>,
    /// What whoever asked had before them.
    pub inputs: Vec<Input>,
    /// Whether deciding again gives the recorded records.
    pub decision: Again,
    /// Whether the agent, run again on the same inputs, says the same; none for steps that no built-in agent took.
    pub agent: Option<Again>,
}

/// Something that an agent saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Input {
    /// What it is.
    pub what: String,
    /// Its commitment.
    pub commitment: Digest,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "form", content = "content", rename_all = "snake_case")]
pub enum Content {
    /// JSON.
    Json(Value),
    /// Other text.
    Text(String),
    /// Neither, in hexadecimal.
    Hex(String),
    /// The snapshot is not here.
    NotHere,
    /// The snapshot is here, sealed with a key that is not.
    Sealed,
    /// The snapshot's data subject was erased.
    Erased {
        /// The record that says so.
        record: u64,
    },
}

/// What performing a step again came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Again {
    /// The same as recorded.
    Same,
    /// Something else.
    Differs {
        /// What came out now.
        again: Value,
    },
    /// It cannot be performed again, and why.
    Cannot {
        /// Why.
        why: String,
    },
}

/// Replays a case: the log is folded from its start, and every request of the case is decided again where it stands.
///
/// Without snapshots the inputs are not here, and agents are not run again.
///
/// # Errors
/// [`EvidenceError::NoCase`] where the log holds no such case; what cannot be read.
pub fn replay(
    source: &(dyn Source + Sync),
    snapshots: Option<&Vault>,
    case: &CaseId,
) -> Result<Vec<Step>, EvidenceError> {
    let rerunner = Rerunner::new(snapshots);
    let mut steps = Vec::new();
    let mut subject = None;
    let state = groups(source, cores(), &mut |group| {
        let head = &group.records[0];
        let Some(request) = head
            .body
            .request()
            .filter(|r| r.case().as_ref() == Some(case))
        else {
            return Ok(());
        };
        if let (Request::OpenCase(r), Body::CaseOpened(_)) = (request, &head.body) {
            let origin = group.before.origin.as_deref().unwrap_or_default();
            subject = Some(SubjectId::of(origin, &r.subject));
        }
        let records = again(&group, &submission(head, request))?;
        let decision = if records == group.records {
            Again::Same
        } else {
            Again::Differs {
                again: json!(records),
            }
        };
        steps.push(Step {
            seq: head.seq,
            time: head.time,
            kind: head.body.kind(),
            actor: head.actor.id.clone(),
            says: group.records.iter().map(describe).collect(),
            inputs: inputs(snapshots, &group, head, request)?,
            decision,
            agent: agent(&rerunner, &group, head, request)?,
        });
        Ok::<_, EvidenceError>(())
    })?;
    if steps.is_empty() {
        return Err(EvidenceError::NoCase(case.to_string()));
    }
    if let Some(record) = subject.and_then(|subject| state.erased.get(&subject)) {
        steps.iter_mut().for_each(|step| step.erased(*record));
    }
    Ok(steps)
}

impl Step {
    /// Says of what is not here why: its subject was erased later on.
    fn erased(&mut self, record: u64) {
        for input in &mut self.inputs {
            if matches!(input.content, Content::NotHere | Content::Sealed) {
                input.content = Content::Erased { record };
            }
        }
        if let Some(Again::Cannot { why }) = &mut self.agent
            && why == NOT_HERE
        {
            *why = format!("what the agent saw was erased under record {record}");
        }
    }
}

fn agent(
    rerunner: &Rerunner<'_>,
    group: &Group<'_>,
    head: &Record,
    request: &Request,
) -> Result<Option<Again>, EvidenceError> {
    let id = match (&head.body, request) {
        (Body::RecommendationMade(_), Request::Recommend(r)) => &r.case,
        (Body::ClausesRetrieved(_), Request::Retrieve(r)) => &r.case,
        _ => return Ok(None),
    };
    let Some(case) = case_of(group.before, id) else {
        return Ok(None);
    };
    let release = group.library.release(group.before, case.release)?;
    let result = match request {
        Request::Recommend(r) => rerunner.recommendation(&release, &head.actor.id, case, r)?,
        Request::Retrieve(r) => rerunner.retrieval(&release, r, head.time),
        _ => return Ok(None),
    };
    Ok(Some(match result {
        Rerun::Same => Again::Same,
        Rerun::Differs(difference) => Again::Differs {
            again: difference.again,
        },
        Rerun::NotHere => Again::Cannot {
            why: NOT_HERE.to_owned(),
        },
        Rerun::OtherModel => Again::Cannot {
            why: "its model is not the built-in rule model".to_owned(),
        },
    }))
}

/// What an agent that recommends has seen: the source, and the answers to its own calls. For other steps, the snapshots
/// that the request itself brings.
fn inputs(
    vault: Option<&Vault>,
    group: &Group<'_>,
    head: &Record,
    request: &Request,
) -> Result<Vec<Input>, EvidenceError> {
    let mut found = Vec::new();
    let mut add = |what: String, commitment: Digest| -> Result<(), EvidenceError> {
        found.push(Input {
            what,
            commitment,
            content: content(vault, &commitment)?,
        });
        Ok(())
    };
    match request {
        Request::OpenCase(r) => add("the source".to_owned(), r.snapshot)?,
        Request::Answer(r) => {
            if let Some(snapshot) = r.snapshot {
                add(format!("the answer to {}", r.call), snapshot)?;
            }
        }
        Request::CallModel(r) => add("the question to the model".to_owned(), r.snapshot)?,
        Request::AnswerModel(r) => {
            if let Some(snapshot) = r.snapshot {
                add("the model's answer".to_owned(), snapshot)?;
            }
        }
        Request::RecordOutcome(r) => {
            if let Some(snapshot) = r.snapshot {
                add("the target's answer".to_owned(), snapshot)?;
            }
        }
        Request::Recommend(r) => {
            let case = case_of(group.before, &r.case);
            for commitment in &r.inputs {
                add(what(case, &head.actor.id, commitment), *commitment)?;
            }
        }
        _ => {}
    }
    Ok(found)
}

fn what(case: Option<&Case>, agent: &PrincipalId, commitment: &Digest) -> String {
    let Some(case) = case else {
        return "an input".to_owned();
    };
    if case.snapshot == *commitment {
        return "the source".to_owned();
    }
    let heard = |m: &ModelCall| m.answer.as_ref().and_then(|a| a.snapshot) == Some(*commitment);
    if case.models.iter().any(heard) {
        return "what its model said".to_owned();
    }
    let call = case.calls.iter().find(|call| {
        call.agent == *agent && call.answer == Some(CallAnswer::Snapshot(*commitment))
    });
    call.map_or_else(
        || "an input".to_owned(),
        |call| format!("the answer of {}", call.action.tool),
    )
}

fn content(vault: Option<&Vault>, commitment: &Digest) -> Result<Content, EvidenceError> {
    let kept = match vault {
        Some(vault) => vault.get(commitment)?,
        None => Kept::Absent,
    };
    let bytes = match kept {
        Kept::Bytes(bytes) => bytes,
        Kept::Sealed(_) => return Ok(Content::Sealed),
        Kept::Absent => return Ok(Content::NotHere),
    };
    Ok(
        match (serde_json::from_slice(&bytes), String::from_utf8(bytes)) {
            (Ok(value), _) => Content::Json(value),
            (_, Ok(text)) => Content::Text(text),
            (_, Err(e)) => Content::Hex(hex::encode(e.into_bytes())),
        },
    )
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} #{} {} by {}",
            self.time, self.seq, self.kind, self.actor
        )?;
        self.says
            .iter()
            .try_for_each(|line| writeln!(f, "    {line}"))?;
        for input in &self.inputs {
            writeln!(f, "    saw {} ({}):", input.what, input.commitment.short())?;
            match &input.content {
                Content::Json(value) => writeln!(f, "        {value}")?,
                Content::Text(text) => {
                    text.lines()
                        .try_for_each(|line| writeln!(f, "        {line}"))?;
                }
                Content::Hex(hex) => writeln!(f, "        {} bytes: {hex}", hex.len() / 2)?,
                Content::NotHere => writeln!(f, "        not here")?,
                Content::Sealed => writeln!(f, "        sealed here: no key")?,
                Content::Erased { record } => writeln!(f, "        erased under record {record}")?,
            }
        }
        writeln!(f, "    decided again: {}", self.decision)?;
        match &self.agent {
            Some(again) => writeln!(f, "    agent run again: {again}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("the same"),
            Self::Differs { again } => write!(f, "DIFFERENT: {again}"),
            Self::Cannot { why } => write!(f, "not possible: {why}"),
        }
    }
}
