//! Messages with tools, as Anthropic's API has them (`POST /messages`).

use serde_json::{Map, Value, json};

use super::form::{Asked, Called, arguments};

pub(super) fn ask(body: &mut Map<String, Value>, asked: &Asked) {
    let tools = asked.offers.iter().map(|offer| {
        json!({
            "name": offer.name,
            "description": offer.description,
            "input_schema": offer.schema,
        })
    });
    body.insert("tools".to_owned(), tools.collect());
    body.entry("tool_choice")
        .or_insert_with(|| json!({"type": "any"}));
    body.insert("system".to_owned(), Value::from(asked.system.as_str()));
    body.insert(
        "messages".to_owned(),
        json!([{"role": "user", "content": asked.matter}]),
    );
}

pub(super) fn calls(answer: &Value) -> Result<Vec<Called>, String> {
    if answer.get("stop_reason").and_then(Value::as_str) == Some("max_tokens") {
        return Err("the answer was cut off at its longest; say it shorter".to_owned());
    }
    let content = answer.get("content").and_then(Value::as_array);
    let content = content.ok_or("the answer has no `content`")?;
    let used = content
        .iter()
        .filter(|block| block.get("type").and_then(Value::as_str) == Some("tool_use"));
    let calls = used.map(|block| {
        let name = block.get("name").and_then(Value::as_str);
        let name = name.ok_or("a tool use has no name")?;
        let given = block.get("input").cloned().unwrap_or(Value::Null);
        Ok(Called {
            name: name.to_owned(),
            arguments: arguments(name, given)?,
        })
    });
    calls.collect()
}
