//! Endpoints of language models: where they are and what opens them. Both are the data directory's, and in no release, record
//! or error.

use std::{collections::BTreeMap, time::Duration};

use policy::{Form, LanguagePlan};
use telemetry::context;
use url::{Host, Url};

/// The version of Anthropic's API whose form is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Endpoints by name.
#[derive(Default)]
pub struct Endpoints(BTreeMap<String, Endpoint>);

impl Endpoints {
    /// Those of the data directory.
    #[must_use]
    pub fn new(endpoints: BTreeMap<String, Endpoint>) -> Self {
        Self(endpoints)
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// Where there is none, in words.
    pub fn named(&self, name: &str) -> Result<&Endpoint, String> {
        self.0.get(name).ok_or_else(|| {
            format!(
                "its endpoint `{name}` is not set up; add `[{name}]` with a `url` to `models.toml`"
            )
        })
    }
}

/// One endpoint.
pub struct Endpoint {
    base: Url,
    key: Option<String>,
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
}

/// What came of a request.
pub(crate) enum Came {
    /// It certainly was not sent.
    Unsent(String),
    /// No whole answer came.
    Lost(String),
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body; the key that opens the endpoint is written `[key]` in it.
        body: Vec<u8>,
        /// How long the endpoint wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Endpoint {
    /// An endpoint whose API begins at `base`, like `https://api.openai.com/v1`. `plain` lets what is asked go over a network
    /// without TLS.
    ///
    /// # Errors
    /// What is wrong with the address or the key, in words; the key is not among them.
    pub fn new(
        base: &str,
        key: Option<String>,
        plain: bool,
        first_wait: Duration,
        longest_wait: Duration,
    ) -> Result<Self, String> {
        let base: Url = base
            .parse()
            .map_err(|e| format!("`{base}` is no URL: {e}"))?;
        match base.scheme() {
            "https" => {}
            "http" if plain || is_here(&base) => {}
            "http" => {
                return Err(format!(
                    "`{base}` would send cases and the key over the network for all to read; use https, or say `plain_http = true`"
                ));
            }
            other => return Err(format!("`{other}` is no way to an endpoint; use https")),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(
                "the URL holds a password; put the key into a file or a variable".to_owned(),
            );
        }
        let key = key.map(|key| key.trim().to_owned());
        let is_fit = |key: &String| !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
        if key.as_ref().is_some_and(|key| !is_fit(key)) {
            return Err(
                "its key is empty, or holds more than letters, digits and signs".to_owned(),
            );
        }
        Ok(Self {
            base,
            key,
            first_wait,
            longest_wait,
        })
    }

    /// Sends a body, once.
    pub(crate) async fn send(&self, plan: &LanguagePlan, body: &[u8]) -> Came {
        let path = match plan.form {
            Form::OpenAi => "chat/completions",
            Form::Anthropic => "messages",
        };
        let url = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let patience = Duration::from_secs(plan.timeout_seconds.into());
        let headers = self.headers(plan.form);
        let (body, key) = (body.to_vec(), self.key.clone());
        // The client waits for the network: on a thread for that.
        let sent = tokio::task::spawn_blocking(move || {
            let came = post(&url, &headers, &body, patience);
            hidden(came, key.as_deref())
        });
        match sent.await {
            Ok(came) => came,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn headers(&self, form: Form) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(context::traceparent().map(|parent| (context::TRACEPARENT, parent)));
        match (form, &self.key) {
            (Form::OpenAi, Some(key)) => headers.push(("authorization", format!("Bearer {key}"))),
            (Form::Anthropic, Some(key)) => headers.push(("x-api-key", key.clone())),
            (_, None) => {}
        }
        if form == Form::Anthropic {
            headers.push(("anthropic-version", ANTHROPIC_VERSION.to_owned()));
        }
        headers
    }
}

/// Whether an address is this machine's own.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn post(url: &str, headers: &[(&'static str, String)], body: &[u8], patience: Duration) -> Came {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        // A key is for the address that it was set up for.
        .max_redirects(0)
        .build()
        .into();
    let mut request = agent.post(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut answer = match request.send(body) {
        Ok(answer) => answer,
        Err(e) if never_left(&e) => return Came::Unsent(e.to_string()),
        Err(e) => return Came::Lost(e.to_string()),
    };
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after");
    let retry_after = retry_after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
    match answer.body_mut().with_config().limit(LONGEST).read_to_vec() {
        Ok(body) => Came::Answer {
            status,
            body,
            retry_after: retry_after.map(Duration::from_secs),
        },
        Err(e) => Came::Lost(format!("status {status}, and then: {e}")),
    }
}

/// Whether a failure shows that nothing was sent.
fn never_left(e: &ureq::Error) -> bool {
    match e {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) => true,
        ureq::Error::Io(e) => e.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// The same, with the key written `[key]` wherever an endpoint repeats it.
fn hidden(came: Came, key: Option<&str>) -> Came {
    let Some(key) = key else { return came };
    match came {
        Came::Unsent(why) => Came::Unsent(why.replace(key, "[key]")),
        Came::Lost(why) => Came::Lost(why.replace(key, "[key]")),
        Came::Answer {
            status,
            body,
            retry_after,
        } => {
            let body = match String::from_utf8(body) {
                Ok(text) => text.replace(key, "[key]").into_bytes(),
                Err(other) => String::from_utf8_lossy(other.as_bytes())
                    .replace(key, "[key]")
                    .into_bytes(),
            };
            Came::Answer {
                status,
                body,
                retry_after,
            }
        }
    }
}
