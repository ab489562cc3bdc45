//! What came of a call, and how MCP says it.

use duty::{name::CaseId, name::ItemId, refusal::Refusal, time::Time};
use engine::EngineError;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// After how many seconds what waits for people is worth another look.
pub(super) const LOOK_AGAIN: u64 = 5;

/// What came of a call.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// It was done, and the target answered this.
    Done(Value),
    /// The target did not do it, and said why.
    Failed(String),
    /// The core refused the call, or one of its steps.
    Refused(Box<Refusal>),
    /// The case ended without effect: how, and why.
    Ended(&'static str, String),
    /// People must sign, or somebody else must go on.
    Waits(Waits),
    /// It may have been done or not; it is not done again.
    Unknown(String),
    /// It could not be tried.
    Unavailable(String),
}

/// What a call waits for.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    /// `pending_approval`, `pending_review`, `pending_execution`.
    pub(super) status: &'static str,
    pub(super) case: CaseId,
    pub(super) approval: Option<ItemId>,
    pub(super) expires: Option<Time>,
}

impl Reply {
    /// Whether nothing more will come of the call.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Waits(_) | Self::Unavailable(_))
    }

    /// Whether the core refused it, so that the log has it.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// In a word; also in the result's `_meta`, where a target's own words cannot be taken for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Ended(how, _) => how,
            Self::Waits(waits) => waits.status,
            Self::Unknown(_) => "unknown",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// As MCP says it, with the case that it belongs to.
    pub(super) fn into_result(self, case: Option<&CaseId>) -> CallToolResult {
        let mut meta = MetaObject::new();
        meta.insert("counterfoil/status".to_owned(), json!(self.word()));
        if let Some(case) = case {
            meta.insert("counterfoil/case".to_owned(), json!(case.as_str()));
        }
        let mut result = match self {
            Self::Done(value) => told(value),
            Self::Failed(why) => wrong(json!({"error": "failed", "why": why})),
            Self::Refused(refusal) => wrong(json!({
                "error": "refused", "code": refusal.code.word(), "why": refusal.why, "remedy": refusal.remedy,
                "rule": refusal.rule, "clause": refusal.clause,
            })),
            Self::Ended(how, why) => wrong(json!({"error": how, "why": why})),
            Self::Unknown(why) => wrong(json!({
                "error": "unknown", "why": why,
                "remedy": "it may have been done; do not try it in another way: people look into it",
            })),
            Self::Unavailable(why) => wrong(json!({"error": "unavailable", "why": why})),
            Self::Waits(waits) => {
                let mut value = json!({
                    "status": waits.status, "case": waits.case.as_str(), "retry_after_seconds": LOOK_AGAIN,
                    "what_to_do": "nothing was done yet; call again with exactly the same arguments to learn what came of it",
                });
                if let Some(approval) = &waits.approval {
                    value["approval"] = json!(approval.as_str());
                }
                if let Some(expires) = waits.expires {
                    value["expires"] = json!(expires.to_string());
                }
                told(value)
            }
        };
        result.meta = Some(meta);
        result
    }
}

impl From<EngineError> for Reply {
    fn from(e: EngineError) -> Self {
        match e {
            EngineError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// A value as content: text as it is, everything else as JSON, and objects as structured content too. Blocks of content, as
/// targets answer with images and sounds, are what they were.
fn told(value: Value) -> CallToolResult {
    let blocks = match &value {
        Value::Object(fields) if fields.len() == 1 => fields.get("content"),
        _ => None,
    };
    let blocks = blocks.and_then(|content| Vec::<ContentBlock>::deserialize(content).ok());
    match value {
        _ if blocks.is_some() => CallToolResult::success(blocks.unwrap_or_default()),
        Value::String(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
        value @ Value::Object(_) => CallToolResult::structured(value),
        value => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
    }
}

fn wrong(mut value: Value) -> CallToolResult {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, v| !v.is_null());
    }
    CallToolResult::structured_error(value)
}
