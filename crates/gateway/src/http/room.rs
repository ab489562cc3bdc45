//! How many requests of one credential are under way at once, however long each takes and whether or not its client still waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{limit::Payer, problem::Problem};

/// How many requests of one credential run at once: calls, and readers that wait or follow events.
const AT_ONCE: usize = 256;

/// Places, by credential.
#[derive(Default)]
pub(crate) struct Room(Mutex<HashMap<String, Arc<Semaphore>>>);

/// A place, until the last copy of this is dropped: whatever works for the request holds one.
#[derive(Clone, Debug)]
#[must_use = "the place is free again once this is dropped"]
pub(crate) struct Place {
    _taken: Option<Arc<OwnedSemaphorePermit>>,
}

impl Room {
    /// A place for one more request.
    pub(crate) fn enter(&self, payer: &Payer) -> Result<Place, Problem> {
        let credential = match payer {
            Payer::Local => return Ok(Place { _taken: None }),
            Payer::Unproved => String::new(),
            Payer::Proved(seat) => seat.credential.to_string(),
        };
        let own = {
            let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(AT_ONCE));
            Arc::clone(room.entry(credential).or_insert_with(new))
        };
        let taken = own.try_acquire_owned().map_err(|_| {
            let why = format!(
                "{AT_ONCE} requests with this credential are under way already; let some of them end"
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", why).after(1)
        })?;
        Ok(Place {
            _taken: Some(Arc::new(taken)),
        })
    }
}

#[cfg(test)]
mod tests {
    use engine::Seat;

    use super::*;

    fn seat(name: &str) -> Payer {
        Payer::Proved(Seat {
            principal: name.parse().unwrap(),
            credential: format!("{name}.token-1").parse().unwrap(),
        })
    }

    #[test]
    fn a_place_is_taken_until_its_last_copy_is_gone() {
        let room = Room::default();
        let mut taken: Vec<_> = (0..AT_ONCE)
            .map(|_| room.enter(&seat("ana")).unwrap())
            .collect();
        let why = room.enter(&seat("ana")).unwrap_err();
        assert_eq!(why.code(), "too-many");
        assert!(room.enter(&seat("rev")).is_ok());
        assert!(room.enter(&Payer::Local).is_ok());
        let copy = taken.pop();
        let same = copy.clone();
        drop(copy);
        assert!(room.enter(&seat("ana")).is_err());
        drop(same);
        assert!(room.enter(&seat("ana")).is_ok());
    }
}
