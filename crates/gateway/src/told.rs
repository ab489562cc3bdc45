//! What others are told of what happens to approvals and exceptions: of each record at most one event, with ids, kinds and
//! times, and never with arguments or people.
//!
//! Server-sent events and webhooks both tell these.

use std::sync::Arc;

use duty::{
    name::{CaseId, ItemId},
    record::{Basis, Body, Record},
    request::Request,
    statement::Choice,
    time::Time,
};
use engine::Engine;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::{feed, http::shape};

/// An event, with all that is told of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    /// Its record.
    pub(crate) record: u64,
    /// When.
    pub(crate) time: Time,
    /// In which environment, where it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    /// In which case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) case: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub(crate) what: What,
}

macro_rules! events {
    ($(#[doc = $doc:literal] $name:ident $event:literal $id:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, Serialize, JsonSchema)]
            pub(crate) struct $name {
                $($(#[$field_doc])* pub(crate) $field: $type,)*
            }
        )*

        /// What happened, by type.
        #[derive(Clone, Debug, Serialize)]
        #[serde(untagged)]
        pub(crate) enum What {
            $($name($name),)*
        }

        impl What {
            /// Every type of event.
            pub(crate) const TYPES: &'static [&'static str] = &[$($event),*];

            /// Its type.
            pub(crate) fn word(&self) -> &'static str {
                match self { $(Self::$name(_) => $event,)* }
            }
        }

        /// Every type of event: its word, its name in generated code, what it says, and the schema of that.
        pub(crate) const DESCRIBED: &[Described] = &[$(Described {
            event: $event,
            id: $id,
            summary: $doc.trim_ascii(),
            schema: SchemaGenerator::subschema_for::<$name>,
        }),*];
    };
}

