//! One attempt at a receiver.

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use url::Url;

use crate::{
    address::Guarded,
    config::Endpoint,
    sign::{self, Signer},
};

/// Bytes of an answer that are read, so that the connection can be used again; nothing in them counts.
const READ: usize = 16 * 1024;

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took it: 2xx.
    Taken,
    /// It wants no more: 410.
    Gone,
    /// Neither, so that it is tried again.
    Failed {
        /// Why, in words for an operator.
        why: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// The way to one receiver.
pub struct Post {
    client: Client,
    url: Url,
    signers: Vec<Signer>,
}

impl Post {
    /// The way to an endpoint; nothing is sent yet.
    ///
    /// # Errors
    /// Why there is no client for it.
    pub fn new(endpoint: Endpoint) -> Result<(Self, crate::config::Plan), String> {
        // Whoever came first has set it: there is one in this program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            // A redirect would take what is told to where nobody has looked.
            .redirect(Policy::none())
            // Each attempt is counted here, and a proxy would look names up by itself.
            .retry(reqwest::retry::never())
            .no_proxy()
            .dns_resolver(Guarded(endpoint.reach))
            .timeout(endpoint.plan.timeout)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| format!("no client for HTTP: {e}"))?;
        let post = Self {
            client,
            url: endpoint.url,
            signers: endpoint.signers,
        };
        Ok((post, endpoint.plan))
    }

    /// Sends a body once. `id` names what is told; `now` is in milliseconds since 1970.
    pub async fn send(&self, id: &str, now: i64, body: &str) -> Answer {
        let now = Duration::from_millis(u64::try_from(now).unwrap_or_default());
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_owned());
        for (name, value) in sign::headers(&self.signers, id, now.as_secs(), body.as_bytes()) {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => answer(response, now).await,
            Err(e) => Answer::Failed {
                why: words(&e),
                retry_after: None,
            },
        }
    }
}

async fn answer(mut response: Response, now: Duration) -> Answer {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after
        .and_then(|value| value.to_str().ok())
        .and_then(|value| delay(value, now));
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > READ {
            break;
        }
    }
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::GONE => Answer::Gone,
        status if status.is_redirection() => Answer::Failed {
            why: format!(
                "the receiver answers {}: no redirect is followed",
                status.as_u16()
            ),
            retry_after,
        },
        status => Answer::Failed {
            why: format!("the receiver answers {}", status.as_u16()),
            retry_after,
        },
    }
}

/// What `Retry-After` says (RFC 9110): seconds, or a date.
fn delay(value: &str, now: Duration) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value.trim()).ok()?;
    let at = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(now))
}

/// An error with its reasons, without the address: its query may hold what is nobody's business.
fn words(error: &reqwest::Error) -> String {
    let mut words = vec![if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "no answer".to_owned()
    }];
    let mut next = error.source();
    while let Some(e) = next {
        words.push(e.to_string());
        next = e.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Duration::from_secs(784_111_777);
        let of = |value| delay(value, now).map(|d| d.as_secs());
        assert_eq!(of("120"), Some(120));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(of("Sat, 06 Nov 1993 08:50:37 GMT"), Some(0));
        assert_eq!((of("soon"), of("-1")), (None, None));
    }
}
