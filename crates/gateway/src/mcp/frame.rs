//! One message on its way in: whose it is, bounded in size and in time, and JSON-RPC before anything else looks at it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use duty::{canonical, name::CredentialId};
use rmcp::model::{ErrorCode, RequestId};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Gate, LONGEST, caller::Asker};
use crate::http::Problem;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets nobody through who is not known, asks too much, or does not speak JSON-RPC.
pub(super) async fn admit(gate: Arc<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let asker = match Asker::of(&gate, &parts).await {
        Ok(asker) => asker,
        Err(problem) => return problem.into_response(),
    };
    let body = match read(&parts, body).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    if let Some(cancelled) = body.cancelled {
        gate.underway.cancel(&asker.seat.credential, &cancelled);
    }
    parts.extensions.insert(asker);
    next.run(Request::from_parts(parts, body.bytes)).await
}

/// A message, and whose request it takes back, where it does.
struct Message {
    bytes: Body,
    cancelled: Option<RequestId>,
}

async fn read(parts: &Parts, body: Body) -> Result<Message, Box<Response>> {
    let Ok(read) = tokio::time::timeout(PATIENCE, to_bytes(body, LONGEST)).await else {
        return Err(plain(
            StatusCode::REQUEST_TIMEOUT,
            "the message did not come in time",
        ));
    };
    let bytes = read.map_err(|_| {
        let why = format!("a message has at most {LONGEST} bytes");
        plain(StatusCode::PAYLOAD_TOO_LARGE, &why)
    })?;
    if parts.method != axum::http::Method::POST {
        return Ok(Message {
            bytes: Body::empty(),
            cancelled: None,
        });
    }
    let message = serde_json::from_slice::<Value>(&bytes)
        .map_err(|e| wrong(ErrorCode::PARSE_ERROR, None, &e.to_string()))?;
    // What is read further on cannot tell any more whether a number was rounded.
    if let Err(e) = canonical::check_text(&bytes) {
        return Err(Box::new(
            Problem::malformed(format!("the message: {e}")).into_response(),
        ));
    }
    let cancelled = check(&message)?;
    Ok(Message {
        bytes: bytes.into(),
        cancelled,
    })
}

/// Whether it is one message of JSON-RPC 2.0; whose request it takes back.
fn check(message: &Value) -> Result<Option<RequestId>, Box<Response>> {
    let id = message.get("id").filter(|id| id.is_string() || id.is_i64());
    let invalid = |why: &str| Err(wrong(ErrorCode::INVALID_REQUEST, id, why));
    let Value::Object(fields) = message else {
        return invalid("a message is one object; batches are not spoken");
    };
    if fields.get("jsonrpc") != Some(&json!("2.0")) {
        return invalid("`jsonrpc` is \"2.0\"");
    }
    if fields.contains_key("id") && id.is_none() {
        return invalid("`id` is a text or a whole number");
    }
    match fields.get("method") {
        Some(Value::String(method)) => {
            if !fields.get("params").is_none_or(Value::is_object) {
                return invalid("`params` is an object");
            }
            if method != "notifications/cancelled" {
                return Ok(None);
            }
            let taken_back = message.pointer("/params/requestId");
            Ok(taken_back.and_then(|id| RequestId::deserialize(id).ok()))
        }
        Some(_) => invalid("`method` is a text"),
        None if fields.contains_key("result") || fields.contains_key("error") => Ok(None),
        None => invalid("there is no `method`"),
    }
}

fn wrong(code: ErrorCode, id: Option<&Value>, why: &str) -> Box<Response> {
    let mut error = json!({"jsonrpc": "2.0", "error": {"code": code.0, "message": why}});
    error["id"] = id.cloned().unwrap_or(Value::Null);
    let json = [(header::CONTENT_TYPE, "application/json")];
    Box::new((StatusCode::BAD_REQUEST, json, error.to_string()).into_response())
}

fn plain(status: StatusCode, why: &str) -> Box<Response> {
    Box::new(Problem::new(status, "malformed", why).into_response())
}

/// Requests that wait for their answer.
#[derive(Default)]
pub(super) struct Underway(Mutex<HashMap<Key, Vec<Arc<Notify>>>>);

/// Whose request, by its own id.
type Key = (CredentialId, RequestId);

/// A request that waits, until this is dropped.
pub(super) struct Waiting<'u> {
    underway: &'u Underway,
    key: Key,
    taken_back: Arc<Notify>,
}

impl Underway {
    pub(super) fn enter(&self, who: &CredentialId, id: &RequestId) -> Waiting<'_> {
        let key = (who.clone(), id.clone());
        let taken_back = Arc::new(Notify::new());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = waiting.entry(key.clone()).or_default();
        same.push(Arc::clone(&taken_back));
        Waiting {
            underway: self,
            key,
            taken_back,
        }
    }

    /// Stops the wait of one request. Two clients of one agent may use the same id; then nobody knows which is meant, and
    /// both go on.
    fn cancel(&self, who: &CredentialId, id: &RequestId) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some([one]) = waiting.get(&(who.clone(), id.clone())).map(Vec::as_slice) {
            one.notify_one();
        }
    }
}

impl Waiting<'_> {
    /// Ends when the client takes the request back.
    pub(super) async fn taken_back(&self) {
        self.taken_back.notified().await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waiting = self.underway.0.lock();
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = waiting.get_mut(&self.key) {
            same.retain(|other| !Arc::ptr_eq(other, &self.taken_back));
            if same.is_empty() {
                waiting.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<i64> {
        let message = serde_json::from_str(text).unwrap();
        let response = check(&message).err()?;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        Some(i64::from(ErrorCode::INVALID_REQUEST.0))
    }

    #[test]
    fn only_single_messages_of_json_rpc_pass() {
        for fine in [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ] {
            assert_eq!(code(fine), None, "{fine}");
        }
        for wrong in [
            "[]",
            "7",
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
        ] {
            assert_eq!(code(wrong), Some(-32600), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_request_is_taken_back_where_it_is_clear_which() {
        let underway = Underway::default();
        let (who, id) = ("ana.token-1".parse().unwrap(), RequestId::Number(7));
        let one = underway.enter(&who, &id);
        let other = underway.enter(&who, &id);
        underway.cancel(&who, &id);
        drop(other);
        tokio::select! {
            biased;
            () = one.taken_back() => panic!("nobody knew which was meant"),
            () = std::future::ready(()) => {}
        }
        underway.cancel(&who, &id);
        one.taken_back().await;
        drop(one);
        assert!(underway.0.lock().unwrap().is_empty());
    }
}
