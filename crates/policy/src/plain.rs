//! Plain conditions, made ready once and evaluated without copies: comparisons, arithmetic and logic over the context.
//!
//! Cedar's evaluator copies a value, and its place in the source, at every node. Nearly all conditions of a release ask
//! for no more than whole numbers, texts and truths in the context; those are walked here by reference. Whatever is not
//! plain, and every error, is left to Cedar: a [`Plain`] says yes, no, or nothing. `tests/index.rs` compares.

use cedar_policy_core::ast::{
    self, BinaryOp, Context, Expr, ExprKind, Literal, Pattern,
    PrincipalOrResourceConstraint as Constraint, UnaryOp, Value, ValueKind, Var,
};

/// The conditions of a policy, without its scope.
#[derive(Debug)]
pub(crate) struct Plain(Node);

#[derive(Debug)]
enum Node {
    Value(Value),
    /// The attribute at the end of a path from the context.
    At(Vec<String>),
    /// Whether what is at the first path has the second.
    Has(Vec<String>, Vec<String>),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    If(Box<[Node; 3]>),
    Binary(BinaryOp, Box<[Node; 2]>),
    /// Whether a written-out set contains it.
    OneOf(Vec<Value>, Box<Node>),
    Like(Box<Node>, Pattern),
}

/// A value by reference.
#[derive(Clone, Copy)]
enum Seen<'v> {
    Bool(bool),
    Long(i64),
    Text(&'v str),
    Other(&'v Value),
}

impl Plain {
    /// None where a condition is not plain, or the scope is more than a candidate is known to meet.
    pub(crate) fn of(policy: &ast::Policy) -> Option<Self> {
        // The index does not look at the type of `is T in E`.
        let (principal, resource) = (policy.principal_constraint(), policy.resource_constraint());
        for constraint in [principal.as_inner(), resource.as_inner()] {
            if matches!(constraint, Constraint::IsIn(..)) {
                return None;
            }
        }
        match policy.non_scope_constraints() {
            Some(expr) => node(expr).map(Self),
            None => Some(Self(Node::Value(Value::from(true)))),
        }
    }

    /// Whether they hold; none where that is for Cedar to say.
    pub(crate) fn holds(&self, context: &Context) -> Option<bool> {
        self.0.truth(context)
    }
}

fn node(expr: &Expr) -> Option<Node> {
    let pair = |a: &Expr, b: &Expr| Some(Box::new([node(a)?, node(b)?]));
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(_)) => None,
        ExprKind::Lit(literal) => Some(Node::Value(Value::from(literal.clone()))),
        ExprKind::GetAttr { .. } => path(expr).map(Node::At),
        ExprKind::HasAttr { expr, attr } => Some(Node::Has(path(expr)?, vec![attr.to_string()])),
        ExprKind::ExtHasAttr { expr, attrs } => {
            let attrs = attrs.iter().map(ToString::to_string).collect();
            Some(Node::Has(path(expr)?, attrs))
        }
        ExprKind::And { left, right } => match (node(left)?, node(right)?) {
            (Node::All(mut nodes), right) => {
                nodes.push(right);
                Some(Node::All(nodes))
            }
            (left, right) => Some(Node::All(vec![left, right])),
        },
        ExprKind::Or { left, right } => match (node(left)?, node(right)?) {
            (Node::Any(mut nodes), right) => {
                nodes.push(right);
                Some(Node::Any(nodes))
            }
            (left, right) => Some(Node::Any(vec![left, right])),
        },
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => Some(Node::If(Box::new([
            node(test_expr)?,
            node(then_expr)?,
            node(else_expr)?,
        ]))),
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => Some(Node::Not(Box::new(node(arg)?))),
        ExprKind::BinaryApp { op, arg1, arg2 } => match op {
            BinaryOp::Eq
            | BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul => Some(Node::Binary(*op, pair(arg1, arg2)?)),
            BinaryOp::Contains => {
                let ExprKind::Set(items) = arg1.expr_kind() else {
                    return Some(Node::Binary(*op, pair(arg1, arg2)?));
                };
                let items = items.iter().map(|item| match node(item)? {
                    Node::Value(value) => Some(value),
                    _ => None,
                });
                Some(Node::OneOf(
                    items.collect::<Option<_>>()?,
                    Box::new(node(arg2)?),
                ))
            }
            _ => None,
        },
        ExprKind::Like { expr, pattern } => {
            Some(Node::Like(Box::new(node(expr)?), pattern.clone()))
        }
        _ => None,
    }
}

