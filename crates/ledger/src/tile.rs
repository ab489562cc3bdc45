//! Paths of the files of a log (`c2sp.org/tlog-tiles`).

use std::fmt;
use std::str::FromStr;

/// Entries of a full bundle, and hashes of a full tile.
pub const WIDTH: u64 = 256;

/// Name of the checkpoint file.
pub const CHECKPOINT: &str = "checkpoint";

/// Name of the file with the newest checkpoint that witnesses cosigned, beside [`CHECKPOINT`]: that one is often newer.
pub const WITNESSED: &str = "checkpoint.witnessed";

/// Name of the file with the statements by which the log's keys took over from one another ([`crate::rotation`]); absent
/// where the log has its first key.
pub const KEYS: &str = "keys";

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Tree hashes at this tile level, 0 (leaf hashes) to 63.
    Hashes(u8),
    /// Entries.
    Entries,
}

impl Kind {
    /// Level of the tile in the tree; bundles stand at level 0.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::Hashes(level) => level,
            Self::Entries => 0,
        }
    }

    /// Number of items (hashes or entries) that a tree of `size` entries has at this level.
    #[must_use]
    pub fn items(self, size: u64) -> u64 {
        size.checked_shr(8 * u32::from(self.level())).unwrap_or(0)
    }
}

/// Path of one tile or bundle: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Hashes of a level, or entries.
    pub kind: Kind,
    /// Place among the files of its kind, from 0.
    pub index: u64,
    /// Items in the file, 1 to 256; 256 is a full file.
    pub width: u16,
}

impl Path {
    /// The file that holds item number `item` of `kind` in a tree of `size` entries, as wide as that tree makes it.
    /// `None` where the tree has no such item.
    #[must_use]
    pub fn holding(kind: Kind, item: u64, size: u64) -> Option<Self> {
        let items = kind.items(size);
        if item >= items {
            return None;
        }
        let index = item / WIDTH;
        let width = (items - index * WIDTH).min(WIDTH) as u16;
        Some(Self { kind, index, width })
    }

    /// Whether the file holds all 256 items.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// The same file when it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self {
            width: WIDTH as u16,
            ..self
        }
    }

    /// Whether a tree of `size` entries has every item of this file.
    #[must_use]
    pub fn is_within(&self, size: u64) -> bool {
        self.index
            .checked_mul(WIDTH)
            .and_then(|first| first.checked_add(u64::from(self.width)))
            .is_some_and(|end| end <= self.kind.items(size))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes(level) => write!(out, "tile/{level}/")?,
            Kind::Entries => out.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups[1..].iter().rev() {
            write!(out, "x{group:03}/")?;
        }
        write!(out, "{:03}", groups[0])?;
        if !self.is_full() {
            write!(out, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Why a path is not one of a tile or bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no path of a tile or bundle (tile/<level>/<number>[.p/<width>] or tile/entries/<number>[.p/<width>])"
)]
pub struct NotATile(String);

impl FromStr for Path {
    type Err = NotATile;

    fn from_str(text: &str) -> Result<Self, NotATile> {
        let path = parse(text).ok_or_else(|| NotATile(text.to_owned()))?;
        // One file has one path: whatever formats differently (leading zeros, needless groups) is refused.
        if path.to_string() == text {
            Ok(path)
        } else {
            Err(NotATile(text.to_owned()))
        }
    }
}

fn parse(text: &str) -> Option<Path> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(level.parse().ok().filter(|level| *level <= 63)?),
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (
            number,
            width
                .parse()
                .ok()
                .filter(|width| (1..=255).contains(width))?,
        ),
        None => (rest, WIDTH as u16),
    };
    let mut index: u64 = 0;
    let mut groups = number.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() {
            group.strip_prefix('x')?
        } else {
            group
        };
        if digits.len() != 3 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(Path { kind, index, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_parses_the_paths_of_the_specification() {
        let path = Path {
            kind: Kind::Hashes(0),
            index: 1_234_067,
            width: 256,
        };
        assert_eq!(path.to_string(), "tile/0/x001/x234/067");
        assert_eq!("tile/0/x001/x234/067".parse(), Ok(path));
        for text in [
            "tile/0/000",
            "tile/63/999.p/255",
            "tile/entries/x001/000.p/1",
            "tile/entries/x018/x446/x744/x073/x709/x551/615",
        ] {
            let path: Path = text.parse().unwrap();
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "checkpoint",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/0/0",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/x002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/+01",
            "tile/0/000.p/",
            "tile/0/000.p/1/2",
            "tile/data/000",
            "/tile/0/000",
            "tile/entries/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_the_files_of_seventy_thousand_entries() {
        let at = |kind, item| Path::holding(kind, item, 70_000).map(|path| path.to_string());
        assert_eq!(
            at(Kind::Entries, 69_999).as_deref(),
            Some("tile/entries/273.p/112")
        );
        assert_eq!(at(Kind::Hashes(0), 0).as_deref(), Some("tile/0/000"));
        assert_eq!(at(Kind::Hashes(1), 272).as_deref(), Some("tile/1/001.p/17"));
        assert_eq!(at(Kind::Hashes(2), 0).as_deref(), Some("tile/2/000.p/1"));
        assert_eq!(at(Kind::Hashes(2), 1), None);
        assert_eq!(at(Kind::Hashes(63), 0), None);
    }
}
