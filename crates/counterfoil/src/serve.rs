//! `serve`: the console and the HTTP door on one port, and a loop that lets agents go on as humans sign and time passes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use console::Holder;
use duty::time::Time;
use engine::Engine;
use gateway::{
    identity::{Identity, announced},
    webhook::Webhooks,
};
use store::secret;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{debug, error, info, warn};
use tracing_appender::non_blocking::ErrorCounter;
use witness::{
    anchor::{Kept, config::Anchors, schedule::States},
    client::Health,
};

use crate::{
    commands::{trail, witness::seconds},
    door::{LOCAL_TOKEN, SERVING, Serving},
    fail::Failure,
    keys, listen,
    site::Site,
    tls::Tls,
};

/// The token that reads `GET /metrics` and nothing else.
const METRICS_TOKEN: &str = "keys/metrics.token";
/// How long the loop sleeps at most: expiries are noticed within this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// From one round of the loop to the next, at least: each looks through all open cases, however many are decided meanwhile.
const BETWEEN: Duration = Duration::from_millis(20);
/// How often it is looked for data subjects whose retention is over, and for what ends soon.
const SWEEP: Duration = Duration::from_secs(3600);
/// How many of this machine's commands are heard at once, where others come by TLS.
const ASIDE: usize = 64;

/// How often it is looked which anchors are due.
const ANCHORS_AGAIN: Duration = Duration::from_secs(5);

/// Takes the port before anything else is done, so that a port in use costs nothing.
pub(crate) async fn listen(at: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(at).await.map_err(|e| {
        Failure::unavailable(format!(
            "cannot listen on {at}: {e}; stop what uses the port, or choose another with `--listen`"
        ))
    })
}

/// The address to show to people.
pub(crate) fn url(listener: &TcpListener, tls: bool) -> Result<String, Failure> {
    let at = listener.local_addr().map_err(Failure::unavailable)?;
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{at}"))
}

