//! Load: MCP over HTTP/1.1, one connection each, with as little of its own as possible.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::Result;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client, connected.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    used: Instant,
    head: String,
    read: String,
    write: String,
    /// What its calls say of themselves.
    meta: String,
    /// Of messages, and so of items: no two writes are the same.
    next: u64,
    number: u64,
}

impl Client {
    /// Connects, and greets. `read` and `write` are the tools' names there.
    pub(crate) async fn connect(
        url: &str,
        token: Option<&str>,
        read: &str,
        write: &str,
    ) -> Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let rest = url.strip_prefix("http://").ok_or("an address of http")?;
        let (host, path) = rest.split_once('/').ok_or("an address with a path")?;
        let bearer = token.map_or(String::new(), |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Each works on something of its own.
        let meta = token.map_or(String::new(), |_| {
            format!(r#","_meta":{{"counterfoil/subject":"subject-{number}"}}"#)
        });
        let mut client = Self {
            stream: open(host).await?,
            host: host.to_owned(),
            used: Instant::now(),
            head: format!(
                "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
                 accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n{bearer}"
            ),
            read: read.to_owned(),
            write: write.to_owned(),
            next: 0,
            meta,
            number,
        };
        let (_, session) = client.post(GREETING).await?;
        if let Some(session) = session {
            client
                .head
                .push_str(&format!("mcp-session-id: {session}\r\n"));
        }
        client
            .post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .await?;
        Ok(client)
    }

    /// Reads or writes an item, and checks that it was done.
    async fn call(&mut self, effect: bool) -> Result<()> {
        self.next += 1;
        let item = format!("item-{}-{}", self.number, self.next);
        let tool = if effect { &self.write } else { &self.read };
        let tool = tool.clone();
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"item":"{item}"}}{}}}}}"#,
            self.next, self.meta
        );
        let (answer, _) = self.post(&message).await?;
        let done = if effect {
            "\"written\":true"
        } else {
            "seventeen"
        };
        // Some gateways answer with text in place of what is structured.
        let plain = answer.replace("\\\"", "\"").replace(": ", ":");
        if plain.contains(&item) && plain.contains(done) {
            return Ok(());
        }
        Err(format!("`{tool}` was not done: {answer}").into())
    }

    /// Connects anew where the server may have closed what was idle.
    async fn wake(&mut self) -> Result<()> {
        if self.used.elapsed() > IDLE {
            self.stream = open(&self.host).await?;
        }
        Ok(())
    }

    /// Posts a message; the answer's body, and the session that the server names.
    async fn post(&mut self, message: &str) -> Result<(String, Option<String>)> {
        match tokio::time::timeout(PATIENCE, self.exchange(message)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs()).into()),
        }
    }

    async fn exchange(&mut self, message: &str) -> Result<(String, Option<String>)> {
        let length = message.len();
        let request = format!("{}content-length: {length}\r\n\r\n{message}", self.head);
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let status = self.line().await?;
        let (mut length, mut chunked, mut session) = (0, false, None);
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => length = value.parse()?,
                ("transfer-encoding", "chunked") => chunked = true,
                ("mcp-session-id", value) => session = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        while chunked {
            let size = usize::from_str_radix(&self.line().await?, 16)?;
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..]).await?;
            self.line().await?;
            chunked = size > 0;
        }
        self.used = Instant::now();
        let body = String::from_utf8(body)?;
        match status.split(' ').nth(1) {
            Some("200" | "202") => Ok((body, session)),
            _ => Err(format!("{status}: {body}").into()),
        }
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err("the connection was closed".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

async fn open(host: &str) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// Some servers close a connection that was idle for five seconds.
const IDLE: Duration = Duration::from_secs(3);

const GREETING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;

/// When clients call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each one after the other's answer.
    Eager,
    /// So often a second all together, in turn, whatever the answers take. What a call takes is counted from when it was due,
    /// so that one that waits for a late answer is late itself.
    Steady(u32),
}

/// Has the clients call, `calls` in all.
pub(crate) async fn drive(
    clients: &mut [Client],
    calls: usize,
    effect: bool,
    pace: Pace,
) -> Result<Times> {
    let count = clients.len().max(1);
    let each = calls.div_ceil(count);
    for client in &mut *clients {
        client.wake().await?;
    }
    let began = Instant::now();
    let running = clients
        .iter_mut()
        .enumerate()
        .map(|(n, client)| async move {
            let mut times = Vec::with_capacity(each);
            for round in 0..each {
                let due = match pace {
                    Pace::Eager => Instant::now(),
                    Pace::Steady(rate) => {
                        let place = (round * count + n) as f64 / f64::from(rate);
                        let due = began + Duration::from_secs_f64(place);
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                };
                client.call(effect).await?;
                times.push(due.elapsed());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
        });
    let times = futures_util::future::try_join_all(running).await?;
    Ok(Times::of(times.concat(), began.elapsed()))
}

/// How long calls took.
pub(crate) struct Times {
    sorted: Vec<Duration>,
    elapsed: Duration,
}

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>, elapsed: Duration) -> Self {
        times.sort_unstable();
        Self {
            sorted: times,
            elapsed,
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.sorted.extend(other.sorted);
        self.sorted.sort_unstable();
        self.elapsed += other.elapsed;
    }

    pub(crate) fn at(&self, part: f64) -> Duration {
        let place = (self.sorted.len() as f64 * part) as usize;
        let last = self.sorted.len().saturating_sub(1);
        self.sorted
            .get(place.min(last))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.sorted.len() as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (p50), {} (p99)",
            spell(self.at(0.5)),
            spell(self.at(0.99))
        )
    }
}

/// In three digits, about.
pub(crate) fn spell(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        _ => format!("{:.2} ms", micros / 1e3),
    }
}