/// Attributes from the context on; empty for the context itself.
fn path(expr: &Expr) -> Option<Vec<String>> {
    match expr.expr_kind() {
        ExprKind::Var(Var::Context) => Some(Vec::new()),
        ExprKind::GetAttr { expr, attr } => {
            let mut path = path(expr)?;
            path.push(attr.to_string());
            Some(path)
        }
        _ => None,
    }
}

impl Node {
    fn truth(&self, context: &Context) -> Option<bool> {
        match self.seen(context)? {
            Seen::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// None for an error, and for what is not plain.
    fn seen<'v>(&'v self, context: &'v Context) -> Option<Seen<'v>> {
        Some(match self {
            Self::Value(value) => Seen::of(value),
            Self::At(path) => Seen::of(at(context, path)?),
            Self::Has(path, attrs) => Seen::Bool(has(context, path, attrs)?),
            Self::Not(node) => Seen::Bool(!node.truth(context)?),
            Self::All(nodes) => {
                for node in nodes {
                    if !node.truth(context)? {
                        return Some(Seen::Bool(false));
                    }
                }
                Seen::Bool(true)
            }
            Self::Any(nodes) => {
                for node in nodes {
                    if node.truth(context)? {
                        return Some(Seen::Bool(true));
                    }
                }
                Seen::Bool(false)
            }
            Self::If(nodes) => {
                let [test, then, otherwise] = &**nodes;
                if test.truth(context)? {
                    return then.seen(context);
                }
                return otherwise.seen(context);
            }
            Self::Binary(op, nodes) => {
                let [a, b] = &**nodes;
                return binary(*op, a.seen(context)?, b.seen(context)?);
            }
            Self::OneOf(items, node) => {
                let seen = node.seen(context)?;
                Seen::Bool(items.iter().any(|item| Seen::of(item).is(seen)))
            }
            Self::Like(node, pattern) => match node.seen(context)? {
                Seen::Text(text) => Seen::Bool(pattern.wildcard_match(text)),
                _ => return None,
            },
        })
    }
}

fn binary<'v>(op: BinaryOp, a: Seen<'v>, b: Seen<'v>) -> Option<Seen<'v>> {
    let seen = match (op, a, b) {
        (BinaryOp::Eq, a, b) => Seen::Bool(a.is(b)),
        (BinaryOp::Less, Seen::Long(a), Seen::Long(b)) => Seen::Bool(a < b),
        (BinaryOp::LessEq, Seen::Long(a), Seen::Long(b)) => Seen::Bool(a <= b),
        (BinaryOp::Add, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_add(b)?),
        (BinaryOp::Sub, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_sub(b)?),
        (BinaryOp::Mul, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_mul(b)?),
        (BinaryOp::Contains, Seen::Other(value), item) => match value.value_kind() {
            ValueKind::Set(set) => Seen::Bool(set.iter().any(|v| Seen::of(v).is(item))),
            _ => return None,
        },
        _ => return None,
    };
    Some(seen)
}

impl<'v> Seen<'v> {
    fn of(value: &'v Value) -> Self {
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(b)) => Self::Bool(*b),
            ValueKind::Lit(Literal::Long(n)) => Self::Long(*n),
            ValueKind::Lit(Literal::String(s)) => Self::Text(s),
            _ => Self::Other(value),
        }
    }

    /// Values of two kinds are never the same.
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}

fn at<'v>(context: &'v Context, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let Context::Value(fields) = context else {
        return None;
    };
    rest.iter()
        .try_fold(fields.get(first.as_str())?, |value, attr| {
            match value.value_kind() {
                ValueKind::Record(fields) => fields.get(attr.as_str()),
                _ => None,
            }
        })
}

fn has(context: &Context, path: &[String], attrs: &[String]) -> Option<bool> {
    let Context::Value(fields) = context else {
        return None;
    };
    let (mut here, rest) = if path.is_empty() {
        let (first, rest) = attrs.split_first()?;
        match fields.get(first.as_str()) {
            Some(value) => (value, rest),
            None => return Some(false),
        }
    } else {
        (at(context, path)?, attrs)
    };
    for attr in rest {
        match here.value_kind() {
            ValueKind::Record(fields) => match fields.get(attr.as_str()) {
                Some(value) => here = value,
                None => return Some(false),
            },
            _ => return None,
        }
    }
    Some(true)
}
