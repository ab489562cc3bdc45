//! Plain conditions, made ready once and evaluated without copies: comparisons, arithmetic and logic over the context.
//!
//! Cedar's evaluator copies a value, and its place in the source, at every node. Nearly all conditions of a release ask
//! for no more than whole numbers, texts and truths in the context; those are walked here by reference. Whatever is not
//! plain, and every error, is left to Cedar: a [`Plain`] says yes, no, or nothing. `tests/index.rs` and the tests
//! of `ask.rs` compare.

use std::cell::Cell;

use cedar_policy_core::ast::{
    self, BinaryOp, Expr, ExprKind, Literal, Pattern, PrincipalOrResourceConstraint as Constraint,
    UnaryOp, Value, Var,
};

use crate::{
    ask::Part,
    place::{Place, Seen, any_is},
};

/// The conditions of a policy, without its scope.
#[derive(Debug)]
pub(crate) struct Plain(Node);

#[derive(Debug)]
enum Node {
    Value(Value),
    /// What is at the end of the path of this number.
    At(usize),
    /// Whether what is there, or the context itself, has the attributes, each in the one before.
    Has(Option<usize>, Vec<String>),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    If(Box<[Node; 3]>),
    Binary(BinaryOp, Box<[Node; 2]>),
    /// Whether a written-out set contains it.
    OneOf(Vec<Value>, Box<Node>),
    Like(Box<Node>, Pattern),
}

/// An attribute at the end of a way from the context.
#[derive(Debug, PartialEq, Eq)]
struct Path {
    /// What the first of them means in a question.
    part: Option<Part>,
    first: String,
    rest: Vec<String>,
}

/// The paths of several rules, those whose ends are kept each once: rules of one set mostly read the same.
#[derive(Debug, Default)]
pub(crate) struct Paths(Vec<Path>);

/// One question, as the rules of a set read it; what one has found the next need not look for.
pub(crate) struct Reader<'v> {
    context: Place<'v>,
    paths: &'v [Path],
    found: Vec<Cell<Found<'v>>>,
}

#[derive(Clone, Copy)]
enum Found<'v> {
    NotYet,
    Nothing,
    Place(Place<'v>),
}

/// Paths whose ends are kept; a set that has more looks again for the others.
const KEPT: usize = 256;

impl Paths {
    fn number(&mut self, path: Path) -> usize {
        let known = self.0.iter().take(KEPT).position(|p| *p == path);
        known.unwrap_or_else(|| {
            self.0.push(path);
            self.0.len() - 1
        })
    }
}

impl<'v> Reader<'v> {
    pub(crate) fn new(context: Place<'v>, paths: &'v Paths) -> Self {
        Self {
            context,
            paths: &paths.0,
            found: vec![Cell::new(Found::NotYet); paths.0.len().min(KEPT)],
        }
    }

    /// The place at the end of a path; none where it is not there.
    fn at(&self, path: usize) -> Option<Place<'v>> {
        let kept = self.found.get(path);
        match kept.map_or(Found::NotYet, Cell::get) {
            Found::Place(place) => return Some(place),
            Found::Nothing => return None,
            Found::NotYet => {}
        }
        let end = self.paths[path].end(self.context);
        if let Some(kept) = kept {
            kept.set(end.map_or(Found::Nothing, Found::Place));
        }
        end
    }
}

impl Plain {
    /// None where a condition is not plain, or the scope is more than a candidate is known to meet.
    pub(crate) fn of(policy: &ast::Policy, paths: &mut Paths) -> Option<Self> {
        // The index does not look at the type of `is T in E`.
        let (principal, resource) = (policy.principal_constraint(), policy.resource_constraint());
        for constraint in [principal.as_inner(), resource.as_inner()] {
            if matches!(constraint, Constraint::IsIn(..)) {
                return None;
            }
        }
        match policy.non_scope_constraints() {
            Some(expr) => node(expr, paths).map(Self),
            None => Some(Self(Node::Value(Value::from(true)))),
        }
    }

    /// Whether they hold; none where that is for Cedar to say.
    pub(crate) fn holds<'v>(&'v self, reader: &Reader<'v>) -> Option<bool> {
        self.0.truth(reader)
    }
}

