//! Templates of calls: `$case.subject` and `$facts.<namespace>.<field>` stand for what is known of a case.

use duty::{action::Action, facts::Facts};
use serde_json::{Map, Value};

/// A call with holes.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    tool: String,
    args: Map<String, Value>,
}

impl Template {
    pub(crate) fn new(tool: String, args: Map<String, Value>) -> Result<Self, String> {
        for (name, value) in &args {
            if let Some(hole) = value.as_str().filter(|s| s.starts_with('$')) {
                let known =
                    hole == SUBJECT || path(hole).is_some_and(|p| p.split('.').count() == 2);
                if !known {
                    return Err(format!(
                        "`{name}`: `{hole}` is neither `$case.subject` nor `$facts.<namespace>.<field>`"
                    ));
                }
            }
        }
        Ok(Self { tool, args })
    }

    /// The tool.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The namespaces of the facts that it waits for.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        let holes = self.args.values().filter_map(|v| path(v.as_str()?));
        holes.filter_map(|p| Some(p.split_once('.')?.0))
    }

    /// The call, where everything that it needs is known.
    #[must_use]
    pub fn fill(&self, subject: &str, facts: &Facts) -> Option<Action> {
        let mut arguments = Map::new();
        for (name, value) in &self.args {
            let value = match value.as_str() {
                Some(SUBJECT) => Value::from(subject),
                Some(hole) => match path(hole) {
                    Some(path) => facts.at(path)?.to_json(),
                    None => value.clone(),
                },
                None => value.clone(),
            };
            arguments.insert(name.clone(), value);
        }
        Some(Action::new(self.tool.clone(), arguments))
    }
}

const SUBJECT: &str = "$case.subject";

fn path(hole: &str) -> Option<&str> {
    hole.strip_prefix("$facts.")
}

#[cfg(test)]
mod tests {
    use duty::facts::Scalar;
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_with_types_kept_or_not_at_all() {
        let args = json!({"a": "$facts.x.n", "b": "$case.subject", "c": 7});
        let template = Template::new("t.u".to_owned(), args.as_object().unwrap().clone()).unwrap();
        let mut facts = Facts::default();
        assert_eq!(template.fill("s", &facts), None);
        facts.insert("x", "n", Scalar::Int(5));
        let filled = Value::Object(template.fill("s", &facts).unwrap().arguments);
        assert_eq!(filled, json!({"a": 5, "b": "s", "c": 7}));
        assert!(
            Template::new(
                "t.u".to_owned(),
                json!({"a": "$fact.x"}).as_object().unwrap().clone()
            )
            .is_err()
        );
    }
}
