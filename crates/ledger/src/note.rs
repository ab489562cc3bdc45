//! Signed notes and their Ed25519 keys (`c2sp.org/signed-note`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature as Ed25519Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signature type byte of plain Ed25519 signatures.
const ED25519: u8 = 0x01;

/// What every signature line starts with: em dash, space.
const DASH: &str = "\u{2014} ";

/// Bytes of the longest note that is read, and signature lines at most: a limit the specification asks for.
const LONGEST: usize = 1 << 20;
const MOST_SIGNATURES: usize = 100;

/// Why a key or note is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// A key's name breaks the rules of names.
    #[error("`{0}` is no key name: it must not be empty or hold spaces, control characters or `+`")]
    Name(String),
    /// The text is no verifier or signer key.
    #[error("not a {kind} key: {why}")]
    Key {
        /// "verifier" or "signer".
        kind: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The bytes are no signed note.
    #[error("not a signed note: {0}")]
    Malformed(String),
    /// The key did not sign the note.
    #[error("the note has no signature by `{0}`")]
    Unsigned(String),
    /// A signature of a known key does not fit the text.
    #[error(
        "the signature by `{0}` does not fit the text: text or signature was changed, or another key signed it"
    )]
    BadSignature(String),
    /// A signature line of a key that is not known, where none is allowed.
    #[error("signature line {line} is by `{name}` with a key that is not known here")]
    UnknownSignature {
        /// Signature line, from 1.
        line: usize,
        /// Its key name.
        name: String,
    },
    /// Whatever holds the private key did not sign.
    #[error("the signer of `{name}` {why}")]
    Signer {
        /// Name of the key.
        name: String,
        /// What it did, as the end of a sentence; never any part of the key.
        why: String,
    },
}

/// Whatever can sign for a log: a key in memory, or a device that keeps its key to itself.
pub trait Sign {
    /// The public half.
    fn verifier(&self) -> Verifier;

    /// The signature over exactly the bytes of `text`, which must be a note's text: see [`check_text`].
    ///
    /// # Errors
    /// [`NoteError::Malformed`] for a text that no note can carry, [`NoteError::Signer`] where the signer did not answer.
    fn sign_text(&self, text: &str) -> Result<Signature, NoteError>;
}

/// The signed note over `text`, with the signatures of `signers` in their order.
///
/// # Errors
/// As [`Sign::sign_text`].
pub fn sign(text: &str, signers: &[&dyn Sign]) -> Result<Vec<u8>, NoteError> {
    check_text(text)?;
    let mut note = format!("{text}\n");
    for signer in signers {
        note.push_str(&format!("{}\n", signer.sign_text(text)?));
    }
    Ok(note.into_bytes())
}

/// Private half of a log's key, in memory.
pub struct Signer {
    name: String,
    key: SigningKey,
}

/// Public half of a log's key, read from a verifier key (`name+id+base64`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// One signature line: `— name base64(id || signature)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Key name.
    pub name: String,
    /// Key id.
    pub id: [u8; 4],
    /// The signature itself, 64 bytes for plain Ed25519.
    pub bytes: Vec<u8>,
}

/// A note whose form is right; nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The signed text, with its last newline.
    pub text: String,
    /// The signature lines in order.
    pub signatures: Vec<Signature>,
}

/// Whether `name` may name a key, and so be the origin of a log.
///
/// # Errors
/// [`NoteError::Name`].
pub fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
    if name.is_empty() || name.contains(bad) {
        Err(NoteError::Name(name.to_owned()))
    } else {
        Ok(())
    }
}

impl Signer {
    /// A key of this name from its 32 secret bytes (the Ed25519 seed).
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(seed),
        })
    }

    /// Reads the text form `PRIVATE+KEY+name+id+base64(0x01 || seed)`, as Go's `sumdb/note` writes it.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`]; no message holds any part of the key.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let (name, id, seed) = secret_parts(text, ED25519)?;
        let signer = Self::from_seed(name, &seed)?;
        if hex::encode(signer.verifier().id) == id {
            Ok(signer)
        } else {
            Err(bad_secret("the key id does not belong to the key"))
        }
    }

    /// The text form, to be kept secret, with a newline at the end.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        secret_text(&self.name, self.verifier().id, ED25519, self.key.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::of(&self.name, self.key.verifying_key())
    }

    /// The note over `text` with this key's signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] for a text that no note can carry.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, NoteError> {
        sign(text, &[self])
    }

    /// The seed, to be kept secret.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

