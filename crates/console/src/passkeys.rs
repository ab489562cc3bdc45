//! Where passkeys are used, and whose there are.

use duty::{name::PrincipalId, principal::Proof, state::State};
use serde::Serialize;

/// The relying party, as WebAuthn calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// Its id: a domain.
    pub(crate) rp: String,
    /// Origins of its pages.
    pub(crate) origins: Vec<String>,
}

impl Place {
    /// The place that an address of the console is. WebAuthn takes domains only, and without TLS only `localhost`: an address
    /// of this very machine stands for that.
    pub(crate) fn of(public_url: &str) -> Option<Self> {
        let url = public_url.trim_end_matches('/');
        let (scheme, authority) = url.split_once("://")?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, format!(":{port}"))
            }
            _ => (authority, String::new()),
        };
        match (scheme, host) {
            ("http", "localhost" | "127.0.0.1" | "[::1]") => Some(Self {
                rp: "localhost".to_owned(),
                origins: vec![format!("http://localhost{port}")],
            }),
            ("https", host) if host.ends_with(|c: char| c.is_ascii_lowercase()) => Some(Self {
                rp: host.to_owned(),
                origins: vec![url.to_owned()],
            }),
            _ => None,
        }
    }
}

/// A person's passkeys, for the script that signs with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Passkeys {
    pub(crate) place: Option<Place>,
    /// The log's origin.
    pub(crate) log: String,
    pub(crate) person: String,
    /// Those in force that belong to this place.
    pub(crate) own: Vec<Own>,
    /// The id that the next one would get.
    pub(crate) next: String,
}

/// One passkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Own {
    pub(crate) credential: String,
    /// As authenticators name it.
    pub(crate) id: String,
}

impl Passkeys {
    pub(crate) fn of(state: &State, place: Option<&Place>, person: &PrincipalId) -> Self {
        let known = state.principals.get(person);
        let own = known.into_iter().flat_map(|p| p.signing());
        let own = own.filter_map(|c| match &c.proof {
            Proof::Passkey(p) if place.is_some_and(|place| place.rp == p.rp()) => Some(Own {
                credential: c.id.to_string(),
                id: p.id().to_owned(),
            }),
            _ => None,
        });
        let free = |n: &u32| {
            let id = format!("{person}.passkey-{n}");
            state.credentials.keys().all(|taken| taken.as_str() != id)
        };
        let next = (1_u32..).find(free).unwrap_or_default();
        Self {
            place: place.cloned(),
            log: state.origin.clone().unwrap_or_default(),
            person: person.to_string(),
            own: own.collect(),
            next: format!("{person}.passkey-{next}"),
        }
    }

    /// The script's copy.
    pub(crate) fn data(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Where the page must be open for passkeys to work.
    pub(crate) fn open_at(&self) -> Option<&str> {
        self.place.as_ref()?.origins.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_domain() {
        let rp = |url: &str| Place::of(url).map(|p| (p.rp, p.origins.concat()));
        let at = |rp: &str, origin: &str| Some((rp.to_owned(), origin.to_owned()));
        let here = at("localhost", "http://localhost:7878");
        assert_eq!(rp("http://127.0.0.1:7878"), here);
        assert_eq!(rp("http://[::1]:7878/"), here);
        assert_eq!(rp("http://localhost"), at("localhost", "http://localhost"));
        let there = at("pay.example", "https://pay.example");
        assert_eq!(rp("https://pay.example/"), there);
        for none in [
            "http://pay.example",
            "https://10.0.0.1:7878",
            "http://0.0.0.0:7878",
            "pay",
        ] {
            assert_eq!(rp(none), None, "{none}");
        }
    }
}
