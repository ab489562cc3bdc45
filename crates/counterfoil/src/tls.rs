//! TLS at the doors: the server's certificate, clients' certificates of one authority, and what that revoked. All of it is read
//! again when it changes.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use duty::canonical::Digest;
use gateway::identity::Peer;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{
        NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
    version::TLS13,
};
use store::secret;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::{cli::TlsFiles, fail::Failure};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often it is looked whether the files changed.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest certificate file, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// The files of a server's TLS.
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    client_crl: Option<PathBuf>,
}

/// What the files hold, and the configuration that it makes.
struct Current {
    digest: Digest,
    config: Arc<ServerConfig>,
}

/// TLS as it is at the moment.
pub(crate) struct Tls {
    files: Files,
    current: RwLock<Current>,
}

impl Tls {
    /// None where no certificate is named.
    pub(crate) fn open(named: TlsFiles) -> Result<Option<Arc<Self>>, Failure> {
        let (Some(cert), Some(key)) = (named.tls_cert, named.tls_key) else {
            return Ok(None);
        };
        let files = Files {
            cert,
            key,
            client_ca: named.client_ca,
            client_crl: named.client_crl,
        };
        let config = files.read().and_then(|held| held.config());
        let current = RwLock::new(config.map_err(Failure::usage)?);
        Ok(Some(Arc::new(Self { files, current })))
    }

    /// Lets a connection in, with the certificate that its client has shown to hold the key of; none where that takes too long or
    /// does not come to pass.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Option<(TlsStream<S>, Option<Peer>)> {
        let config = Arc::clone(&self.read().config);
        let accepted = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, accepted).await.ok()?.ok()?;
        let shown = stream.get_ref().1.peer_certificates();
        let peer = match shown.and_then(|chain| chain.first()) {
            Some(certificate) => Some(Peer(spki(certificate).ok()?)),
            None => None,
        };
        Some((stream, peer))
    }

    /// Takes changed files over, until it is stopped. What does not hold together changes nothing.
    pub(crate) async fn renew(&self, mut stopped: watch::Receiver<bool>) {
        let mut told = None;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
            let why = match self.look() {
                Ok(true) => {
                    info!("changed files of TLS were taken over");
                    None
                }
                Ok(false) => None,
                Err(why) => Some(why),
            };
            if why != told
                && let Some(why) = &why
            {
                error!(
                    "ALARM: changed files of TLS do not hold together, and the old ones stay: {why}"
                );
            }
            told = why;
        }
    }

    /// Whether there was something new.
    fn look(&self) -> Result<bool, String> {
        let held = self.files.read()?;
        if held.digest() == self.read().digest {
            return Ok(false);
        }
        let new = held.config()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the files hold.
struct Held<'f> {
    files: &'f Files,
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

impl Files {
    fn read(&self) -> Result<Held<'_>, String> {
        Ok(Held {
            cert: read(&self.cert)?,
            key: secret::read_secret(&self.key).map_err(|e| e.to_string())?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
            client_crl: self.client_crl.as_deref().map(read).transpose()?,
            files: self,
        })
    }
}

