//! Errors as `application/problem+json` (RFC 9457).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use duty::refusal::Refusal;
use engine::EngineError;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request was not answered otherwise.
///
/// `type` is `urn:counterfoil:problem:<code>`, `title` what the status says, `detail` what happened, for people.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// `urn:counterfoil:problem:` with the code.
    #[serde(rename = "type")]
    kind: String,
    /// What the status says.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Which rule: that of the refusal, or one of the door's own like `malformed`, `unauthenticated`, `too-many`,
    /// `key-reused`, `in-flight`, `unavailable`.
    code: String,
    /// What happened, where, and what to do.
    detail: String,
    /// The refusal as the log has it, for what the core refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Box<Refused>>,
    /// After how many seconds to come again, where that helps; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// A refusal as it stands in the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Refused {
    /// Which rule of the core refused.
    code: String,
    /// Why, in one sentence.
    why: String,
    /// What would make it pass.
    remedy: String,
    /// The release's rule that spoke, or came nearest to permitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The clause behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:counterfoil:problem:{code}"),
            title: status.canonical_reason().unwrap_or("problem"),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            refusal: None,
            retry_after: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(crate) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "wrong-state", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// To be tried again after so many seconds.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            refusal.code.word(),
            format!("refused: {refusal}"),
        );
        problem.refusal = Some(Box::new(Refused {
            code: refusal.code.word().to_owned(),
            why: refusal.why.clone(),
            remedy: refusal.remedy.clone(),
            rule: refusal.rule.clone(),
            clause: refusal.clause.clone(),
        }));
        problem
    }

    /// Whether the core refused it, so that the log has it.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refusal.is_some()
    }

    /// Its code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
}

impl From<EngineError> for Problem {
    fn from(e: EngineError) -> Self {
        let detail = e.to_string();
        match e {
            EngineError::Refused(refusal) => Self::refused(&refusal),
            EngineError::Unauthenticated => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            }
            EngineError::TooLong { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", detail)
            }
            EngineError::Missing(_) => Self::missing(detail),
            EngineError::Canonical(_) | EngineError::NotRotated | EngineError::ByCaller(_) => {
                Self::malformed(detail)
            }
            EngineError::Unreleased { .. } => Self::unavailable(detail).after(1),
            EngineError::Store(_)
            | EngineError::NotErased { .. }
            | EngineError::Stop { .. }
            | EngineError::Embedder(_)
            | EngineError::Retrieval(_)
            | EngineError::Release { .. }
            | EngineError::Fold(_)
            | EngineError::NoTarget(_)
            | EngineError::Undescribed { .. } => Self::unavailable(detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
