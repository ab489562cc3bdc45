//! What can be judged of a record by itself, and so on any thread.

use duty::{
    action::Action,
    canonical::Digest,
    principal::Proof,
    record::{Body, Record},
    request::Request,
};

use crate::keys::Keys;

/// A record, judged by itself.
pub(super) struct Alone {
    /// Whether digests in it are those of what it holds.
    pub(super) contained: Result<(), String>,
    /// A key under which its signature is good, where one was guessed. Whether that is the key which the log records is for
    /// whoever knows the records before it.
    pub(super) signed_with: Option<Proof>,
}

impl Alone {
    pub(super) fn judge(record: &Record, keys: &Keys) -> Self {
        Self {
            contained: contained(record),
            signed_with: signed_with(record, keys),
        }
    }
}

fn signed_with(record: &Record, keys: &Keys) -> Option<Proof> {
    let request = record.body.request()?;
    if let Request::AddCredential(r) = request {
        // Its own key comes with it: no guess is needed.
        let shown = r.possession()?.verify(&r.proof);
        return shown.ok().map(|()| r.proof.clone());
    }
    let signed = request.signed()?;
    let key = keys.guess(signed.signer(), signed.credential())?;
    signed.verify(&key).is_ok().then_some(key)
}

fn contained(record: &Record) -> Result<(), String> {
    match (&record.body, record.body.request()) {
        (Body::LogOpened(_), Some(Request::OpenLog(_))) => Ok(()),
        (Body::FileRecorded(b), Some(Request::RecordFile(r))) => {
            same("the file", b.digest, Digest::of_bytes(r.content.as_bytes()))
        }
        (Body::ReleaseBuilt(b), Some(Request::BuildRelease(r))) => same(
            "the release",
            b.digest,
            Digest::of(&r.files).map_err(|e| e.to_string())?,
        ),
        (Body::RecommendationMade(b), Some(Request::Recommend(r))) => {
            same_action(b.digest, r.action.as_ref())
        }
        (Body::DecisionRecorded(b), Some(Request::RecordDecision(r))) => {
            same_action(b.digest, r.action.as_ref())
        }
        (Body::GrantUsed(b), Some(Request::UseGrant(r))) => same(
            "the action",
            b.digest,
            r.action.digest().map_err(|e| e.to_string())?,
        ),
        (
            Body::LogOpened(_)
            | Body::FileRecorded(_)
            | Body::ReleaseBuilt(_)
            | Body::RecommendationMade(_)
            | Body::DecisionRecorded(_)
            | Body::GrantUsed(_),
            _,
        ) => Err("its request is not of its kind".to_owned()),
        _ => Ok(()),
    }
}

fn same_action(recorded: Option<Digest>, action: Option<&Action>) -> Result<(), String> {
    let digest = action.map(Action::digest).transpose();
    if digest.map_err(|e| e.to_string())? == recorded {
        Ok(())
    } else {
        Err("its digest is not that of its action".to_owned())
    }
}

fn same(what: &str, recorded: Digest, found: Digest) -> Result<(), String> {
    if recorded == found {
        Ok(())
    } else {
        Err(format!(
            "{what} has the digest {found}, and the record says {recorded}"
        ))
    }
}
