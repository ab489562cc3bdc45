//! A server behind TLS, whose authority is its own, and which asks for a certificate.

use std::net::SocketAddr;

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this machine, with its key.
fn issued(by: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (params.signed_by(&key, by).unwrap(), key)
}

struct Guarded {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Guarded {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A server with a certificate of `ours`, which lets in who has one of `theirs`.
async fn start(ours: &Authority, theirs: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(theirs.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let (certificate, key) = issued(ours);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (_, app) = server();
    tokio::spawn(async move { axum::serve(Guarded { listener, acceptor }, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_authority_is_believed_and_the_certificate_is_shown() {
    let (ours, theirs, foreign) = (authority(), authority(), authority());
    let url = start(&ours, &theirs).await;
    let identity = |by: &Authority| {
        let (certificate, key) = issued(by);
        format!("{}{}", certificate.pem(), key.serialize_pem())
    };
    let call = async |authority: Option<&Authority>, shown: Option<String>| {
        let ca = authority.map(|a| a.pem());
        let tls = Tls::new(
            ca.as_deref().map(str::as_bytes),
            shown.as_deref().map(str::as_bytes),
        );
        let key = (
            HeaderName::from_static("authorization"),
            HeaderValue::from_static(KEY),
        );
        let place = Place::Remote(Remote {
            url: url.clone(),
            headers: vec![key],
            tls: tls.unwrap(),
        });
        let patience = Patience {
            timeout: LONG,
            recheck: LONG,
        };
        Upstream::new(place, patience)
            .call("send", Map::new())
            .await
    };
    let mine = || Some(identity(&theirs));
    assert_eq!(
        call(Some(&ours), mine()).await,
        Answer::Succeed(json!("sent"))
    );
    // The system's authorities do not know it, nor does another; it does not know who asks; it knows another.
    for (authority, shown) in [
        (None, mine()),
        (Some(&foreign), mine()),
        (Some(&ours), None),
        (Some(&ours), Some(identity(&foreign))),
    ] {
        let answer = call(authority, shown).await;
        assert!(matches!(answer, Answer::NotSent(_)), "{answer:?}");
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    for (ca, identity, says) in [
        (Some("rubbish"), None, "`ca`"),
        (None, Some("rubbish"), "`certificate`"),
    ] {
        let why = Tls::new(ca.map(str::as_bytes), identity.map(str::as_bytes)).err();
        assert!(
            why.as_ref().is_some_and(|why| why.contains(says)),
            "{why:?}"
        );
    }
    let remote = |url: &str| Remote {
        url: url.to_owned(),
        headers: Vec::new(),
        tls: Tls::new(Some(authority().pem().as_bytes()), None).unwrap(),
    };
    assert!(remote("https://example.com").check().is_ok());
    assert!(remote("http://localhost").check().is_err());
}
