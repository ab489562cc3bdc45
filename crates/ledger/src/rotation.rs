//! How one key of a log takes over from another: statements that both keys sign, and the chain that they make.
//!
//! A statement is a signed note of our own (`c2sp.org/signed-note` form, two signatures, the old key's first):
//!
//! ```text
//! counterfoil key rotation v1
//! <origin>
//! <entries of the log at the rotation, decimal>
//! <root of the tree of so many entries, base64>
//! <old verifier key>
//! <new verifier key>
//! rotated            or: revoked
//! <why; the line is absent where no reason is given>
//! ```
//!
//! No checkpoint can be taken for a statement, nor the reverse: an origin holds no space. The log's directory holds all
//! statements in [`KEYS`], oldest first, with an empty line between two.
//!
//! A key signs checkpoints of its *span* alone: those of more entries than at the statement that made it the log's key,
//! and of no more than at the statement that replaced it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, decimal, hash_line};
use crate::hash::Hash;
use crate::note::{self, Note, NoteError, Sign, Verifier};
use crate::source::{Source, SourceError};
use crate::tile::KEYS;

/// First line of a statement.
pub const DOMAIN: &str = "counterfoil key rotation v1";

/// Bytes of the longest reason.
const LONGEST_REASON: usize = 1_000;

/// Why a key was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// In the course of things: what the old key signed in its span stands.
    Rotated,
    /// It may be in other hands: nothing that it signed stands by itself any more.
    Revoked,
}

impl Act {
    /// The word used in statements.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Revoked => "revoked",
        }
    }
}

/// That one key takes over from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Entries of the log at the rotation.
    pub size: u64,
    /// Root of the tree of so many entries.
    pub root: Hash,
    /// The key that was replaced; its name is the log's origin.
    pub old: Verifier,
    /// The key that takes over, under the same name.
    pub new: Verifier,
    /// Why, in a word.
    pub act: Act,
    /// Why, in a line; empty where nothing is said.
    pub reason: String,
}

/// A statement with its signatures, which were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub statement: Statement,
    /// The signed note, byte for byte.
    pub note: String,
}

/// Why statements, or a checkpoint held against them, are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// A statement is out of form, or does not follow the one before it.
    #[error("key statement {number}: {why}")]
    Statement {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// The key to be trusted is none of the log's.
    #[error(
        "the key `{0}` is none of those that the log's key statements lead from or to: it is of another log, or the statements were changed"
    )]
    Stranger(String),
    /// A key signed after it was replaced.
    #[error(
        "the checkpoint of {size} entries is signed by the key `{key}`, which was {act} when the log had {end}{because}: whoever signed it had no right to extend the log"
    )]
    Replaced {
        /// The key.
        key: String,
        /// Entries of the checkpoint.
        size: u64,
        /// Entries of the log when the key was replaced.
        end: u64,
        /// "rotated out" or "revoked".
        act: &'static str,
        /// The reason, in brackets.
        because: String,
    },
    /// A key signed before it was the log's.
    #[error(
        "the checkpoint of {size} entries is signed by the key `{key}`, which became the log's key only when the log had {start}"
    )]
    Early {
        /// The key.
        key: String,
        /// Entries of the checkpoint.
        size: u64,
        /// Entries of the log when the key took over.
        start: u64,
    },
    /// A checkpoint that stands by itself is signed by a key that was revoked since.
    #[error(
        "the checkpoint of {size} entries is signed by the key `{key}`, which was revoked later{because}: take a new one from the log, under its key of today"
    )]
    Revoked {
        /// The key.
        key: String,
        /// Entries of the checkpoint.
        size: u64,
        /// The reason, in brackets.
        because: String,
    },
    /// The checkpoint itself is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The statements could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Statement {
    /// Reads a statement's text, which must be exactly as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] with what is wrong, or that of a key.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let fail = |why: &str| NoteError::Malformed(why.to_owned());
        let body = text.strip_suffix('\n');
        let body = body.ok_or_else(|| fail("the last line has no newline"))?;
        let mut lines = body.split('\n');
        if lines.next() != Some(DOMAIN) {
            return Err(NoteError::Malformed(format!(
                "the first line must be `{DOMAIN}`"
            )));
        }
        let mut line = |what: &str| {
            let missing = || NoteError::Malformed(format!("the line with the {what} is missing"));
            lines.next().ok_or_else(missing)
        };
        let origin = line("origin")?;
        let size = decimal(line("size")?)
            .ok_or_else(|| fail("the size must be a decimal without leading zeros"))?;
        let root =
            hash_line(line("root")?).ok_or_else(|| fail("the root must be 32 bytes in base64"))?;
        let old = Verifier::from_vkey(line("old key")?)?;
        let new = Verifier::from_vkey(line("new key")?)?;
        let act = match line("act")? {
            "rotated" => Act::Rotated,
            "revoked" => Act::Revoked,
            _ => return Err(fail("a key is `rotated` or `revoked`")),
        };
        let reason = lines.next().map(str::to_owned);
        if reason.as_deref() == Some("") || lines.next().is_some() {
            return Err(fail("after the act comes at most one line, the reason"));
        }
        let statement = Self {
            size,
            root,
            old,
            new,
            act,
            reason: reason.unwrap_or_default(),
        };
        if origin != statement.origin() {
            return Err(fail("the keys are not named after the origin"));
        }
        statement.check()?;
        Ok(statement)
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.old.name()
    }

    /// The signed note, by both keys.
    ///
    /// # Errors
    /// [`NoteError`] where a signer is not the key that the statement names, or does not sign, or where no note can carry
    /// the reason.
    pub fn sign(&self, old: &dyn Sign, new: &dyn Sign) -> Result<Vec<u8>, NoteError> {
        if old.verifier() != self.old || new.verifier() != self.new {
            return Err(NoteError::Malformed(
                "the signers are not the keys that the statement names".to_owned(),
            ));
        }
        self.check()?;
        note::sign(&self.to_string(), &[old, new])
    }

    /// Reads a signed statement, and verifies both signatures: the old key's, then the new one's, and no other.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &[u8]) -> Result<Signed, NoteError> {
        let Note { text, signatures } = Note::parse(note)?;
        let statement = Self::from_text(&text)?;
        let [by_old, by_new] = &signatures[..] else {
            return Err(NoteError::Malformed(
                "it must have two signatures, the old key's and the new one's".to_owned(),
            ));
        };
        statement.old.verify(&text, by_old)?;
        statement.new.verify(&text, by_new)?;
        // `Note::parse` has seen that the bytes are UTF-8.
        let note = String::from_utf8_lossy(note).into_owned();
        Ok(Signed { statement, note })
    }

    fn check(&self) -> Result<(), NoteError> {
        let fail = |why: &str| Err(NoteError::Malformed(why.to_owned()));
        if self.old.name() != self.new.name() {
            return fail("the keys are not of one log");
        }
        if self.old.id() == self.new.id() {
            return fail("the new key has the id of the old one; make another");
        }
        if self.reason.len() > LONGEST_REASON {
            return Err(NoteError::Malformed(format!(
                "the reason has more than {LONGEST_REASON} bytes"
            )));
        }
        if self.reason.trim() != self.reason || self.reason.chars().any(char::is_control) {
            return fail("the reason must be one line, without spaces around it");
        }
        Ok(())
    }

    fn because(&self) -> String {
        match self.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{DOMAIN}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.origin(),
            self.size,
            BASE64.encode(self.root),
            self.old,
            self.new,
            self.act.word()
        )?;
        if !self.reason.is_empty() {
            writeln!(out, "{}", self.reason)?;
        }
        Ok(())
    }
}

