//! Rates: how much of the log, and of the machine, one credential can take.
//!
//! Refusals are records, so each costs a token of a bucket of its own: whoever holds a credential cannot fill the log with
//! them. Requests as such are not limited unless `api.toml` says so. Signed requests whose signature does not hold, which
//! anybody can send in anybody's name, share one bucket, so that nobody's own is emptied by others.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use duty::name::PrincipalId;
use engine::Seat;
use serde::Deserialize;
use store::config;

use super::problem::Problem;

/// The data directory's file with the door's settings.
const FILE: &str = "api.toml";

/// What `api.toml` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    limits: Limits,
}

/// The limits, for everybody and for some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[serde(default)]
    requests: Option<Rate>,
    #[serde(default = "Rate::refusals")]
    refusals: Rate,
    #[serde(default = "Rate::unproved")]
    unproved: Rate,
    /// Cases of one agent that may be under way by the MCP door.
    #[serde(default = "cases")]
    cases: NonZeroUsize,
    #[serde(default)]
    principals: BTreeMap<PrincipalId, Own>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: None,
            refusals: Rate::refusals(),
            unproved: Rate::unproved(),
            cases: cases(),
            principals: BTreeMap::new(),
        }
    }
}

fn cases() -> NonZeroUsize {
    const { NonZeroUsize::new(10_000).expect("INVARIANT: not zero") }
}

/// The limits of one principal, where they are not everybody's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    requests: Option<Rate>,
    refusals: Option<Rate>,
    cases: Option<NonZeroUsize>,
}

/// A token bucket: so many at once, and so many a second after that.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    burst: f64,
    per_second: f64,
}

impl Rate {
    fn refusals() -> Self {
        Self {
            burst: 200.0,
            per_second: 2.0,
        }
    }

    fn unproved() -> Self {
        Self {
            burst: 60.0,
            per_second: 1.0,
        }
    }

    fn check(self, what: &str) -> Result<(), String> {
        let fine = self.burst >= 1.0 && self.per_second > 0.0;
        let fine = fine && self.burst.is_finite() && self.per_second.is_finite();
        fine.then_some(())
            .ok_or_else(|| format!("`{what}`: `burst` is at least 1, and `per_second` more than 0"))
    }
}

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sort {
    Requests,
    Refusals,
}

/// Whose bucket a request draws on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payer {
    /// The process that owns the data directory: nobody limits it.
    Local,
    /// A credential that was proved.
    Proved(Seat),
    /// Somebody who signed, and not with what they say.
    Unproved,
}

/// The buckets.
pub(crate) struct Meter {
    limits: Limits,
    start: Instant,
    buckets: Mutex<HashMap<(Sort, String), Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Meter {
    /// The limits of a data directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, String> {
        let file = dir.join(FILE);
        let place = |why: String| format!("`{}`: {why}", file.display());
        let written: Option<Written> = config::read(&file).map_err(|e| e.to_string())?;
        let limits = written.unwrap_or_default().limits;
        let own = limits.principals.values();
        let own = own.flat_map(|own| [("requests", own.requests), ("refusals", own.refusals)]);
        let all = [
            ("requests", limits.requests),
            ("refusals", Some(limits.refusals)),
            ("unproved", Some(limits.unproved)),
        ];
        for (what, rate) in all.into_iter().chain(own) {
            rate.map_or(Ok(()), |rate| rate.check(what))
                .map_err(place)?;
        }
        Ok(Self {
            limits,
            start: Instant::now(),
            buckets: Mutex::default(),
        })
    }

    /// Lets a request in, or says when to come again.
    pub(crate) fn admit(&self, payer: &Payer) -> Result<(), Problem> {
        self.admit_at(payer, self.start.elapsed())
    }

    /// How many cases of an agent may be under way by the MCP door.
    pub(crate) fn most_cases(&self, agent: &PrincipalId) -> usize {
        let own = self.limits.principals.get(agent);
        own.and_then(|own| own.cases)
            .unwrap_or(self.limits.cases)
            .get()
    }

    /// Takes down that it was refused.
    pub(crate) fn refused(&self, payer: &Payer) {
        let now = self.start.elapsed();
        if let Some((key, rate)) = self.bucket(payer, Sort::Refusals) {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            Bucket::filled(&mut buckets, key, rate, now).tokens -= 1.0;
        }
    }

