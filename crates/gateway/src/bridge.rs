//! The bridge for clients that speak MCP over stdin and stdout: each of their messages goes to a door's address, and what comes
//! back goes to them.
//!
//! Messages pass as they are, in every date of the protocol: the bridge only mirrors into headers what the protocol wants there
//! (`message`). The door has no sessions, so nothing is lost where a server is started anew: what was under way then is answered
//! with an error that says so, and what comes later goes to the new one. Every request is answered, by the door or by the
//! bridge; output is whole messages, one a line.

mod lines;
mod message;

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use duty::{canonical::Digest, name::Environment};
use futures_util::StreamExt as _;
use reqwest::{
    StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value;
use sse_stream::SseStream;
use tokio::{
    io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc::{self, Sender},
    task::JoinSet,
};
use zeroize::Zeroizing;

use crate::upstream::{Remote, Tls};
use lines::Line;
use message::Message;

/// How many messages are under way at once; the door takes as many of one credential.
const AT_ONCE: usize = 256;
/// How long a door that does not listen is tried again: one that is started anew is back by then.
const AWAY: Duration = Duration::from_secs(5);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(250);
/// How long answers are waited for once the client has nothing more to say. Clients kill what stays longer than two seconds.
const LAST: Duration = Duration::from_millis(1500);
/// The longest answer that is taken, in bytes.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// The token, read when it is needed: it may be another one by then.
pub type Token = Box<dyn Fn() -> Result<String, String> + Send + Sync>;
/// The certificate of a client with those between it and its authority, and its key, in PEM; read so, too.
pub type Certificate = Box<dyn Fn() -> Result<Zeroizing<Vec<u8>>, String> + Send + Sync>;

/// What a bridge shows at the door, to be its agent there: one of them at least.
#[derive(Default)]
pub struct Shown {
    /// In each request.
    pub token: Option<Token>,
    /// To the connection, which is then over `https`.
    pub certificate: Option<Certificate>,
}

/// A bridge to one door.
pub struct Bridge {
    url: Url,
    remote: Remote,
    shown: Shown,
    http: Mutex<Http>,
    /// What `initialize` came to; clients of later dates say it with each message.
    version: Mutex<Option<String>>,
}

/// A client for requests, and the digest of the certificate that its connections show.
struct Http {
    client: reqwest::Client,
    certificate: Option<Digest>,
}

impl Bridge {
    /// A bridge to the door at `url`, for one environment where an agent works in several. Nothing is sent yet.
    ///
    /// # Errors
    /// In words, where the address is none, or would carry the token over an open line; and what is wrong with the certificate.
    pub fn new(url: &str, environment: Option<&Environment>, shown: Shown) -> Result<Self, String> {
        let mut url = url.trim_end_matches('/').to_owned();
        if let Some(environment) = environment {
            url = format!("{url}/{environment}");
        }
        let remote = Remote {
            headers: vec![(AUTHORIZATION, HeaderValue::from_static("Bearer"))],
            url,
            tls: Tls::default(),
        };
        remote.check().map_err(|why| format!("`--url` {why}"))?;
        let url = Url::parse(&remote.url).map_err(|e| format!("`--url` is no address: {e}"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(
                "`--url` is an address without a query, like `http://127.0.0.1:7878/mcp`"
                    .to_owned(),
            );
        }
        let http = Mutex::new(Http::new(&remote, shown.read()?.as_deref())?);
        Ok(Self {
            url,
            remote,
            shown,
            http,
            version: Mutex::default(),
        })
    }

    /// Carries messages until the input ends.
    ///
    /// # Errors
    /// Of the input or the output; not of the door, which the client is told of.
    pub async fn run(
        self,
        mut input: impl AsyncBufRead + Unpin,
        mut output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<()> {
        let (out, mut lines) = mpsc::channel::<Vec<u8>>(AT_ONCE);
        let mut writing = tokio::spawn(async move {
            while let Some(mut line) = lines.recv().await {
                line.push(b'\n');
                output.write_all(&line).await?;
                output.flush().await?;
            }
            Ok::<_, io::Error>(())
        });
        let bridge = Arc::new(self);
        let mut under_way = JoinSet::new();
        loop {
            let line = tokio::select! {
                line = lines::read(&mut input) => line?,
                // Nobody reads any more.
                ended = &mut writing => return ended.map_err(io::Error::other)?,
            };
            let message = match line {
                Line::End => break,
                Line::TooLong => {
                    let why = format!("a message has at most {} bytes", lines::LONGEST);
                    let _ = out.send(message::error(&Value::Null, -32600, &why)).await;
                    continue;
                }
                Line::Whole(line) => match Message::read(line) {
                    Ok(Some(message)) => message,
                    Ok(None) => continue,
                    Err(why) => {
                        let _ = out.send(message::error(&Value::Null, -32700, &why)).await;
                        continue;
                    }
                },
            };
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            let (bridge, out) = (Arc::clone(&bridge), out.clone());
            under_way.spawn(async move { bridge.carry(&message, &out).await });
        }
        let finish = async { while under_way.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST, finish).await;
        under_way.shutdown().await;
        drop(out);
        writing.await.map_err(io::Error::other)?
    }

    /// One message there, and what comes of it back. A request is answered whatever happens.
    async fn carry(&self, message: &Message, out: &Sender<Vec<u8>>) {
        let mut back = Back {
            bridge: self,
            message,
            out,
            answered: false,
        };
        let failed = match self.post(message).await {
            Ok(response) => back.take(response).await,
            Err(why) => Err(why),
        };
        let Some(id) = message.request() else { return };
        if back.answered {
            return;
        }
        let why = failed.err().unwrap_or_else(|| {
            "the server ended the answer before it was whole; what the call began goes on, and the same call is told what came of it"
                .to_owned()
        });
        let _ = out.send(message::error(id, -32000, &why)).await;
    }

    /// Sends a message. A door that cannot be reached is tried again for a while, since nothing was sent then.
    async fn post(&self, message: &Message) -> Result<reqwest::Response, String> {
        let since = Instant::now();
        loop {
            let http = self.http()?;
            let request = http.post(self.url.clone()).headers(self.headers(message)?);
            match request.body(message.text.clone()).send().await {
                Ok(response) => return Ok(response),
                Err(e) if e.is_connect() && since.elapsed() < AWAY => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(e) if e.is_connect() => {
                    return Err(format!(
                        "`{}` cannot be reached ({}); is `counterfoil serve` running there? call again",
                        self.url,
                        reasons(e)
                    ));
                }
                Err(e) => {
                    return Err(format!(
                        "the connection to `{}` broke ({}); what the call began goes on, and the same call is told what came of it",
                        self.url,
                        reasons(e)
                    ));
                }
            }
        }
    }

    /// The client; another one where the certificate is another by now.
    fn http(&self) -> Result<reqwest::Client, String> {
        let pem = self.shown.read()?;
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if pem.as_ref().map(|pem| Digest::of_bytes(pem)) != http.certificate {
            *http = Http::new(&self.remote, pem.as_deref())?;
        }
        Ok(http.client.clone())
    }

    fn headers(&self, message: &Message) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.shown.token {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token()?))
                .map_err(|_| "the token's file holds no token: it has other letters".to_owned())?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, both);
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        message.mirror(version.as_deref(), &mut headers);
        Ok(headers)
    }
}

