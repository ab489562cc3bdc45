//! A language model's endpoint, or another one, that answers as the test says, over real HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
    /// The connection ends before the answer.
    pub(crate) hang_up: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            after: Duration::ZERO,
            hang_up: false,
        }
    }
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

/// What a model says, whatever the form.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// Calls by name and arguments.
    Call(&'static str, Value),
    /// Several.
    Calls(Vec<(&'static str, Value)>),
    /// Words.
    Prose(&'static str),
    /// As it is.
    Raw(Reply),
    /// A call under another model's name.
    As(&'static str, &'static str, Value),
}

type Mind = Box<dyn FnMut(&Seen) -> Says + Send>;

/// The endpoint.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    pub(crate) fn thinking(mind: impl FnMut(&Seen) -> Says + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), mind)
    }

    pub(crate) fn at(
        listener: TcpListener,
        mind: impl FnMut(&Seen) -> Says + Send + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let mind: Arc<Mutex<Mind>> = Arc::new(Mutex::new(Box::new(mind)));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mind, noted) = (Arc::clone(&mind), Arc::clone(&noted));
                std::thread::spawn(move || serve(stream.unwrap(), &mind, &noted));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, mind: &Mutex<Mind>, noted: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 0 {
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let mut headers = Vec::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let (name, value) = (name.to_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().unwrap();
            }
            headers.push((name, value));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let seen = Seen {
            path,
            headers,
            body,
        };
        noted.lock().unwrap().push(seen.clone());
        let reply = match (mind.lock().unwrap())(&seen) {
            Says::Raw(reply) => reply,
            says => worded(&seen, says),
        };
        std::thread::sleep(reply.after);
        if reply.hang_up {
            return;
        }
        let mut text = format!(
            "HTTP/1.1 {} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&reply.body);
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

/// In the form of the path that was asked.
fn worded(seen: &Seen, says: Says) -> Reply {
    let model = seen.body["model"].as_str().unwrap().to_owned();
    let (model, calls, prose) = match says {
        Says::Raw(_) => unreachable!("sent as it is"),
        Says::Call(name, arguments) => (model, vec![(name, arguments)], None),
        Says::Calls(calls) => (model, calls, None),
        Says::As(model, name, arguments) => (model.to_owned(), vec![(name, arguments)], None),
        Says::Prose(words) => (model, Vec::new(), Some(words)),
    };
    let body = if seen.path.ends_with("/messages") {
        let mut content: Vec<Value> = prose
            .into_iter()
            .map(|words| json!({"type": "text", "text": words}))
            .collect();
        content.extend(calls.iter().enumerate().map(|(i, (name, input))| {
            json!({"type": "tool_use", "id": format!("t{i}"), "name": name, "input": input})
        }));
        json!({
            "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": if calls.is_empty() { "end_turn" } else { "tool_use" },
            "usage": {"input_tokens": 100, "output_tokens": 10},
        })
    } else {
        let calls: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(i, (name, arguments))| {
                json!({
                    "id": format!("t{i}"), "type": "function",
                    "function": {"name": name, "arguments": arguments.to_string()},
                })
            })
            .collect();
        json!({
            "object": "chat.completion", "model": model,
            "choices": [{
                "index": 0,
                "finish_reason": if calls.is_empty() { "stop" } else { "tool_calls" },
                "message": {"role": "assistant", "content": prose, "tool_calls": calls},
            }],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        })
    };
    Reply::new(200, body.to_string())
}
