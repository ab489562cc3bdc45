//! Chat completions with tools, as OpenAI's API has them (`POST /chat/completions`); llama.cpp, vLLM, Ollama and others speak
//! the same.

use serde_json::{Map, Value, json};

use super::form::{Asked, Called, arguments};

pub(super) fn ask(body: &mut Map<String, Value>, asked: &Asked) {
    let tools = asked.offers.iter().map(|offer| {
        json!({
            "type": "function",
            "function": {
                "name": offer.name,
                "description": offer.description,
                "parameters": offer.schema,
            },
        })
    });
    body.insert("tools".to_owned(), tools.collect());
    // A release may say another word, for endpoints that do not know this one.
    body.entry("tool_choice")
        .or_insert_with(|| "required".into());
    body.insert(
        "messages".to_owned(),
        json!([
            {"role": "system", "content": asked.system},
            {"role": "user", "content": asked.matter},
        ]),
    );
}

pub(super) fn calls(answer: &Value) -> Result<Vec<Called>, String> {
    let choice = answer.pointer("/choices/0");
    let choice = choice.ok_or("the answer has no `choices`")?;
    if choice.get("finish_reason").and_then(Value::as_str) == Some("length") {
        return Err("the answer was cut off at its longest; say it shorter".to_owned());
    }
    let message = choice.get("message").ok_or("the answer has no `message`")?;
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) => calls,
        Some(_) => return Err("`tool_calls` is no list".to_owned()),
    };
    let calls = calls.iter().map(|call| {
        let function = call
            .get("function")
            .ok_or("a tool call has no `function`")?;
        let name = function.get("name").and_then(Value::as_str);
        let name = name.ok_or("a tool call has no name")?;
        let given = match function.get("arguments") {
            // The API gives JSON in a text; some servers give it as it is.
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|e| format!("the arguments of `{name}` are no JSON: {e}"))?,
            Some(given) => given.clone(),
            None => return Err(format!("`{name}` was called without arguments")),
        };
        Ok(Called {
            name: name.to_owned(),
            arguments: arguments(name, given)?,
        })
    });
    calls.collect()
}
