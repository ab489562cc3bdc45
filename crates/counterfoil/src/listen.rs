//! The accept loop: whoever connects gets so much time and so much room, and no more.
//!
//! | what a client may do | and what bounds it |
//! |---|---|
//! | not come to an end with its handshake, where there is TLS | ten seconds, in the connection's own task |
//! | connect and say nothing, stay between two requests, or send a head byte by byte | [`HEAD`], for the whole head |
//! | send a body byte by byte | [`BODY`], for the whole body |
//! | not read its answer, or its events | [`STALL`], since anything was last taken |
//! | send long heads, or read slowly what is long | [`BUFFER`] bytes for each connection, in either direction |
//! | open many connections | [`serve`]'s `most`: others wait in the system's queue until one ends |
//! | keep a connection while the server stops | [`LAST`] |

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    middleware::map_request,
};
use gateway::identity::Peer;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, Sleep, sleep_until},
};
use tokio_io_timeout::TimeoutStream;

use crate::tls::Tls;

/// How long a connection may be without a whole head of a request, be it new or between two requests.
const HEAD: Duration = Duration::from_secs(30);
/// How long a body may take; a door may be less patient.
const BODY: Duration = Duration::from_secs(30);
/// How long an answer may stand still because its reader takes nothing.
const STALL: Duration = Duration::from_secs(30);
/// How many bytes of a connection are held: the longest head, and what waits to be written beyond one piece of an answer.
const BUFFER: usize = 32 * 1024;
/// How long answers under way may take once the server stops. Event streams would keep it for ever.
const LAST: Duration = Duration::from_secs(2);
/// After an error of the system, like too many open files, before the next try.
const BREATH: Duration = Duration::from_secs(1);

/// How many connections there may be where nobody says.
const MOST: usize = 4_096;
/// Files that are opened for other things than connections.
const OTHER_FILES: u64 = 256;

/// Serves on a listener until `ended`, at most `most` connections at once; then closes what is idle, and what is not idle after
/// [`LAST`].
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    app: Router,
    most: usize,
    ended: impl Future<Output = ()>,
) {
    let app = app.layer(map_request(async |request: Request| {
        request.map(|body| Body::new(InTime::new(body)))
    }));
    let (stop, stopped) = watch::channel(false);
    let room = Arc::new(Semaphore::new(most));
    let mut open = JoinSet::new();
    let mut ended = pin!(ended);
    loop {
        let next = async {
            let room = Arc::clone(&room).acquire_owned().await;
            (accept(&listener).await, room)
        };
        tokio::select! {
            (stream, room) = next => {
                let (app, tls, stopped) = (app.clone(), tls.clone(), stopped.clone());
                open.spawn(async move {
                    connection(stream, tls.as_deref(), app, stopped).await;
                    drop(room);
                });
            }
            Some(_) = open.join_next() => {}
            () = &mut ended => break,
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let finish = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST, finish).await;
    open.shutdown().await;
}

/// How many connections there may be at most: as many as asked for, or [`MOST`] where the system lets so many files be open, which
/// it is asked for.
///
/// # Errors
/// In words, where it leaves no room for as many as were asked for.
pub(crate) fn room(wanted: Option<usize>) -> Result<usize, String> {
    let most = wanted.unwrap_or(MOST);
    let files = getrlimit(Resource::Nofile);
    let needed = u64::try_from(most).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(OTHER_FILES);
    if files.current.is_none_or(|current| current >= needed) {
        return Ok(most);
    }
    let maximum = files.maximum.unwrap_or(u64::MAX);
    let more = Rlimit {
        current: Some(needed.min(maximum)),
        ..files
    };
    setrlimit(Resource::Nofile, more)
        .map_err(|e| format!("the system lets no more files be open: {e}"))?;
    let fits = usize::try_from(maximum.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    match wanted {
        Some(wanted) if wanted > fits => Err(format!(
            "{wanted} connections need {needed} open files, and this process may have {maximum}: raise `ulimit -Hn`, or give `--connections` of {} at most",
            fits.max(1)
        )),
        _ => Ok(most.min(fits.max(1))),
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client went away before it was its turn.
            Err(e) if is_the_clients(&e) => {}
            Err(e) => {
                eprintln!("connections cannot be taken: {e}; it is tried again");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn is_the_clients(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// One connection to its end. What goes wrong on it is its client's.
async fn connection(
    stream: TcpStream,
    tls: Option<&Tls>,
    app: Router,
    mut stopped: watch::Receiver<bool>,
) {
    // An answer is written at once; waiting for more of it only delays it.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL));
    let stream = Box::pin(stream);
    let Some(tls) = tls else {
        return requests(stream, None, app, stopped).await;
    };
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        _ = stopped.wait_for(|stop| *stop) => return,
    };
    if let Some((stream, peer)) = accepted {
        requests(Box::new(stream), peer, app, stopped).await;
    }
}

/// The requests of a connection, each with the certificate that its client has shown.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<Peer>,
    app: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let app = TowerToHyperService::new(app);
    let app = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        app.call(request)
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), app)
    );
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

/// A body that comes within [`BODY`] as a whole, or is an error.
struct InTime {
    body: Body,
    until: Instant,
    late: Option<Pin<Box<Sleep>>>,
}

impl InTime {
    fn new(body: Body) -> Self {
        Self {
            body,
            until: Instant::now() + BODY,
            late: None,
        }
    }
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = self.until;
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(late.as_mut().poll(cx));
        let why = format!("the body did not come within {} s", BODY.as_secs());
        Poll::Ready(Some(Err(why.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
