//! A log behind a plain web server is verified as one on disk is.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use evidence::{
    Fault, Opened, ReperformOptions, S3Access, VerifyOptions, VerifyReport, open, open_at, open_s3,
    reperform, verify, verify_with,
};
use ledger::Source as _;

use crate::world::{Invoice, World, log_key};

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
    // A full bundle is a file, the last one a directory.
    match bundle.path().is_dir() {
        true => fs::remove_dir_all(bundle.path()).unwrap(),
        false => fs::remove_file(bundle.path()).unwrap(),
    }
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

/// What a server does with the `n`th request for a path, with its query; none is a connection that breaks off.
type Serve = dyn Fn(u64, &str, &str) -> Option<(u16, Vec<u8>)> + Send + Sync;

/// A server that keeps connections; returns its URL and how many connections there were.
fn serve_by(serve: Box<Serve>) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (serve, counted) = (Arc::new(serve), Arc::clone(&connections));
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let (serve, requests) = (Arc::clone(&serve), Arc::clone(&requests));
            thread::spawn(move || connection(stream.unwrap(), &**serve, &requests));
        }
    });
    (url, connections)
}

fn connection(mut stream: TcpStream, serve: &Serve, requests: &AtomicU64) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
        let target = first.split(' ').nth(1).unwrap().trim_start_matches('/');
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let n = requests.fetch_add(1, Ordering::Relaxed);
        let Some((status, body)) = serve(n, path, query) else {
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} Said\r\nRetry-After: 0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        if stream.write_all(&body).is_err() {
            return;
        }
    }
}

fn file(root: &Path, path: &str) -> (u16, Vec<u8>) {
    fs::read(root.join(path)).map_or((404, b"NoSuchKey".to_vec()), |body| (200, body))
}

/// A log of a few bundles.
fn long(dir: &Path) -> World {
    let mut world = World::busy(dir);
    for n in 0..60 {
        world.judged(&format!("more-{n}"), &Invoice::of(50_000, "V-1"));
    }
    world.publish(&log_key());
    world
}

fn checked(source: &Opened) -> Result<VerifyReport, Fault> {
    let options = VerifyOptions {
        threads: source.threads,
        ..VerifyOptions::default()
    };
    verify_with(&*source.source, &log_key().verifier().vkey(), options)
}

#[test]
fn a_server_that_fails_every_third_request_is_verified_over_few_connections() {
    let dir = tempfile::tempdir().unwrap();
    let world = long(dir.path());
    let root = dir.path().join("log");
    let (url, connections) = serve_by(Box::new(move |n, path, _| match n % 9 {
        2 => Some((503, b"later".to_vec())),
        5 => Some((429, Vec::new())),
        8 => None,
        _ => Some(file(&root, path)),
    }));
    let source = open_at(&url).unwrap();
    assert_eq!(checked(&source).unwrap().size, world.records.len() as u64);
    let once = connections.load(Ordering::Relaxed);
    assert_eq!(checked(&source).unwrap().size, world.records.len() as u64);
    // Kept, but for those that broke off.
    let again = connections.load(Ordering::Relaxed) - once;
    assert!(again < 16, "{once}, then {again}");
    // What is not there is asked for once, and is a fault of the log.
    fs::remove_file(dir.path().join("log/tile/entries/002")).unwrap();
    let fault = checked(&source).unwrap_err();
    assert!(
        !fault.unreadable && fault.why.contains("missing"),
        "{fault}"
    );
}

/// A bucket, as far as reading needs one: pages of two names.
fn bucket(root: PathBuf) -> String {
    let serve = move |_, path: &str, query: &str| {
        let Some(key) = path.strip_prefix("bucket") else {
            return Some((404, b"<Code>NoSuchBucket</Code>".to_vec()));
        };
        if !query.contains("X-Amz-Signature=") || !query.contains("X-Amz-Credential=id%2F") {
            return Some((403, Vec::new()));
        }
        if let Some(key) = key.strip_prefix("/a%20copy/") {
            return Some(file(&root, key));
        }
        let mut names = ledger::Directory::new(&root).list().unwrap().unwrap();
        names.sort();
        let token = query
            .split('&')
            .find_map(|q| q.strip_prefix("continuation-token="));
        let from = token.map_or(0, |t| t.parse().unwrap());
        let names_here = names.iter().skip(from).take(2);
        let keys: String = names_here
            .map(|name| {
                format!(
                    "<Contents><Key>a%20copy%2F{}</Key><ETag>x</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>",
                    name.replace('/', "%2F")
                )
            })
            .collect();
        let next = (from + 2 < names.len()).then(|| {
            format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                from + 2
            )
        });
        let page = format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType><Name>bucket</Name><MaxKeys>2</MaxKeys>{}{keys}</ListBucketResult>",
            next.unwrap_or_default()
        );
        Some((200, page.into_bytes()))
    };
    serve_by(Box::new(serve)).0
}

#[test]
fn a_bucket_is_verified_and_its_strays_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = long(dir.path());
    let root = dir.path().join("log");
    let access = S3Access {
        endpoint: Some(bucket(root.clone())),
        region: "eu-central-1".to_owned(),
        keys: Some(("id".to_owned(), "secret".to_owned(), None)),
    };
    let source = open_s3("s3://bucket/a copy/", &access).unwrap();
    assert_eq!(checked(&source).unwrap().size, world.records.len() as u64);
    fs::write(root.join("tile/2"), b"stray").unwrap();
    let fault = checked(&source).unwrap_err();
    assert!(fault.why.contains("does not belong"), "{fault}");
    assert!(!fault.unreadable);
    // A bucket that is not there, or not ours to read, says nothing against the log.
    let other = open_s3("s3://other/a copy", &access).unwrap();
    assert!(checked(&other).unwrap_err().unreadable);
    let stranger = S3Access {
        keys: None,
        ..access
    };
    let fault = checked(&open_s3("s3://bucket/a copy", &stranger).unwrap()).unwrap_err();
    assert!(fault.unreadable && fault.why.contains("403"), "{fault}");
    assert!(open_s3("s3://", &stranger).is_err());
}
