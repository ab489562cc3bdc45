//! What a webhook says: an event, and where more can be read.

use duty::canonical::Digest;
use schemars::SchemaGenerator;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    http::shape,
    told::{self, Described, Told, What},
};

/// The type of a message that only shows that the way is open.
pub(super) const TEST: &str = "webhook.test";

/// What all messages of one log have in common.
#[derive(Clone, Debug)]
pub(super) struct Letterhead {
    origin: String,
    /// Where people and programs reach the server.
    base: String,
    /// What ids begin with: no full stop may be in one, and origins have some.
    tag: String,
}

/// A message to be sent.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
}

/// Where more can be read.
#[derive(Serialize)]
struct Links {
    /// By people.
    page: String,
    /// By programs.
    api: String,
}

impl Letterhead {
    pub(super) fn new(origin: &str, base: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
            tag: Digest::of_bytes(origin.as_bytes()).to_string()[..16].to_owned(),
        }
    }

    /// The message of an event: the same id whenever it is written.
    pub(super) fn message(&self, told: &Told) -> Message {
        let mut data =
            json!({"log": self.origin, "record": told.record, "links": self.links(told)});
        let fields = json!(told);
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields.into_iter().filter(|(name, _)| name != "time"));
        }
        let body = json!({"type": told.what.word(), "timestamp": told.time, "data": data});
        Message {
            id: format!("{}-{}", self.tag, told.record),
            body: body.to_string(),
        }
    }

    /// A message that says nothing. `nonce` is another for each.
    pub(super) fn test(&self, nonce: &str, timestamp: duty::time::Time) -> Message {
        let data = json!({"log": self.origin});
        let body = json!({"type": TEST, "timestamp": timestamp, "data": data});
        Message {
            id: format!("{}-test-{nonce}", self.tag),
            body: body.to_string(),
        }
    }

    fn links(&self, told: &Told) -> Links {
        let (page, api) = match &told.what {
            What::ApprovalRequested(told::ApprovalRequested { approval, .. })
            | What::ApprovalSigned(told::ApprovalSigned { approval, .. })
            | What::ApprovalWithdrawn(told::ApprovalWithdrawn { approval, .. })
            | What::ApprovalReminded(told::ApprovalReminded { approval, .. })
            | What::ApprovalEscalated(told::ApprovalEscalated { approval, .. }) => (
                format!("approvals/{approval}"),
                format!("v1/approvals/{approval}"),
            ),
            What::ExceptionRaised(told::ExceptionRaised { exception, .. }) => (
                "exceptions".to_owned(),
                format!("v1/exceptions/{exception}"),
            ),
            // What is over is not in the docket any more: its case tells what came of it.
            What::ApprovalRejected(_)
            | What::ApprovalGranted(_)
            | What::ApprovalExpired(_)
            | What::GlassBroken(_)
            | What::ExceptionTriaged(_)
            | What::CaseClosed(_) => match &told.case {
                Some(case) => (format!("cases/{case}"), format!("v1/cases/{case}")),
                None => ("log".to_owned(), "v1/status".to_owned()),
            },
        };
        let base = &self.base;
        Links {
            page: format!("{base}/{page}"),
            api: format!("{base}/{api}"),
        }
    }
}

/// The `webhooks` of the description of the API (OpenAPI 3.1).
pub(crate) fn described(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let moment = generator.subschema_for::<shape::Moment>();
    let each = told::DESCRIBED.iter().map(|described| {
        let Described {
            event, id, summary, ..
        } = described;
        let own = (described.schema)(generator);
        let about = json!({
            "type": "object",
            "required": ["log", "record", "links"],
            "properties": {
                "log": {"type": "string", "description": "The log's origin."},
                "record": {"type": "integer", "minimum": 0, "description": "The event's record."},
                "environment": {"type": "string", "description": "The environment, where it belongs to one."},
                "case": {"type": "string", "description": "The case, where it belongs to one."},
                "links": {
                    "type": "object",
                    "required": ["page", "api"],
                    "properties": {
                        "page": {"type": "string", "format": "uri", "description": "Where people read more."},
                        "api": {"type": "string", "format": "uri", "description": "Where programs do, with a token."},
                    },
                },
            },
        });
        let message = json!({
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"const": event},
                "timestamp": moment,
                "data": {"allOf": [about, own]},
            },
        });
        let header = |name: &str, pattern: &str, description: &str| {
            json!({
                "name": name, "in": "header", "required": true, "description": description,
                "schema": {"type": "string", "pattern": pattern},
            })
        };
        let post = json!({
            "operationId": id,
            "summary": summary,
            "security": [],
            "parameters": [
                header("webhook-id", "^[0-9a-z-]+$", "Names the event: the same for each attempt, and another for each event."),
                header("webhook-timestamp", "^[0-9]+$", "When this attempt was made, in seconds since 1970."),
                header("webhook-signature", "^v1a?,[A-Za-z0-9+/=]+( v1a?,[A-Za-z0-9+/=]+)*$", "Signatures over `<id>.<timestamp>.<body>` by Standard Webhooks: HMAC-SHA256 (`v1`), Ed25519 (`v1a`)."),
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": message}}},
            "responses": {
                "2XX": {"description": "Taken."},
                "410": {"description": "Nothing more is wanted: nothing is sent until somebody resumes it."},
                "default": {"description": "Not taken: it is sent again, not before `Retry-After`."},
            },
        });
        ((*event).to_owned(), json!({"post": post}))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use duty::time::Time;

    use super::*;
    use crate::told::{ApprovalRequested, CaseClosed};

    fn told(what: What) -> Told {
        Told {
            record: 7,
            time: Time::from_millis(1_000),
            environment: Some("prod".to_owned()),
            case: Some("c-1".to_owned()),
            what,
        }
    }

    #[test]
    fn a_message_has_ids_and_links_and_the_same_id_each_time() {
        let letterhead = Letterhead::new("example.com/log", "https://pay.example/");
        let requested = told(What::ApprovalRequested(ApprovalRequested {
            approval: "c-1.a1".to_owned(),
            tier: "high",
            humans: 2,
            expires: Time::from_millis(2_000),
        }));
        let message = letterhead.message(&requested);
        let body: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "approval.requested", "timestamp": "1970-01-01T00:00:01.000Z",
                "data": {
                    "log": "example.com/log", "record": 7, "environment": "prod", "case": "c-1",
                    "approval": "c-1.a1", "tier": "high", "humans": 2, "expires": "1970-01-01T00:00:02.000Z",
                    "links": {
                        "page": "https://pay.example/approvals/c-1.a1",
                        "api": "https://pay.example/v1/approvals/c-1.a1",
                    },
                },
            })
        );
        assert_eq!(letterhead.message(&requested).id, message.id);
        assert!(!message.id.contains('.') && message.id.ends_with("-7"));
        let other = Letterhead::new("example.com/other", "https://pay.example/");
        assert_ne!(other.message(&requested).id, message.id);
        let closed = letterhead.message(&told(What::CaseClosed(CaseClosed { ended: "rejected" })));
        assert!(closed.body.contains("https://pay.example/cases/c-1"));
    }

    #[test]
    fn every_type_is_described_once() {
        let described: Vec<_> = told::DESCRIBED.iter().map(|d| d.event).collect();
        assert_eq!(described, What::TYPES);
        let ids: std::collections::BTreeSet<_> = told::DESCRIBED.iter().map(|d| d.id).collect();
        assert_eq!(ids.len(), described.len());
        assert_eq!(told::DESCRIBED[0].summary, "Humans must sign.");
    }
}
