//! Webhooks: what happens to approvals and exceptions, told to receivers outside.
//!
//! The log is the queue. Each receiver has a cursor in it (`webhooks.db`), which moves on over an event when the receiver has
//! taken it; so nothing is lost or kept twice, a receiver that is away costs no memory, and delays nobody else: each has its own
//! task. A receiver gets its events in the order of the log, each at least once.

mod line;
mod message;
mod meter;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use duty::time::Time;
use engine::Engine;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use tokio::{sync::watch, task::JoinSet};
use webhook::{Answer, Cursors, Post, config};

pub(crate) use message::described;
pub use webhook::Standing;

use crate::{metrics::Seconds, told::What};
use line::Line;
use message::Letterhead;
use meter::{Meter, Of};

/// The receivers of a server.
pub struct Webhooks {
    engine: Arc<Engine>,
    cursors: Arc<Cursors>,
    meter: Arc<Meter>,
    /// By name.
    names: Vec<String>,
}

/// Receivers that are ready to be told.
pub struct Deliveries(Vec<Line>);

impl Webhooks {
    /// The receivers of the data directory's `webhooks.toml`. `base` is where people and programs reach the server. One that is
    /// new is told what happens from now on.
    ///
    /// # Errors
    /// In words, what is wrong with `webhooks.toml` or `webhooks.db`.
    pub fn open(engine: &Arc<Engine>, base: &str) -> Result<(Arc<Self>, Deliveries), String> {
        let dir = engine.dir().path();
        let endpoints = config::read(dir, What::TYPES)?;
        let mut webhooks = Self {
            engine: Arc::clone(engine),
            cursors: Arc::new(Cursors::open(dir)?),
            meter: Arc::default(),
            names: Vec::new(),
        };
        let letterhead = Letterhead::new(engine.dir().origin(), base);
        let size = engine.read(|state| state.size);
        let mut lines = Vec::new();
        for (name, endpoint) in endpoints {
            let (post, plan) = Post::new(endpoint)?;
            let standing = webhooks.cursors.begin(&name, &plan.shown, size)?;
            if standing.next > size {
                return Err(format!(
                    "`{}`: receiver `{name}` has been told of record {}, and the log has {size}: it is another log's",
                    webhook::cursor::FILE,
                    standing.next
                ));
            }
            webhooks.meter.begin(&name);
            webhooks.names.push(name.clone());
            lines.push(Line {
                name,
                plan,
                post,
                engine: Arc::clone(engine),
                cursors: Arc::clone(&webhooks.cursors),
                letterhead: letterhead.clone(),
                meter: Arc::clone(&webhooks.meter),
            });
        }
        Ok((Arc::new(webhooks), Deliveries(lines)))
    }

    /// Names what is counted in a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (lag, disabled) = <(Family<Of, Gauge>, Family<Of, Gauge>)>::default();
        let oldest = Family::<Of, Seconds>::default();
        let (committed, now) = (self.engine.journal().committed(), self.engine.now());
        for endpoint in &self.names {
            let of = Of {
                endpoint: endpoint.clone(),
            };
            // A cursor that cannot be read counts as one that stands still: far behind is seen, and nothing is not.
            let standing = self.cursors.standing(endpoint).ok().flatten();
            let next = standing.as_ref().map_or(0, |s| s.next);
            let behind = i64::try_from(committed.saturating_sub(next)).unwrap_or(i64::MAX);
            lag.get_or_create(&of).set(behind);
            let gone = standing.is_none_or(|s| s.gone);
            disabled.get_or_create(&of).set(i64::from(gone));
            let since = self.meter.oldest(endpoint);
            let age = since.map_or(0.0, |since| crate::metrics::seconds(since, now));
            oldest.get_or_create(&of).set(age);
        }
        registry.register(
            "webhook_delivered",
            "Events that a receiver took",
            self.meter.delivered.clone(),
        );
        registry.register(
            "webhook_failures",
            "Attempts that a receiver did not take",
            self.meter.failures.clone(),
        );
        registry.register(
            "webhook_lag_records",
            "Records on the disk that a receiver has not come to yet",
            lag,
        );
        registry.register_with_unit(
            "webhook_oldest",
            "Age of the event that a receiver is being told; 0 where none waits",
            Unit::Seconds,
            oldest,
        );
        registry.register(
            "webhook_disabled",
            "1 where a receiver answered 410 and is told nothing more",
            disabled,
        );
    }
}

impl Deliveries {
    /// Delivers to all receivers until the server stops.
    pub async fn run(self, stopped: watch::Receiver<bool>) {
        let mut lines = JoinSet::new();
        for line in self.0 {
            lines.spawn(line.run(stopped.clone()));
        }
        while lines.join_next().await.is_some() {}
    }
}

/// A receiver, as its operator sees it.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its configuration.
    pub plan: config::Plan,
    /// How it stands; none where no server has come to it yet.
    pub standing: Option<Standing>,
}

/// The receivers of a data directory, whether or not a server runs on it.
///
/// # Errors
/// As [`Webhooks::open`].
pub fn receivers(dir: &Path) -> Result<BTreeMap<String, Receiver>, String> {
    let endpoints = config::read(dir, What::TYPES)?;
    if endpoints.is_empty() {
        return Ok(BTreeMap::new());
    }
    let cursors = Cursors::open(dir)?;
    let with_standing = |(name, endpoint): (String, webhook::Endpoint)| {
        let standing = cursors.standing(&name)?;
        let plan = endpoint.plan().clone();
        Ok((name, Receiver { plan, standing }))
    };
    endpoints.into_iter().map(with_standing).collect()
}

/// Lets a receiver go on at once, from where it stands or from record `from`; false where no server has come to it yet.
///
/// # Errors
/// As [`Webhooks::open`].
pub fn resume(dir: &Path, name: &str, from: Option<u64>) -> Result<bool, String> {
    Cursors::open(dir)?.resume(name, from)
}

/// Sends a receiver a signed message of type `webhook.test`, once. None where there is no such receiver.
///
/// # Errors
/// As [`Webhooks::open`].
pub async fn test(
    dir: &Path,
    name: &str,
    origin: &str,
    nonce: &str,
    now: Time,
) -> Result<Option<Answer>, String> {
    let Some(endpoint) = config::read(dir, What::TYPES)?.remove(name) else {
        return Ok(None);
    };
    let message = Letterhead::new(origin, "").test(nonce, now);
    let (post, _) = Post::new(endpoint)?;
    Ok(Some(
        post.send(&message.id, now.millis(), &message.body).await,
    ))
}
