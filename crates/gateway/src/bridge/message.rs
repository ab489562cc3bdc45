//! A message of the client: what must be known of it to carry it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Where the protocol's later dates say the version: with each message.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");

/// A message on its way to the door.
pub(super) struct Message {
    /// The message as it came.
    pub(super) text: Vec<u8>,
    id: Option<Value>,
    method: Option<String>,
    /// The version that it says itself.
    version: Option<String>,
    /// What it names: a tool, a resource, a task.
    name: Option<String>,
}

impl Message {
    /// A line's message; none where the line is empty.
    ///
    /// # Errors
    /// In words, where it is not JSON.
    pub(super) fn read(text: Vec<u8>) -> Result<Option<Self>, String> {
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let value: Value =
            serde_json::from_slice(&text).map_err(|e| format!("the line is not JSON: {e}"))?;
        let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let method = word(value.get("method"));
        let params = value.get("params");
        let meta = params.and_then(|params| params.get("_meta"));
        // What is mirrored, by method: SEP-2243 and SEP-2663.
        let named = match method.as_deref().unwrap_or_default() {
            "tools/call" | "prompts/get" => Some("name"),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
            _ => None,
        };
        Ok(Some(Self {
            id: value.get("id").filter(|id| !id.is_null()).cloned(),
            version: word(meta.and_then(|meta| meta.get(VERSION))),
            name: named.and_then(|field| word(params.and_then(|params| params.get(field)))),
            method,
            text,
        }))
    }

    /// The id to answer to; none where no answer is due.
    pub(super) fn request(&self) -> Option<&Value> {
        self.method.as_ref().and(self.id.as_ref())
    }

    pub(super) fn is_initialize(&self) -> bool {
        self.method.as_deref() == Some("initialize")
    }

    /// Adds the headers that the message's version asks for; `agreed` is what `initialize` came to.
    pub(super) fn mirror(&self, agreed: Option<&str>, headers: &mut HeaderMap) {
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        let Some(said) = &self.version else {
            if let Some(agreed) = agreed.filter(|_| !self.is_initialize()) {
                set(VERSION_HEADER, agreed);
            }
            return;
        };
        set(VERSION_HEADER, said);
        if let Some(method) = &self.method {
            set(METHOD_HEADER, method);
        }
        if let Some(name) = &self.name {
            set(NAME_HEADER, &encoded(name));
        }
    }
}

/// A header's value, in base64 where it would not come through as it is (SEP-2243).
fn encoded(value: &str) -> String {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && value.trim_ascii() == value
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if plain {
        return value.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(value))
}

/// An error as the answer to a request.
pub(super) fn error(id: &Value, code: i64, why: &str) -> Vec<u8> {
    let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}});
    error.to_string().into_bytes()
}

/// A message in one line. Inside of JSON's texts there is no line's end.
pub(super) fn one_line(text: &[u8]) -> Vec<u8> {
    let flat = |byte: &u8| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    };
    text.trim_ascii().iter().map(flat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(message: &Value, agreed: Option<&str>) -> Vec<(String, String)> {
        let message = Message::read(message.to_string().into_bytes())
            .unwrap()
            .unwrap();
        let mut headers = HeaderMap::new();
        message.mirror(agreed, &mut headers);
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut headers: Vec<_> = headers.iter().map(text).collect();
        headers.sort();
        headers
    }

    #[test]
    fn each_date_gets_its_headers() {
        let call =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "zoë"}});
        assert_eq!(headers(&call, None), []);
        let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        assert_eq!(
            headers(&call, Some("2025-11-25")),
            of(&[("mcp-protocol-version", "2025-11-25")])
        );
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
        assert_eq!(headers(&hello, Some("2025-11-25")), []);
        let mut later = call;
        later["params"]["_meta"][VERSION] = json!("2026-07-28");
        assert_eq!(
            headers(&later, Some("2025-11-25")),
            of(&[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?em/Dqw==?="),
                ("mcp-protocol-version", "2026-07-28"),
            ])
        );
        let task = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tasks/get",
            "params": {"taskId": "t-1", "_meta": {VERSION: "2026-07-28"}},
        });
        assert!(headers(&task, None).contains(&("mcp-name".to_owned(), "t-1".to_owned())));
    }

    #[test]
    fn a_message_is_one_line() {
        let text = b"{\n  \"a\": \"b\\nc\"\r\n}\n";
        assert_eq!(one_line(text), b"{   \"a\": \"b\\nc\"  }");
    }
}
