//! A webhook: whoever receives checkpoints there keeps them (form and signature: Standard Webhooks 1.0).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::{Checkpoint, note::Note};
use serde_json::json;
use sha2::Sha256;

use super::{Anchor, Kept, agent, body, said};

/// A receiver of checkpoints.
pub struct Webhook {
    url: String,
    secret: Vec<u8>,
    clock: fn() -> u64,
    agent: ureq::Agent,
}

impl Webhook {
    /// The receiver at `url`. The secret is shared with it, `whsec_` and base64. `clock` tells seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with the secret.
    pub fn new(url: &str, secret: &str, clock: fn() -> u64) -> Result<Self, String> {
        let secret = secret.trim();
        let secret = secret.strip_prefix("whsec_").unwrap_or(secret);
        let secret = BASE64_STANDARD.decode(secret);
        let secret = secret.map_err(|_| "the secret is not `whsec_` and base64".to_owned())?;
        if secret.len() < 24 {
            return Err("the secret has fewer than 24 bytes".to_owned());
        }
        Ok(Self {
            url: url.to_owned(),
            secret,
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
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).map_err(|why| why.to_string())?;
        mac.update(format!("{id}.{time}.{payload}").as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let answer = self
            .agent
            .post(&self.url)
            .content_type("application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", time.to_string())
            .header("webhook-signature", format!("v1,{signature}"))
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
