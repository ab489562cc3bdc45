//! An S3 bucket with Object Lock: each checkpoint is locked in compliance mode until its time.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle, actions::ListObjectsV2};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Anchor, Kept, SUFFIX, agent, body, said};

/// How long a signed request is good for.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// A bucket that keeps checkpoints.
pub struct S3 {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    retain: Duration,
    clock: fn() -> u64,
    agent: ureq::Agent,
}

/// Where the bucket is.
#[derive(Debug)]
pub struct Place {
    /// URL of the service.
    pub endpoint: String,
    /// The bucket; it must have been made with Object Lock.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// What the names of checkpoints begin with, such as `payables/`.
    pub prefix: String,
    /// How long each is locked.
    pub retain: Duration,
}

impl S3 {
    /// A bucket. `clock` tells seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with the place.
    pub fn new(place: Place, key: &str, secret: &str, clock: fn() -> u64) -> Result<Self, String> {
        let endpoint: Url = place
            .endpoint
            .parse()
            .map_err(|why| format!("`endpoint`: {why}"))?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, place.bucket, place.region);
        Ok(Self {
            bucket: bucket.map_err(|why| why.to_string())?,
            credentials: Credentials::new(key, secret),
            prefix: place.prefix,
            retain: place.retain,
            clock,
            agent: agent(),
        })
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let url = self
            .bucket
            .get_object(Some(&self.credentials), key)
            .sign(SIGNED_FOR);
        let answer = self
            .agent
            .get(url.as_str())
            .call()
            .map_err(|why| why.to_string())?;
        match body(answer)? {
            (200, bytes) => Ok(Some(bytes)),
            (404, _) => Ok(None),
            (status, bytes) => Err(format!("`{key}`: {}", said(status, &bytes))),
        }
    }
}

impl Anchor for S3 {
    fn keep(&self, checkpoint: &Kept) -> Result<(), String> {
        let key = format!("{}{}", self.prefix, checkpoint.name());
        // Object Lock keeps every version, but what is read is the newest: so nothing is written over.
        if let Some(found) = self.get(&key)? {
            return checkpoint.beside(&found);
        }
        let until = (self.clock)() + self.retain.as_secs();
        let until = rfc3339(until)?;
        let digest = BASE64_STANDARD.encode(Sha256::digest(&checkpoint.note));
        let headers = [
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", &until),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-checksum-sha256", &digest),
            // Refused where another process was faster.
            ("if-none-match", "*"),
        ];
        let mut put = self.bucket.put_object(Some(&self.credentials), &key);
        for (name, value) in headers {
            put.headers_mut().insert(name, value);
        }
        let url = put.sign(SIGNED_FOR);
        let mut request = self.agent.put(url.as_str());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request
            .send(&checkpoint.note[..])
            .map_err(|why| why.to_string())?;
        match body(answer)? {
            (200..=299, _) => Ok(()),
            (412, _) => match self.get(&key)? {
                Some(found) => checkpoint.beside(&found),
                None => Err(format!(
                    "`{key}` is refused as there already, and is not there"
                )),
            },
            (status, bytes) => Err(format!("`{key}`: {}", said(status, &bytes))),
        }
    }

    fn kept(&self) -> Result<Option<Vec<Kept>>, String> {
        let mut kept = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            list.with_prefix(self.prefix.as_str());
            if let Some(token) = &token {
                list.with_continuation_token(token.as_str());
            }
            let url = list.sign(SIGNED_FOR);
            let answer = self
                .agent
                .get(url.as_str())
                .call()
                .map_err(|why| why.to_string())?;
            let (status, bytes) = body(answer)?;
            if status != 200 {
                return Err(said(status, &bytes));
            }
            let text = String::from_utf8(bytes).map_err(|why| why.to_string())?;
            let page = ListObjectsV2::parse_response(&text).map_err(|why| why.to_string())?;
            for object in page
                .contents
                .iter()
                .filter(|object| object.key.ends_with(SUFFIX))
            {
                let note = self.get(&object.key)?;
                let note = note.ok_or_else(|| format!("`{}` is listed and gone", object.key))?;
                kept.push(Kept::new(&note).map_err(|why| format!("`{}`: {why}", object.key))?);
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(Some(kept));
            }
        }
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3({}/{})", self.bucket.name(), self.prefix)
    }
}

/// Seconds since 1970 as S3 wants a time.
fn rfc3339(seconds: u64) -> Result<String, String> {
    let seconds = i64::try_from(seconds).map_err(|why| why.to_string())?;
    let time = jiff::Timestamp::from_second(seconds).map_err(|why| why.to_string())?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
