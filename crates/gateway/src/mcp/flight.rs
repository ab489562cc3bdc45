//! One call at a time of those that are the same: whoever comes while it is under way waits for the same answer.
//!
//! It is taken through by whoever came first, and goes on by itself where that client goes away.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use tokio::{runtime::Handle, sync::watch};
use tracing::Instrument as _;

use super::{call::Answered, held::Key};

/// Calls under way.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<Flying>>);

type Flying = HashMap<Key, watch::Receiver<Option<Answered>>>;

impl Flights {
    /// What comes of the call under way, or of the one that `start` makes; none where it ended badly.
    pub(super) async fn join<F>(&self, key: &Key, start: impl FnOnce() -> F) -> Option<Answered>
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        let (told, mut underway) = self.enter(key);
        let Some(told) = told else {
            return match underway.wait_for(Option::is_some).await {
                Ok(answered) => answered.clone(),
                Err(_) => None,
            };
        };
        let landing = Landing {
            flights: self.clone(),
            key: key.clone(),
        };
        let call = start().in_current_span();
        let flight = async move {
            // A panic is told of where it comes up; others must not wait for this call for ever.
            let answered = AssertUnwindSafe(call).catch_unwind().await.ok();
            drop(landing);
            if let Some(answered) = &answered {
                let _nobody_waits = told.send(Some(answered.clone()));
            }
            answered
        };
        Unbound(Some(Box::pin(flight))).await
    }

    /// The call under way, and the means to tell what came of it, for whoever is the first.
    fn enter(&self, key: &Key) -> (Option<Told>, Underway) {
        let mut flying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(underway) = flying.get(key) {
            return (None, underway.clone());
        }
        let (told, underway) = watch::channel(None);
        flying.insert(key.clone(), underway.clone());
        (Some(told), underway)
    }
}

type Told = watch::Sender<Option<Answered>>;
type Underway = watch::Receiver<Option<Answered>>;

/// Ends a flight when it is dropped: the same call is another one then.
struct Landing {
    flights: Flights,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let flying = self.flights.0.lock();
        flying
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

/// A future that goes on as a task of its own where it is dropped before it ends.
struct Unbound<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Future for Unbound<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(inner) = &mut self.0 else {
            return Poll::Pending;
        };
        let polled = inner.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Unbound<F> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and its next start takes the case up.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use duty::canonical::Digest;
    use tokio::sync::oneshot;

    use super::*;
    use crate::mcp::reply::Reply;

    fn key() -> Key {
        Key {
            agent: "ana".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            action: Digest::of_bytes(b"a"),
        }
    }

    fn failed(why: &str) -> Answered {
        (Reply::Failed(why.to_owned()), None)
    }

    fn why(answered: Option<Answered>) -> Option<String> {
        match answered?.0 {
            Reply::Failed(why) => Some(why),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_call_runs_once_and_goes_on_without_its_client() {
        let flights = Flights::default();
        let (go, gone) = oneshot::channel::<()>();
        let begin = || async {
            gone.await.unwrap();
            failed("first")
        };
        let key = key();
        let first = flights.join(&key, begin);
        // The client goes away while its call is under way.
        let waited = tokio::time::timeout(Duration::from_millis(20), first).await;
        assert!(waited.is_err());
        let second = flights.join(&key, || async { unreachable!("it is under way") });
        let told = tokio::spawn(async move { go.send(()) });
        assert_eq!(why(second.await).as_deref(), Some("first"));
        assert_eq!(told.await.unwrap(), Ok(()));
        // It landed: the same call is another one.
        let third = flights.join(&key, || async { failed("third") }).await;
        assert_eq!(why(third).as_deref(), Some("third"));
    }

    #[tokio::test]
    async fn one_that_ends_badly_lands() {
        let flights = Flights::default();
        let bad = flights.join(&key(), || async { panic!("a fault") }).await;
        assert!(bad.is_none());
        let next = flights.join(&key(), || async { failed("next") }).await;
        assert_eq!(why(next).as_deref(), Some("next"));
    }
}
