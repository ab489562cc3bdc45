//! Files over HTTP: connections are kept, and what fails in passing is tried again.

use std::{io::Read as _, thread, time::Duration};

use ledger::{Source, SourceError, source::LARGEST_FILE};

/// How long a server may take over one file.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a file is asked for before it counts as not to be had.
const TRIES: u32 = 6;

/// The first pause between two tries; each is twice as long as the one before it, six seconds in all.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Connections that are kept: one for each thread that reads.
const KEPT: usize = 32;

/// Gets files.
pub(super) struct Web(ureq::Agent);

/// What a server says.
pub(super) enum Answer {
    /// Here it is.
    File(Vec<u8>),
    /// There is no such file; with the server's words.
    Missing(Vec<u8>),
}

/// Why there is no answer yet.
struct Trouble {
    why: String,
    /// Whether another try may help, and the pause that the server asks for.
    passing: Option<Option<Duration>>,
}

impl Web {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .build();
        Self(config.into())
    }

    /// The file at the URL that `url` makes anew for each try; `path` is its name in errors.
    pub(super) fn get(&self, path: &str, url: &dyn Fn() -> String) -> Result<Answer, SourceError> {
        let mut pause = PAUSE;
        for tried in 1.. {
            let trouble = match self.once(path, &url())? {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            match trouble.passing {
                Some(asked) if tried < TRIES => {
                    thread::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE));
                    pause *= 2;
                }
                passing => {
                    let times = if passing.is_some() {
                        format!(" ({tried} times)")
                    } else {
                        String::new()
                    };
                    return Err(SourceError::Failed {
                        path: path.to_owned(),
                        why: format!("{}{times}", trouble.why),
                    });
                }
            }
        }
        unreachable!("INVARIANT: the last try returns")
    }

    fn once(&self, path: &str, url: &str) -> Result<Result<Answer, Trouble>, SourceError> {
        // A signature in the URL is nobody's business.
        let named = url.split('?').next().unwrap_or_default();
        let passing = |why: String| {
            Ok(Err(Trouble {
                why: format!("`{named}`: {why}"),
                passing: Some(None),
            }))
        };
        let mut answer = match self.0.get(url).call() {
            Ok(answer) => answer,
            Err(e) => return passing(e.to_string()),
        };
        let status = answer.status().as_u16();
        let asked = answer.headers().get("retry-after").cloned();
        let mut bytes = Vec::new();
        let body = answer.body_mut().as_reader();
        if let Err(e) = body.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes) {
            return passing(e.to_string());
        }
        Ok(match status {
            200 if bytes.len() > LARGEST_FILE => {
                return Err(SourceError::Damaged {
                    path: path.to_owned(),
                    why: format!("it is larger than {LARGEST_FILE} bytes"),
                });
            }
            200 => Ok(Answer::File(bytes)),
            404 | 410 => Ok(Answer::Missing(bytes)),
            _ => {
                let asked = asked
                    .and_then(|v| v.to_str().ok()?.parse().ok())
                    .map(Duration::from_secs);
                Err(Trouble {
                    why: format!("`{named}`: the server answers {status}"),
                    passing: matches!(status, 408 | 429 | 500..=599).then_some(asked),
                })
            }
        })
    }
}

/// A log behind a static file server. It cannot list, so strays are not looked for.
pub(super) struct Mirror {
    base: String,
    web: Web,
}

impl Mirror {
    pub(super) fn new(url: &str) -> Self {
        Self {
            base: url.trim_end_matches('/').to_owned(),
            web: Web::new(),
        }
    }
}

impl Source for Mirror {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        match self.web.get(path, &|| format!("{}/{path}", self.base))? {
            Answer::File(bytes) => Ok(bytes),
            Answer::Missing(_) => Err(SourceError::Missing {
                path: path.to_owned(),
            }),
        }
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        Ok(None)
    }
}
