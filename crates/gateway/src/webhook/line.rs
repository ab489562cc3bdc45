//! The line to one receiver: the events of the log, in order, each until it is taken.

use std::{sync::Arc, time::Duration};

use engine::Engine;
use tokio::sync::watch;
use tracing::{error, info, warn};
use webhook::{Answer, Cursors, Post, config::Plan};

use super::{message::Letterhead, meter::Meter};
use crate::told::{self, Told};

/// How often it is looked whether somebody moved a cursor, and how long is waited after the log could not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Failures in a row that are an alarm.
const MANY: u32 = 5;

/// Everything about one receiver.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) plan: Plan,
    pub(super) post: Post,
    pub(super) engine: Arc<Engine>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) letterhead: Letterhead,
    pub(super) meter: Arc<Meter>,
}

/// Why a line goes back to its cursor.
enum Stop {
    /// Somebody moved it, or the receiver wants no more.
    Moved,
    /// It cannot be read or written.
    Failed(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl Line {
    /// Delivers until the server stops. What it was about to send is sent after the next start.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let go_on = async {
            let mut told = None;
            loop {
                let wrong = match self.deliver().await {
                    Ok(()) => return,
                    Err(Stop::Moved) => None,
                    Err(Stop::Failed(why)) => Some(why),
                };
                if let Some(why) = wrong.as_ref().filter(|_| wrong != told) {
                    error!(
                        receiver = self.name,
                        why, "ALARM: webhooks stand still; it is tried again"
                    );
                }
                told = wrong;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            () = go_on => {}
        }
    }

    /// Goes on from the cursor; ends where the engine is closed.
    async fn deliver(&self) -> Result<(), Stop> {
        let standing = self.cursors.standing(&self.name)?;
        let standing = standing.ok_or_else(|| "its cursor is gone".to_owned())?;
        if standing.gone {
            return Err(Stop::Moved);
        }
        let mut next = standing.next;
        let mut news = self.engine.follow();
        loop {
            while self.engine.journal().committed() <= next {
                tokio::select! {
                    changed = news.changed() => if changed.is_err() {
                        return Ok(());
                    },
                    () = tokio::time::sleep(LOOK_AGAIN) => {
                        let standing = self.cursors.standing(&self.name)?;
                        if standing.is_none_or(|s| s.next != next || s.gone) {
                            return Err(Stop::Moved);
                        }
                    }
                }
            }
            let Some(batch) = told::after(&self.engine, next).await? else {
                return Ok(());
            };
            for event in batch.events.iter().filter(|event| self.wants(event)) {
                next = self.tell_of(next, event).await?;
            }
            if batch.next > next && !self.cursors.pass(&self.name, next, batch.next)? {
                return Err(Stop::Moved);
            }
            next = batch.next;
        }
    }

    fn wants(&self, told: &Told) -> bool {
        self.plan
            .wants(told.what.word(), told.environment.as_deref())
    }

    /// Sends one event until it is taken; the record to go on with.
    async fn tell_of(&self, next: u64, told: &Told) -> Result<u64, Stop> {
        let message = self.letterhead.message(told);
        let mut failures = 0_u32;
        let _waiting = self.meter.waits(&self.name, told.time);
        loop {
            let now = self.engine.now();
            match self
                .post
                .send(&message.id, now.millis(), &message.body)
                .await
            {
                Answer::Taken => {
                    self.meter.taken(&self.name);
                    if failures >= MANY {
                        info!(receiver = self.name, failures, "a webhook is taken again");
                    }
                    let (after, now) = (told.record + 1, self.engine.now().millis());
                    if self.cursors.taken(&self.name, next, after, now)? {
                        return Ok(after);
                    }
                    return Err(Stop::Moved);
                }
                Answer::Gone => {
                    self.meter.failed(&self.name);
                    self.cursors.gone(&self.name)?;
                    error!(
                        receiver = self.name,
                        "ALARM: a webhook's receiver answers 410 and is told nothing more; `counterfoil webhook resume` goes on with it"
                    );
                    return Err(Stop::Moved);
                }
                Answer::Failed { why, retry_after } => {
                    failures = failures.saturating_add(1);
                    self.meter.failed(&self.name);
                    let plan = &self.plan;
                    let who = format!("{}/{}", self.name, message.id);
                    let wait = webhook::wait(
                        failures,
                        plan.first_wait,
                        plan.longest_wait,
                        retry_after,
                        &who,
                    );
                    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                    let at = self.engine.now().millis().saturating_add(millis);
                    self.cursors.failed(&self.name, &why, at)?;
                    let (receiver, record) = (self.name.as_str(), told.record);
                    // One attempt fails now and then; several in a row are somebody's business.
                    match failures {
                        1 => warn!(
                            receiver,
                            record, why, "a webhook is not taken; it is tried again"
                        ),
                        MANY => error!(
                            receiver,
                            record,
                            why,
                            "ALARM: a webhook is still not taken; what comes after it waits"
                        ),
                        _ => {}
                    }
                    self.pause(wait, next).await?;
                }
            }
        }
    }

    /// Waits, and looks meanwhile whether somebody moved the cursor or wants to go on at once.
    async fn pause(&self, wait: Duration, next: u64) -> Result<(), Stop> {
        let end = tokio::time::Instant::now() + wait;
        loop {
            let now = tokio::time::Instant::now();
            if now >= end {
                return Ok(());
            }
            tokio::time::sleep_until(end.min(now + LOOK_AGAIN)).await;
            let standing = self.cursors.standing(&self.name)?;
            if standing.is_none_or(|s| s.next != next || s.failures == 0) {
                return Err(Stop::Moved);
            }
        }
    }
}
