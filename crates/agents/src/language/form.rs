//! What is asked and heard, apart from the form in which an endpoint wants it.

use duty::language::Tokens;
use policy::{Form, LanguagePlan};
use serde_json::{Map, Value};

use super::{anthropic, openai};

/// What a model is asked.
pub struct Asked {
    /// The instructions.
    pub system: String,
    /// The matter, with all data in blocks.
    pub matter: String,
    /// What it may answer with, by the name that it is told.
    pub offers: Vec<Offer>,
}

/// One thing that a model may answer with.
pub struct Offer {
    /// The name that it is told: letters, digits, `_` and `-`.
    pub name: String,
    /// What it is.
    pub what: What,
    /// For the model.
    pub description: String,
    /// JSON Schema of what it takes.
    pub schema: Value,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// To call this tool.
    Tool(String),
    /// To look for clauses.
    Find,
    /// To recommend.
    Recommend,
}

/// One call that a model answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The name.
    pub name: String,
    /// What it gives.
    pub arguments: Map<String, Value>,
}

/// What came back.
pub struct Heard {
    /// The name under which the model answered.
    pub model: Option<String>,
    /// The tokens that the endpoint counted.
    pub tokens: Option<Tokens>,
    /// The calls; or what is wrong.
    pub calls: Result<Vec<Called>, String>,
}

/// The body of a request.
pub(super) fn body(plan: &LanguagePlan, max_tokens: u32, asked: &Asked) -> Value {
    let mut body = plan.parameters.clone();
    body.insert("model".to_owned(), Value::from(plan.id.as_str()));
    body.insert(plan.limit.to_owned(), Value::from(max_tokens));
    match plan.form {
        Form::OpenAi => openai::ask(&mut body, asked),
        Form::Anthropic => anthropic::ask(&mut body, asked),
    }
    Value::Object(body)
}

/// Reads an answer.
pub(super) fn hear(form: Form, body: &[u8]) -> Heard {
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(e) => {
            return Heard {
                model: None,
                tokens: None,
                calls: Err(format!("the answer is no JSON: {e}")),
            };
        }
    };
    let (calls, input, output) = match form {
        Form::OpenAi => (openai::calls(&answer), "prompt_tokens", "completion_tokens"),
        Form::Anthropic => (anthropic::calls(&answer), "input_tokens", "output_tokens"),
    };
    let count = |name: &str| {
        let count = answer.get("usage")?.get(name)?.as_u64()?;
        u32::try_from(count).ok()
    };
    let model = answer.get("model").and_then(Value::as_str);
    Heard {
        model: model.map(|name| name.chars().take(200).collect()),
        tokens: count(input)
            .zip(count(output))
            .map(|(input, output)| Tokens { input, output }),
        calls: calls.and_then(|calls| match calls.len() {
            0 => Err("no function was called; answer by calling one of those offered".to_owned()),
            _ => Ok(calls),
        }),
    }
}

/// The object of a call's arguments.
pub(super) fn arguments(name: &str, value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(arguments) => Ok(arguments),
        _ => Err(format!("the arguments of `{name}` are no JSON object")),
    }
}
