//! A log behind a plain web server is verified as one on disk is.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::PathBuf,
    thread,
};

use evidence::{ReperformOptions, open, reperform, verify};

use crate::world::{World, log_key};

/// Serves the files under `root` to whoever asks, until the process ends; returns its URL.
fn serve(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|l| !l.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) if path.contains("broken") => ("500 Broken", Vec::new()),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

#[test]
fn a_mirror_is_verified_and_re_performed() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let url = serve(dir.path().join("log"));
    let source = open(&url).unwrap();
    let vkey = log_key().verifier().vkey();
    let report = verify(&*source, &vkey, None, None).unwrap();
    assert_eq!(report.size, world.records.len() as u64);
    assert_eq!(
        reperform(&*source, &ReperformOptions::default())
            .unwrap()
            .records,
        report.size
    );
    let bundle = fs::read_dir(dir.path().join("log/tile/entries"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    fs::remove_dir_all(bundle.path()).unwrap();
    let fault = verify(&*source, &vkey, None, None).unwrap_err();
    assert!(
        !fault.unreadable && fault.why.contains("missing"),
        "{fault}"
    );
    // A server that does not answer says nothing against the log.
    let broken = open(&format!("{url}/broken")).unwrap();
    let fault = verify(&*broken, &vkey, None, None).unwrap_err();
    assert!(fault.unreadable && fault.why.contains("500"), "{fault}");
}
