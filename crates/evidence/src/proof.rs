//! One record with the clauses it cites, in one file that verifies offline, years later, with the log's key alone.
//!
//! The file is a `.tlog-proof` (`c2sp.org/tlog-proof`): index, inclusion proof, and the signed checkpoint. Its extra data,
//! which the format leaves to us, is canonical JSON `{"clauses":[{"id","version","title","text"}],"keys":"…","record":"…"}`, `keys` only where
//! the log's key was replaced. The extra
//! data needs no signature of its own: the record's bytes must hash to the proved leaf, and each clause to the digest that
//! the record cites.

use std::collections::BTreeMap;

use duty::{
    canonical::{self, Digest},
    record::{Body, Record},
    release::ClauseRef,
    request::Request,
};
use ledger::{
    Checkpoint, Source, Verifier,
    note::Note,
    proof::{Proof, Tiles, inclusion},
    rotation::Chain,
    source::read_entry,
    tile::{CHECKPOINT, WITNESSED},
    trust::Policy,
};
use policy::{Clause, Release};
use serde::{Deserialize, Serialize};

use crate::{EvidenceError, library::Library, reader};

/// A clause as it stands in a proof file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedClause {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its title.
    pub title: String,
    /// Its exact text.
    pub text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    clauses: Vec<ProvedClause>,
    /// The log's key statements, as its file `keys` holds them: they lead from a key that is trusted to the checkpoint's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keys: String,
    record: String,
}

/// What a proof file proves.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The record.
    pub record: Record,
    /// Its exact bytes, which are JSON.
    pub bytes: String,
    /// The clauses it cites.
    pub clauses: Vec<ProvedClause>,
    /// The checkpoint under which it is proved.
    pub checkpoint: Checkpoint,
    /// Names of the policy's witnesses that cosigned that checkpoint, each with its time in seconds since 1970.
    pub witnesses: Vec<(String, u64)>,
    /// Whether they are a quorum of the policy.
    pub quorum: bool,
}