impl Shown {
    /// The certificate as it is now.
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        self.certificate.as_ref().map(|read| read()).transpose()
    }

    /// Which options name what is shown.
    fn options(&self) -> &'static str {
        match (&self.token, &self.certificate) {
            (_, None) => "the file that `--token-file` names",
            (None, Some(_)) => "the certificate that `--certificate` names",
            (Some(_), Some(_)) => "the files that `--token-file` and `--certificate` name",
        }
    }
}

impl Http {
    fn new(remote: &Remote, pem: Option<&Vec<u8>>) -> Result<Self, String> {
        let remote = Remote {
            tls: Tls::new(None, pem.map(Vec::as_slice))?,
            ..remote.clone()
        };
        let client = remote
            .client(|client| {
                client
                    .connect_timeout(AWAY)
                    .tcp_keepalive(Duration::from_secs(30))
            })
            .map_err(|why| format!("`--url` {why}"))?;
        Ok(Self {
            client,
            certificate: pem.map(|pem| Digest::of_bytes(pem)),
        })
    }
}

/// The way back of what one message brings.
struct Back<'b> {
    bridge: &'b Bridge,
    message: &'b Message,
    out: &'b Sender<Vec<u8>>,
    /// Whether the message's own answer went out.
    answered: bool,
}

impl Back<'_> {
    /// Passes on all that a response holds; or says why it holds nothing to pass on.
    async fn take(&mut self, response: reqwest::Response) -> Result<(), String> {
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            let mut events = SseStream::from_bytes_stream(response.bytes_stream());
            while let Some(Ok(event)) = events.next().await {
                if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                    self.pass(data.as_bytes()).await;
                }
            }
            return Ok(());
        }
        let body = whole(response).await?;
        if self.pass(&body).await || (body.is_empty() && status.is_success()) {
            return Ok(());
        }
        Err(self.refusal(status, &body))
    }

    /// Passes a message of JSON-RPC on; says whether it is one.
    async fn pass(&mut self, text: &[u8]) -> bool {
        let Ok(mut value) = serde_json::from_slice::<Value>(text) else {
            return false;
        };
        if value.get("jsonrpc").is_none() {
            return false;
        }
        let mut line = message::one_line(text);
        if value.get("method").is_none() {
            // An answer. Where the door could not tell to what, it is to this.
            if value.get("id").is_none_or(Value::is_null)
                && let Some(id) = self.message.request()
            {
                value["id"] = id.clone();
                line = value.to_string().into_bytes();
            }
            self.answered |= value.get("id") == self.message.request();
            if self.message.is_initialize()
                && let Some(version) = value.pointer("/result/protocolVersion")
            {
                let mut known = self.bridge.version.lock();
                let known = known.as_mut().unwrap_or_else(|e| e.get_mut());
                **known = version.as_str().map(str::to_owned);
            }
        }
        let _nobody_reads = self.out.send(line).await;
        true
    }

    /// What a door says that does not answer in JSON-RPC.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> String {
        let problem = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("it says no more");
        let what_to_do = match status {
            StatusCode::UNAUTHORIZED => format!("; look at {}", self.bridge.shown.options()),
            StatusCode::NOT_FOUND => "; `--url` ends in `/mcp` as a rule".to_owned(),
            _ => String::new(),
        };
        format!(
            "`{}` answers {status}: {}{what_to_do}",
            self.bridge.url,
            detail.chars().take(1_000).collect::<String>()
        )
    }
}

async fn whole(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= LONGEST_ANSWER => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(format!("the answer has more than {LONGEST_ANSWER} bytes")),
            Err(e) => {
                return Err(format!(
                    "the answer broke off ({}); what the call began goes on, and the same call is told what came of it",
                    reasons(e)
                ));
            }
        }
    }
}

/// An error with its reasons.
fn reasons(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(e) = next {
        words.push(e.to_string());
        next = e.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests;