/// Where and how it is served.
pub(crate) struct Place {
    pub(crate) listener: TcpListener,
    /// Where people reach it, if not there.
    pub(crate) public_url: Option<String>,
    /// How many connections there may be at once.
    pub(crate) connections: usize,
    /// None where it is served in the clear, to this machine or to a proxy.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Serves until Ctrl-C or SIGTERM, then publishes the rest.
pub(crate) async fn serve(
    site: Site,
    dir: &Path,
    place: Place,
    ending: Ending,
    dropped: Option<ErrorCounter>,
) -> Result<(), Failure> {
    let Place {
        listener,
        public_url,
        connections,
        tls,
    } = place;
    let url = url(&listener, tls.is_some())?;
    let anchors = Arc::new(trail::anchors(dir, None)?);
    let local = keys::token(&dir.join(LOCAL_TOKEN))?;
    let metrics = keys::token(&dir.join(METRICS_TOKEN))?;
    let console = console::router(console::Options {
        engine: Arc::clone(&site.engine),
        dir: dir.to_owned(),
        public_url: public_url.clone().unwrap_or_else(|| url.clone()),
        outside: outside(dir, site.health.clone()),
    })
    .map_err(Failure::unavailable)?;
    let identity = Identity::open(dir).map_err(Failure::usage)?;
    let door = gateway::http::router(Arc::clone(&site.engine), Arc::clone(&identity), &local);
    let hosts = hosts(&url, public_url.as_deref());
    let calls = gateway::mcp::Calls::default();
    let mcp = gateway::mcp::router(
        Arc::clone(&site.engine),
        Arc::clone(&identity),
        site.team(),
        hosts,
        calls.clone(),
    );
    let base = public_url.as_deref().unwrap_or(&url);
    let webhooks = Webhooks::open(&site.engine, base);
    let (webhooks, deliveries) = webhooks.map_err(Failure::usage)?;
    let app = door
        .and_then(|door| Ok(announced(door.merge(mcp?), &identity, base)))
        .map_err(Failure::unavailable)?
        .merge(gateway::metrics::router(
            Arc::clone(&site.engine),
            webhooks,
            calls,
            [local.as_str(), metrics.as_str()],
        ))
        .merge(console);
    let app = gateway::access::told(app);
    // This machine's commands know no authority of the certificate: they have a port of their own, which nothing else reaches.
    let aside = match &tls {
        None => None,
        Some(_) => Some(listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?),
    };
    let serving = match &aside {
        None => Serving { url, public_url },
        Some(aside) => Serving {
            url: self::url(aside, false)?,
            public_url: public_url.or(Some(url)),
        },
    };
    let serving = serde_json::to_vec(&serving).map_err(Failure::unavailable)?;
    secret::write_secret(&dir.join(SERVING), &serving)?;
    info!(version = env!("CARGO_PKG_VERSION"), "serving");

    let (stop, stopped) = watch::channel(false);
    let anchoring = tokio::spawn(anchor(
        Arc::clone(&site.engine),
        dir.to_owned(),
        anchors,
        stopped.clone(),
    ));
    let delivering = tokio::spawn(deliveries.run(stopped.clone()));
    let witnessing = tokio::spawn(alarm(Arc::clone(&site.engine), dropped, stopped.clone()));
    let going_on = tokio::spawn(go_on(site, stopped.clone()));
    let until = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let renewing = tls.clone().map(|tls| {
        let stopped = stopped.clone();
        tokio::spawn(async move { tls.renew(stopped).await })
    });
    let aside = aside.map(|aside| {
        let until = until(stopped.clone());
        tokio::spawn(listen::serve(aside, None, app.clone(), ASIDE, until))
    });
    let until = until(stopped);
    let server = tokio::spawn(listen::serve(listener, tls, app, connections, until));
    ending.asked().await;
    info!("stopping");
    let _ = stop.send(true);
    let _ = std::fs::remove_file(dir.join(SERVING));
    server.await.map_err(Failure::unavailable)?;
    for other in [aside, renewing].into_iter().flatten() {
        other.await.map_err(Failure::unavailable)?;
    }
    let site = going_on.await.map_err(Failure::unavailable)?;
    delivering.await.map_err(Failure::unavailable)?;
    witnessing.await.map_err(Failure::unavailable)?;
    anchoring.await.map_err(Failure::unavailable)??;
    publish(&site.engine).await;
    let engine = Arc::clone(&site.engine);
    tokio::task::spawn_blocking(move || engine.keep_fold())
        .await
        .map_err(Failure::unavailable)
}

/// The names under which the server is reached, from its addresses.
fn hosts(url: &str, public_url: Option<&str>) -> Vec<String> {
    let urls = [Some(url), public_url].into_iter().flatten();
    let hosts = urls.filter_map(|url| {
        let uri: axum::http::Uri = url.parse().ok()?;
        uri.host().map(str::to_owned)
    });
    hosts.collect()
}

/// Records are durable already; this waits until they are under a published checkpoint too.
async fn publish(engine: &Engine) {
    let size = engine.journal().committed();
    let waited = tokio::time::timeout(
        Duration::from_secs(10),
        engine.journal().wait_published(size),
    )
    .await;
    if waited.is_err() {
        warn!(
            "the last records are committed and not yet published; the next start publishes them"
        );
    }
}

/// How witnesses and anchors fare, for the console.
fn outside(dir: &Path, health: Health) -> console::Outside {
    let dir = dir.to_owned();
    let time = |seconds: u64| {
        let millis = i64::try_from(seconds.saturating_mul(1000)).ok()?;
        (seconds > 0).then(|| Time::from_millis(millis))
    };
    Arc::new(move || {
        let witnesses = health.states().into_iter().map(|w| Holder {
            kind: "witness",
            name: w.name,
            size: w.size,
            at: time(w.time),
            problem: w.problem,
        });
        let anchors = States::read(&dir).0.into_iter().map(|(name, a)| Holder {
            kind: "anchor",
            name,
            size: a.size,
            at: time(a.at),
            problem: a.problem,
        });
        witnesses.chain(anchors).collect()
    })
}

/// Says when there is no quorum of witnesses, and when there is one again; how far checkpoints are; and that lines were
/// dropped.
async fn alarm(
    engine: Arc<Engine>,
    dropped: Option<ErrorCounter>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut told = None;
    let (mut lost, mut published) = (0, engine.journal().published());
    loop {
        let lines = dropped.as_ref().map_or(0, ErrorCounter::dropped_lines);
        if lines > lost {
            warn!(
                lines,
                "lines of this log were dropped: whoever reads them is too slow"
            );
            lost = lines;
        }
        let size = engine.journal().published();
        if size > published {
            debug!(size, "checkpoint published");
            published = size;
        }
        let problem = engine.journal().witnessed().problem;
        if problem != told {
            match &problem {
                Some(why) => error!("ALARM: witnesses: {why}; it is tried again"),
                None => info!("witnesses cosign again"),
            }
            told = problem;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Takes checkpoints to the anchors of the data directory when they are due.
async fn anchor(
    engine: Arc<Engine>,
    dir: PathBuf,
    anchors: Arc<Anchors>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut alarmed = BTreeSet::new();
    while !anchors.anchors.is_empty() {
        let (anchors, note, dir) = (
            Arc::clone(&anchors),
            engine.journal().checkpoint(),
            dir.clone(),
        );
        let run = tokio::task::spawn_blocking(move || {
            let mut states = States::read(&dir);
            let before = states.clone();
            let wrong = match Kept::new(&note) {
                Ok(note) => states.run(&anchors, &note, seconds(), false),
                Err(why) => vec![("the checkpoint".to_owned(), why)],
            };
            let written = if states == before {
                Ok(())
            } else {
                states.write(&dir)
            };
            (wrong, states, written)
        });
        let (wrong, states, written) = run.await.map_err(Failure::unavailable)?;
        if let Err(why) = written {
            warn!("how anchors fare could not be kept: {why}");
        }
        for (name, why) in wrong {
            error!("ALARM: anchor `{name}` keeps no checkpoint: {why}; it is tried again");
            alarmed.insert(name);
        }
        let fine = |name: &String| states.0.get(name).is_some_and(|s| s.problem.is_none());
        for name in alarmed.extract_if(.., |name| fine(name)) {
            info!("anchor `{name}` keeps checkpoints again");
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(ANCHORS_AGAIN) => {}
        }
    }
    Ok(())
}

/// Lets agents go on whenever something new is in the log.
async fn go_on(site: Site, mut stopped: watch::Receiver<bool>) -> Site {
    let mut news = site.engine.follow();
    let mut unsigned = None;
    let (mut swept, mut expired) = (None::<Instant>, None::<Instant>);
    loop {
        let began = Instant::now();
        let now = site.engine.journal().unsigned();
        if now != unsigned {
            match &now {
                Some(why) => error!("{why}"),
                None => info!("the signer answers again: checkpoints are published"),
            }
            unsigned = now;
        }
        match site.engine.take_orders().await {
            Ok(0) => {}
            Ok(taken) => error!(
                "ALARM: {taken} orders to stop were taken; `counterfoil freeze` lists what is frozen"
            ),
            Err(e) => error!("ALARM: {}", e.plain()),
        }
        if expired.is_none_or(|at| at.elapsed() >= LOOK_AGAIN / 2) {
            expired = Some(began);
            if let Err(e) = site.engine.expire().await {
                warn!("expiring: {}", e.plain());
            }
        }
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            match site.engine.end_retentions().await {
                Ok(0) => {}
                Ok(ended) => info!("the retention of {ended} data subjects is over: erased"),
                Err(e) => error!("ALARM: ending retentions: {}", e.plain()),
            }
            match site.engine.announce().await {
                Ok(0) => {}
                Ok(noted) => {
                    info!("{noted} exceptions: what ends soon; `exception list` shows it")
                }
                Err(e) => error!("ALARM: looking for what ends soon: {}", e.plain()),
            }
        }
        if site.engine.has_unfinished_erasures()
            && let Err(e) = site.engine.finish_erasures().await
        {
            error!("ALARM: {}", e.plain());
        }
        let movable = site.movable();
        if !movable.is_empty() && site.advance(movable, |_, _| {}).await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return site,
            _ = tokio::time::timeout(LOOK_AGAIN / 2, news.changed()) => {}
        }
        tokio::time::sleep(BETWEEN.saturating_sub(began.elapsed())).await;
    }
}

/// Ctrl-C and SIGTERM, caught from when this is made: whoever is told that the server is there may end it at once.
pub(crate) struct Ending {
    signals: Vec<Signal>,
}

impl Ending {
    /// From now on neither ends the process by itself.
    pub(crate) fn caught() -> Result<Self, Failure> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let signals = kinds.into_iter().map(signal).collect::<Result<_, _>>();
        Ok(Self {
            signals: signals.map_err(Failure::unavailable)?,
        })
    }

    /// Waits for either.
    pub(crate) async fn asked(mut self) {
        std::future::poll_fn(|cx| {
            let ended = self.signals.iter_mut().any(|s| s.poll_recv(cx).is_ready());
            if ended {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
