//! Style and script, built in, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use duty::canonical::Digest;

static CSS: &str = include_str!("../assets/console.css");
static SIGN: &str = include_str!("../assets/sign.js");
static PASSKEY: &str = include_str!("../assets/passkey.js");
static KEYS: &str = include_str!("../assets/keys.js");

/// Scripts that `sign.js` imports have fixed names: a module names its imports itself.
pub(crate) const PASSKEY_NAME: &str = "passkey.js";
pub(crate) const KEYS_NAME: &str = "keys.js";

pub(crate) static CSS_NAME: LazyLock<String> = LazyLock::new(|| name("console", CSS, "css"));
pub(crate) static SIGN_NAME: LazyLock<String> = LazyLock::new(|| name("sign", SIGN, "js"));

fn name(stem: &str, content: &str, extension: &str) -> String {
    format!(
        "{stem}.{}.{extension}",
        Digest::of_bytes(content.as_bytes()).short()
    )
}

pub(crate) async fn serve(Path(asked): Path<String>) -> Response {
    let (content, kind, cache) = if asked == *CSS_NAME {
        (
            CSS,
            "text/css; charset=utf-8",
            "public, max-age=31536000, immutable",
        )
    } else if asked == *SIGN_NAME {
        (
            SIGN,
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        )
    } else if asked == KEYS_NAME {
        (KEYS, "text/javascript; charset=utf-8", "no-cache")
    } else if asked == PASSKEY_NAME {
        (PASSKEY, "text/javascript; charset=utf-8", "no-cache")
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)],
        content,
    )
        .into_response()
}
