//! One case: its duties as a small picture, its chain of custody, its records.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use duty::{name::CaseId, principal::Duty, subject::SubjectId};
use evidence::{
    EvidenceError, Query, Row, Story,
    story::{Signature, What},
};
use ledger::source::{Source, read_entry};
use serde_json::Value;

use super::{Chrome, ask, failed, missing, render, story};
use crate::{
    Desk,
    session::Session,
    view::{self, Bit},
};

#[derive(Template)]
#[template(path = "case.html")]
struct Page {
    chrome: Chrome,
    id: String,
    subject: String,
    env: String,
    release: String,
    outcome: String,
    duties: Vec<Station>,
    /// The picture in words.
    picture: String,
    events: Vec<Event>,
    clauses: Vec<ClauseView>,
    waiting: Option<String>,
    /// The record under which what its agents saw was erased.
    erased: Option<u64>,
    /// Whether there are more records than are shown.
    cut: bool,
}

/// The most records on one page.
const MOST: u32 = 500;

/// One duty in the picture.
struct Station {
    x: usize,
    name: &'static str,
    who: String,
    state: String,
    /// `done`, `now`, `no` or `later`: the class that draws it.
    mark: &'static str,
}

struct ClauseView {
    id: String,
    title: String,
    document: String,
    text: Vec<String>,
}

struct Event {
    seq: u64,
    time: String,
    day: String,
    clock: String,
    kind: String,
    who: String,
    text: Vec<Bit>,
    clauses: Vec<String>,
    /// Signatures in it, each checked for this page, in words.
    seals: Vec<Seal>,
    json: String,
}

struct Seal {
    text: String,
    verified: bool,
}

impl Event {
    /// The class that draws it: what agents read and found is many records and stands back.
    fn weight(&self) -> &'static str {
        match self.kind.as_str() {
            "call.permitted" | "call.answered" | "clauses.retrieved" => "minor",
            "request.refused" | "exception.raised" | "override.recorded" => "warning",
            _ => "major",
        }
    }
}

