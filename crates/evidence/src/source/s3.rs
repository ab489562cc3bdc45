//! A log in an S3 bucket, which can list: strays are found as in a directory.

use std::{env, fmt, thread, time::Duration};

use ledger::{Source, SourceError};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle, actions::ListObjectsV2};

use super::web::{Answer, Web};

/// How long a signed request is good for.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// How long a pause for a writer is.
const PAUSE: Duration = Duration::from_millis(100);

/// How a service is reached, and as whom.
#[derive(Clone)]
pub struct S3Access {
    /// URL of the service; that of the region at Amazon where it is none.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Key id, secret, and session token; without them, requests are not signed, as a public bucket allows.
    pub keys: Option<(String, String, Option<String>)>,
}

impl S3Access {
    /// As the environment says: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// Where only one half of a key is there.
    pub fn from_env() -> Result<Self, String> {
        let var = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
        let keys = match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Some((id, secret, var("AWS_SESSION_TOKEN"))),
            (None, None) => None,
            _ => return Err("`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` go together".into()),
        };
        Ok(Self {
            endpoint: var("AWS_ENDPOINT_URL"),
            region: var("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            keys,
        })
    }
}

impl fmt::Debug for S3Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Access")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

pub(super) struct S3 {
    bucket: Bucket,
    credentials: Option<Credentials>,
    /// Empty, or with a `/` at its end.
    prefix: String,
    web: Web,
}

impl S3 {
    /// The log at `s3://bucket/prefix`.
    pub(super) fn new(place: &str, access: &S3Access) -> Result<Self, String> {
        let rest = place.strip_prefix("s3://").unwrap_or(place);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err("it names no bucket: write `s3://bucket/prefix`".to_owned());
        }
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let region = access.region.clone();
        let endpoint = access.endpoint.clone();
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let url = endpoint.parse();
        let url = url.map_err(|why| format!("the endpoint `{endpoint}`: {why}"))?;
        let bucket = Bucket::new(url, UrlStyle::Path, bucket.to_owned(), region);
        Ok(Self {
            bucket: bucket.map_err(|why| why.to_string())?,
            credentials: access.keys.clone().map(|(id, secret, token)| match token {
                Some(token) => Credentials::new_with_token(id, secret, token),
                None => Credentials::new(id, secret),
            }),
            prefix,
            web: Web::new(),
        })
    }

    fn away(&self, path: &str, why: impl fmt::Display) -> SourceError {
        SourceError::Failed {
            path: path.to_owned(),
            why: format!("bucket `{}`: {why}", self.bucket.name()),
        }
    }

    fn page(&self, token: Option<&str>) -> Result<ListObjectsV2Page, SourceError> {
        let listing = "the listing";
        let url = || {
            let mut list = self.bucket.list_objects_v2(self.credentials.as_ref());
            list.with_prefix(self.prefix.as_str());
            if let Some(token) = token {
                list.with_continuation_token(token);
            }
            list.sign(SIGNED_FOR).to_string()
        };
        let bytes = match self.web.get(listing, &url)? {
            Answer::File(bytes) => bytes,
            Answer::Missing(_) => return Err(self.away(listing, "there is none")),
        };
        let text = String::from_utf8(bytes).map_err(|why| self.away(listing, why))?;
        let page = ListObjectsV2::parse_response(&text).map_err(|why| self.away(listing, why))?;
        Ok(ListObjectsV2Page {
            keys: page.contents.into_iter().map(|object| object.key).collect(),
            next: page.next_continuation_token,
        })
    }
}

struct ListObjectsV2Page {
    keys: Vec<String>,
    next: Option<String>,
}

impl Source for S3 {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let key = format!("{}{path}", self.prefix);
        let url = || {
            let get = self.bucket.get_object(self.credentials.as_ref(), &key);
            get.sign(SIGNED_FOR).to_string()
        };
        match self.web.get(path, &url)? {
            Answer::File(bytes) => Ok(bytes),
            // Only a file can be missing from the log: where the bucket is, nothing is said of that.
            Answer::Missing(words) if String::from_utf8_lossy(&words).contains("NoSuchBucket") => {
                Err(self.away(path, "there is none"))
            }
            Answer::Missing(_) => Err(SourceError::Missing {
                path: path.to_owned(),
            }),
        }
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let page = self.page(token.as_deref())?;
            let names = page.keys.iter().filter_map(|key| {
                let name = key.strip_prefix(&self.prefix)?;
                // What tools put there as the directory itself.
                (!name.is_empty()).then(|| name.to_owned())
            });
            found.extend(names);
            token = page.next;
            if token.is_none() {
                return Ok(Some(found));
            }
        }
    }

    fn pause(&self) -> bool {
        thread::sleep(PAUSE);
        true
    }
}
