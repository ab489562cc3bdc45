//! The witness protocol (`c2sp.org/tlog-witness`): what a log sends, and what a witness makes of it. Without the network.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, decimal, hash_line};
use crate::hash::Hash;
use crate::note::{Note, Signature, Verifier, signature};
use crate::proof::verify_consistency;

/// Hashes of the longest consistency proof.
const MOST_HASHES: usize = 63;

/// Content type of the answer that tells the size of the latest cosigned checkpoint.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The body of `add-checkpoint`: a checkpoint, and the proof that it continues an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness is thought to have cosigned last; 0 for none.
    pub old: u64,
    /// Consistency proof from there.
    pub proof: Vec<Hash>,
    /// The checkpoint's signed note.
    pub note: String,
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 400: not a request, or an old size above the checkpoint's.
    #[error("bad request: {0}")]
    Malformed(String),
    /// 403: none of the signatures is by the log's key.
    #[error("forbidden: {0}")]
    Unsigned(String),
    /// 404: the log is not known here.
    #[error("the log `{0}` is not known here")]
    UnknownLog(String),
    /// 409: the old size is not that of the latest cosigned checkpoint.
    #[error("conflict: the latest cosigned checkpoint has {0} entries")]
    OtherSize(u64),
    /// 409: a second root for a size cosigned before: the log was forked.
    #[error("conflict: another root was cosigned for {0} entries: the log has two histories")]
    Forked(u64),
    /// 422: the proof does not hold: forked too, or a mistake.
    #[error("the consistency proof does not hold: {0}")]
    Inconsistent(String),
}

impl Refused {
    /// The HTTP status that the protocol gives it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::OtherSize(_) | Self::Forked(_) => 409,
            Self::Inconsistent(_) => 422,
        }
    }
}

impl AddCheckpoint {
    /// Reads a request's body; verifies nothing.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    pub fn parse(body: &str) -> Result<Self, Refused> {
        let fail = |why: &str| Refused::Malformed(why.to_owned());
        let (head, note) = body
            .split_once("\n\n")
            .ok_or_else(|| fail("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(decimal)
            .ok_or_else(|| fail("the first line is not `old SIZE`"))?;
        let proof = lines
            .map(hash_line)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| fail("a line of the proof is not 32 bytes in base64"))?;
        if proof.len() > MOST_HASHES {
            return Err(fail("the proof has more than 63 lines"));
        }
        Ok(Self {
            old,
            proof,
            note: note.to_owned(),
        })
    }

    /// Origin of the checkpoint, to look its log up; nothing is verified.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    pub fn origin(&self) -> Result<String, Refused> {
        self.head().map(|(_, head)| head.origin)
    }

    /// Judges a request as the witness of the log with these keys, whose latest cosigned checkpoint is `latest`. Answers
    /// the checkpoint to be kept, durably, before it is cosigned; keeping it must be one step with having read `latest`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(&self, keys: &[Verifier], latest: Option<&Checkpoint>) -> Result<Judged, Refused> {
        let (note, head) = self.head()?;
        let signed = keys.iter().filter(|key| {
            key.name() == head.origin && key.open(self.note.as_bytes(), true).is_ok()
        });
        if signed.count() == 0 {
            let why = format!(
                "no signature by a key that is trusted for `{}`",
                head.origin
            );
            return Err(Refused::Unsigned(why));
        }
        if self.old > head.size {
            let why = format!(
                "the old size {} is above the checkpoint's {}",
                self.old, head.size
            );
            return Err(Refused::Malformed(why));
        }
        let known = latest.map_or(0, |latest| latest.size);
        if self.old != known {
            return Err(Refused::OtherSize(known));
        }
        // Of size 0 there is one tree only; every other root at 0 falls out here as well.
        let empty = crate::hash::empty_root();
        let root = latest.map_or(&empty, |latest| &latest.root);
        if self.old == head.size && *root != head.root {
            return Err(Refused::Forked(known));
        }
        verify_consistency(self.old, head.size, &self.proof, root, &head.root)
            .map_err(|why| Refused::Inconsistent(why.to_string()))?;
        Ok(Judged {
            checkpoint: head,
            text: note.text,
        })
    }

    fn head(&self) -> Result<(Note, Checkpoint), Refused> {
        let fail = |why: String| Refused::Malformed(why);
        let note = Note::parse(self.note.as_bytes()).map_err(|why| fail(why.to_string()))?;
        let head = Checkpoint::from_text(&note.text).map_err(|why| fail(why.to_string()))?;
        Ok((note, head))
    }
}

/// A checkpoint that a witness may cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Its text, which is what is cosigned.
    pub text: String,
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(out, "{}", BASE64.encode(hash))?;
        }
        write!(out, "\n{}", self.note)
    }
}

