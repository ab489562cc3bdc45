//! Target systems: MCP servers, each a child process or reached by streamable HTTP.
//!
//! What matters here is honesty about the unknown: once a request was handed to the connection, only an answer from the
//! server says what happened. Everything else after that point is [`Answer::Lost`], even where it is likely that the
//! server never read the request.
//!
//! How a server describes its tools is asked anew on each connection, when the server says that it changed, and when the
//! last look is too long ago: what a release pins is compared with it ([`Target::describe`]).

mod catalogue;
mod child;
mod connection;
mod remote;
mod secrets;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use duty::canonical::Digest;
use engine::target::{Answer, BoxFuture, Target};
use policy::Pin;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tracing::{info, warn};

use catalogue::Offers;
use connection::Connection;

pub use child::Launch;
pub use remote::{Remote, Tls};
pub use secrets::SHORTEST as SHORTEST_SECRET;

/// Where a target system is.
#[derive(Clone)]
pub enum Place {
    /// A child process that speaks MCP over its stdin and stdout.
    Child(Launch),
    /// A server that speaks streamable HTTP.
    Remote(Remote),
}

impl Place {
    /// As it is logged: without arguments, which may say more than an operator's log should hold.
    fn shown(&self) -> String {
        match self {
            Self::Child(launch) => launch.program.display().to_string(),
            Self::Remote(remote) => {
                let url = reqwest::Url::parse(&remote.url).ok();
                let origin = url.map(|url| url.origin().ascii_serialization());
                origin.unwrap_or_default()
            }
        }
    }
}

/// How long a target system is waited for, and how long its word counts.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long to wait for the greeting on a new connection, and then for each answer.
    pub timeout: Duration,
    /// How old a description of its tools may be when a call is compared with it.
    pub recheck: Duration,
}

/// A target system, connected at the first call and again after its connection ended.
///
/// Calls may run at the same time; they share one connection. A child is killed when this is dropped.
pub struct Upstream {
    place: Place,
    patience: Patience,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Upstream {
    /// Prepares a target; nothing is started or sent yet.
    #[must_use]
    pub fn new(place: Place, patience: Patience) -> Self {
        Self {
            place,
            patience,
            connection: Mutex::new(None),
        }
    }

    /// What the server offers now, by the tools' names there.
    ///
    /// # Errors
    /// Why it does not say.
    pub async fn offers(&self) -> Result<BTreeMap<String, Pin>, String> {
        let (_, offers) = self.looked().await?;
        let pins = offers.iter();
        Ok(pins
            .map(|(name, offer)| (name.clone(), offer.pin.clone()))
            .collect())
    }

    /// The live connection, a new one where there is none.
    async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && connection.is_open()
        {
            return Ok(Arc::clone(connection));
        }
        // Drop the dead one first, so that its child is gone before the next one opens the same files.
        *slot = None;
        let place = self.place.shown();
        // In a task of its own: what a connection leaves running must not keep the span of the first call open.
        let (to, patience) = (self.place.clone(), self.patience.timeout);
        let opening = tokio::spawn(async move { Connection::open(&to, patience).await });
        let opened = opening
            .await
            .map_err(|e| format!("opening it ended badly: {e}"))?;
        let connection =
            Arc::new(opened.inspect_err(|_| warn!(place, "a target cannot be reached"))?);
        info!(place, "a target is connected");
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Takes `connection` out of use. Calls that still run on it keep it, and its child, until they end.
    async fn retire(&self, connection: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            *slot = None;
        }
    }

    /// A connection with what its server offers. Looking has no effect, so that it is tried again where an old connection
    /// has ended unseen.
    async fn looked(&self) -> Result<(Arc<Connection>, Arc<Offers>), String> {
        let mut again = true;
        loop {
            let connection = self.connection().await?;
            match connection.catalogue(self.patience).await {
                Ok(catalogue) => return Ok((connection, catalogue)),
                Err(why) => {
                    self.retire(&connection).await;
                    if !again {
                        return Err(why);
                    }
                    again = false;
                }
            }
        }
    }

    async fn send(
        &self,
        connection: &Arc<Connection>,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Answer {
        let answer = connection
            .call(tool, arguments, self.patience.timeout)
            .await;
        if matches!(answer, Answer::Lost(_) | Answer::NotSent(_)) || connection.has_ended() {
            self.retire(connection).await;
        }
        answer
    }
}

impl Target for Upstream {
    fn call<'a>(&'a self, tool: &'a str, arguments: Map<String, Value>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            // A session that a server has ended unseen is found out by a question that has no effect, not by the call.
            let connection = match self.connection().await {
                Ok(connection) if connection.is_idle() => self.looked().await.map(|(c, _)| c),
                other => other,
            };
            match connection {
                Ok(connection) => self.send(&connection, tool, arguments).await,
                Err(problem) => Answer::NotSent(problem),
            }
        })
    }

    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Option<Digest>, String>> {
        Box::pin(async move {
            let (_, catalogue) = self.looked().await?;
            Ok(catalogue.get(tool).map(|offer| offer.digest))
        })
    }

    fn call_described<'a>(
        &'a self,
        tool: &'a str,
        described: Digest,
        arguments: Map<String, Value>,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let (connection, catalogue) = match self.looked().await {
                Ok(looked) => looked,
                Err(problem) => return Answer::NotSent(problem),
            };
            if catalogue.get(tool).map(|offer| offer.digest) != Some(described) {
                return Answer::NotSent(format!(
                    "the server describes `{tool}` otherwise since it was looked at"
                ));
            }
            self.send(&connection, tool, arguments).await
        })
    }
}

#[cfg(test)]
mod tests;
