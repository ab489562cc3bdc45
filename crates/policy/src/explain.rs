//! What stands in the way: the conditions of a rule, one by one, on the question that was asked.
//!
//! Everything here ends up in records. It is bounded, and the same for the same rules and question for ever.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp, Var};
use duty::release::Near;

use crate::{
    cedar::{Rule, RuleBook},
    index::{Answer, Posed, Verdict},
};

/// Permits that are named where nothing permits.
const NEAREST: usize = 2;
/// Permits that are looked at for that, in order of name.
const LOOKED_AT: usize = 64;
/// Conditions that are named of a rule.
const CONDITIONS: usize = 3;
/// Characters of a condition, and of a value in it.
const LONGEST: usize = 160;
const LONGEST_VALUE: usize = 40;
/// Values that are named of a condition.
const VALUES: usize = 4;

/// The rules nearest to another answer than `answer`.
pub(crate) fn near(book: &RuleBook, tool: &str, posed: &Posed<'_>, answer: &Answer) -> Vec<Near> {
    let forbid = if answer.allowed {
        None
    } else {
        answer.holding.first()
    };
    let fault = answer.faults.iter().map(|(name, _)| name);
    let forbids = |name: &&String| book.get(name).is_some_and(|r| r.forbids);
    let careful = forbid.or_else(|| fault.clone().find(forbids));
    let spoke = match careful {
        Some(name) => Some(name),
        None if answer.allowed => return Vec::new(),
        None => fault.clone().next(),
    };
    if let Some(rule) = spoke.and_then(|name| book.get(name)) {
        return vec![of_rule(book, rule, posed, forbid.is_some()).1];
    }
    let permits = book.rules().filter(|r| !r.forbids && r.is_about(tool));
    let mut near: Vec<_> = permits
        .take(LOOKED_AT)
        .map(|rule| of_rule(book, rule, posed, false))
        .collect();
    near.sort_by(|(a, x), (b, y)| (a, &x.rule.rule).cmp(&(b, &y.rule.rule)));
    near.truncate(NEAREST);
    near.into_iter().map(|(_, near)| near).collect()
}

/// How many conditions of a rule stand in the way, and the first of them: of a forbid that holds all that it asks for,
/// else what does not hold or cannot be told.
fn of_rule(book: &RuleBook, rule: &Rule, posed: &Posed<'_>, holds: bool) -> (usize, Near) {
    let mut conditions = Vec::new();
    let whole = rule.condition();
    let (mut parts, mut count) = (Vec::new(), 0);
    conjuncts(&whole, &mut parts);
    for part in parts
        .into_iter()
        .filter(|p| !matches!(p.expr_kind(), ExprKind::Lit(_)))
    {
        let said = match (posed.truth(part), holds) {
            // The scope of a forbid is what was asked; only its conditions can be otherwise.
            (Verdict::Yes, true) if !is_scope(part) => written(part, posed),
            (Verdict::No, false) => written(part, posed),
            // A condition that cannot be told after one that does not hold would not have been asked.
            (Verdict::Fault(why), false) if count == 0 => {
                format!(
                    "{} (which cannot be told: {})",
                    written(part, posed),
                    cut(&why, LONGEST)
                )
            }
            _ => continue,
        };
        count += 1;
        if conditions.len() < CONDITIONS {
            conditions.push(said);
        }
    }
    let near = Near {
        rule: book.hit(&rule.name, None),
        conditions,
        advice: rule.notes.get("advice").cloned(),
    };
    (count, near)
}

fn conjuncts<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>) {
    match expr.expr_kind() {
        ExprKind::And { left, right } => {
            conjuncts(left, parts);
            conjuncts(right, parts);
        }
        _ => parts.push(expr),
    }
}

/// Whether it asks only who, what and where, and not for the context.
fn is_scope(expr: &Expr) -> bool {
    !expr
        .subexpressions()
        .any(|e| matches!(e.expr_kind(), ExprKind::Var(Var::Context)))
}

/// A condition as Cedar writes it, with the values that it was judged by.
fn written(expr: &Expr, posed: &Posed<'_>) -> String {
    let text = as_written(expr).unwrap_or_else(|| expr.to_string());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paths = BTreeSet::new();
    for part in expr.subexpressions() {
        if let Some(path) = path(part)
            && let Some(value) = posed.value(part)
        {
            paths.insert(format!("{path} is {}", cut(&value, LONGEST_VALUE)));
        }
    }
    let text = cut(&text, LONGEST);
    if paths.is_empty() {
        return format!("`{text}`");
    }
    let values: Vec<_> = paths.into_iter().take(VALUES).collect();
    format!("`{text}` ({})", values.join(", "))
}

/// `a > b`, which Cedar keeps as `!(a <= b)`, and its like.
fn as_written(expr: &Expr) -> Option<String> {
    let ExprKind::UnaryApp {
        op: UnaryOp::Not,
        arg,
    } = expr.expr_kind()
    else {
        return None;
    };
    let ExprKind::BinaryApp { op, arg1, arg2 } = arg.expr_kind() else {
        return None;
    };
    let sign = match op {
        BinaryOp::LessEq => ">",
        BinaryOp::Less => ">=",
        BinaryOp::Eq => "!=",
        _ => return None,
    };
    let simple = |e: &Expr| matches!(e.expr_kind(), ExprKind::Lit(_)) || path(e).is_some();
    (simple(arg1) && simple(arg2)).then(|| format!("{arg1} {sign} {arg2}"))
}

/// `context.args.cents` of an expression that is just that.
fn path(expr: &Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::Var(Var::Context) => Some("context".to_owned()),
        ExprKind::GetAttr { expr, attr } => Some(format!("{}.{attr}", path(expr)?)),
        _ => None,
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{kept}…")
}
