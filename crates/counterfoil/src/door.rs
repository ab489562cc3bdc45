//! The way to the engine for one command: in this process where nobody else owns the directory, over HTTP where a server
//! does.

use std::path::Path;

use duty::{name::ItemId, record::Record, request::Request};
use engine::{Seat, Waiting};
use gateway::http::Sent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{StoreError, secret};

use crate::{fail::Failure, site::Site};

/// Where a server of the directory listens, while one runs.
pub(crate) const SERVING: &str = "serve.json";
/// The token that lets this machine's commands speak for the local services.
pub(crate) const LOCAL_TOKEN: &str = "keys/local.token";

/// Content of [`SERVING`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) url: String,
    /// Where people reach it, if not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_url: Option<String>,
}

/// The engine, here or there.
pub(crate) enum Door {
    Here(Box<Site>),
    There { url: String, token: String },
}

/// As whom a request without a signature is made.
#[derive(Clone, Copy)]
pub(crate) enum As {
    Admin,
    Engine,
}

impl Door {
    pub(crate) async fn open(dir: &Path) -> Result<Self, Failure> {
        match Site::open(dir).await {
            Ok(site) => Ok(Self::Here(Box::new(site))),
            Err(e) => match Self::there(dir) {
                Some(door) if is_locked(dir) => Ok(door),
                _ => Err(e),
            },
        }
    }

    fn there(dir: &Path) -> Option<Self> {
        let text = std::fs::read(dir.join(SERVING)).ok()?;
        let serving: Serving = serde_json::from_slice(&text).ok()?;
        let token = secret::read_secret(&dir.join(LOCAL_TOKEN)).ok()?;
        Some(Self::There {
            url: serving.url,
            token: String::from_utf8_lossy(&token).trim().to_owned(),
        })
    }

    /// Asks as a local service; a signed request needs nobody's name.
    pub(crate) async fn submit(
        &self,
        speaker: As,
        request: Request,
    ) -> Result<Vec<Record>, Failure> {
        match self {
            Self::Here(site) => {
                let seat = signer(&request).unwrap_or_else(|| match speaker {
                    As::Admin => Seat::admin(),
                    As::Engine => Seat::engine(),
                });
                Ok(site.engine.submit(&seat, request).await?)
            }
            Self::There { url, token } => {
                let name = match speaker {
                    As::Admin => engine::ADMIN,
                    As::Engine => engine::ENGINE,
                };
                let sent = Sent {
                    speaks_as: Some(name.to_owned()),
                    request,
                };
                let body = serde_json::to_vec(&sent).map_err(Failure::usage)?;
                let answer = fetch(Some(&body), &format!("{url}/v1/requests"), token)?;
                let records = answer.get("records").and_then(Value::as_array).cloned();
                records
                    .unwrap_or_default()
                    .iter()
                    .map(|r| {
                        Record::from_bytes_unchecked(r.to_string().as_bytes())
                            .map_err(Failure::unavailable)
                    })
                    .collect()
            }
        }
    }

    pub(crate) fn docket(&self) -> Result<Vec<Waiting>, Failure> {
        match self {
            Self::Here(site) => Ok(site.engine.docket()),
            Self::There { url, token } => {
                let (mut docket, mut cursor) = (Vec::new(), String::new());
                loop {
                    let page = format!("{url}/v1/approvals?limit=200{cursor}");
                    let answer = fetch(None, &page, token)?;
                    let items: Vec<Waiting> = serde_json::from_value(answer["items"].clone())
                        .map_err(Failure::unavailable)?;
                    docket.extend(items);
                    match answer["next"].as_str() {
                        Some(next) => cursor = format!("&cursor={next}"),
                        None => return Ok(docket),
                    }
                }
            }
        }
    }

    pub(crate) fn waiting(&self, id: &ItemId) -> Result<Waiting, Failure> {
        match self {
            Self::Here(site) => site.engine.waiting(id).ok_or_else(|| nothing_waits(id)),
            Self::There { url, token } => {
                let answer = fetch(None, &format!("{url}/v1/approvals/{id}"), token)?;
                serde_json::from_value(answer).map_err(Failure::unavailable)
            }
        }
    }

    /// Lets agents go on where this process is the one that can make them.
    pub(crate) async fn go_on(&self) -> Result<(), Failure> {
        match self {
            Self::Here(site) => site.advance(site.movable(), |_, _| {}).await,
            Self::There { .. } => Ok(()),
        }
    }

    /// Publishes the rest before the process ends.
    pub(crate) fn close(self) -> Result<(), Failure> {
        match self {
            Self::Here(site) => site.close(),
            Self::There { .. } => Ok(()),
        }
    }
}

fn nothing_waits(id: &ItemId) -> Failure {
    Failure::usage(format!(
        "no approval `{id}` waits; `approval list` shows those that do"
    ))
}

fn is_locked(dir: &Path) -> bool {
    let Ok(guards) = crate::site::guards() else {
        return false;
    };
    matches!(
        store::DataDir::open(dir, &guards),
        Err(StoreError::Locked { .. })
    )
}

fn signer(request: &Request) -> Option<Seat> {
    let (principal, credential) = request.signer()?;
    Some(Seat {
        principal: principal.clone(),
        credential: credential.clone(),
    })
}

fn fetch(body: Option<&[u8]>, url: &str, token: &str) -> Result<Value, Failure> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(60)))
            .build(),
    );
    let bearer = format!("Bearer {token}");
    let away = |e: ureq::Error| Failure::unavailable(format!("the server at {url}: {e}"));
    let mut answer = match body {
        Some(body) => agent
            .post(url)
            .header("authorization", &bearer)
            .header("content-type", "application/json")
            .send(body),
        None => agent.get(url).header("authorization", &bearer).call(),
    }
    .map_err(away)?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().map_err(away)?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let detail = value["detail"].as_str().unwrap_or(&text).to_owned();
    match status {
        200..=299 => Ok(value),
        403 => Err(Failure::refused(detail)),
        400 | 404 | 413 => Err(Failure::usage(detail)),
        _ => Err(Failure::unavailable(detail)),
    }
}