pub(crate) async fn page(
    State(desk): State<Desk>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Response {
    let Ok(case) = id.parse::<CaseId>() else {
        return missing(&session, format!("{id} is no case."));
    };
    let story = match story(&desk, &case).await {
        Ok(Some(story)) => story,
        Ok(None) => return missing(&session, format!("The log holds no case {id}.")),
        Err(e) => return failed(&*e),
    };
    let waiting = desk.engine.docket().into_iter().find(|w| w.case == case);
    let wanted = Query {
        case: Some(case.to_string()),
        limit: Some(MOST),
        ..Query::default()
    };
    let found = ask(&desk, move |index, source| {
        let rows = index.query(source, &wanted)?;
        let records = whole(source, &rows)?;
        Ok((rows, records))
    });
    let (rows, records) = match found.await {
        Ok(found) => found,
        Err(e) => return failed(&*e),
    };
    let cut = rows.len() == MOST as usize;
    let events = rows.into_iter().zip(records).map(|(row, json)| Event {
        seals: seals(&story, row.seq),
        seq: row.seq,
        time: row.time.to_string(),
        day: row.time.to_string()[..10].to_owned(),
        clock: row.time.to_string()[11..23].to_owned(),
        kind: row.kind,
        who: row.actor,
        text: view::bits(&row.text),
        clauses: row.clauses,
        json,
    });
    let erased = desk.engine.read(|state| {
        let origin = state.origin.as_deref().unwrap_or_default();
        let subject = SubjectId::of(origin, &story.subject);
        state.erased.get(&subject).copied()
    });
    let duties = duties(&story);
    let page = Page {
        chrome: Chrome::new(&session, "cases"),
        id: case.to_string(),
        subject: story.subject.clone(),
        env: story.env.clone(),
        release: story.release.short(),
        outcome: story.outcome.unwrap_or("under way").to_owned(),
        picture: duties.iter().map(Station::words).collect(),
        duties,
        events: events.collect(),
        clauses: story
            .clauses
            .iter()
            .map(|(id, c)| ClauseView {
                id: id.clone(),
                title: c.title.clone(),
                document: format!("{}, edition {}", c.document, c.version),
                text: view::paragraphs(&c.text),
            })
            .collect(),
        waiting: waiting.map(|w| w.approval.to_string()),
        erased,
        cut,
    };
    render(&page)
}

/// The signatures that a record rests on.
fn seals(story: &Story, seq: u64) -> Vec<Seal> {
    let signatures = match story.events.iter().find(|e| e.seq == seq).map(|e| &e.what) {
        Some(What::Signed { signature, .. }) => std::slice::from_ref(signature),
        Some(What::Covered { signed_by, .. }) => signed_by,
        _ => &[],
    };
    let seal = |s: &Signature| Seal {
        text: format!(
            "{} of {} with {}",
            if s.verified {
                "Verified signature"
            } else {
                "Signature that does not verify"
            },
            s.signer,
            s.credential
        ),
        verified: s.verified,
    };
    signatures.iter().map(seal).collect()
}

/// The records of these rows as the log holds them, word for word, with line breaks for people.
fn whole(source: &dyn Source, rows: &[Row]) -> Result<Vec<String>, EvidenceError> {
    let size = evidence::reader::head(source)?.size;
    rows.iter()
        .map(|row| {
            let wrong = |why: String| EvidenceError::Record { seq: row.seq, why };
            let bytes = read_entry(source, row.seq, size).map_err(|e| wrong(e.to_string()))?;
            let value: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
            serde_json::to_string_pretty(&value).map_err(|e| wrong(e.to_string()))
        })
        .collect()
}

fn duties(story: &Story) -> Vec<Station> {
    let recommended = |wanted: Duty| {
        story.events.iter().find_map(|e| match &e.what {
            What::Recommended {
                duty,
                stance,
                confidence,
                ..
            } if *duty == wanted => Some((
                e.actor.to_string(),
                format!("{}, {confidence} %", stance.word()),
            )),
            _ => None,
        })
    };
    let station = |x, name, found: Option<(String, String)>| match found {
        Some((who, state)) => Station {
            x,
            name,
            who,
            state,
            mark: "done",
        },
        None => Station {
            x,
            name,
            who: String::new(),
            state: "not yet".to_owned(),
            mark: "later",
        },
    };
    vec![
        station(0, "Prepare", recommended(Duty::Prepare)),
        station(1, "Review", recommended(Duty::Review)),
        approval(story),
        execution(story),
    ]
}

fn approval(story: &Story) -> Station {
    let (mut yes, mut no, mut need, mut covered, mut expired) = (Vec::new(), None, 0, None, false);
    for event in &story.events {
        match &event.what {
            What::Asked { humans, .. } => need = *humans,
            What::Signed {
                decision,
                signature,
                ..
            } => match decision {
                duty::statement::Choice::Approve => yes.push(signature.signer.to_string()),
                duty::statement::Choice::Reject => no = Some(signature.signer.to_string()),
            },
            What::Covered { threshold, .. } => covered = Some(threshold.clone()),
            _ => expired |= event.kind == "approval.expired",
        }
    }
    let signed = format!("{} of {need} signed", yes.len());
    let (who, state, mark) = match (no, covered) {
        (Some(who), _) => (who, "rejected".to_owned(), "no"),
        (None, Some(threshold)) => (threshold, "pre-approved".to_owned(), "done"),
        (None, None) if expired => (yes.join(", "), "expired".to_owned(), "no"),
        (None, None) if need == 0 && story.outcome.is_some() => {
            (String::new(), "not asked".to_owned(), "no")
        }
        (None, None) if need == 0 => (String::new(), "not yet".to_owned(), "later"),
        (None, None) if yes.len() >= need as usize => (yes.join(", "), signed, "done"),
        (None, None) => (yes.join(", "), signed, "now"),
    };
    Station {
        x: 2,
        name: "Approve",
        who,
        state,
        mark,
    }
}

fn execution(story: &Story) -> Station {
    let (mut who, mut state, mut mark) = (String::new(), "not yet".to_owned(), "later");
    for event in &story.events {
        match &event.what {
            What::Executed { .. } => {
                who = event.actor.to_string();
                (state, mark) = ("executing".to_owned(), "now");
            }
            What::Resulted { outcome, .. } => {
                state = (*outcome).to_owned();
                mark = if *outcome == "succeeded" {
                    "done"
                } else {
                    "no"
                };
            }
            _ => {}
        }
    }
    if who.is_empty() && story.outcome.is_some() {
        (state, mark) = ("never".to_owned(), "no");
    }
    Station {
        x: 3,
        name: "Execute",
        who,
        state,
        mark,
    }
}

impl Station {
    fn words(&self) -> String {
        let comma = if self.who.is_empty() { "" } else { ", " };
        format!("{}: {}{comma}{}. ", self.name, self.who, self.state)
    }

    /// The top of its box where they stand below one another.
    fn top(&self) -> usize {
        self.x * 76 + 2
    }

    /// The middle of its box, in units of the picture.
    fn middle(&self) -> usize {
        self.x * 170 + 75
    }

    fn left(&self) -> usize {
        self.x * 170
    }

    /// Where the arrow to it begins and ends; none for the first.
    fn arrow(&self) -> Option<(usize, usize)> {
        (self.x > 0).then(|| (self.left() - 20, self.left() - 4))
    }

    fn who_short(&self) -> String {
        if self.who.chars().count() <= 18 {
            return self.who.clone();
        }
        let cut: String = self.who.chars().take(17).collect();
        format!("{cut}…")
    }
}