/// The keys of a log, in the order in which they took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Never empty; one more than there are statements.
    keys: Vec<Verifier>,
    statements: Vec<Signed>,
}

impl Chain {
    /// The chain of a log whose key was never replaced.
    #[must_use]
    pub fn of(key: &Verifier) -> Self {
        Self {
            keys: vec![key.clone()],
            statements: Vec::new(),
        }
    }

    /// Reads the statements of a log of which one key is trusted. Every statement must be signed by the key that the one
    /// before it made the log's, and by the one that it names; sizes must rise, and no key may come back.
    ///
    /// The trusted key may be any of the chain: it is bound to the key after it by its own signature, and to the key
    /// before it likewise, since the statement that made it the log's key names that one.
    ///
    /// # Errors
    /// [`RotationError::Statement`] or [`RotationError::Stranger`].
    pub fn trusting(trusted: &Verifier, statements: &[u8]) -> Result<Self, RotationError> {
        let mut chain: Option<Self> = None;
        for (at, note) in split(statements)?.into_iter().enumerate() {
            let refuse = |why: String| RotationError::Statement {
                number: at + 1,
                why,
            };
            let signed = Statement::open(note.as_bytes()).map_err(|why| refuse(why.to_string()))?;
            let chain = chain.get_or_insert_with(|| Self::of(&signed.statement.old));
            chain.push(signed).map_err(refuse)?;
        }
        let chain = chain.unwrap_or_else(|| Self::of(trusted));
        if chain.keys.contains(trusted) {
            Ok(chain)
        } else {
            Err(RotationError::Stranger(trusted.vkey()))
        }
    }