impl Sign for Signer {
    fn verifier(&self) -> Verifier {
        Self::verifier(self)
    }

    fn sign_text(&self, text: &str) -> Result<Signature, NoteError> {
        check_text(text)?;
        Ok(Signature {
            name: self.name.clone(),
            id: self.verifier().id,
            bytes: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({})", self.verifier())
    }
}

impl Verifier {
    fn of(name: &str, key: VerifyingKey) -> Self {
        Self {
            name: name.to_owned(),
            id: key_id(name, ED25519, key.as_bytes()),
            key,
        }
    }

    /// The verifier key of this name and Ed25519 public key.
    ///
    /// # Errors
    /// [`NoteError::Name`], or [`NoteError::Key`] where the bytes are no point of the curve.
    pub fn new(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self::of(name, PublicKey::ed25519(name, key)?))
    }

    /// Reads a verifier key, `name+id+base64(0x01 || public key)`; one newline at its end is allowed.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`].
    pub fn from_vkey(text: &str) -> Result<Self, NoteError> {
        let PublicKey {
            name, kind, key, ..
        } = PublicKey::parse(text)?;
        if kind != ED25519 {
            return Err(PublicKey::fail(text, "it is no Ed25519 key (type 1)"));
        }
        let key = PublicKey::ed25519(text, &key)?;
        Ok(Self::of(&name, key))
    }

    /// Name of the key: the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Key id: the first four bytes of `SHA-256(name || "\n" || 0x01 || public key)`.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key's bytes.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The verifier key as text, without a newline.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.to_string()
    }

    /// Reads `note` and verifies this key's signature, which must stand there once. Returns the note; its text may be
    /// trusted. Lines of other keys are a fault unless `allow_others`.
    ///
    /// # Errors
    /// Every [`NoteError`] of notes.
    pub fn open(&self, note: &[u8], allow_others: bool) -> Result<Note, NoteError> {
        let note = Note::parse(note)?;
        let mut signed = 0;
        for (line, signature) in note.signatures.iter().enumerate() {
            if signature.name == self.name && signature.id == self.id {
                self.check(&note.text, signature)?;
                signed += 1;
            } else if !allow_others {
                return Err(NoteError::UnknownSignature {
                    line: line + 1,
                    name: signature.name.clone(),
                });
            }
        }
        match signed {
            0 => Err(NoteError::Unsigned(self.name.clone())),
            1 => Ok(note),
            _ => Err(NoteError::Malformed(format!(
                "`{}` signed it {signed} times",
                self.name
            ))),
        }
    }

    /// Verifies that `signature` is this key's over exactly the bytes of `text`.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] for a signature under another name or key id, [`NoteError::BadSignature`].
    pub fn verify(&self, text: &str, signature: &Signature) -> Result<(), NoteError> {
        if signature.name != self.name || signature.id != self.id {
            return Err(NoteError::Unsigned(self.name.clone()));
        }
        self.check(text, signature)
    }

    fn check(&self, text: &str, signature: &Signature) -> Result<(), NoteError> {
        let bad = || NoteError::BadSignature(self.name.clone());
        let parsed = Ed25519Signature::from_slice(&signature.bytes).map_err(|_| bad())?;
        // Strict: refuses other encodings of the same signature, so that no byte of a note can be changed unseen.
        self.key
            .verify_strict(text.as_bytes(), &parsed)
            .map_err(|_| bad())
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_vkey(out, &self.name, self.id, ED25519, self.key.as_bytes())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = [&self.id[..], &self.bytes].concat();
        write!(out, "{DASH}{} {}", self.name, BASE64.encode(data))
    }
}

