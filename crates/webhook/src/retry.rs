//! How long until the next attempt.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The longest that a receiver's `Retry-After` counts for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after so many failures in a row: `first`, doubled with each up to `longest`, less up to half of it, so that
/// not everybody comes back at once; and at least as long as the receiver asked for. The same for the same `who`.
#[must_use]
pub fn wait(
    failures: u32,
    first: Duration,
    longest: Duration,
    asked: Option<Duration>,
    who: &str,
) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let digest = Sha256::digest(format!("{who}/{failures}").as_bytes());
    let spread = f64::from(digest[0]) / 256.0;
    let own = doubled.min(longest).mul_f64(1.0 - 0.5 * spread);
    own.max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        let (first, longest) = (Duration::from_secs(5), Duration::from_secs(3600));
        let of = |n, who: &str| wait(n, first, longest, None, who);
        for n in 1..40 {
            let whole = first.saturating_mul(1 << (n - 1).min(20)).min(longest);
            let wait = of(n, "a");
            assert!(wait <= whole && wait >= whole / 2, "{n}: {wait:?}");
        }
        assert!((1..20).any(|n| of(n, "a") != of(n, "b")), "all at once");
        assert_eq!(of(3, "a"), of(3, "a"));
    }

    #[test]
    fn the_receiver_may_ask_for_longer_within_a_day() {
        let second = Duration::from_secs(1);
        let of = |asked| wait(1, second, second, Some(Duration::from_secs(asked)), "a");
        assert_eq!(of(90), Duration::from_secs(90));
        assert!(of(0) <= second && of(0) > Duration::ZERO);
        assert_eq!(of(u64::MAX), LONGEST);
    }
}
