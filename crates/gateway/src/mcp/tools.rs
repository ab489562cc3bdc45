//! The tools that an agent is shown: those that its permission set could allow, and no others.

use std::sync::Arc;

use duty::{
    principal::Duty,
    release::{Rules, Tool},
};
use rmcp::model::{Tool as Shown, ToolAnnotations};

use super::caller::Caller;

/// The tools that the caller is shown, in order of name.
pub(super) fn shown(caller: &Caller) -> Vec<Shown> {
    let tools = caller.release.team().tools.values();
    let theirs = tools.filter(|tool| is_for(caller, tool));
    theirs.map(|tool| described(caller, tool)).collect()
}

/// The tool of this name, where the caller is shown it. The name in the release is understood as well as the shown one.
pub(super) fn named<'c>(caller: &'c Caller, name: &str) -> Option<&'c Tool> {
    let tools = &caller.release.team().tools;
    let mut theirs = tools.values().filter(|tool| is_for(caller, tool));
    match tools.get(name) {
        Some(tool) => is_for(caller, tool).then_some(tool),
        None => theirs.find(|tool| plain(&tool.name) == name),
    }
}

/// A tool's name as models' interfaces take it: letters, digits, `_` and `-`.
pub(super) fn plain(name: &str) -> String {
    name.replace('.', "__")
}

/// Whether the caller's duty and permission set could let it call this.
///
/// An effect is for whoever prepares, where its own permission set and the executor's could allow it, a clause is bound to
/// it, and the engine carries it out.
fn is_for(caller: &Caller, tool: &Tool) -> bool {
    let release = &caller.release;
    let own = release.could_permit(&caller.seat.principal, &tool.name);
    if !tool.effect {
        return own && caller.duty.is_some();
    }
    let mut executors = release.team().with_duty(Duty::Execute);
    own && caller.duty == Some(Duty::Prepare)
        && !tool.by_caller
        && release.binds(&tool.name)
        && executors.any(|executor| release.could_permit(&executor.id, &tool.name))
}

fn described(caller: &Caller, tool: &Tool) -> Shown {
    let words = if tool.effect {
        format!(
            "`{}`. It has an effect, which a policy or people must allow: where the answer has the status `pending_approval`, nothing was done yet; call again with exactly the same arguments to learn what came of it.",
            tool.name
        )
    } else {
        format!("`{}`. It has no effect.", tool.name)
    };
    let schema = Arc::new(caller.release.input_schema(&tool.name));
    let hints = ToolAnnotations::new().read_only(!tool.effect);
    Shown::new(plain(&tool.name), words, schema).with_annotations(hints)
}
