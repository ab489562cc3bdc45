//! What a release offers to an agent: the tools that its permission set could allow, and what they take. Nothing is decided
//! here; a list of tools is for whoever looks for one to call.

use duty::name::PrincipalId;
use serde_json::{Map, Value, json};

use crate::{Release, cedar::Rule, types::object_schema};

impl Release {
    /// Whether some call of this tool could be permitted to this agent: a rule of its permission set permits some, and none
    /// forbids all of them.
    #[must_use]
    pub fn could_permit(&self, agent: &PrincipalId, tool: &str) -> bool {
        let Some(book) = self.permission_set(agent) else {
            return false;
        };
        let is_about = |rule: &&Rule| {
            rule.is_about(tool) && rule.agent().is_none_or(|named| named == agent.as_str())
        };
        let about: Vec<_> = book.rules().filter(is_about).collect();
        about.iter().any(|rule| !rule.forbids)
            && !about
                .iter()
                .any(|rule| rule.forbids && !rule.has_conditions())
    }

    /// Whether a clause is bound to this tool, under whatever condition.
    #[must_use]
    pub fn binds(&self, tool: &str) -> bool {
        self.binds_of(tool).next().is_some()
    }

    /// The JSON Schema of the arguments that a tool takes, from their declared types; an open object where it declares none.
    /// The engine's own argument is left out: no caller sets it.
    #[must_use]
    pub fn input_schema(&self, tool: &str) -> Map<String, Value> {
        let Some(declared) = self.types_of(tool).and_then(|types| types.args.as_ref()) else {
            return Map::from_iter([("type".to_owned(), json!("object"))]);
        };
        let own = duty::release::Rules::team(self).tools.get(tool);
        let own = own.and_then(|tool| tool.idempotency.as_deref());
        object_schema(declared, own)
    }
}
