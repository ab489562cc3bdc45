//! Where the log's private key is: a file, a file behind a passphrase, or another program that signs.

mod external;
mod rotate;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::pkcs8::KeypairBytes;
use ledger::{Sign, Signer, Verifier};
use pkcs8::der::pem::PemLabel as _;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, LineEnding,
    PrivateKeyInfoRef,
};
use zeroize::Zeroizing;

use crate::StoreError;
use crate::disk::at;
use crate::secret::{random, random_seed, read_secret};
pub(crate) use external::External;
pub use external::SignerConfig;
pub use rotate::Staged;
pub(crate) use rotate::finish;

/// The key's file, and that of an external signer, in the data directory. One of them is there.
pub(crate) const LOG_KEY: &str = "keys/log.key";
pub(crate) const SIGNER: &str = "signer.toml";

/// First line of a key's file that is protected: PKCS#8, RFC 5958 section 3.
const PROTECTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Cost of a try at a passphrase, by scrypt's log2(N), r and p: 16 MiB, five times over. OWASP's password storage cheat sheet
/// counts it equal to N = 2^17, p = 1, which takes more memory than openssl grants.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// A log's signer, as all its users share it.
pub(crate) type Shared = Arc<dyn Sign + Send + Sync>;

/// A passphrase; wiped from memory when dropped.
pub type Passphrase = Zeroizing<String>;

/// Gives the passphrase of the log's key; asked only where the key is protected, and after the directory is locked.
pub type Unlock<'a> = dyn Fn() -> Result<Passphrase, StoreError> + 'a;

/// A key that a log is to have.
pub enum NewKey<'a> {
    /// A fresh one in a file, behind a passphrase where one is given.
    File {
        /// The passphrase; not empty.
        passphrase: Option<&'a str>,
    },
    /// The one that another program signs with.
    External(SignerConfig),
}

/// A new key, and the bytes of the file that keeps it.
pub(crate) struct Made {
    pub(crate) signer: Shared,
    /// The file's place in the data directory: [`LOG_KEY`] or [`SIGNER`].
    pub(crate) file: &'static str,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl NewKey<'_> {
    /// Makes it for the log of this origin. An external signer must sign something for a trial.
    pub(crate) fn make(&self, origin: &str) -> Result<Made, StoreError> {
        match self {
            Self::File { passphrase } => {
                let signer = Signer::from_seed(origin, &*random_seed()?)
                    .map_err(|why| StoreError::Key(why.to_string()))?;
                let bytes = file_of(&signer, *passphrase)?;
                Ok(Made {
                    signer: Arc::new(signer),
                    file: LOG_KEY,
                    bytes,
                })
            }
            Self::External(config) => {
                let signer = External::new(config, origin)?;
                signer.try_out()?;
                let text =
                    toml::to_string(config).map_err(|why| StoreError::Key(why.to_string()))?;
                Ok(Made {
                    signer: Arc::new(signer),
                    file: SIGNER,
                    bytes: Zeroizing::new(text.into_bytes()),
                })
            }
        }
    }
}

/// The signer of the data directory at `dir`.
pub(crate) fn load(dir: &Path, origin: &str, unlock: &Unlock<'_>) -> Result<Shared, StoreError> {
    match external(dir, origin)? {
        Some(_) if dir.join(LOG_KEY).exists() => {
            let why = format!(
                "there is `{LOG_KEY}` beside it, and a log has one key; remove the file that does not belong"
            );
            Err(StoreError::corrupt(dir.join(SIGNER).display(), why))
        }
        Some(signer) => Ok(Arc::new(signer)),
        None => Ok(Arc::new(in_file(&dir.join(LOG_KEY), origin, unlock)?)),
    }
}

/// The external signer, where the directory names one.
pub(crate) fn external(dir: &Path, origin: &str) -> Result<Option<External>, StoreError> {
    let path = dir.join(SIGNER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(at(&path)(why)),
    };
    // Whoever can write it can have a program run.
    let mode = fs::metadata(&path).map_err(at(&path))?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(StoreError::Exposed {
            path,
            mode: mode & 0o7777,
            want: 0o600,
        });
    }
    let config: SignerConfig =
        toml::from_str(&text).map_err(|why| StoreError::corrupt(path.display(), why))?;
    External::new(&config, origin).map(Some)
}

/// The key in a file, protected or not.
pub(crate) fn in_file(
    path: &Path,
    origin: &str,
    unlock: &Unlock<'_>,
) -> Result<Signer, StoreError> {
    let bytes = read_secret(path)?;
    let corrupt = |why: String| StoreError::corrupt(path.display(), why);
    let text = std::str::from_utf8(&bytes).map_err(|why| corrupt(why.to_string()))?;
    if !text.starts_with(PROTECTED) {
        return Signer::from_text(text).map_err(|why| corrupt(why.to_string()));
    }
    let passphrase = unlock()?;
    // Without a passphrase no form of the file can be told from another: whatever fails, the passphrase does not open it.
    let mut pair =
        KeypairBytes::from_pkcs8_encrypted_pem(text, passphrase.as_bytes()).map_err(|_| {
            StoreError::Passphrase {
                path: path.to_owned(),
            }
        })?;
    let seed = Zeroizing::new(std::mem::take(&mut pair.secret_key));
    Signer::from_seed(origin, &seed).map_err(|why| corrupt(why.to_string()))
}

/// What the file of a key holds: with a passphrase PKCS#8 encrypted by PBES2 with scrypt and AES-256, without one the text
/// form of Go's `sumdb/note`.
pub(crate) fn file_of(
    signer: &Signer,
    passphrase: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let Some(passphrase) = passphrase else {
        return Ok(Zeroizing::new(signer.to_secret_text().into_bytes()));
    };
    if passphrase.is_empty() {
        let why = "an empty passphrase protects nothing; choose a long one";
        return Err(StoreError::Key(why.to_owned()));
    }
    let pair = KeypairBytes {
        secret_key: *signer.seed(),
        public_key: None,
    };
    let failed = |why: String| StoreError::Key(format!("the key cannot be protected: {why}"));
    let (log_n, r, p) = SCRYPT;
    let cost = scrypt::Params::new(log_n, r, p).map_err(|why| failed(why.to_string()))?;
    let (salt, iv) = (random::<16>()?, random::<16>()?);
    let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv)
        .map_err(|why| failed(why.to_string()))?;
    let plain = pair.to_pkcs8_der().map_err(|why| failed(why.to_string()))?;
    let plain: PrivateKeyInfoRef<'_> = plain
        .decode_msg()
        .map_err(|why: pkcs8::der::Error| failed(why.to_string()))?;
    let pem = plain
        .encrypt_with_params(scheme, passphrase)
        .and_then(
            |sealed| Ok(sealed.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?),
        )
        .map_err(|why| failed(why.to_string()))?;
    Ok(Zeroizing::new(pem.as_bytes().to_vec()))
}

/// Refuses a signer that is not the log's.
pub(crate) fn same(
    signer: &dyn Sign,
    public: &Verifier,
    origin: &str,
    place: &Path,
) -> Result<(), StoreError> {
    if *public == signer.verifier() && public.name() == origin {
        return Ok(());
    }
    let why = format!(
        "the verifier key `{public}`, the signer `{}` and the manifest's origin `{origin}` are not of one log",
        signer.verifier()
    );
    Err(StoreError::corrupt(place.display(), why))
}