/// One type of event, for the description of the API.
pub(crate) struct Described {
    pub(crate) event: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

events! {
    /// Humans must sign.
    ApprovalRequested "approval.requested" "onApprovalRequested" {
        /// The request for approval.
        approval: String,
        /// The risk tier.
        tier: &'static str,
        /// How many distinct humans must sign.
        humans: u32,
        /// When it expires.
        #[schemars(with = "shape::Moment")]
        expires: Time,
    }
    /// A human said yes.
    ApprovalSigned "approval.signed" "onApprovalSigned" {
        /// The request for approval.
        approval: String,
        /// How many humans have said yes, this one included.
        have: u32,
        /// How many must.
        need: u32,
    }
    /// A human said no, which ends the case.
    ApprovalRejected "approval.rejected" "onApprovalRejected" {
        /// The request for approval.
        approval: String,
    }
    /// All who must have signed: the action may be executed once.
    ApprovalGranted "approval.granted" "onApprovalGranted" {
        /// The request for approval.
        approval: String,
        /// The grant.
        grant: String,
        /// When the grant expires.
        #[schemars(with = "shape::Moment")]
        expires: Time,
    }
    /// A human took a yes back.
    ApprovalWithdrawn "approval.withdrawn" "onApprovalWithdrawn" {
        /// The request for approval.
        approval: String,
        /// How many humans stand behind it now.
        have: u32,
        /// How many must.
        need: u32,
    }
    /// Those who may sign were reminded.
    ApprovalReminded "approval.reminded" "onApprovalReminded" {
        /// The request for approval.
        approval: String,
        /// How many people.
        people: usize,
    }
    /// Others were told that nobody signed.
    ApprovalEscalated "approval.escalated" "onApprovalEscalated" {
        /// The request for approval.
        approval: String,
        /// How many people.
        people: usize,
    }
    /// A request for approval expired.
    ApprovalExpired "approval.expired" "onApprovalExpired" {
        /// The request for approval.
        approval: String,
    }
    /// An action was let through in an emergency: an alarm.
    GlassBroken "glass.broken" "onGlassBroken" {
        /// The request for approval that was passed over.
        approval: String,
        /// The grant that was given.
        grant: String,
        /// When somebody else must have reviewed it.
        #[schemars(with = "shape::Moment")]
        review_by: Time,
    }
    /// A human must look at something.
    ExceptionRaised "exception.raised" "onExceptionRaised" {
        /// The exception.
        exception: String,
        /// What sort, like `override`.
        sort: &'static str,
    }
    /// A human triaged an exception.
    ExceptionTriaged "exception.triaged" "onExceptionTriaged" {
        /// The exception.
        exception: String,
    }
    /// A case ended.
    CaseClosed "case.closed" "onCaseClosed" {
        /// How, like `executed` or `rejected`.
        ended: &'static str,
    }
}

/// What is told of a record, where anything is.
pub(crate) fn of(record: &Record) -> Option<Told> {
    Some(Told {
        record: record.seq,
        time: record.time,
        environment: record.env.as_ref().map(ToString::to_string),
        case: record.case.as_ref().map(CaseId::to_string),
        what: what(record)?,
    })
}

fn what(record: &Record) -> Option<What> {
    let text = ItemId::to_string;
    Some(match &record.body {
        Body::ApprovalRequested(b) => What::ApprovalRequested(ApprovalRequested {
            approval: text(&b.approval),
            tier: b.tier.word(),
            humans: b.humans,
            expires: b.expires,
        }),
        Body::ApprovalGiven(b) => {
            let Request::Approve(signed) = &b.request else {
                return None;
            };
            let approval = text(&signed.statement.approval);
            match signed.statement.decision {
                Choice::Approve => What::ApprovalSigned(ApprovalSigned {
                    approval,
                    have: b.have,
                    need: b.need,
                }),
                Choice::Reject => What::ApprovalRejected(ApprovalRejected { approval }),
            }
        }
        Body::GrantIssued(b) => match &b.basis {
            Basis::Approval { approval, .. } => What::ApprovalGranted(ApprovalGranted {
                approval: text(approval),
                grant: text(&b.grant),
                expires: b.expires,
            }),
            // A threshold asks nobody, and an emergency is told as such.
            Basis::Threshold { .. } | Basis::Glass { .. } => return None,
        },
        Body::ApprovalWithdrawn(b) => {
            let Request::Withdraw(signed) = &b.request else {
                return None;
            };
            What::ApprovalWithdrawn(ApprovalWithdrawn {
                approval: text(&signed.statement.approval),
                have: b.have,
                need: b.need,
            })
        }
        Body::ApprovalReminded(b) => What::ApprovalReminded(ApprovalReminded {
            approval: noted(&b.request)?,
            people: b.to.len(),
        }),
        Body::ApprovalEscalated(b) => What::ApprovalEscalated(ApprovalEscalated {
            approval: noted(&b.request)?,
            people: b.to.len(),
        }),
        Body::ApprovalExpired(b) => What::ApprovalExpired(ApprovalExpired {
            approval: text(&b.approval),
        }),
        Body::GlassBroken(b) => What::GlassBroken(GlassBroken {
            approval: text(&b.approval),
            grant: text(&b.grant),
            review_by: b.review_by,
        }),
        Body::ExceptionRaised(b) => What::ExceptionRaised(ExceptionRaised {
            exception: text(&b.exception),
            sort: b.sort.word(),
        }),
        Body::ExceptionTriaged(b) => {
            let Request::Triage(signed) = &b.request else {
                return None;
            };
            What::ExceptionTriaged(ExceptionTriaged {
                exception: text(&signed.statement.exception),
            })
        }
        Body::CaseClosed(b) => What::CaseClosed(CaseClosed {
            ended: b.outcome.word(),
        }),
        _ => return None,
    })
}

fn noted(request: &Request) -> Option<String> {
    match request {
        Request::NoteWaiting(note) => Some(note.approval.to_string()),
        _ => None,
    }
}

/// Events of a log, from a record on.
pub(crate) struct Batch {
    /// The record to go on with.
    pub(crate) next: u64,
    /// Those up to there.
    pub(crate) events: Vec<Told>,
}

/// Events that are read at once.
const EVENTS: usize = 64;
/// And records among which they are looked for.
const RECORDS: u64 = 8_192;

/// Waits for records from `from` on, and reads a bounded number of events; perhaps none, with the record to go on with. None
/// where the engine is closed.
///
/// # Errors
/// Why the log cannot be read.
pub(crate) async fn after(engine: &Arc<Engine>, from: u64) -> Result<Option<Batch>, String> {
    let mut news = engine.follow();
    while engine.journal().committed() <= from {
        if news.changed().await.is_err() {
            return Ok(None);
        }
    }
    let none = Batch {
        next: from,
        events: Vec::new(),
    };
    let read = feed::each(engine, from, none, move |batch, record| {
        batch.next = record.seq + 1;
        batch.events.extend(of(record));
        batch.events.len() < EVENTS && batch.next < from + RECORDS
    });
    read.await.map(Some)
}
