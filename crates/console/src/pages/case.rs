//! One case: its duties as a small picture, its chain of custody, its records.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use duty::{name::CaseId, principal::Duty};
use evidence::{Query, Story, story::What};

use super::{Chrome, ask, failed, missing, render, story};
use crate::{Desk, session::Session, view};

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
    events: Vec<Event>,
    clauses: Vec<ClauseView>,
    waiting: Option<String>,
}

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
    kind: &'static str,
    who: String,
    text: String,
    clauses: Vec<String>,
    json: String,
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
        limit: Some(500),
        ..Query::default()
    };
    let rows = match ask(&desk, move |index, _| index.query(&wanted)).await {
        Ok(rows) => rows,
        Err(e) => return failed(&*e),
    };
    let events = rows.into_iter().map(|row| Event {
        seq: row.seq,
        time: row.time.to_string(),
        kind: duty::record::Body::KINDS
            .iter()
            .find(|k| **k == row.kind)
            .copied()
            .unwrap_or("record"),
        who: row.actor,
        text: row.text,
        clauses: row.clauses,
        json: story
            .events
            .iter()
            .find(|e| e.seq == row.seq)
            .and_then(|e| serde_json::to_string_pretty(&e.what).ok())
            .unwrap_or_default(),
    });
    let page = Page {
        chrome: Chrome::new(&session, "cases"),
        id: case.to_string(),
        subject: story.subject.clone(),
        env: story.env.clone(),
        release: story.release.short(),
        outcome: story.outcome.unwrap_or("under way").to_owned(),
        duties: duties(&story),
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
    };
    render(&page)
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