impl Note {
    /// Reads the form of a note. Verifies no signature: use [`Verifier::open`] for that.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        let fail = |why: String| NoteError::Malformed(why);
        if note.len() > LONGEST {
            return Err(fail(format!(
                "it has {} bytes, more than {LONGEST}",
                note.len()
            )));
        }
        let note =
            std::str::from_utf8(note).map_err(|why| fail(format!("it is not UTF-8: {why}")))?;
        let split = note
            .rfind("\n\n")
            .ok_or_else(|| fail("no empty line parts text and signatures".to_owned()))?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        check_text(text)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or_else(|| fail("the last signature line has no newline".to_owned()))?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == MOST_SIGNATURES {
                return Err(fail(format!(
                    "it has more than {MOST_SIGNATURES} signature lines"
                )));
            }
            let signature = signature(line).ok_or_else(|| {
                fail(format!(
                    "signature line {} is no `\u{2014} name base64`",
                    number + 1
                ))
            })?;
            signatures.push(signature);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }
}

/// A verifier key read from its text: `name+id+base64(type || public key)`.
pub(crate) struct PublicKey {
    pub(crate) name: String,
    pub(crate) id: [u8; 4],
    /// Signature type.
    pub(crate) kind: u8,
    pub(crate) key: Vec<u8>,
}

impl PublicKey {
    /// Reads one of any type; its id must be the key's.
    pub(crate) fn parse(text: &str) -> Result<Self, NoteError> {
        let fail = |why: &str| Self::fail(text, why);
        let (name, id, data) = fields(text.strip_suffix('\n').unwrap_or(text))
            .ok_or_else(|| fail("it is not name+id+key"))?;
        check_name(name)?;
        let data = BASE64
            .decode(data)
            .map_err(|why| fail(&format!("the key is no base64: {why}")))?;
        let (&kind, key) = data.split_first().ok_or_else(|| fail("it is empty"))?;
        let found = key_id(name, kind, key);
        if hex::encode(found) != id {
            return Err(fail("the key id does not belong to the key"));
        }
        Ok(Self {
            name: name.to_owned(),
            id: found,
            kind,
            key: key.to_vec(),
        })
    }

    pub(crate) fn fail(text: &str, why: &str) -> NoteError {
        NoteError::Key {
            kind: "verifier",
            why: format!("`{}`: {why}", text.trim_end()),
        }
    }

    /// The key material as a point of Ed25519.
    pub(crate) fn ed25519(text: &str, key: &[u8]) -> Result<VerifyingKey, NoteError> {
        let key: &[u8; 32] = key
            .try_into()
            .map_err(|_| Self::fail(text, "the key has not 32 bytes"))?;
        VerifyingKey::from_bytes(key).map_err(|why| Self::fail(text, &why.to_string()))
    }
}

/// First four bytes of `SHA-256(name || "\n" || type || public key)`.
pub(crate) fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

pub(crate) fn write_vkey(
    out: &mut fmt::Formatter<'_>,
    name: &str,
    id: [u8; 4],
    kind: u8,
    key: &[u8],
) -> fmt::Result {
    let data = [&[kind], key].concat();
    write!(out, "{name}+{}+{}", hex::encode(id), BASE64.encode(data))
}

/// Name, id in hex and seed of a signer key in text form.
pub(crate) fn secret_parts(text: &str, kind: u8) -> Result<(&str, &str, [u8; 32]), NoteError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let rest = text
        .strip_prefix("PRIVATE+KEY+")
        .ok_or_else(|| bad_secret("it does not start with `PRIVATE+KEY+`"))?;
    let (name, id, data) = fields(rest).ok_or_else(|| bad_secret("it is not name+id+key"))?;
    let data = BASE64
        .decode(data)
        .map_err(|_| bad_secret("the key is no base64"))?;
    match data.split_first() {
        Some((found, seed)) if *found == kind => {
            let seed = seed.try_into();
            Ok((
                name,
                id,
                seed.map_err(|_| bad_secret("the key has not 32 bytes"))?,
            ))
        }
        _ => Err(bad_secret(&format!("it is no key of type {kind}"))),
    }
}

pub(crate) fn secret_text(name: &str, id: [u8; 4], kind: u8, seed: &[u8; 32]) -> String {
    let data = [&[kind], &seed[..]].concat();
    let id = hex::encode(id);
    format!("PRIVATE+KEY+{name}+{id}+{}\n", BASE64.encode(data))
}

