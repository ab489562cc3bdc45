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

/// The tool of this name, where the caller is shown it. Understood are the shown name, the release's, and the server's own
/// where one of the shown tools has it alone: so an agent that knew its tools by those names goes on as it was.
pub(super) fn named<'c>(caller: &'c Caller, name: &str) -> Option<&'c Tool> {
    let tools = &caller.release.team().tools;
    if let Some(tool) = tools.get(name) {
        return is_for(caller, tool).then_some(tool);
    }
    let theirs: Vec<_> = tools.values().filter(|t| is_for(caller, t)).collect();
    let shown = theirs.iter().find(|tool| plain(&tool.name) == name);
    let mut bare = theirs.iter().filter(|tool| {
        tool.name
            .split_once('.')
            .is_some_and(|(_, own)| own == name)
    });
    match (shown, bare.next(), bare.next()) {
        (Some(tool), ..) | (None, Some(tool), None) => Some(tool),
        _ => None,
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

/// A tool in the words that the release pins; where it pins none, by its name and declared arguments. What its server says of
/// its answers is left out: an answer that waits for people is not one of those.
fn described(caller: &Caller, tool: &Tool) -> Shown {
    let pin = caller.release.pin(&tool.name);
    let words = pin.and_then(|pin| pin.description.clone());
    let mut words = words.unwrap_or_else(|| format!("`{}`.", tool.name));
    if tool.effect {
        words.push_str(WAITS);
    }
    let schema = match pin {
        Some(pin) => pin.input_schema.clone(),
        None => caller.release.input_schema(&tool.name),
    };
    let hints = ToolAnnotations::new().read_only(!tool.effect);
    let shown = Shown::new(plain(&tool.name), words, Arc::new(schema)).with_annotations(hints);
    match pin.and_then(|pin| pin.title.clone()) {
        Some(title) => shown.with_title(title),
        None => shown,
    }
}

/// What every description of an effect ends with.
const WAITS: &str = " It has an effect, which a policy or people must allow: where the answer has the status `pending_approval`, nothing was done yet; call again with exactly the same arguments to learn what came of it.";
