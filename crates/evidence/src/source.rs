//! Opening a log: a data directory, a bare copy of a log, or the URL of one.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ledger::{Directory, Source, SourceError, source::LARGEST_FILE, tile::CHECKPOINT};

use crate::{EvidenceError, Vault};

/// How long a mirror may take over one file.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log that was found, with what stands beside it.
pub struct Opened {
    /// Its files.
    pub source: Box<dyn Source + Send + Sync>,
    /// The data directory, where it is one.
    pub dir: Option<PathBuf>,
}

impl Opened {
    /// The snapshots beside the log; none where it is a bare copy.
    #[must_use]
    pub fn vault(&self) -> Option<Vault> {
        let dir = self.dir.as_ref()?.join("snapshots");
        dir.is_dir().then(|| Vault::new(dir))
    }

    /// The verifier key beside the log, `log.vkey`, if one is there.
    ///
    /// It comes from whoever made the copy: an auditor who trusts nobody brings a key of their own.
    #[must_use]
    pub fn vkey(&self) -> Option<String> {
        let path = self.dir.as_ref()?.join("log.vkey");
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim_end().to_owned())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Opens the log at `place`: a data directory (it has `log/`), a log directory (it has `checkpoint`), or an http(s) URL of
/// one.
///
/// # Errors
/// [`EvidenceError::NotALog`] where it is none of these. A URL is asked for nothing yet.
pub fn open(place: &str) -> Result<Box<dyn Source + Send + Sync>, EvidenceError> {
    open_at(place).map(|opened| opened.source)
}

/// As [`open`], with the data directory, where it is one.
///
/// # Errors
/// As [`open`].
pub fn open_at(place: &str) -> Result<Opened, EvidenceError> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return Ok(Opened {
            source: Box::new(Mirror::new(place)),
            dir: None,
        });
    }
    let path = Path::new(place);
    let log = path.join("log");
    if log.is_dir() {
        Ok(Opened {
            source: Box::new(Directory::new(&log)),
            dir: Some(path.to_owned()),
        })
    } else if path.join(CHECKPOINT).is_file() {
        Ok(Opened {
            source: Box::new(Directory::new(path)),
            dir: None,
        })
    } else {
        Err(EvidenceError::NotALog {
            place: place.to_owned(),
        })
    }
}

/// A log behind a static file server. It cannot list, so strays are not looked for.
struct Mirror {
    base: String,
    agent: ureq::Agent,
}

impl Mirror {
    fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            base: url.trim_end_matches('/').to_owned(),
            agent: config.into(),
        }
    }
}

impl Source for Mirror {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/{path}", self.base);
        let failed = |why: String| SourceError::Failed {
            path: path.to_owned(),
            why: format!("`{url}`: {why}"),
        };
        let mut answer = self
            .agent
            .get(&url)
            .call()
            .map_err(|e| failed(e.to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            404 | 410 => {
                return Err(SourceError::Missing {
                    path: path.to_owned(),
                });
            }
            status => return Err(failed(format!("the server answers {status}"))),
        }
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(LARGEST_FILE as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| failed(e.to_string()))?;
        if bytes.len() > LARGEST_FILE {
            return Err(SourceError::Damaged {
                path: path.to_owned(),
                why: format!("it is larger than {LARGEST_FILE} bytes"),
            });
        }
        Ok(bytes)
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        Ok(None)
    }
}
