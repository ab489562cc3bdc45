//! A target system that is reached by streamable HTTP.

use std::{collections::HashMap, error::Error};

use axum::http::{HeaderName, HeaderValue};
use engine::target::Answer;
use reqwest::{Certificate, ClientBuilder, Identity, redirect::Policy};
use rmcp::{
    service::ClientInitializeError,
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};

/// Where a server is, and what it is told on every request.
#[derive(Clone)]
pub struct Remote {
    /// Its endpoint, `https://…`, or `http://…` on this machine. What its query asks for is taken for a secret.
    pub url: String,
    /// Headers, secrets as a rule.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Certificates, where its address is one of https.
    pub tls: Tls,
}

/// Whom to believe that it is the server, and what is shown to it.
#[derive(Clone, Default)]
pub struct Tls {
    /// The authorities that vouch for it; those of the system, where none is named.
    authorities: Vec<Certificate>,
    /// The client's own certificate with its key.
    identity: Option<Identity>,
}

impl Tls {
    /// `ca` holds certificates of authorities, in PEM; `identity` is a certificate, what it was issued with, and its key, in PEM too.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn new(ca: Option<&[u8]>, identity: Option<&[u8]>) -> Result<Self, String> {
        let authorities = match ca {
            Some(pem) => Certificate::from_pem_bundle(pem)
                .map_err(|e| format!("`ca` holds no certificates in PEM: {e}"))?,
            None => Vec::new(),
        };
        // Without any the system's would be believed.
        if ca.is_some() && authorities.is_empty() {
            return Err("`ca` holds no certificates in PEM".to_owned());
        }
        let identity = identity.map(Identity::from_pem).transpose();
        let identity =
            identity.map_err(|e| format!("`certificate` and `key` are no PEM of those: {e}"))?;
        Ok(Self {
            authorities,
            identity,
        })
    }

    fn is_named(&self) -> bool {
        self.identity.is_some() || !self.authorities.is_empty()
    }
}

impl Remote {
    /// Says what a request would give away: a password in the address, or secrets over an open line.
    ///
    /// # Errors
    /// What is wrong with it, without the secret.
    pub fn check(&self) -> Result<(), String> {
        let url = reqwest::Url::parse(&self.url).map_err(|e| format!("is no address: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is no address of http or https".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a password; put it into a file and name that in `headers`".to_owned(),
            );
        }
        if self.tls.is_named() && url.scheme() != "https" {
            return Err("is not of https, and certificates are named for it".to_owned());
        }
        let gives_away = !self.headers.is_empty() || url.query().is_some();
        if gives_away && !self.is_guarded() {
            return Err("would carry secrets over an open line; use https".to_owned());
        }
        Ok(())
    }

    /// Whether nobody on the way can read or change what is sent: https, or this machine.
    pub(crate) fn is_guarded(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.url) else {
            return false;
        };
        let local = url.host_str().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            let address = host.parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|a| a.is_loopback())
        });
        url.scheme() == "https" || (url.scheme() == "http" && local)
    }

    /// What its address asks for, as it is written and as it is meant: servers take keys there too.
    pub(super) fn query(&self) -> Vec<String> {
        let Ok(url) = reqwest::Url::parse(&self.url) else {
            return Vec::new();
        };
        let pairs = url.query().unwrap_or_default().split('&');
        let written = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let written: Vec<_> = written.map(str::to_owned).collect();
        let meant = url.query_pairs().map(|(_, value)| value.into_owned());
        meant.chain(written).collect()
    }

    /// A transport; nothing is sent yet.
    pub(super) fn transport(
        &self,
    ) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
        let client = self
            .client(|client| client)
            .map_err(|why| format!("`{}` {why}", self.url))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str());
        config.max_concurrent_requests = AT_ONCE;
        // A new session would take the call along, and nobody would have looked at what its server describes.
        config.reinit_on_expired_session = false;
        config.custom_headers = self.headers.iter().cloned().collect::<HashMap<_, _>>();
        Ok(StreamableHttpClientTransport::with_client(client, config))
    }

    /// A client for requests to it, which `more` may say more of; without the headers.
    pub(crate) fn client(
        &self,
        more: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<reqwest::Client, String> {
        self.check()?;
        // Whoever came first has set it: there is one in this program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            // A redirect would take the headers elsewhere.
            .redirect(Policy::none())
            // And nothing is sent twice by itself.
            .retry(reqwest::retry::never());
        if !self.url.starts_with("https:") {
            // What is plain on this machine is not to be plain on the way to a proxy.
            client = client.no_proxy();
        }
        if !self.tls.authorities.is_empty() {
            client = client.tls_certs_only(self.tls.authorities.iter().cloned());
        }
        if let Some(identity) = &self.tls.identity {
            client = client.identity(identity.clone());
        }
        let client = more(client).build();
        client.map_err(|e| format!("makes no client for HTTP: {e}"))
    }
}

/// Why a greeting failed, in words.
pub(super) fn why_not_greeted(error: &ClientInitializeError) -> String {
    let known = match error {
        ClientInitializeError::TransportError { error, .. } => known(&*error.error),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
            return why_not_greeted(fallback);
        }
        _ => None,
    };
    match known {
        Some(Answer::NotSent(why) | Answer::Fail(why)) => why,
        _ => format!("it did not greet as an MCP server: {error}"),
    }
}

/// What is known after a request that ended in this error; none where it may have been carried out.
pub(super) fn known(error: &(dyn Error + 'static)) -> Option<Answer> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            return match http {
                // No connection, no request.
                StreamableHttpError::Client(e) if e.is_connect() || e.is_builder() => Some(
                    Answer::NotSent(format!("the server cannot be reached: {}", chain(e))),
                ),
                StreamableHttpError::AuthRequired(_) => {
                    Some(refused("401: it does not know who asks"))
                }
                StreamableHttpError::InsufficientScope(_) => {
                    Some(refused("403: it lets this one not"))
                }
                // The protocol's word for a session that is over: what came in it was not looked at.
                StreamableHttpError::SessionExpired => {
                    Some(refused("404: it has ended the session"))
                }
                StreamableHttpError::HttpStatus(status) if status.status == 429 => {
                    Some(refused("429: too many requests"))
                }
                _ => None,
            };
        }
        next = error.source();
    }
    None
}

fn refused(why: &str) -> Answer {
    Answer::Fail(format!("the server refused the request with HTTP {why}"))
}

/// An error with its reasons, without the address: it may hold what is nobody's business.
fn chain(error: &reqwest::Error) -> String {
    let mut words = vec!["no connection".to_owned()];
    let mut next = error.source();
    while let Some(e) = next {
        words.push(e.to_string());
        next = e.source();
    }
    words.join(": ")
}

const AT_ONCE: usize = 256;
