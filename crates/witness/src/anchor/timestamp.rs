//! A time-stamp authority (RFC 3161): its signature says that a checkpoint was there at a time.
//!
//! The answers are kept beside their checkpoints, `<size>.checkpoint.tsr`, as `openssl ts -verify -data <checkpoint> -in
//! <answer>` reads them. Here it is checked that an answer is granted and is for this checkpoint; the authority's own
//! signature is checked by openssl, with the authority's certificate.

use std::fs;
use std::path::{Path, PathBuf};

use cms::{cert::x509::spki::AlgorithmIdentifier, signed_data::SignedData};
use der::{
    Any, Decode as _, Encode as _,
    asn1::{Int, ObjectIdentifier, OctetString},
};
use sha2::{Digest as _, Sha256};
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

use super::{Anchor, Kept, agent, body, directory::Directory, said};

const ID_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// A time-stamp authority, and the directory in which its answers are kept.
pub struct Authority {
    url: String,
    path: PathBuf,
    kept: Directory,
    nonce: fn() -> Result<[u8; 16], String>,
    agent: ureq::Agent,
}

impl Authority {
    /// The authority at `url`, whose answers are kept in the directory at `path`. `nonce` gives random bytes.
    #[must_use]
    pub fn new(url: &str, path: &Path, nonce: fn() -> Result<[u8; 16], String>) -> Self {
        Self {
            url: url.to_owned(),
            path: path.to_owned(),
            kept: Directory::new(path),
            nonce,
            agent: agent(),
        }
    }

    fn ask(&self, note: &[u8]) -> Result<Vec<u8>, String> {
        let nonce = nonce((self.nonce)()?)?;
        let request = TimeStampReq {
            version: TspVersion::V1,
            message_imprint: imprint(note)?,
            req_policy: None,
            nonce: Some(nonce.clone()),
            // The answer must be checkable by itself.
            cert_req: true,
            extensions: None,
        };
        let request = request.to_der().map_err(|why| why.to_string())?;
        let answer = self
            .agent
            .post(&self.url)
            .content_type("application/timestamp-query")
            .send(&request[..])
            .map_err(|why| format!("`{}`: {why}", self.url))?;
        let (status, bytes) = body(answer)?;
        if status != 200 {
            return Err(format!("`{}`: {}", self.url, said(status, &bytes)));
        }
        check(&bytes, note, Some(&nonce)).map_err(|why| format!("`{}`: {why}", self.url))?;
        Ok(bytes)
    }

    fn answer_path(&self, checkpoint: &Kept) -> PathBuf {
        self.path.join(format!("{}.tsr", checkpoint.name()))
    }
}

impl Anchor for Authority {
    fn keep(&self, checkpoint: &Kept) -> Result<(), String> {
        let path = self.answer_path(checkpoint);
        let fail = |why: std::io::Error| format!("`{}`: {why}", path.display());
        fs::create_dir_all(&self.path).map_err(fail)?;
        if !path.exists() {
            let answer = self.ask(&checkpoint.note)?;
            let temporary = path.with_extension("new");
            fs::write(&temporary, answer).map_err(fail)?;
            fs::rename(&temporary, &path).map_err(fail)?;
        }
        // After its stamp: a checkpoint that is there is stamped.
        self.kept.keep(checkpoint)
    }

    fn kept(&self) -> Result<Option<Vec<Kept>>, String> {
        if !self.path.exists() {
            return Ok(Some(Vec::new()));
        }
        let kept = self.kept.kept()?.unwrap_or_default();
        for checkpoint in &kept {
            let path = self.answer_path(checkpoint);
            let answer = fs::read(&path).map_err(|why| format!("`{}`: {why}", path.display()))?;
            check(&answer, &checkpoint.note, None)
                .map_err(|why| format!("`{}`: {why}", path.display()))?;
        }
        Ok(Some(kept))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.url)
    }
}

/// Whether an answer is granted, and for this note (and nonce).
fn check(answer: &[u8], note: &[u8], nonce: Option<&Int>) -> Result<(), String> {
    let wrong = |why: der::Error| format!("not a time-stamp response: {why}");
    let answer = TimeStampResp::from_der(answer).map_err(wrong)?;
    // 0 is granted, 1 granted with changes (RFC 3161, section 2.4.2).
    if answer.status.status as u32 > 1 {
        return Err(format!("not granted: {:?}", answer.status));
    }
    let token = answer
        .time_stamp_token
        .ok_or("granted, and without a token")?;
    let signed: SignedData = token.content.decode_as().map_err(wrong)?;
    let content = signed
        .encap_content_info
        .econtent
        .ok_or("the token is empty")?;
    let info: OctetString = content.decode_as().map_err(wrong)?;
    let info = TstInfo::from_der(info.as_bytes()).map_err(wrong)?;
    if info.message_imprint.hashed_message != imprint(note)?.hashed_message {
        return Err("the time-stamp is of other bytes".to_owned());
    }
    if nonce.is_some() && info.nonce.as_ref() != nonce {
        return Err("the time-stamp answers another request".to_owned());
    }
    Ok(())
}

fn imprint(note: &[u8]) -> Result<MessageImprint, String> {
    let digest = OctetString::new(Sha256::digest(note).to_vec());
    Ok(MessageImprint {
        hash_algorithm: AlgorithmIdentifier {
            oid: ID_SHA_256,
            parameters: Some(Any::null()),
        },
        hashed_message: digest.map_err(|why| why.to_string())?,
    })
}

/// A positive number of 16 bytes.
fn nonce(mut bytes: [u8; 16]) -> Result<Int, String> {
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Int::new(&bytes).map_err(|why| why.to_string())
}
