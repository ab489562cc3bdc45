//! Recorded time: milliseconds since 1970 in UTC, written as RFC 3339 with exactly three decimals.
//!
//! Written so, order as text is order in time. There is no clock here: times arrive with requests.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde::{Deserialize, Serialize};

/// A moment, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

impl Time {
    /// The earliest moment that is written: 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(0);
    /// The last moment that is written: 9999-12-31T00:00:00.000Z.
    const LAST: i64 = 253_402_214_400_000;

    /// A moment from milliseconds since 1970, held within the years that can be written.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::LAST))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This moment and so many minutes.
    #[must_use]
    pub fn plus_minutes(self, minutes: u32) -> Self {
        Self::from_millis(self.0 + i64::from(minutes) * 60_000)
    }

    /// This moment and so many seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self::from_millis(self.0 + i64::from(seconds) * 1_000)
    }

    /// This moment less so many seconds.
    #[must_use]
    pub fn minus_seconds(self, seconds: u32) -> Self {
        Self::from_millis(self.0 - i64::from(seconds) * 1_000)
    }

    /// This moment less so many minutes.
    #[must_use]
    pub fn minus_minutes(self, minutes: u32) -> Self {
        Self::from_millis(self.0 - i64::from(minutes) * 60_000)
    }
}

impl Time {
    /// `YYYY-MM-DDThh:mm:ss.mmmZ`; every record has a few of these.
    fn text(self, text: &mut [u8; 24]) -> &str {
        let stamp = Timestamp::from_millisecond(self.0)
            .expect("INVARIANT: held within the years 1970 to 9999");
        let at = Offset::UTC.to_datetime(stamp);
        let year = u32::try_from(at.year()).expect("INVARIANT: not before 1970");
        let small = |n: i8| u32::from(n.unsigned_abs());
        let millis = at.subsec_nanosecond().unsigned_abs() / 1_000_000;
        *text = *b"0000-00-00T00:00:00.000Z";
        for (from, to, number) in [
            (0, 4, year),
            (5, 7, small(at.month())),
            (8, 10, small(at.day())),
            (11, 13, small(at.hour())),
            (14, 16, small(at.minute())),
            (17, 19, small(at.second())),
            (20, 23, millis),
        ] {
            let mut rest = number;
            for digit in text[from..to].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        std::str::from_utf8(text).expect("INVARIANT: digits and marks are ASCII")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; 24]))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if let Some(time) = exact(s.as_bytes()) {
            return Ok(time);
        }
        let time = s
            .parse::<Timestamp>()
            .map(|t| Self::from_millis(t.as_millisecond()))
            .map_err(|e| format!("`{s}` is not a time: {e}"))?;
        if time.to_string() == s {
            Ok(time)
        } else {
            Err(format!(
                "`{s}` is not written as a record's time is, like `{time}`"
            ))
        }
    }
}

/// Reads `YYYY-MM-DDThh:mm:ss.mmmZ`, and nothing else: every record has a few of these.
fn exact(text: &[u8]) -> Option<Time> {
    let text: &[u8; 24] = text.try_into().ok()?;
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_i32, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + i32::from(digit - b'0'))
        })
    };
    let small = |from, to| number(from, to).and_then(|n| i8::try_from(n).ok());
    let year = number(0, 4).and_then(|n| i16::try_from(n).ok())?;
    let date = DateTime::new(
        year,
        small(5, 7)?,
        small(8, 10)?,
        small(11, 13)?,
        small(14, 16)?,
        small(17, 19)?,
        number(20, 23)? * 1_000_000,
    );
    let stamp = Offset::UTC.to_timestamp(date.ok()?).ok()?;
    // Before 1970 a record has no time.
    let millis = stamp.as_millisecond();
    (0..=Time::LAST)
        .contains(&millis)
        .then(|| Time::from_millis(millis))
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.text(&mut [0; 24]))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::parse(d)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_with_three_decimals_in_utc() {
        assert_eq!(Time::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Time::from_millis(1_795_424_645_120).to_string().len(),
            "2026-11-23T09:04:05.120Z".len()
        );
        assert!("2026-11-23T09:04:05Z".parse::<Time>().is_err());
        assert!("2026-11-23T10:04:05.000+01:00".parse::<Time>().is_err());
        assert!("soon".parse::<Time>().is_err());
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(a in 0..Time::LAST, b in 0..Time::LAST) {
            let (a, b) = (Time::from_millis(a), Time::from_millis(b));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.to_string().parse::<Time>().unwrap(), a);
            let stamp = Timestamp::from_millisecond(a.millis()).unwrap();
            prop_assert_eq!(a.to_string(), format!("{stamp:.3}"));
        }
    }
}
