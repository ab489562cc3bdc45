//! SSH keys: what `ssh-keygen -Y sign` and an agent sign, verified from the log alone.
//!
//! Sources: OpenSSH's `PROTOCOL.sshsig` (version 1), RFC 4253 and RFC 5656 (keys), RFC 8709 (Ed25519), `PROTOCOL.u2f` (keys that
//! live in an authenticator). Read strictly: each text has one form, and that of OpenSSH. The format is a few strings with their
//! lengths; the crates that read more of it stand on other versions of the curves than this project.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{passkey, principal::PublicKey};

/// What statements are signed for: `ssh-keygen -Y sign -n` takes it, and a signature for another namespace is refused.
pub const NAMESPACE: &str = "counterfoil@statement.v1";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
const MAGIC: &[u8] = b"SSHSIG";
const ED25519: &[u8] = b"ssh-ed25519";
const ECDSA: &[u8] = b"ecdsa-sha2-nistp256";
const CURVE: &[u8] = b"nistp256";
const SK_ED25519: &[u8] = b"sk-ssh-ed25519@openssh.com";

/// An SSH public key: in records the first two words of an OpenSSH public key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// `ssh-ed25519`.
    Ed25519(PublicKey),
    /// `ecdsa-sha2-nistp256`.
    Ecdsa(VerifyingKey),
    /// `sk-ssh-ed25519@openssh.com`: in an authenticator, which asks for a touch.
    Hardware {
        /// The key.
        key: PublicKey,
        /// What it was made for, mostly `ssh:`.
        application: String,
    },
}

impl SshKey {
    /// Reads the one line of a public key file; a comment is left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let (Some(sort), Some(text)) = (words.next(), words.next()) else {
            return Err("it is not the line of an OpenSSH public key file".to_owned());
        };
        let blob = BASE64_STANDARD
            .decode(text)
            .map_err(|_| "its second word is not base64".to_owned())?;
        let key = Self::from_blob(&blob)?;
        if key.sort() != sort.as_bytes() {
            return Err(format!("it says `{sort}`, and holds another sort of key"));
        }
        Ok(key)
    }

    fn sort(&self) -> &'static [u8] {
        match self {
            Self::Ed25519(_) => ED25519,
            Self::Ecdsa(_) => ECDSA,
            Self::Hardware { .. } => SK_ED25519,
        }
    }

    fn from_blob(blob: &[u8]) -> Result<Self, String> {
        let mut wire = Wire(blob);
        let ed25519 = |bytes: &[u8]| {
            let bytes = bytes
                .try_into()
                .map_err(|_| "an Ed25519 key is 32 bytes".to_owned())?;
            PublicKey::from_bytes(bytes)
        };
        let key = match wire.string()? {
            ED25519 => Self::Ed25519(ed25519(wire.string()?)?),
            ECDSA => {
                if wire.string()? != CURVE {
                    return Err("the key is not of the curve nistp256".to_owned());
                }
                Self::Ecdsa(passkey::p256_key(wire.string()?)?)
            }
            SK_ED25519 => Self::Hardware {
                key: ed25519(wire.string()?)?,
                application: text(wire.string()?)?,
            },
            other => {
                return Err(format!(
                    "keys of the sort `{}` are not taken: use ssh-ed25519, sk-ssh-ed25519@openssh.com or ecdsa-sha2-nistp256",
                    String::from_utf8_lossy(other)
                ));
            }
        };
        wire.end()?;
        Ok(key)
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, self.sort());
        match self {
            Self::Ed25519(key) => put(&mut blob, key.as_bytes()),
            Self::Ecdsa(key) => {
                put(&mut blob, CURVE);
                put(&mut blob, &passkey::point(key));
            }
            Self::Hardware { key, application } => {
                put(&mut blob, key.as_bytes());
                put(&mut blob, application.as_bytes());
            }
        }
        blob
    }

    /// The bytes of the key, the same under whatever form it is recorded.
    pub(crate) fn key_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) | Self::Hardware { key, .. } => key.as_bytes().to_vec(),
            Self::Ecdsa(key) => passkey::point(key),
        }
    }

    /// Whether `armored` is this key's over `message`, for [`NAMESPACE`].
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn verify(&self, message: &[u8], armored: &str) -> Result<(), String> {
        let blob = unarmor(armored)?;
        let sshsig = SshSig::read(&blob)?;
        if Self::from_blob(sshsig.key)? != *self {
            return Err("it was made with another SSH key".to_owned());
        }
        if sshsig.namespace != NAMESPACE.as_bytes() {
            return Err(format!(
                "it was made for the namespace `{}` and not `{NAMESPACE}`",
                String::from_utf8_lossy(sshsig.namespace)
            ));
        }
        let hash = match sshsig.hash {
            b"sha256" => Sha256::digest(message).to_vec(),
            b"sha512" => Sha512::digest(message).to_vec(),
            other => {
                return Err(format!(
                    "its hash `{}` is neither sha256 nor sha512",
                    String::from_utf8_lossy(other)
                ));
            }
        };
        let mut signed = MAGIC.to_vec();
        put(&mut signed, sshsig.namespace);
        put(&mut signed, b"");
        put(&mut signed, sshsig.hash);
        put(&mut signed, &hash);
        if self.is_signed(&signed, sshsig.signature)? {
            Ok(())
        } else {
            Err("it is not the SSH key's".to_owned())
        }
    }

    fn is_signed(&self, signed: &[u8], signature: &[u8]) -> Result<bool, String> {
        let mut wire = Wire(signature);
        if wire.string()? != self.sort() {
            return Err("its signature is of another sort than its key".to_owned());
        }
        let good = match self {
            Self::Ed25519(key) => key.verifies_bytes(signed, wire.string()?),
            Self::Ecdsa(key) => {
                let mut pair = Wire(wire.string()?);
                let (r, s) = (scalar(pair.string()?)?, scalar(pair.string()?)?);
                pair.end()?;
                Signature::from_scalars(r, s)
                    .is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            Self::Hardware { key, application } => {
                const PRESENT: u8 = 0x01;
                let bytes = wire.string()?;
                let [flags] = wire.array()?;
                let counter: [u8; 4] = wire.array()?;
                if flags & PRESENT == 0 {
                    return Err("nobody touched the authenticator".to_owned());
                }
                let mut inner = Sha256::digest(application).to_vec();
                inner.push(flags);
                inner.extend_from_slice(&counter);
                inner.extend_from_slice(&Sha256::digest(signed));
                key.verifies_bytes(&inner, bytes)
            }
        };
        wire.end()?;
        Ok(good)
    }
}