impl Held<'_> {
    fn digest(&self) -> Digest {
        let mut all = Zeroizing::new(Vec::new());
        let (ca, crl) = (self.client_ca.as_deref(), self.client_crl.as_deref());
        for part in [
            &*self.cert,
            &**self.key,
            ca.unwrap_or_default(),
            crl.unwrap_or_default(),
        ] {
            all.extend_from_slice(Digest::of_bytes(part).as_bytes());
        }
        Digest::of_bytes(&all)
    }

    fn config(&self) -> Result<Current, String> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.files.cert, &self.cert)?;
        let key = private_key(&self.files.key, &self.key)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| e.to_string())?;
        let builder = match (&self.files.client_ca, &self.client_ca) {
            (Some(file), Some(bytes)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(file, bytes)? {
                    let added = roots.add(authority);
                    added.map_err(|e| format!("`{}`: {e}", file.display()))?;
                }
                builder.with_client_cert_verifier(self.verifier(roots, provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|e| apart(&self.files.cert, &self.files.key, &e))?;
        // Each connection shows its certificate anew: a session that is resumed would outlive it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Current {
            digest: self.digest(),
            config: Arc::new(config),
        })
    }

    /// Who may come: by a certificate of `roots` that none of the lists revokes.
    fn verifier(
        &self,
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            // Whoever has none comes with a token, or as nobody.
            .allow_unauthenticated();
        if let (Some(file), Some(bytes)) = (&self.files.client_crl, &self.client_crl) {
            // What the lists do not speak of counts as revoked, which is the builder's own choice; a list whose time is over
            // speaks of nothing.
            verifier = verifier
                .with_crls(lists(file, bytes)?)
                .enforce_revocation_expiration();
        }
        let files = [&self.files.client_ca, &self.files.client_crl];
        verifier.build().map_err(|e| {
            let files = files.into_iter().flatten();
            let files: Vec<_> = files.map(|f| format!("`{}`", f.display())).collect();
            format!("{}: {e}", files.join(" with "))
        })
    }
}

/// What is in the log of a client's certificate: SHA-256 of its SubjectPublicKeyInfo. A certificate is renewed every few weeks, as a
/// rule for the same key, and then is the same credential; its time is the authority's, and looked at in each handshake.
pub(crate) fn spki(certificate: &CertificateDer<'_>) -> Result<Digest, String> {
    let parsed = ParsedCertificate::try_from(certificate);
    let parsed = parsed.map_err(|e| format!("the certificate is not understood: {e}"))?;
    Ok(Digest::of_bytes(parsed.subject_public_key_info().as_ref()))
}

/// The same of the first certificate of a PEM file.
pub(crate) fn spki_of_file(file: &Path) -> Result<Digest, Failure> {
    let bytes = read(file).map_err(Failure::usage)?;
    let chain = certificates(file, &bytes).map_err(Failure::usage)?;
    spki(&chain[0]).map_err(|why| Failure::usage(format!("`{}`: {why}", file.display())))
}

/// What a client shows: its certificate with those above it, and its key, in PEM. They go together.
pub(crate) fn of_client(cert: &Path, key: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let chain = read(cert)?;
    let secret = secret::read_secret(key).map_err(|e| e.to_string())?;
    let certificates = certificates(cert, &chain)?;
    let provider = ring::default_provider();
    CertifiedKey::from_der(certificates, private_key(key, &secret)?, &provider)
        .map_err(|e| apart(cert, key, &e))?;
    // The key comes last, and alone counts: whatever else is in the certificate's file.
    Ok(Zeroizing::new([&chain[..], b"\n", &secret[..]].concat()))
}

fn private_key(file: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        let file = file.display();
        format!("`{file}` holds no private key in PEM that is understood")
    })
}

fn apart(cert: &Path, key: &Path, why: &rustls::Error) -> String {
    let (cert, key) = (cert.display(), key.display());
    format!("`{cert}` and `{key}` do not go together: {why}")
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let place = |e: std::io::Error| format!("`{}`: {e}", file.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(place)?;
    opened
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(place)?;
    // Cut short, it would be another set of authorities.
    match bytes.len() as u64 > LONGEST {
        true => Err(format!(
            "`{}` has more than {LONGEST} bytes, and no more are read",
            file.display()
        )),
        false => Ok(bytes),
    }
}

fn certificates(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    all(file, bytes, "certificate")
}

fn lists(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    all(file, bytes, "revocation list")
}

/// All of a sort that a file holds: at least one.
fn all<T: PemObject>(file: &Path, bytes: &[u8], what: &str) -> Result<Vec<T>, String> {
    let read: Result<Vec<_>, _> = T::pem_slice_iter(bytes).collect();
    match read {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!(
            "`{}` holds no {what} in PEM that is understood",
            file.display()
        )),
    }
}
