//! What a server says of its tools.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use duty::canonical::Digest;
use policy::Pin;
use rmcp::{
    ClientHandler, RoleClient,
    model::{ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool},
    service::{NotificationContext, PeerRequestOptions, RunningService},
};
use serde_json::{Map, Value};

use super::secrets::Secrets;

/// Hears that the tools changed.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<AtomicBool>);

impl ClientHandler for Watch {
    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A tool as its server describes it.
pub(super) struct Offer {
    pub(super) pin: Pin,
    /// Of the pin: each call asks for it.
    pub(super) digest: Digest,
}

/// Tools by their names.
pub(super) type Offers = BTreeMap<String, Offer>;

/// The last look.
#[derive(Default)]
pub(super) struct Catalogue {
    seen: Option<(Instant, Arc<Offers>)>,
}

impl Catalogue {
    /// What the server offers, asked again where the last look is older than `recheck` or the server said that it changed.
    pub(super) async fn look(
        &mut self,
        service: &RunningService<RoleClient, Watch>,
        secrets: &Secrets,
        timeout: Duration,
        recheck: Duration,
    ) -> Result<Arc<Offers>, String> {
        // Taken before asking: what changes meanwhile is asked again.
        let changed = service.service().0.swap(false, Ordering::AcqRel);
        if let Some((at, tools)) = &self.seen
            && !changed
            && at.elapsed() < recheck
        {
            return Ok(Arc::clone(tools));
        }
        self.seen = None;
        let tools = Arc::new(list(service, secrets, timeout).await?);
        self.seen = Some((Instant::now(), Arc::clone(&tools)));
        Ok(tools)
    }
}

/// Asks the server itself: the library's own listing would answer from what the server once said to be good for years.
async fn list(
    service: &RunningService<RoleClient, Watch>,
    secrets: &Secrets,
    timeout: Duration,
) -> Result<Offers, String> {
    let mut tools = Offers::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let mut params = PaginatedRequestParams::default();
        params.cursor = cursor;
        let request = ListToolsRequest {
            params: Some(params),
            ..Default::default()
        };
        let options = PeerRequestOptions::with_timeout(timeout);
        let request = ClientRequest::ListToolsRequest(request);
        let handle = service.send_cancellable_request(request, options).await;
        let answer = handle.map_err(|e| e.to_string())?.await_response().await;
        let page = match answer.map_err(|e| format!("it does not list its tools: {e}"))? {
            ServerResult::ListToolsResult(page) => page,
            _ => return Err("it does not list its tools".to_owned()),
        };
        for tool in page.tools {
            let pin = pin(tool)?;
            // A pin becomes a file of a release, and so of the log.
            if secrets.are_in(&pin.to_text()) {
                return Err(format!(
                    "what it says of `{}` holds a secret that it was given",
                    pin.name
                ));
            }
            let digest = pin.digest();
            if let Some(twice) = tools.insert(pin.name.clone(), Offer { pin, digest }) {
                return Err(format!("it lists `{}` twice", twice.pin.name));
            }
            if tools.len() > MOST_TOOLS {
                return Err(format!("it lists more than {MOST_TOOLS} tools"));
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(tools);
        }
    }
    Err(format!(
        "it lists its tools on more than {MOST_PAGES} pages"
    ))
}

/// A tool by what is pinned of it.
fn pin(tool: Tool) -> Result<Pin, String> {
    let annotations = tool.annotations.map(serde_json::to_value).transpose();
    let annotations = match annotations.map_err(|e| e.to_string())? {
        Some(Value::Object(hints)) => Some(hints),
        _ => None,
    };
    let own = |schema: Arc<Map<String, Value>>| Arc::unwrap_or_clone(schema);
    Ok(Pin {
        name: tool.name.into_owned(),
        title: tool.title,
        description: tool.description.map(|d| d.into_owned()),
        input_schema: own(tool.input_schema),
        output_schema: tool.output_schema.map(own),
        annotations,
    })
}

const MOST_PAGES: usize = 100;
const MOST_TOOLS: usize = 10_000;
