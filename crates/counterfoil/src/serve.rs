//! `serve`: the console and the HTTP door on one port, and a loop that lets agents go on as humans sign and time passes.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use engine::Engine;
use store::secret;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    door::{LOCAL_TOKEN, SERVING, Serving},
    fail::Failure,
    keys,
    site::Site,
};

/// How long the loop sleeps at most: expiries are noticed within this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Takes the port before anything else is done, so that a port in use costs nothing.
pub(crate) async fn listen(at: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(at).await.map_err(|e| {
        Failure::unavailable(format!(
            "cannot listen on {at}: {e}; stop what uses the port, or choose another with `--listen`"
        ))
    })
}

/// The address to show to people.
pub(crate) fn url(listener: &TcpListener) -> Result<String, Failure> {
    let at = listener.local_addr().map_err(Failure::unavailable)?;
    Ok(format!("http://{at}"))
}

/// Serves until Ctrl-C or SIGTERM, then publishes the rest.
pub(crate) async fn serve(site: Site, dir: &Path, listener: TcpListener) -> Result<(), Failure> {
    let url = url(&listener)?;
    let local = keys::token(&dir.join(LOCAL_TOKEN))?;
    let console = console::router(console::Options {
        engine: Arc::clone(&site.engine),
        dir: dir.to_owned(),
        public_url: url.clone(),
    })
    .map_err(Failure::unavailable)?;
    let app = gateway::http::router(Arc::clone(&site.engine), &local).merge(console);
    let serving = serde_json::to_vec(&Serving { url }).map_err(Failure::unavailable)?;
    secret::write_secret(&dir.join(SERVING), &serving)?;

    let (stop, stopped) = watch::channel(false);
    let going_on = tokio::spawn(go_on(site, stopped.clone()));
    let mut until = stopped;
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = until.wait_for(|stop| *stop).await;
    });
    let server = tokio::spawn(async move { server.await });
    signalled().await;
    let _ = stop.send(true);
    let _ = std::fs::remove_file(dir.join(SERVING));
    // Open connections of browsers would keep the server for ever.
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    let site = going_on.await.map_err(Failure::unavailable)?;
    publish(&site.engine).await;
    Ok(())
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
        eprintln!(
            "the last records are committed and not yet published; the next start publishes them"
        );
    }
}

/// Lets agents go on whenever something new is in the log.
async fn go_on(site: Site, mut stopped: watch::Receiver<bool>) -> Site {
    let mut news = site.engine.follow();
    let mut unsigned = None;
    loop {
        let now = site.engine.journal().unsigned();
        if now != unsigned {
            match &now {
                Some(why) => eprintln!("{why}"),
                None => eprintln!("the signer answers again: checkpoints are published"),
            }
            unsigned = now;
        }
        if let Err(e) = site.engine.expire().await {
            eprintln!("expiring: {e}");
        }
        let movable = site.movable();
        if !movable.is_empty()
            && let Err(e) = site.advance(movable, |_, _| {}).await
        {
            eprintln!("{}", e.message);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return site,
            _ = tokio::time::timeout(LOOK_AGAIN, news.changed()) => {}
        }
    }
}

async fn signalled() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
