//! A client on one side, a server that answers as it is told to on the other.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::HeaderMap as Headers,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use super::*;

/// What the server heard: its headers and the message.
type Heard = Arc<Mutex<Vec<(Headers, Value)>>>;

async fn answer(State(heard): State<Heard>, headers: Headers, body: String) -> Response {
    let message: Value = serde_json::from_str(&body).unwrap_or_default();
    heard.lock().unwrap().push((headers, message.clone()));
    let id = &message["id"];
    let result = json!({"jsonrpc": "2.0", "id": id, "result": {"heard": message["method"]}});
    let events = |text: String| ([("content-type", "text/event-stream")], text).into_response();
    let told = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}});
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => axum::Json(
            json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25"}}),
        )
        .into_response(),
        "notifications/initialized" => StatusCode::ACCEPTED.into_response(),
        "pretty" => serde_json::to_string_pretty(&result)
            .unwrap()
            .into_response(),
        "events" => events(format!(": hello\n\ndata: {told}\n\ndata: {result}\n\n")),
        "half" => events(format!("data: {told}\n\n")),
        "nobody" => {
            let problem = json!({"detail": "the credential is not known"}).to_string();
            (StatusCode::UNAUTHORIZED, problem).into_response()
        }
        "nameless" => {
            let error =
                json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}});
            (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
        }
        "broken" => {
            let pieces = [Ok("{\"jsonrpc\":"), Err(io::Error::other("gone"))];
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        _ => axum::Json(result).into_response(),
    }
}

struct Client {
    heard: Heard,
    to: WriteHalf<DuplexStream>,
    from: Lines<BufReader<ReadHalf<DuplexStream>>>,
    bridge: tokio::task::JoinHandle<io::Result<()>>,
}

impl Client {
    async fn new() -> Self {
        let heard = Heard::default();
        let app = Router::new().route("/mcp/staging", post(answer));
        let app = app.with_state(Arc::clone(&heard));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut client = Self::of(&url);
        client.heard = heard;
        client
    }

    fn of(url: &str) -> Self {
        let staging = "staging".parse().unwrap();
        let token = || Ok("a-token".to_owned());
        let shown = Shown {
            token: Some(Box::new(token)),
            certificate: None,
        };
        let bridge = Bridge::new(url, Some(&staging), shown).unwrap();
        let (mine, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let bridge = tokio::spawn(bridge.run(BufReader::new(input), output));
        let (from, to) = tokio::io::split(mine);
        Self {
            heard: Heard::default(),
            to,
            from: BufReader::new(from).lines(),
            bridge,
        }
    }

    async fn say(&mut self, text: &str) {
        self.to.write_all(text.as_bytes()).await.unwrap();
        self.to.write_all(b"\n").await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.from.next_line());
        serde_json::from_str(&line.await.unwrap().unwrap().unwrap()).unwrap()
    }

    async fn ask(&mut self, method: &str) -> Value {
        let ask = json!({"jsonrpc": "2.0", "id": method, "method": method});
        self.say(&ask.to_string()).await;
        self.hear().await
    }
}

#[tokio::test]
async fn messages_go_there_and_back_and_every_request_is_answered() {
    let mut client = Client::new().await;
    assert_eq!(
        client.ask("initialize").await["result"]["protocolVersion"],
        "2025-11-25"
    );
    client
        .say(r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#)
        .await;
    client.say("").await;
    assert_eq!(client.ask("pretty").await["result"]["heard"], "pretty");
    assert_eq!(
        client.ask("events").await["method"],
        "notifications/progress"
    );
    assert_eq!(client.hear().await["result"]["heard"], "events");
    assert_eq!(client.ask("half").await["method"], "notifications/progress");
    let error = |answer: &Value, id: &str, word: &str| {
        assert_eq!(answer["id"], id, "{answer}");
        let why = answer["error"]["message"].as_str().unwrap();
        assert!(why.contains(word) && !why.contains("a-token"), "{why}");
    };
    error(&client.hear().await, "half", "before it was whole");
    error(
        &client.ask("nobody").await,
        "nobody",
        "the credential is not known",
    );
    error(&client.ask("nameless").await, "nameless", "no");
    error(&client.ask("broken").await, "broken", "broke");
    client.say("{\"half\":").await;
    let answer = client.hear().await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&Value::Null, &json!(-32700))
    );
    let long = format!("\"{}\"", "x".repeat(lines::LONGEST));
    client.say(&long).await;
    assert_eq!(client.hear().await["error"]["code"], -32600);

    client.to.shutdown().await.unwrap();
    client.bridge.await.unwrap().unwrap();
    let heard = client.heard.lock().unwrap();
    assert!(
        heard
            .iter()
            .all(|(headers, _)| headers["authorization"] == "Bearer a-token")
    );
    let version = |n: usize| heard[n].0.get("mcp-protocol-version").cloned();
    assert_eq!(
        (version(0), heard[0].1["method"].as_str()),
        (None, Some("initialize"))
    );
    assert_eq!(version(2).unwrap(), "2025-11-25");
}

#[tokio::test]
async fn a_door_that_is_away_is_said_to_be() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let mut client = Client::of(&url);
    let answer = client.ask("ping").await;
    let why = answer["error"]["message"].as_str().unwrap();
    assert!(
        why.contains("cannot be reached") && why.contains("counterfoil serve"),
        "{why}"
    );
}

#[test]
fn a_token_goes_over_no_open_line() {
    let new = |url: &str| Bridge::new(url, None, Shown::default()).err();
    assert!(
        new("http://door.example/mcp")
            .unwrap()
            .contains("open line")
    );
    assert!(
        new("http://127.0.0.1:1/mcp?key=x")
            .unwrap()
            .contains("query")
    );
    assert!(
        new("https://a:b@door.example/mcp")
            .unwrap()
            .contains("password")
    );
    assert!(new("nowhere").is_some());
    assert!(new("https://door.example/mcp").is_none());
}
