//! The model that makes vectors: any endpoint of OpenAI's form, set up in the data directory's `embedder.toml`:
//!
//! ```toml
//! name = "http/text-embedding-3-small"   # what a release's `[retrieval] embedder` names
//! url = "https://models.example/v1/embeddings"
//! model = "text-embedding-3-small"
//! key_env = "EMBEDDINGS_KEY"             # the environment variable with the bearer token; none sends none
//! ```

use std::{path::Path, sync::Arc, time::Duration};

use policy::{Embedder, Vector};
use serde::Deserialize;
use serde_json::{Value, json};
use store::config;

use crate::fail::Failure;

/// The file of the data directory.
const FILE: &str = "embedder.toml";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The embedder that is set up in a data directory, where one is.
pub(crate) fn of(dir: &Path) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let endpoint: Option<Endpoint> = config::read(&dir.join(FILE))?;
    Ok(endpoint.map(|endpoint| Arc::new(endpoint) as Arc<dyn Embedder>))
}

/// The embedder of this name.
pub(crate) fn named(dir: &Path, name: &str) -> Result<Arc<dyn Embedder>, Failure> {
    of(dir)?.filter(|e| e.name() == name).ok_or_else(|| {
        Failure::usage(format!(
            "no embedder `{name}` is here; set it up in `{}`",
            dir.join(FILE).display()
        ))
    })
}

/// An endpoint of OpenAI's form (`POST …/embeddings`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    name: String,
    url: String,
    model: String,
    key_env: Option<String>,
}

impl Embedder for Endpoint {
    fn name(&self) -> &str {
        &self.name
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.post(&self.url);
        if let Some(name) = &self.key_env {
            let key = std::env::var(name).map_err(|_| format!("needs the key in `${name}`"))?;
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let asked = json!({"model": self.model, "input": texts, "encoding_format": "float"});
        let away = |e: ureq::Error| format!("does not answer at `{}`: {e}", self.url);
        let mut answer = request.send_json(&asked).map_err(away)?;
        let answer: Value = answer.body_mut().read_json().map_err(away)?;
        vectors(&answer, texts.len())
            .map_err(|why| format!("answers otherwise than its form asks: {why}"))
    }
}

/// The vectors of an answer, in the order of the texts.
fn vectors(answer: &Value, count: usize) -> Result<Vec<Vector>, String> {
    let data = answer["data"].as_array().ok_or("there is no `data`")?;
    let mut vectors: Vec<Option<Vector>> = vec![None; count];
    for (i, item) in data.iter().enumerate() {
        let index = item["index"]
            .as_u64()
            .map_or(Some(i), |n| usize::try_from(n).ok());
        let place = index.and_then(|n| vectors.get_mut(n));
        let numbers = item["embedding"]
            .as_array()
            .ok_or("an item has no `embedding`")?;
        let numbers: Option<Vec<f32>> = numbers
            .iter()
            .map(|n| n.as_f64().map(|n| n as f32))
            .collect();
        let numbers = numbers.ok_or("an `embedding` holds more than numbers")?;
        *place.ok_or("there are more items than texts")? = Some(Vector::of(&numbers)?);
    }
    let all: Option<Vec<Vector>> = vectors.into_iter().collect();
    all.ok_or_else(|| "there are fewer items than texts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_whole_and_in_order() {
        let item = |index: usize, n: f64| json!({"index": index, "embedding": [n, 1.0]});
        let answer = json!({"data": [item(1, 0.0), item(0, 1.0)]});
        let found = vectors(&answer, 2).unwrap();
        assert_eq!(found[1], Vector::of(&[0.0, 1.0]).unwrap());
        for wrong in [
            json!({"error": "no"}),
            json!({"data": [item(0, 1.0)]}),
            json!({"data": [item(0, 1.0), item(1, 1.0), item(2, 1.0)]}),
            json!({"data": [{"index": 0, "embedding": ["x"]}, item(1, 1.0)]}),
        ] {
            assert!(vectors(&wrong, 2).is_err(), "{wrong}");
        }
    }
}
