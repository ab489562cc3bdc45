//! The accept loop under clients that take more than their share.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::rig::{Server, expect};

fn initialised() -> TempDir {
    let home = TempDir::new().unwrap();
    let dir = home.path().to_str().unwrap();
    expect(0, &["init", "--origin", "example.com/log", "--dir", dir]);
    home
}

fn connect(server: &Server) -> TcpStream {
    let at = server.url.strip_prefix("http://").unwrap();
    TcpStream::connect(at).unwrap()
}

/// Asks for the status; the beginning of the answer, or none where none comes within the patience.
fn ask(stream: &mut TcpStream, patience: Duration) -> Option<String> {
    let ask = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(ask).unwrap();
    hear(stream, patience)
}

fn hear(stream: &mut TcpStream, patience: Duration) -> Option<String> {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut piece = [0; 15];
    match stream.read_exact(&mut piece) {
        Ok(()) => Some(String::from_utf8_lossy(&piece).into_owned()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn connections_beyond_the_bound_wait_and_heads_are_bounded() {
    let dir = initialised();
    let server = Server::start_with(dir.path(), &["--connections", "2"]);
    let long = Duration::from_secs(20);
    let (mut one, two) = (connect(&server), connect(&server));
    assert_eq!(ask(&mut one, long).unwrap(), "HTTP/1.1 200 OK");
    let mut three = connect(&server);
    assert_eq!(
        ask(&mut three, Duration::from_millis(700)),
        None,
        "it waits"
    );
    drop(two);
    assert_eq!(hear(&mut three, long).unwrap(), "HTTP/1.1 200 OK");
    drop(three);
    let mut four = connect(&server);
    let head = format!("GET /v1/status HTTP/1.1\r\nHost: {}", "x".repeat(100_000));
    // It need not read what is more than it takes, and then its answer may be lost.
    let _ = four.write_all(head.as_bytes());
    four.set_read_timeout(Some(long)).unwrap();
    let mut said = Vec::new();
    match four.read_to_end(&mut said) {
        Ok(_) => assert!(
            said.starts_with(b"HTTP/1.1 431 "),
            "{}",
            said.escape_ascii()
        ),
        Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
    }
    server.stop();
}

#[test]
fn it_stops_while_clients_hold_on() {
    let dir = initialised();
    let server = Server::start(dir.path());
    let mut idle = connect(&server);
    let token = std::fs::read_to_string(dir.path().join("keys/local.token")).unwrap();
    let mut events = connect(&server);
    let head = format!(
        "GET /v1/approvals/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    events.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        hear(&mut events, Duration::from_secs(20)).unwrap(),
        "HTTP/1.1 200 OK"
    );
    idle.write_all(b"GET /v1/status HTTP/1.1\r\n").unwrap();
    let since = Instant::now();
    server.stop();
    assert!(since.elapsed() < Duration::from_secs(30));
    let mut rest = Vec::new();
    let _ = events.read_to_end(&mut rest);
}
