//! Permitting: what a permission set says of a call, and, where it says no, what would make it pass.

use super::Ruled;
use crate::{
    canonical::Digest,
    refusal::{Code, Refusal},
    release::{Heard, Near, Permission, RuleHit, Tool},
};

const OTHERWISE: &str = "ask only for what the permission set allows, or have the release changed";

/// The permission set of whoever asks permits the call: the rule that says so.
pub(super) fn permitted(heard: &Heard<'_>) -> Ruled<RuleHit> {
    match heard.permission() {
        Permission::Allow(hit) => Ok(hit),
        Permission::Forbid(hit) => Err(forbidden(heard, hit)),
        Permission::Fault(hit) => Err(unclear(heard, hit)),
        Permission::Silent => Err(unheard(heard)),
    }
}

/// The tool's server describes it as the release pins it, where it does.
pub(super) fn as_pinned(tool: &Tool, described: Option<Digest>) -> Ruled {
    let Some(pinned) = tool.pinned else {
        return Ok(());
    };
    if described == Some(pinned) {
        return Ok(());
    }
    let now = match described {
        Some(now) => format!("describes it as {} now", now.short()),
        None => "does not offer it now".to_owned(),
    };
    Err(Refusal::new(
        Code::ToolChanged,
        format!(
            "the release pins `{}` as {}, and its server {now}",
            tool.name,
            pinned.short()
        ),
        "read what changed with `counterfoil release tools`; release it with new pins, or restore the server",
    ))
}

fn forbidden(heard: &Heard<'_>, hit: RuleHit) -> Refusal {
    let (who, tool) = (heard.ask().principal, &heard.ask().action.tool);
    let why = format!("`{who}` must not call `{tool}`: {}", hit.why);
    let near = heard.near();
    let remedy = match near.first().filter(|n| !n.conditions.is_empty()) {
        Some(near) => format!(
            "it would be refused no more if {} did not hold{}; nobody's approval lifts a forbid",
            all(&near.conditions),
            advice(near)
        ),
        None => format!(
            "the rule forbids it whatever the arguments{}; {OTHERWISE}",
            near.first().map(advice).unwrap_or_default()
        ),
    };
    refused(why, remedy, Some(hit))
}

fn unclear(heard: &Heard<'_>, hit: RuleHit) -> Refusal {
    let tool = &heard.ask().action.tool;
    let why = format!("a rule about `{tool}` could not be evaluated: {}", hit.why);
    let near = heard.near();
    let remedy = match near.first().filter(|n| !n.conditions.is_empty()) {
        Some(near) => format!(
            "give what {} needs{}, or have the release changed",
            all(&near.conditions),
            advice(near)
        ),
        None => OTHERWISE.to_owned(),
    };
    refused(why, remedy, Some(hit))
}

fn unheard(heard: &Heard<'_>) -> Refusal {
    let (who, tool) = (heard.ask().principal, &heard.ask().action.tool);
    let why = format!("nothing permits `{who}` to call `{tool}` so");
    let near = heard.near();
    if near.is_empty() {
        let remedy = format!("no rule of its permission set permits `{tool}`; {OTHERWISE}");
        return refused(why, remedy, None);
    }
    let ways: Vec<_> = near
        .iter()
        .map(|n| {
            let clause = n.rule.clause.as_deref();
            let clause = clause.map(|c| format!(", clause {c}")).unwrap_or_default();
            format!(
                "if {} held (`{}`{clause}{})",
                all(&n.conditions),
                n.rule.rule,
                advice(n)
            )
        })
        .collect();
    let remedy = format!("it would pass {}", ways.join(", or "));
    refused(why, remedy, near.into_iter().next().map(|n| n.rule))
}

fn refused(why: String, remedy: String, hit: Option<RuleHit>) -> Refusal {
    let refusal = Refusal::new(Code::NotPermitted, why, remedy);
    match hit {
        Some(hit) => refusal.rule(hit.rule).clause(hit.clause),
        None => refusal,
    }
}

fn all(conditions: &[String]) -> String {
    conditions.join(" and ")
}

fn advice(near: &Near) -> String {
    let said = near.advice.as_ref();
    said.map(|a| format!("; {a}")).unwrap_or_default()
}
