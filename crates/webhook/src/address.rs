//! Where webhooks may go: whoever can write an address into a configuration, or answer for a name, must not reach what only
//! this machine can see.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What addresses are fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that everybody can reach.
    Public,
    /// Those of a network of one's own too, since its configuration says so.
    Private,
    /// This machine alone, since its address says so.
    Local,
}

impl Reach {
    fn admits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Local => address.is_loopback(),
            Self::Public => sort(address) == Sort::Public,
            Self::Private => sort(address) != Sort::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Public,
    /// Of a network of one's own, or of this machine.
    Private,
    /// Nobody's whom a webhook is for: among them the addresses where clouds tell a machine its secrets.
    Never,
}

fn sort(address: IpAddr) -> Sort {
    let (never, private) = match address {
        IpAddr::V4(a) => (
            a.is_unspecified()
                || a.is_link_local()
                || a.is_multicast()
                || a.is_broadcast()
                || a.octets()[0] == 0
                || a.octets()[0] >= 240,
            a.is_private() || a.is_loopback() || is_shared(a),
        ),
        IpAddr::V6(a) => (
            a.is_unspecified() || a.is_multicast() || a.is_unicast_link_local() || embeds(a),
            a.is_loopback() || a.is_unique_local(),
        ),
    };
    if never {
        Sort::Never
    } else if private {
        Sort::Private
    } else {
        Sort::Public
    }
}

/// 100.64.0.0/10, what providers keep for themselves (RFC 6598).
fn is_shared(a: Ipv4Addr) -> bool {
    a.octets()[0] == 100 && a.octets()[1] & 0b1100_0000 == 64
}

/// Addresses that stand for an IPv4 address behind a translator (RFC 6052, 6to4, Teredo): what they lead to is not seen here.
fn embeds(a: Ipv6Addr) -> bool {
    match a.segments() {
        [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] => true,
        [0, 0, 0, 0, 0, 0, ..] => !a.is_loopback(),
        _ => false,
    }
}

/// Reads the address of a receiver: https, or http on this machine.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str, private: bool) -> Result<(Url, Reach), String> {
    let url = Url::parse(text).map_err(|e| format!("`url` is no address: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url` holds a password; what is sent is signed instead".to_owned());
    }
    let host = url.host().ok_or("`url` names no host")?;
    let literal = match host {
        Host::Ipv4(a) => Some(IpAddr::V4(a)),
        Host::Ipv6(a) => Some(IpAddr::V6(a)),
        Host::Domain(_) => None,
    };
    let local = match host {
        Host::Domain(name) => name == "localhost",
        _ => literal.is_some_and(|a| a.to_canonical().is_loopback()),
    };
    let reach = match (local, private) {
        (true, _) => Reach::Local,
        (false, true) => Reach::Private,
        (false, false) => Reach::Public,
    };
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err("`url` is plain http to another machine; use https".to_owned()),
        other => return Err(format!("`url` is of `{other}`; use https")),
    }
    if let Some(address) = literal
        && !reach.admits(address)
    {
        return Err(refused(reach, &address.to_string()));
    }
    Ok((url, reach))
}

/// Looks names up, and passes on only addresses that are fit: what a name stands for can change from one look to the next.
pub(crate) struct Guarded(pub(crate) Reach);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> = found.filter(|a| reach.admits(a.ip())).collect();
            if fit.is_empty() {
                return Err(refused(reach, name.as_str()).into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

fn refused(reach: Reach, what: &str) -> String {
    match reach {
        Reach::Public => format!(
            "`{what}` is not on the public network; `private_network = true` lets webhooks go to a network of your own"
        ),
        Reach::Private => format!("`{what}` is an address that nothing is sent to"),
        Reach::Local => format!("`{what}` is not this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(text: &str, private: bool) -> Option<Reach> {
        parse(text, private).ok().map(|(_, reach)| reach)
    }

    #[test]
    fn only_https_leaves_this_machine() {
        assert_eq!(reach("https://desk.example/x", false), Some(Reach::Public));
        assert_eq!(reach("https://desk.example/x", true), Some(Reach::Private));
        for local in [
            "http://127.0.0.1:80/x",
            "http://localhost/",
            "http://[::1]/",
        ] {
            assert_eq!(reach(local, false), Some(Reach::Local), "{local}");
        }
        for wrong in [
            "http://desk.example/x",
            "ftp://desk.example/",
            "https://me:secret@desk.example/",
            "/relative",
            "http://127.0.0.1.desk.example/",
        ] {
            assert_eq!(reach(wrong, true), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_of_ones_own_network_are_asked_for_and_some_are_never_sent_to() {
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "[fd00::1]",
        ] {
            let url = format!("https://{private}/");
            assert_eq!(reach(&url, false), None, "{url}");
            assert_eq!(reach(&url, true), Some(Reach::Private), "{url}");
        }
        for never in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[::]",
        ] {
            let url = format!("https://{never}/");
            assert_eq!(reach(&url, true), None, "{url}");
        }
        // However it is written.
        assert_eq!(reach("https://2852039166/", true), None);
        assert_eq!(reach("https://8.8.8.8/", false), Some(Reach::Public));
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_is_not_sent_to() {
        let look = |reach| Guarded(reach).resolve("localhost".parse().unwrap());
        assert!(look(Reach::Public).await.is_err());
        assert!(
            look(Reach::Local)
                .await
                .unwrap()
                .all(|a| a.ip().is_loopback())
        );
    }
}