    fn admit_at(&self, payer: &Payer, now: Duration) -> Result<(), Problem> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for sort in [Sort::Refusals, Sort::Requests] {
            let Some((key, rate)) = self.bucket(payer, sort) else {
                continue;
            };
            let bucket = Bucket::filled(&mut buckets, key, rate, now);
            if bucket.tokens < 1.0 {
                let seconds = ((1.0 - bucket.tokens) / rate.per_second).ceil().max(1.0);
                let what = match sort {
                    Sort::Requests => "requests",
                    Sort::Refusals => "refused requests",
                };
                let why = format!(
                    "too many {what} with this credential: {} at once and {} a second are taken; come again in {seconds} s",
                    rate.burst, rate.per_second
                );
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", why);
                return Err(problem.after(seconds as u64));
            }
            if sort == Sort::Requests {
                bucket.tokens -= 1.0;
            }
        }
        Ok(())
    }

    fn bucket(&self, payer: &Payer, sort: Sort) -> Option<((Sort, String), Rate)> {
        let seat = match payer {
            Payer::Local => return None,
            Payer::Unproved if sort == Sort::Refusals => {
                return Some(((sort, String::new()), self.limits.unproved));
            }
            Payer::Unproved => return None,
            Payer::Proved(seat) => seat,
        };
        let own = self.limits.principals.get(&seat.principal);
        let rate = match sort {
            Sort::Requests => own.and_then(|o| o.requests).or(self.limits.requests)?,
            Sort::Refusals => own.and_then(|o| o.refusals).unwrap_or(self.limits.refusals),
        };
        Some(((sort, seat.credential.to_string()), rate))
    }
}

impl Bucket {
    fn filled(
        buckets: &mut HashMap<(Sort, String), Self>,
        key: (Sort, String),
        rate: Rate,
        now: Duration,
    ) -> &mut Self {
        let bucket = buckets.entry(key).or_insert(Self {
            tokens: rate.burst,
            at: now,
        });
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate.per_second).min(rate.burst);
        bucket.at = now;
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(text: &str) -> Meter {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        Meter::open(dir.path()).unwrap()
    }

    fn seat(name: &str) -> Payer {
        Payer::Proved(Seat {
            principal: name.parse().unwrap(),
            credential: format!("{name}.token-1").parse().unwrap(),
        })
    }

    #[test]
    fn requests_are_limited_where_it_is_said() {
        let m = meter(
            "[limits.requests]\nburst = 2\nper_second = 0.5\n[limits.principals.rev.requests]\nburst = 3\nper_second = 1",
        );
        let at = Duration::from_secs;
        let taken = |who: &str, now| m.admit_at(&seat(who), at(now)).is_ok();
        assert!(taken("ana", 0) && taken("ana", 0) && !taken("ana", 0));
        assert!(!taken("ana", 1) && taken("ana", 2) && !taken("ana", 2));
        assert!(taken("rev", 0) && taken("rev", 0) && taken("rev", 0) && !taken("rev", 0));
        assert!((0..1_000).all(|_| m.admit_at(&Payer::Local, at(0)).is_ok()));
    }

    #[test]
    fn refusals_run_out_by_default_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let m = Meter::open(dir.path()).unwrap();
        let ana = seat("ana");
        for _ in 0..200 {
            assert!(m.admit(&ana).is_ok());
            m.refused(&ana);
        }
        assert_eq!(m.admit(&ana).unwrap_err().code(), "too-many");
        assert!(m.admit(&seat("rev")).is_ok());
        assert!(m.admit_at(&ana, Duration::from_secs(5)).is_ok());
        for _ in 0..60 {
            m.refused(&Payer::Unproved);
        }
        assert!(m.admit(&Payer::Unproved).is_err());
    }

    #[test]
    fn cases_are_bounded_for_everybody_and_for_some() {
        let most = |m: &Meter, who: &str| m.most_cases(&who.parse().unwrap());
        assert_eq!(most(&meter(""), "ana"), 10_000);
        let m = meter("[limits]\ncases = 7\n[limits.principals.rev]\ncases = 2");
        assert_eq!((most(&m, "ana"), most(&m, "rev")), (7, 2));
    }

    #[test]
    fn a_file_that_says_nothing_changes_nothing() {
        assert_eq!(meter("").limits.refusals, Rate::refusals());
        let m = meter("[limits.requests]\nburst = 2\nper_second = 1");
        assert_eq!(m.limits.unproved, Rate::unproved());
    }

    #[test]
    fn odd_limits_are_said_with_their_place() {
        for text in [
            "[limits.requests]\nburst = 0\nper_second = 1",
            "[limits.refusals]\nburst = 5\nper_second = 0",
            "[limits]\nrequest = 1",
            "[limits]\ncases = 0",
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let why = Meter::open(dir.path()).err().unwrap();
            assert!(why.contains(FILE), "{why}");
        }
    }
}