/// The authenticator's counter in an armored signature, where there is one.
pub(crate) fn counter(armored: &str) -> Option<u32> {
    let blob = unarmor(armored).ok()?;
    let mut wire = Wire(SshSig::read(&blob).ok()?.signature);
    if wire.string().ok()? != SK_ED25519 {
        return None;
    }
    wire.string().ok()?;
    let [_flags] = wire.array().ok()?;
    Some(u32::from_be_bytes(wire.array().ok()?))
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = String::from_utf8_lossy(self.sort());
        write!(f, "{sort} {}", BASE64_STANDARD.encode(self.blob()))
    }
}

impl Serialize for SshKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SshKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let key = Self::read(&text).map_err(D::Error::custom)?;
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(D::Error::custom(
                "an SSH key is the first two words of its public key file, and one space",
            ))
        }
    }
}

/// The parts of a signature blob.
struct SshSig<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    hash: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SshSig<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, String> {
        let mut wire = Wire(blob);
        if wire.array()? != *b"SSHSIG" || wire.array()? != 1_u32.to_be_bytes() {
            return Err("it is no SSH signature of version 1".to_owned());
        }
        let key = wire.string()?;
        let namespace = wire.string()?;
        if !wire.string()?.is_empty() {
            return Err("its reserved field is not empty".to_owned());
        }
        let sshsig = Self {
            key,
            namespace,
            hash: wire.string()?,
            signature: wire.string()?,
        };
        wire.end()?;
        Ok(sshsig)
    }
}

/// The bytes in an armored signature, if it is written as `ssh-keygen` writes it: lines of 70 letters.
fn unarmor(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || {
        "it is not an armored SSH signature, byte for byte as `ssh-keygen -Y sign` writes it"
            .to_owned()
    };
    let body = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or_else(wrong)?;
    let blob = BASE64_STANDARD
        .decode(body.replace('\n', ""))
        .map_err(|_| wrong())?;
    let mut again = String::new();
    let letters = BASE64_STANDARD.encode(&blob);
    for (i, letter) in letters.chars().enumerate() {
        if i > 0 && i % 70 == 0 {
            again.push('\n');
        }
        again.push(letter);
    }
    again.push('\n');
    if again == body {
        Ok(blob)
    } else {
        Err(wrong())
    }
}

/// The wire form: lengths of 32 bits ahead of strings (RFC 4251).
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn string(&mut self) -> Result<&'a [u8], String> {
        let length = u32::from_be_bytes(self.array()?);
        let length = usize::try_from(length).map_err(|_| short())?;
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(head)
    }

    fn end(&self) -> Result<(), String> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes follow where it ends", self.0.len()))
        }
    }
}

fn short() -> String {
    "it ends too soon".to_owned()
}

fn put(to: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(string);
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "its application is not UTF-8".to_owned())
}

/// 32 bytes from an `mpint` (RFC 4251) in its shortest form.
fn scalar(mpint: &[u8]) -> Result<[u8; 32], String> {
    let wrong = || "its numbers are not written in the shortest form".to_owned();
    let magnitude = match mpint {
        [0, next, ..] if next & 0x80 != 0 => &mpint[1..],
        [first, ..] if *first != 0 && first & 0x80 == 0 => mpint,
        _ => return Err(wrong()),
    };
    let start = 32_usize.checked_sub(magnitude.len()).ok_or_else(wrong)?;
    let mut scalar = [0; 32];
    scalar[start..].copy_from_slice(magnitude);
    Ok(scalar)
}