/// Why a record cannot be proved, or a proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofFailure {
    /// The log cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The proof.
    #[error(transparent)]
    Proof(#[from] ledger::proof::ProofError),
    /// The log's keys, or a checkpoint held against them.
    #[error(transparent)]
    Keys(#[from] ledger::rotation::RotationError),
    /// The file is a proof of something else, or of nothing.
    #[error("{0}")]
    Wrong(String),
}

/// Makes the proof file of record `seq`: under the newest checkpoint that witnesses cosigned where that one covers the
/// record, and the newest of all otherwise. It is checked before it is given out.
///
/// # Errors
/// [`ProofFailure`].
pub fn prove(source: &dyn Source, verifier: &Verifier, seq: u64) -> Result<String, ProofFailure> {
    let newest = source
        .read(CHECKPOINT)
        .map_err(ledger::proof::ProofError::from)?;
    let witnessed = source.read(WITNESSED).ok();
    let keys = Chain::read(source, verifier)?;
    let covers = |note: &[u8]| {
        let head = keys.open_alone(note, true).ok()?;
        (head.size > seq).then_some(head)
    };
    let cosigned = witnessed.and_then(|note| covers(&note).map(|head| (head, note)));
    let (head, note) = match cosigned {
        Some(cosigned) => cosigned,
        None => (keys.open_alone(&newest, true)?, newest),
    };
    let path = inclusion(&Tiles::new(source, head.size), seq, head.size)?;
    let entry = read_entry(source, seq, head.size).map_err(ledger::proof::ProofError::from)?;
    let record = reader::record(seq, &entry)?;
    let clauses = clauses(source, &record)?;
    let extra = Extra {
        clauses,
        keys: keys.to_string(),
        record: String::from_utf8(entry).map_err(|e| ProofFailure::Wrong(e.to_string()))?,
    };
    let extra = canonical::to_vec(&extra).map_err(|e| ProofFailure::Wrong(e.to_string()))?;
    let proof = Proof {
        extra: Some(extra),
        index: seq,
        path,
        checkpoint: String::from_utf8_lossy(&note).into_owned(),
    };
    let text = proof.to_string();
    check(&text, verifier, &Policy::none())?;
    Ok(text)
}

/// Checks a proof file: record, place, checkpoint, the text of every clause that the record cites, and the cosignatures of
/// the policy's witnesses. Reads nothing else.
///
/// That the quorum is missing is told, and is no error: it is the caller's to ask for.
///
/// # Errors
/// [`ProofFailure`] with what does not hold.
pub fn check(text: &str, verifier: &Verifier, policy: &Policy) -> Result<Proved, ProofFailure> {
    let wrong = |why: String| ProofFailure::Wrong(why);
    let proof = Proof::parse(text)?;
    let extra = proof.extra.as_deref().ok_or_else(|| {
        wrong(
            "the file holds no record: it has no `extra` line, and was not made by `log prove`"
                .to_owned(),
        )
    })?;
    let extra: Extra = serde_json::from_slice(extra)
        .map_err(|e| wrong(format!("the extra data is not that of `log prove`: {e}")))?;
    let keys = match extra.keys.as_str() {
        "" => Chain::of(verifier),
        statements => Chain::trusting(verifier, statements.as_bytes())?,
    };
    let checkpoint = keys.open_alone(proof.checkpoint.as_bytes(), true)?;
    proof.leads(extra.record.as_bytes(), &checkpoint)?;
    let record = Record::from_bytes(extra.record.as_bytes())
        .map_err(|e| wrong(format!("entry {} is no record: {e}", proof.index)))?;
    if record.seq != proof.index {
        let why = format!("record {} stands at entry {}", record.seq, proof.index);
        return Err(wrong(why));
    }
    for cited in &record.clauses {
        let found = extra.clauses.iter().find(|c| c.id == cited.id);
        let found =
            found.ok_or_else(|| wrong(format!("the text of clause {} is missing", cited.id)))?;
        let digest = Clause::digest_of(&found.id, &found.version, &found.title, &found.text);
        if digest != cited.digest {
            let why = format!(
                "the text of clause {} is not the one that the record cites",
                cited.id
            );
            return Err(wrong(why));
        }
    }
    if extra.clauses.len() != record.clauses.len() {
        return Err(wrong(
            "the file holds clauses that the record does not cite".to_owned(),
        ));
    }
    let note = Note::parse(proof.checkpoint.as_bytes()).map_err(|e| wrong(e.to_string()))?;
    let cosigned = policy.verify(&note).map_err(|e| wrong(e.to_string()))?;
    let name = |place: &usize| policy.witnesses.get(*place).map(|w| w.name.clone());
    let witnesses = cosigned
        .by
        .iter()
        .filter_map(|(w, time)| Some((name(w)?, *time)));
    Ok(Proved {
        record,
        bytes: extra.record,
        clauses: extra.clauses,
        checkpoint,
        witnesses: witnesses.collect(),
        quorum: cosigned.quorum,
    })
}

/// The clauses that a record cites, with their texts, from the release's files in the log before it.
fn clauses(source: &dyn Source, cites: &Record) -> Result<Vec<ProvedClause>, ProofFailure> {
    if cites.clauses.is_empty() {
        return Ok(Vec::new());
    }
    let mut library = Library::default();
    let mut built: BTreeMap<Digest, BTreeMap<String, Digest>> = BTreeMap::new();
    let end = cites.seq;
    reader::for_each_entry(source, 0, &mut |seq, entry| {
        // Of a long log only these two kinds need to be parsed.
        let may = |kind: &[u8]| entry.windows(kind.len()).any(|w| w == kind);
        if seq < end && (may(b"\"file.recorded\"") || may(b"\"release.built\"")) {
            let record = reader::record(seq, entry)?;
            library.take(&record);
            if let (Body::ReleaseBuilt(b), Some(Request::BuildRelease(r))) =
                (&record.body, record.body.request())
            {
                built.insert(b.digest, r.files.clone());
            }
        }
        Ok(())
    })?;
    let none = || ProofFailure::Wrong(format!("record {end} cites clauses and names no release"));
    let release = cites.release.ok_or_else(none)?;
    let paths = built.get(&release).ok_or_else(none)?;
    let release = library.made_of(release, paths)?;
    cites
        .clauses
        .iter()
        .map(|cited| proved(&release, cited))
        .collect()
}

fn proved(release: &Release, cited: &ClauseRef) -> Result<ProvedClause, ProofFailure> {
    let clause = release.cited(cited).ok_or_else(|| {
        let ClauseRef { id, version, .. } = cited;
        ProofFailure::Wrong(format!(
            "the release has no clause {id}, version {version}, of this digest"
        ))
    })?;
    Ok(ProvedClause {
        id: clause.id.clone(),
        version: clause.version.clone(),
        title: clause.title.clone(),
        text: clause.text.clone(),
    })
}
