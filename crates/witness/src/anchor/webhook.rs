//! A webhook: whoever receives checkpoints there keeps them (form and signature: Standard Webhooks 1.0).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{Checkpoint, note::Note};
use serde_json::json;
use webhook::Signer;

use super::{Anchor, Kept, agent, body, said};

/// A receiver of checkpoints.
pub struct Webhook {
    url: String,
    signer: [Signer; 1],
    clock: fn() -> u64,
    agent: ureq::Agent,
}

impl Webhook {
    /// The receiver at `url`. The secret is `whsec_` or `whsk_` and base64. `clock` tells seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with the secret.
    pub fn new(url: &str, secret: &str, clock: fn() -> u64) -> Result<Self, String> {
        Ok(Self {
            url: url.to_owned(),
            signer: [Signer::parse(secret)?],
            clock,
            agent: agent(),
        })
    }
}

impl Anchor for Webhook {
    fn keep(&self, checkpoint: &Kept) -> Result<(), String> {
        let note = Note::parse(&checkpoint.note).map_err(|why| why.to_string())?;
        let head = Checkpoint::from_text(&note.text).map_err(|why| why.to_string())?;
        let time = (self.clock)();
        let payload = json!({
            "type": "checkpoint.published",
            "timestamp": time,
            "data": {
                "origin": head.origin,
                "size": head.size,
                "root": BASE64_STANDARD.encode(head.root),
                "note": String::from_utf8_lossy(&checkpoint.note),
            },
        });
        let payload = payload.to_string();
        // The same checkpoint has the same id however often it is sent.
        let id = format!("{}-{}", head.origin, head.size);
        let mut request = self.agent.post(&self.url).content_type("application/json");
        for (name, value) in webhook::headers(&self.signer, &id, time, payload.as_bytes()) {
            request = request.header(name, value);
        }
        let answer = request
            .send(payload)
            .map_err(|why| format!("`{}`: {why}", self.url))?;
        match body(answer)? {
            (200..=299, _) => Ok(()),
            (status, bytes) => Err(format!("`{}`: {}", self.url, said(status, &bytes))),
        }
    }

    fn kept(&self) -> Result<Option<Vec<Kept>>, String> {
        Ok(None)
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({})", self.url)
    }
}