    /// As [`Chain::trusting`], from the file of a log's directory; a log without the file has one key.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn read(source: &dyn Source, trusted: &Verifier) -> Result<Self, RotationError> {
        match source.read(KEYS) {
            Ok(statements) => Self::trusting(trusted, &statements),
            Err(SourceError::Missing { .. }) => Ok(Self::of(trusted)),
            Err(why) => Err(why.into()),
        }
    }

    /// Puts the next statement on.
    ///
    /// # Errors
    /// Why it does not follow.
    pub fn push(&mut self, signed: Signed) -> Result<(), String> {
        let next = &signed.statement;
        if next.old != *self.key() {
            return Err(format!(
                "it replaces the key `{}`, and the log's key was `{}`",
                next.old,
                self.key()
            ));
        }
        if self.keys.iter().any(|key| key.id() == next.new.id()) {
            return Err(format!(
                "the key `{}`, or one with its id, was the log's before",
                next.new
            ));
        }
        if let Some(last) = self.statements.last()
            && next.size <= last.statement.size
        {
            return Err(format!(
                "it is of {} entries, and the one before it of {}",
                next.size, last.statement.size
            ));
        }
        self.keys.push(next.new.clone());
        self.statements.push(signed);
        Ok(())
    }

    /// The log's key of today.
    #[must_use]
    pub fn key(&self) -> &Verifier {
        // One key at least: see the constructors.
        &self.keys[self.keys.len() - 1]
    }

    /// All keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[Verifier] {
        &self.keys
    }

    /// All statements, oldest first.
    #[must_use]
    pub fn statements(&self) -> &[Signed] {
        &self.statements
    }

    /// Reads and verifies a checkpoint, which must be signed by a key of the chain within its span. For a checkpoint whose
    /// tree is compared with the log itself, or that is on its way to be.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn open(&self, note: &[u8], allow_others: bool) -> Result<Checkpoint, RotationError> {
        self.open_by(note, allow_others).map(|(head, _)| head)
    }

    /// As [`Chain::open`], for a checkpoint that has to be believed by itself, as in a proof file: a key that was revoked
    /// may have signed any tree. The one it was revoked at is vouched for by the key after it.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn open_alone(&self, note: &[u8], allow_others: bool) -> Result<Checkpoint, RotationError> {
        let (head, key) = self.open_by(note, allow_others)?;
        if let Some(Signed { statement, .. }) = self.statements.get(key)
            && statement.act == Act::Revoked
            && (head.size, head.root) != (statement.size, statement.root)
        {
            return Err(RotationError::Revoked {
                key: statement.old.vkey(),
                size: head.size,
                because: statement.because(),
            });
        }
        Ok(head)
    }

    /// Whether a tree of `size` entries has the root that a statement says it had; `root` is asked for only then.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_root(&self, size: u64, root: impl Fn() -> Hash) -> Result<(), String> {
        let stated = self.statements.iter().map(|signed| &signed.statement);
        match stated.into_iter().find(|statement| statement.size == size) {
            Some(statement) if statement.root != root() => Err(format!(
                "the log was rewritten: its first {size} entries have the root {} and had {} when the key `{}` took over",
                BASE64.encode(root()),
                BASE64.encode(statement.root),
                statement.new
            )),
            _ => Ok(()),
        }
    }

    fn open_by(
        &self,
        note: &[u8],
        allow_others: bool,
    ) -> Result<(Checkpoint, usize), RotationError> {
        let signatures = Note::parse(note).map_err(CheckpointError::from)?.signatures;
        let signed = |key: &Verifier| {
            signatures
                .iter()
                .any(|line| line.name == key.name() && line.id == key.id())
        };
        // Where nobody known signed it, the refusal speaks of the key of today.
        let last = self.keys.len() - 1;
        let at = self.keys.iter().rposition(signed).unwrap_or(last);
        let key = &self.keys[at];
        let head = Checkpoint::open(note, key, allow_others)?;
        if let Some(Signed { statement, .. }) = self.statements.get(at)
            && head.size > statement.size
        {
            return Err(RotationError::Replaced {
                key: key.vkey(),
                size: head.size,
                end: statement.size,
                act: match statement.act {
                    Act::Rotated => "rotated out",
                    Act::Revoked => "revoked",
                },
                because: statement.because(),
            });
        }
        let start = at.checked_sub(1).map(|at| &self.statements[at].statement);
        if let Some(statement) = start.filter(|statement| head.size <= statement.size) {
            return Err(RotationError::Early {
                key: key.vkey(),
                size: head.size,
                start: statement.size,
            });
        }
        Ok((head, at))
    }
}

impl fmt::Display for Chain {
    /// The statements as a log's directory holds them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, signed) in self.statements.iter().enumerate() {
            let between = if at > 0 { "\n" } else { "" };
            write!(out, "{between}{}", signed.note)?;
        }
        Ok(())
    }
}

/// The notes of a file of statements. Neither their texts nor their signatures hold an empty line, so that every second
/// one parts two notes.
fn split(file: &[u8]) -> Result<Vec<String>, RotationError> {
    let refuse = |number: usize, why: &str| RotationError::Statement {
        number,
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(file).map_err(|_| refuse(1, "the file is not UTF-8"))?;
    if text.is_empty() {
        return Err(refuse(1, "the file is empty"));
    }
    let parts: Vec<&str> = text.split("\n\n").collect();
    let pairs = parts.chunks(2).enumerate().map(|(at, pair)| match pair {
        // The last newline of a note was taken for the first of an empty line, but not that of the last note.
        [text, lines] if at == (parts.len() - 1) / 2 => Ok(format!("{text}\n\n{lines}")),
        [text, lines] => Ok(format!("{text}\n\n{lines}\n")),
        _ => Err(refuse(at + 1, "it has no signatures")),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests;
