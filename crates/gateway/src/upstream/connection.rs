//! One connection: an MCP session, and what is behind it.

use std::{
    sync::{
        Arc, Mutex as SyncMutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine::target::Answer;
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{
        CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ProtocolVersion,
        RequestMetaObject, ServerResult,
    },
    service::{ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RunningService},
};
use serde_json::{Map, Value, json};
use telemetry::{context, span};
use tokio::{process::Child, sync::Mutex, time::timeout};
use tracing::Instrument as _;

use super::{
    Patience, Place,
    catalogue::{Catalogue, Offers, Watch},
    child::Tail,
    remote,
    secrets::Secrets,
};

pub(super) struct Connection {
    service: RunningService<RoleClient, Watch>,
    catalogue: Mutex<Catalogue>,
    secrets: Secrets,
    /// Where it is a server elsewhere: when it answered last.
    answered: Option<SyncMutex<Instant>>,
    /// A session that its server has ended.
    ended: AtomicBool,
    errors: Option<Tail>,
    /// Killed when dropped.
    _child: Option<Child>,
}

impl Connection {
    /// Starts or reaches the server, and greets it.
    pub(super) async fn open(place: &Place, patience: Duration) -> Result<Self, String> {
        match place {
            Place::Child(launch) => {
                let secrets = Secrets::of(launch.env.iter().map(|(_, value)| value.as_str()));
                let name = launch.program.display();
                let started = launch.start();
                let (child, pipes, errors) =
                    started.map_err(|e| secrets.hide(&format!("{e}; nothing was sent")))?;
                let why = match timeout(patience, Watch::default().serve(pipes)).await {
                    Ok(Ok(service)) => {
                        return Ok(Self {
                            errors: Some(errors),
                            _child: Some(child),
                            answered: None,
                            ..Self::of(service, secrets)
                        });
                    }
                    Ok(Err(e)) => format!("did not greet as an MCP server: {e}"),
                    Err(_) => format!("did not greet within {} ms", patience.as_millis()),
                };
                let said = errors.quote().await;
                Err(secrets.hide(&format!("`{name}` {why}; nothing was sent{said}")))
            }
            Place::Remote(server) => {
                let values = server.headers.iter();
                let values = values.filter_map(|(_, value)| value.to_str().ok());
                let asked = server.query();
                let secrets = Secrets::of(values.chain(asked.iter().map(String::as_str)));
                let mode = ClientLifecycleMode::Auto {
                    preferred_versions: vec![ProtocolVersion::STANDARD_HEADERS],
                    legacy_version: None,
                };
                let transport = server.transport().map_err(|why| secrets.hide(&why))?;
                let greeting = Watch::default().serve_with_lifecycle(transport, mode);
                let why = match timeout(patience, greeting).await {
                    Ok(Ok(service)) => return Ok(Self::of(service, secrets)),
                    Ok(Err(e)) => remote::why_not_greeted(&e),
                    Err(_) => format!("it did not greet within {} ms", patience.as_millis()),
                };
                Err(secrets.hide(&format!("`{}`: {why}; nothing was sent", server.url)))
            }
        }
    }

    fn of(service: RunningService<RoleClient, Watch>, secrets: Secrets) -> Self {
        Self {
            service,
            catalogue: Mutex::default(),
            secrets,
            answered: Some(SyncMutex::new(Instant::now())),
            ended: AtomicBool::new(false),
            errors: None,
            _child: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.has_ended() && !self.service.is_closed() && !self.service.is_transport_closed()
    }

    /// Whether its server said that the session is over.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether so much time went by that a server elsewhere may have forgotten the session.
    pub(super) fn is_idle(&self) -> bool {
        let answered = self.answered.as_ref();
        answered.is_some_and(|at| {
            let at = at.lock().unwrap_or_else(PoisonError::into_inner);
            at.elapsed() >= IDLE
        })
    }

    /// What the server offers.
    pub(super) async fn catalogue(&self, patience: Patience) -> Result<Arc<Offers>, String> {
        let mut catalogue = self.catalogue.lock().await;
        // An idle session is asked whatever was seen.
        let recheck = if self.is_idle() {
            Duration::ZERO
        } else {
            patience.recheck
        };
        let tools = catalogue
            .look(&self.service, &self.secrets, patience.timeout, recheck)
            .await;
        match tools {
            Ok(tools) => {
                self.note_answer();
                Ok(tools)
            }
            Err(why) => Err(self.secrets.hide(&format!("{why}{}", self.quote().await))),
        }
    }

    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        patience: Duration,
    ) -> Answer {
        let over = if self._child.is_some() { "pipe" } else { "tcp" };
        let span = span::mcp_client(tool, over);
        let asked = self.ask(tool, arguments, patience);
        let answer = asked.instrument(span.clone()).await;
        match &answer {
            Answer::Succeed(_) => {}
            Answer::Fail(_) => span::failed(&span, "tool_error"),
            Answer::NotSent(_) => span::failed(&span, "not_sent"),
            Answer::Lost(_) => span::failed(&span, "lost"),
        }
        match answer {
            Answer::Fail(why) => Answer::Fail(self.secrets.hide(&why)),
            Answer::NotSent(why) => Answer::NotSent(self.secrets.hide(&why)),
            Answer::Lost(why) => Answer::Lost(self.secrets.hide(&why)),
            Answer::Succeed(value) => Answer::Succeed(self.secrets.hide_in(value)),
        }
    }

    async fn ask(&self, tool: &str, arguments: Map<String, Value>, patience: Duration) -> Answer {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let mut options = PeerRequestOptions::with_timeout(patience);
        if let Some(parent) = context::traceparent() {
            let mut meta = RequestMetaObject::default();
            meta.set_traceparent(parent);
            options.meta = Some(meta);
        }
        // An error here means that the session's loop had ended and never took the request.
        let handle = match self
            .service
            .send_cancellable_request(request, options)
            .await
        {
            Ok(handle) => handle,
            Err(e) => {
                return Answer::NotSent(format!(
                    "the target's connection was closed before `{tool}` was sent: {e}"
                ));
            }
        };
        // The session gives up at `patience` and tells the server so; a child that does not even read its stdin could block
        // that message, hence the second, later limit.
        let Ok(response) = timeout(patience + GRACE, handle.await_response()).await else {
            return Answer::Lost(format!(
                "no answer to `{tool}` in time; it may have been carried out"
            ));
        };
        match response {
            Ok(ServerResult::CallToolResult(result)) => {
                self.note_answer();
                read(result)
            }
            Ok(ServerResult::InputRequiredResult(_)) => Answer::Fail(format!(
                "`{tool}` asked for further input, which no agent may give"
            )),
            Ok(_) => Answer::Lost(format!(
                "`{tool}` answered with something other than a tool's result"
            )),
            Err(ServiceError::McpError(e)) => Answer::Fail(e.to_string()),
            Err(e) => {
                if let Some(known) = remote::known(&e) {
                    self.ended.store(true, Ordering::Release);
                    return known;
                }
                Answer::Lost(format!(
                    "no answer to `{tool}`: {e}; it may have been carried out{}",
                    self.quote().await
                ))
            }
        }
    }

    fn note_answer(&self) {
        if let Some(at) = &self.answered {
            *at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    async fn quote(&self) -> String {
        match &self.errors {
            Some(tail) => tail.quote().await,
            None => String::new(),
        }
    }

    /// The child's process, where there is one.
    #[cfg(test)]
    pub(super) fn child(&self) -> Option<u32> {
        self._child.as_ref()?.id()
    }
}

fn read(result: CallToolResult) -> Answer {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect();
    let text = texts.join("\n");
    if result.is_error == Some(true) {
        return Answer::Fail(match (text.is_empty(), result.structured_content) {
            (true, Some(value)) => value.to_string(),
            (true, None) => "the tool failed without a reason".to_owned(),
            (false, _) => text,
        });
    }
    if let Some(value) = result.structured_content {
        return Answer::Succeed(value);
    }
    // Images, sounds and resources have no text: they stay what they are.
    if texts.len() < result.content.len() {
        return match serde_json::to_value(&result.content) {
            Ok(content) => Answer::Succeed(json!({ "content": content })),
            Err(e) => Answer::Fail(format!("the answer's content is no JSON: {e}")),
        };
    }
    Answer::Succeed(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

const GRACE: Duration = Duration::from_secs(1);

/// A server that restarts forgets its sessions; most clients of one talk to it again within this.
const IDLE: Duration = Duration::from_secs(5);