/// The signature lines of a witness's answer.
///
/// # Errors
/// What is wrong with them.
pub fn parse_answer(body: &str) -> Result<Vec<Signature>, String> {
    let lines = body
        .strip_suffix('\n')
        .ok_or("the answer does not end in a newline")?;
    let lines = lines.split('\n').map(signature);
    lines
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| "a line is no signature line".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frontier, Signer, bundle::BundleError, hash, proof};

    struct Log {
        signer: Signer,
        entries: Vec<Vec<u8>>,
    }

    /// All hashes of a small tree, from its leaves.
    struct Leaves(Vec<Hash>);

    impl proof::Hashes for Leaves {
        fn hash(&self, level: u8, index: u64) -> Result<Hash, crate::SourceError> {
            let (first, width) = ((index << level) as usize, 1 << level);
            Ok(hash::subtree(&self.0[first..first + width]))
        }
    }

    impl Log {
        fn new(entries: usize) -> Self {
            let entries = (0..entries).map(|n| n.to_string().into_bytes());
            Self {
                signer: Signer::from_seed("log.example/a", &[1; 32]).unwrap(),
                entries: entries.collect(),
            }
        }

        fn head(&self, size: usize) -> Checkpoint {
            let mut tree = Frontier::new();
            for entry in &self.entries[..size] {
                tree.push(entry, &mut |_, _| Ok::<_, BundleError>(()))
                    .unwrap();
            }
            Checkpoint {
                origin: "log.example/a".to_owned(),
                size: size as u64,
                root: tree.root(),
                extensions: Vec::new(),
            }
        }

        fn request(&self, old: usize, new: usize) -> AddCheckpoint {
            let leaves = Leaves(self.entries.iter().map(|e| hash::leaf(e)).collect());
            AddCheckpoint {
                old: old as u64,
                proof: proof::consistency(&leaves, old as u64, new as u64).unwrap(),
                note: String::from_utf8(self.head(new).sign(&self.signer).unwrap()).unwrap(),
            }
        }
    }

    #[test]
    fn cosigns_what_continues_and_nothing_else() {
        let log = Log::new(30);
        let keys = [log.signer.verifier()];
        let judge = |request: &AddCheckpoint, latest: Option<&Checkpoint>| {
            request.judge(&keys, latest).map(|judged| judged.checkpoint)
        };
        for (old, new) in [(0, 0), (0, 7), (7, 7), (7, 30), (8, 9), (1, 30)] {
            let latest = (old > 0).then(|| log.head(old));
            assert_eq!(
                judge(&log.request(old, new), latest.as_ref()),
                Ok(log.head(new))
            );
        }
        let seven = log.head(7);
        assert_eq!(
            judge(&log.request(0, 9), Some(&seven)),
            Err(Refused::OtherSize(7))
        );
        assert_eq!(
            judge(&log.request(8, 9), Some(&seven)),
            Err(Refused::OtherSize(7))
        );
        let mut forked = Log::new(30);
        forked.entries[3] = b"other".to_vec();
        assert_eq!(
            judge(&forked.request(7, 7), Some(&seven)),
            Err(Refused::Forked(7))
        );
        let grown = judge(&forked.request(7, 30), Some(&seven));
        assert!(matches!(grown, Err(Refused::Inconsistent(_))));
        let mut above = log.request(7, 7);
        above.old = 8;
        assert!(matches!(
            judge(&above, Some(&seven)),
            Err(Refused::Malformed(_))
        ));
        let mut other = Log::new(30);
        other.signer = Signer::from_seed("log.example/a", &[2; 32]).unwrap();
        let unsigned = judge(&other.request(7, 9), Some(&seven));
        assert!(matches!(unsigned, Err(Refused::Unsigned(_))));
    }

    #[test]
    fn writes_what_it_reads() {
        let request = Log::new(30).request(7, 30);
        assert_eq!(
            AddCheckpoint::parse(&request.to_string()),
            Ok(request.clone())
        );
        assert_eq!(request.origin().as_deref(), Ok("log.example/a"));
        let text = request.to_string();
        for wrong in [
            text.replace("old 7", "old 07"),
            text.replace("old 7", "new 7"),
            text.replacen("\n\n", "\n", 2),
            text.replacen("\n", "\nx\n", 1),
        ] {
            assert!(AddCheckpoint::parse(&wrong).is_err(), "{wrong}");
        }
        let long = text.replacen(
            '\n',
            &format!("\n{}", format!("{}\n", BASE64.encode([0; 32])).repeat(64)),
            1,
        );
        assert!(AddCheckpoint::parse(&long).is_err());
    }
}