fn node(expr: &Expr, paths: &mut Paths) -> Option<Node> {
    let mut node = |expr: &Expr| self::node(expr, paths);
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(_)) => None,
        ExprKind::Lit(literal) => Some(Node::Value(Value::from(literal.clone()))),
        ExprKind::GetAttr { .. } => Some(Node::At(paths.number(path(expr)??))),
        ExprKind::HasAttr { expr, attr } => {
            let path = path(expr)?.map(|path| paths.number(path));
            Some(Node::Has(path, vec![attr.to_string()]))
        }
        ExprKind::ExtHasAttr { expr, attrs } => {
            let attrs = attrs.iter().map(ToString::to_string).collect();
            let path = path(expr)?.map(|path| paths.number(path));
            Some(Node::Has(path, attrs))
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
            | BinaryOp::Mul => Some(Node::Binary(*op, Box::new([node(arg1)?, node(arg2)?]))),
            BinaryOp::Contains => {
                let ExprKind::Set(items) = arg1.expr_kind() else {
                    return Some(Node::Binary(*op, Box::new([node(arg1)?, node(arg2)?])));
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

/// The way from the context on, none of it for the context itself; nothing where it is another expression's.
fn path(expr: &Expr) -> Option<Option<Path>> {
    match expr.expr_kind() {
        ExprKind::Var(Var::Context) => Some(None),
        ExprKind::GetAttr { expr, attr } => {
            let attr = attr.to_string();
            Some(Some(match path(expr)? {
                None => Path {
                    part: Part::named(&attr),
                    first: attr,
                    rest: Vec::new(),
                },
                Some(mut path) => {
                    path.rest.push(attr);
                    path
                }
            }))
        }
        _ => None,
    }
}

impl Path {
    /// The place at its end; none where it is not there.
    fn end<'v>(&'v self, context: Place<'v>) -> Option<Place<'v>> {
        let first = context.part(self.part, &self.first).ok()??;
        let mut rest = self.rest.iter();
        rest.try_fold(first, |place, attr| place.field(attr).ok()?)
    }
}

impl Node {
    fn truth<'v>(&'v self, reader: &Reader<'v>) -> Option<bool> {
        match self.seen(reader)? {
            Seen::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// None for an error, and for what is not plain.
    fn seen<'v>(&'v self, reader: &Reader<'v>) -> Option<Seen<'v>> {
        Some(match self {
            Self::Value(value) => Seen::of(value),
            Self::At(path) => reader.at(*path)?.seen()?,
            Self::Has(path, attrs) => {
                let place = match path {
                    Some(path) => reader.at(*path)?,
                    None => reader.context,
                };
                Seen::Bool(has(place, attrs)?)
            }
            Self::Not(node) => Seen::Bool(!node.truth(reader)?),
            Self::All(nodes) => {
                for node in nodes {
                    if !node.truth(reader)? {
                        return Some(Seen::Bool(false));
                    }
                }
                Seen::Bool(true)
            }
            Self::Any(nodes) => {
                for node in nodes {
                    if node.truth(reader)? {
                        return Some(Seen::Bool(true));
                    }
                }
                Seen::Bool(false)
            }
            Self::If(nodes) => {
                let [test, then, otherwise] = &**nodes;
                if test.truth(reader)? {
                    return then.seen(reader);
                }
                return otherwise.seen(reader);
            }
            Self::Binary(op, nodes) => {
                let [a, b] = &**nodes;
                return binary(*op, a.seen(reader)?, b.seen(reader)?);
            }
            Self::OneOf(items, node) => {
                let seen = node.seen(reader)?;
                Seen::Bool(any_is(items.iter().map(Seen::of).map(Some), seen)?)
            }
            Self::Like(node, pattern) => match node.seen(reader)? {
                Seen::Text(text) => Seen::Bool(pattern.wildcard_match(text)),
                _ => return None,
            },
        })
    }
}

fn binary<'v>(op: BinaryOp, a: Seen<'v>, b: Seen<'v>) -> Option<Seen<'v>> {
    let seen = match (op, a, b) {
        (BinaryOp::Eq, a, b) => Seen::Bool(a.is(b)?),
        (BinaryOp::Less, Seen::Long(a), Seen::Long(b)) => Seen::Bool(a < b),
        (BinaryOp::LessEq, Seen::Long(a), Seen::Long(b)) => Seen::Bool(a <= b),
        (BinaryOp::Add, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_add(b)?),
        (BinaryOp::Sub, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_sub(b)?),
        (BinaryOp::Mul, Seen::Long(a), Seen::Long(b)) => Seen::Long(a.checked_mul(b)?),
        (BinaryOp::Contains, set, item) => Seen::Bool(set.contains(item)?),
        _ => return None,
    };
    Some(seen)
}

/// Whether a place has attributes, each in the one before; none where it has none at all.
fn has<'v>(mut here: Place<'v>, attrs: &'v [String]) -> Option<bool> {
    for attr in attrs {
        match here.field(attr).ok()? {
            Some(field) => here = field,
            None => return Some(false),
        }
    }
    Some(true)
}