/// No message holds any part of the key.
pub(crate) fn bad_secret(why: &str) -> NoteError {
    NoteError::Key {
        kind: "signer",
        why: why.to_owned(),
    }
}

/// Parts of `name+id+data`; data may hold plus signs.
fn fields(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('+')?;
    let (id, data) = rest.split_once('+')?;
    Some((name, id, data))
}

/// Whether a note can carry `text`: it must end in a newline and hold no control character but newlines.
///
/// # Errors
/// [`NoteError::Malformed`].
pub fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed(
            "the text does not end in a newline".to_owned(),
        ));
    }
    match text
        .chars()
        .position(|letter| letter < ' ' && letter != '\n')
    {
        Some(place) => Err(NoteError::Malformed(format!(
            "character {place} is a control character"
        ))),
        None => Ok(()),
    }
}

pub(crate) fn signature(line: &str) -> Option<Signature> {
    let (name, data) = line.strip_prefix(DASH)?.split_once(' ')?;
    check_name(name).ok()?;
    // Strict base64: padding and unused bits as the standard wants them, so one signature has one text.
    let data = BASE64.decode(data).ok()?;
    let (id, bytes) = data.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(Signature {
        name: name.to_owned(),
        id: *id,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and note of Go's `golang.org/x/mod/sumdb/note` package tests.
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn opens_a_note_signed_elsewhere() {
        let verifier = Verifier::from_vkey(GO_VKEY).unwrap();
        assert_eq!(verifier.vkey(), GO_VKEY);
        let note = verifier.open(GO_NOTE.as_bytes(), false).unwrap();
        assert!(note.text.ends_with("your problem is.\n"));
    }

    #[test]
    fn finds_every_changed_bit() {
        let verifier = Verifier::from_vkey(GO_VKEY).unwrap();
        for place in 0..GO_NOTE.len() {
            for bit in 0..8 {
                let mut note = GO_NOTE.as_bytes().to_vec();
                note[place] ^= 1 << bit;
                assert!(
                    verifier.open(&note, false).is_err(),
                    "byte {place}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn reads_the_keys_it_writes() {
        let signer = Signer::from_seed("log.example/a", &[7; 32]).unwrap();
        let again = Signer::from_text(&signer.to_secret_text()).unwrap();
        assert_eq!(again.verifier(), signer.verifier());
        let vkey = signer.verifier().vkey();
        assert_eq!(
            Verifier::from_vkey(&format!("{vkey}\n")).unwrap(),
            signer.verifier()
        );
        assert!(!format!("{signer:?}").contains("PRIVATE"));
        let note = signer.sign("text\n\nmore\n").unwrap();
        assert_eq!(
            signer.verifier().open(&note, false).unwrap().text,
            "text\n\nmore\n"
        );
    }

    #[test]
    fn treats_other_keys_as_told() {
        let [ours, other] =
            [1, 2].map(|seed| Signer::from_seed("log.example", &[seed; 32]).unwrap());
        let mut note = ours.sign("text\n").unwrap();
        let other = other.sign("text\n").unwrap();
        note.extend_from_slice(&other["text\n\n".len()..]);
        assert!(matches!(
            ours.verifier().open(&note, false),
            Err(NoteError::UnknownSignature { line: 2, .. })
        ));
        assert!(ours.verifier().open(&note, true).is_ok());
        let first = ours.sign("text\n").unwrap();
        let twice = [&first[..], &first["text\n\n".len()..]].concat();
        assert!(matches!(
            ours.verifier().open(&twice, true),
            Err(NoteError::Malformed(_))
        ));
        assert!(matches!(
            ours.verifier().open(&other, true),
            Err(NoteError::Unsigned(_))
        ));
    }

    #[test]
    fn refuses_names_keys_and_texts_out_of_form() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        let signer = Signer::from_seed("log.example", &[1; 32]).unwrap();
        assert!(signer.sign("no newline").is_err());
        assert!(signer.sign("bell\u{7}\n").is_err());
        let vkey = signer.verifier().vkey();
        for place in 0..vkey.len() {
            let mut bytes = vkey.clone().into_bytes();
            bytes[place] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(Verifier::from_vkey(&text).is_err(), "{text}");
        }
    }
}
