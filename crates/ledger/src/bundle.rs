//! Entry bundles (`c2sp.org/tlog-tiles`): entries one after another, each with its length as big-endian uint16.

/// Bytes of the longest entry a bundle can hold.
pub const LONGEST: usize = u16::MAX as usize;

/// Why entries or bytes are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than its length field can say.
    #[error("an entry of {bytes} bytes is longer than the {LONGEST} a log entry may have")]
    TooLong {
        /// Bytes of the entry.
        bytes: usize,
    },
    /// The bytes end in the middle of an entry.
    #[error("the bundle ends at byte {end}, inside entry {entry} of the bundle")]
    Cut {
        /// Entry of the bundle that is not whole, from 0.
        entry: usize,
        /// Bytes in the bundle.
        end: usize,
    },
    /// There are more or fewer entries than the path says.
    #[error("the bundle holds {found} entries and must hold {want}")]
    Count {
        /// Entries found.
        found: usize,
        /// Entries due.
        want: usize,
    },
}

/// Appends one entry to `bundle`.
///
/// # Errors
/// [`BundleError::TooLong`] above [`LONGEST`] bytes.
pub fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length =
        u16::try_from(entry.len()).map_err(|_| BundleError::TooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Splits a bundle into exactly `count` entries.
///
/// # Errors
/// [`BundleError::Cut`] or [`BundleError::Count`].
pub fn parse(bundle: &[u8], count: usize) -> Result<Vec<&[u8]>, BundleError> {
    // Not `with_capacity(count)`: a reader may be told any count.
    let mut entries = Vec::new();
    for entry in Entries(bundle) {
        entries.push(entry.map_err(|()| BundleError::Cut {
            entry: entries.len(),
            end: bundle.len(),
        })?);
    }
    if entries.len() == count {
        Ok(entries)
    } else {
        Err(BundleError::Count {
            found: entries.len(),
            want: count,
        })
    }
}

/// The first bytes of `bundle` that hold `count` entries; `None` where it has fewer.
#[must_use]
pub fn prefix(bundle: &[u8], count: usize) -> Option<&[u8]> {
    let mut entries = Entries(bundle);
    for _ in 0..count {
        entries.next()?.ok()?;
    }
    bundle.get(..bundle.len() - entries.0.len())
}

struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = self.0.split_first_chunk::<2>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        Some(split.ok_or(()).map(|(entry, rest)| {
            self.0 = rest;
            entry
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_wrote() {
        let long = vec![7; LONGEST];
        let mut bundle = Vec::new();
        for entry in [&b"one"[..], b"", &long] {
            push(&mut bundle, entry).unwrap();
        }
        assert_eq!(&bundle[..7], b"\x00\x03one\x00\x00");
        assert_eq!(parse(&bundle, 3), Ok(vec![&b"one"[..], b"", &long]));
        assert_eq!(prefix(&bundle, 2), Some(&b"\x00\x03one\x00\x00"[..]));
        assert_eq!(prefix(&bundle, 4), None);
    }

    #[test]
    fn refuses_what_is_cut_or_miscounted() {
        assert_eq!(
            parse(b"\x00\x03on", 1),
            Err(BundleError::Cut { entry: 0, end: 4 })
        );
        assert_eq!(
            parse(b"\x00\x00\x00", 2),
            Err(BundleError::Cut { entry: 1, end: 3 })
        );
        assert_eq!(
            parse(b"\x00\x00", 2),
            Err(BundleError::Count { found: 1, want: 2 })
        );
        assert_eq!(
            parse(b"\x00\x00", 0),
            Err(BundleError::Count { found: 1, want: 0 })
        );
        assert_eq!(
            push(&mut Vec::new(), &vec![0; LONGEST + 1]),
            Err(BundleError::TooLong { bytes: LONGEST + 1 })
        );
    }
}
