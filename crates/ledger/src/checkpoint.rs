//! Checkpoints (`c2sp.org/tlog-checkpoint`): the signed head of the tree.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::hash::Hash;
use crate::note::{self, Note, NoteError, Sign, Verifier};

/// Head of a tree: what a checkpoint's note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin: its name.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// RFC 6962 root of the tree.
    pub root: Hash,
    /// Further lines, none of them empty; this project writes none.
    pub extensions: Vec<String>,
}

/// Why bytes are no checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note is out of form, or its signature is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is no checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(String),
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint is of the log `{found}` and the key is of `{want}`")]
    Origin {
        /// Origin in the checkpoint.
        found: String,
        /// Name of the key.
        want: String,
    },
}

impl Checkpoint {
    /// Reads the text of a checkpoint (without signatures), which must be exactly as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let fail = |why: &str| CheckpointError::Malformed(why.to_owned());
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| fail("the last line has no newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or_else(|| fail("the first line must be the log's origin"))?;
        let size = lines.next().and_then(decimal);
        let size = size.ok_or_else(|| {
            fail("the second line must be the size, a decimal without leading zeros")
        })?;
        let root = lines.next().and_then(hash_line);
        let root =
            root.ok_or_else(|| fail("the third line must be the root, 32 bytes in base64"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(fail("an extension line is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// Reads and verifies a signed checkpoint: one signature by `verifier`, whose name is the origin; signature lines of
    /// other keys (witnesses) only where `allow_others`.
    ///
    /// # Errors
    /// Every [`CheckpointError`].
    pub fn open(
        note: &[u8],
        verifier: &Verifier,
        allow_others: bool,
    ) -> Result<Self, CheckpointError> {
        let Note { text, .. } = verifier.open(note, allow_others)?;
        let checkpoint = Self::from_text(&text)?;
        if checkpoint.origin == verifier.name() {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Origin {
                found: checkpoint.origin,
                want: verifier.name().to_owned(),
            })
        }
    }

    /// The signed note of this checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] where origin or extensions fit in no note, or the signer does not answer.
    pub fn sign(&self, signer: &dyn Sign) -> Result<Vec<u8>, CheckpointError> {
        Ok(note::sign(&self.to_string(), &[signer])?)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            BASE64.encode(self.root)
        )?;
        for line in &self.extensions {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// A decimal number with no sign and no leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain =
        text == "0" || (!text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

/// A hash in base64.
pub(crate) fn hash_line(text: &str) -> Option<Hash> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Signer;

    #[test]
    fn writes_what_it_reads() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::from_text(text).unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), text);
        let extended = format!("{text}extension\n");
        assert_eq!(
            Checkpoint::from_text(&extended).unwrap().to_string(),
            extended
        );
    }

    #[test]
    fn refuses_other_spellings() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for text in [
            String::new(),
            format!("\n1\n{root}\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n+1\n{root}\n"),
            format!("a\n\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("a\n1\n{root}"),
            format!("a\n1\n{root}\n\n"),
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n".to_owned(),
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n".to_owned(),
            "a\n1\nCsUY\n".to_owned(),
        ] {
            assert!(Checkpoint::from_text(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_a_checkpoint_of_another_origin() {
        let signer = Signer::from_seed("log.example/a", &[1; 32]).unwrap();
        let checkpoint = Checkpoint {
            origin: "log.example/b".to_owned(),
            size: 0,
            root: crate::hash::empty_root(),
            extensions: Vec::new(),
        };
        let note = checkpoint.sign(&signer).unwrap();
        assert!(matches!(
            Checkpoint::open(&note, &signer.verifier(), false),
            Err(CheckpointError::Origin { .. })
        ));
    }
}
