//! Cedar policies by their scopes: what a question costs does not grow with the policies that cannot speak of it.
//!
//! Cedar's authorizer evaluates every policy of a set. Whether a scope (`principal == P`, `action in [A, B]`,
//! `resource is T in R`) can hold is known from the request and the entities alone, and a scope cannot fail to be
//! evaluated; so a policy whose scope does not hold is neither a reason nor an error, and need not be asked. Of what is
//! left, plain conditions are evaluated here (`plain.rs`); all others, and every one that is not a clear yes or no, by
//! Cedar's own evaluator.
//!
//! `tests/index.rs` holds the answers against Cedar's authorizer over the whole set.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
};

use cedar_policy::{Effect, Entities, Policy, PolicySet, Request};
use cedar_policy_core::{
    ast::{
        self, ActionConstraint, EntityReference, EntityType, EntityUID, Expr, Literal,
        PrincipalOrResourceConstraint as Constraint, SlotEnv, ValueKind,
    },
    entities::Dereference,
    evaluator::Evaluator,
    extensions::Extensions,
};

use foldhash::fast::FixedState;

use crate::{
    ask::Question,
    place::Place,
    plain::{Paths, Plain, Reader},
};

/// What a set of policies answers to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether a policy permits it and none forbids it.
    pub allowed: bool,
    /// Ids of the policies that determine that, in order: forbids where one holds, else permits.
    pub holding: Vec<String>,
    /// Policies that could not be evaluated, with what went wrong in them, in order of id.
    pub faults: Vec<(String, String)>,
}

/// Policies, indexed by scope when they are loaded.
#[derive(Debug, Default)]
pub struct Indexed {
    /// In order of id.
    policies: Vec<Compiled>,
    principals: Axis,
    actions: Axis,
    resources: Axis,
    /// What their plain conditions read.
    paths: Paths,
    /// Numbers of policies by the places of their scope on the three axes.
    buckets: Map<[u32; 3], Vec<u32>>,
    /// Whether a policy is in more than one bucket: one that names several actions.
    repeats: bool,
}

/// What is in it is the release's own, so that nobody can choose keys that fall together.
type Map<K, V> = HashMap<K, V, FixedState>;

/// A policy as it is evaluated.
#[derive(Debug)]
struct Compiled {
    id: String,
    effect: Effect,
    policy: ast::Policy,
    /// Scope and conditions as one expression, which Cedar would put together for every request.
    whole: Expr,
    /// Its conditions alone, where they are plain ones: whoever is a candidate has met the scope.
    plain: Option<Plain>,
}

/// The places that scopes name on one of principal, action and resource.
#[derive(Debug, Default)]
struct Axis {
    any: Option<u32>,
    is: Map<EntityType, u32>,
    equal: Map<EntityUID, u32>,
    /// Also for `is T in E`: the type is looked at when the policy is evaluated.
    within: Map<EntityUID, u32>,
    next: u32,
}

/// A request ready to be evaluated, as often as need be.
pub(crate) struct Posed<'q> {
    asked: Asked<'q>,
    /// Principal, action and resource; none of one that is not known.
    scope: [Option<EntityUID>; 3],
    entities: &'q cedar_policy_core::entities::Entities,
    /// Made when a condition is not plain.
    evaluator: OnceCell<Evaluator<'q>>,
}

/// What is asked.
enum Asked<'q> {
    Request(&'q ast::Request),
    Question(Question<'q>),
}

impl<'q> Posed<'q> {
    fn of_request(request: &'q Request, entities: &'q Entities) -> Self {
        let request: &ast::Request = request.as_ref();
        let scope = [request.principal(), request.action(), request.resource()];
        Self {
            asked: Asked::Request(request),
            scope: scope.map(|entry| entry.uid().cloned()),
            entities: entities.as_ref(),
            evaluator: OnceCell::new(),
        }
    }

    pub(crate) fn of_question(
        question: Question<'q>,
        entities: &'q cedar_policy_core::entities::Entities,
    ) -> Self {
        Self {
            scope: question.scope().map(Some),
            asked: Asked::Question(question),
            entities,
            evaluator: OnceCell::new(),
        }
    }

    /// As Cedar takes it.
    pub(crate) fn request(&self) -> ast::Request {
        match &self.asked {
            Asked::Request(request) => (*request).clone(),
            Asked::Question(question) => question.request(),
        }
    }

    /// What conditions read.
    fn context(&self) -> Option<Place<'_>> {
        match &self.asked {
            Asked::Request(request) => request.context().map(Place::Context),
            Asked::Question(question) => Some(Place::Question(question)),
        }
    }

    fn evaluator(&self) -> &Evaluator<'q> {
        let new = || Evaluator::new(self.request(), self.entities, Extensions::all_available());
        self.evaluator.get_or_init(new)
    }

    /// What a whole policy comes to.
    fn verdict<'v>(&self, one: &'v Compiled, reader: Option<&Reader<'v>>) -> Verdict {
        let plain = one.plain.as_ref().zip(reader);
        match plain.and_then(|(plain, reader)| plain.holds(reader)) {
            Some(true) => return Verdict::Yes,
            Some(false) => return Verdict::No,
            None => {}
        }
        let (policy, whole) = (&one.policy, &one.whole);
        match self.evaluator().interpret(whole, policy.env()) {
            Ok(value) => truth_of(&value).unwrap_or_else(|| {
                // No truth value: Cedar words the error.
                match self.evaluator().evaluate(policy) {
                    Ok(true) => Verdict::Yes,
                    Ok(false) => Verdict::No,
                    Err(e) => Verdict::Fault(e.to_string()),
                }
            }),
            Err(e) => Verdict::Fault(e.to_string()),
        }
    }

    /// What one condition of a policy without slots comes to.
    pub(crate) fn truth(&self, condition: &Expr) -> Verdict {
        match self.evaluator().interpret(condition, &SlotEnv::new()) {
            Ok(value) => {
                truth_of(&value).unwrap_or_else(|| Verdict::Fault("it is no yes or no".to_owned()))
            }
            Err(e) => Verdict::Fault(e.to_string()),
        }
    }

    /// What an expression comes to, where it is a plain value, as Cedar writes it.
    pub(crate) fn value(&self, expr: &Expr) -> Option<String> {
        let value = self.evaluator().interpret(expr, &SlotEnv::new()).ok()?;
        matches!(value.value_kind(), ValueKind::Lit(_)).then(|| value.to_string())
    }
}

/// What a policy or a condition comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes,
    No,
    /// It cannot be evaluated: why.
    Fault(String),
}

fn truth_of(value: &ast::Value) -> Option<Verdict> {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(true)) => Some(Verdict::Yes),
        ValueKind::Lit(Literal::Bool(false)) => Some(Verdict::No),
        _ => None,
    }
}

impl FromIterator<Policy> for Indexed {
    fn from_iter<I: IntoIterator<Item = Policy>>(policies: I) -> Self {
        // Of one id the last stays; sets of policies have each id once.
        let by_id: BTreeMap<String, Policy> = policies
            .into_iter()
            .map(|p| (p.id().to_string(), p))
            .collect();
        let mut indexed = Self::default();
        for (number, (id, policy)) in (0_u32..).zip(by_id) {
            indexed.take(number, id, &policy);
        }
        indexed
    }
}

impl From<&PolicySet> for Indexed {
    /// Linked templates are policies like others.
    fn from(set: &PolicySet) -> Self {
        set.policies().cloned().collect()
    }
}

impl Indexed {
    /// Asks; the same answer as Cedar's authorizer gives over all policies.
    #[must_use]
    pub fn ask(&self, request: &Request, entities: &Entities) -> Answer {
        self.answer(&Posed::of_request(request, entities))
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Ids of the policies that a request would be put to.
    #[must_use]
    pub fn candidates(&self, request: &Request, entities: &Entities) -> Vec<&str> {
        let posed = Posed::of_request(request, entities);
        let numbers = self.fitting(&posed).into_iter();
        numbers
            .filter_map(|n| Some(self.policies.get(n as usize)?.id.as_str()))
            .collect()
    }

    pub(crate) fn answer(&self, posed: &Posed<'_>) -> Answer {
        let (mut permits, mut forbids, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let context = posed.context();
        let reader = context.map(|context| Reader::new(context, &self.paths));
        for number in self.fitting(posed) {
            let Some(one) = self.policies.get(number as usize) else {
                continue;
            };
            match (posed.verdict(one, reader.as_ref()), one.effect) {
                (Verdict::Yes, Effect::Permit) => permits.push(one.id.clone()),
                (Verdict::Yes, Effect::Forbid) => forbids.push(one.id.clone()),
                (Verdict::No, _) => {}
                (Verdict::Fault(why), _) => faults.push((one.id.clone(), why)),
            }
        }
        Answer {
            allowed: forbids.is_empty() && !permits.is_empty(),
            holding: if forbids.is_empty() { permits } else { forbids },
            faults,
        }
    }

    fn take(&mut self, number: u32, id: String, policy: &Policy) {
        let ast: &ast::Policy = policy.as_ref();
        let principal = self.principals.place(ast.principal_constraint().as_inner());
        let resource = self.resources.place(ast.resource_constraint().as_inner());
        let actions = match ast.action_constraint() {
            ActionConstraint::Any => vec![self.actions.anything()],
            ActionConstraint::Eq(uid) => vec![self.actions.equal(uid)],
            ActionConstraint::In(uids) => {
                let mut places: Vec<_> = uids.iter().map(|uid| self.actions.within(uid)).collect();
                places.sort_unstable();
                places.dedup();
                places
            }
        };
        self.repeats |= actions.len() > 1;
        for action in actions {
            let bucket = self.buckets.entry([principal, action, resource]);
            bucket.or_default().push(number);
        }
        self.policies.push(Compiled {
            id,
            effect: policy.effect(),
            policy: ast.clone(),
            whole: ast.condition(),
            plain: Plain::of(ast, &mut self.paths),
        });
    }

    /// Numbers of the policies whose scopes can hold, ascending, each once.
    fn fitting(&self, posed: &Posed<'_>) -> Vec<u32> {
        let [principal, action, resource] = &posed.scope;
        let places = |axis: &Axis, uid: &Option<EntityUID>| {
            uid.as_ref()
                .map(|uid| axis.places(uid, posed.entities))
                .unwrap_or_default()
        };
        let principals = places(&self.principals, principal);
        let actions = places(&self.actions, action);
        let resources = places(&self.resources, resource);
        let mut numbers = Vec::new();
        let ways = principals.len() * actions.len() * resources.len();
        if ways > self.buckets.len() {
            // Deep hierarchies: cheaper to look at each bucket once.
            for ([principal, action, resource], bucket) in &self.buckets {
                if principals.contains(principal)
                    && actions.contains(action)
                    && resources.contains(resource)
                {
                    numbers.extend_from_slice(bucket);
                }
            }
        } else {
            for principal in &principals {
                for action in &actions {
                    for resource in &resources {
                        if let Some(bucket) = self.buckets.get(&[*principal, *action, *resource]) {
                            numbers.extend_from_slice(bucket);
                        }
                    }
                }
            }
        }
        numbers.sort_unstable();
        if self.repeats {
            numbers.dedup();
        }
        numbers
    }
}

impl Axis {
    fn place(&mut self, constraint: &Constraint) -> u32 {
        match constraint {
            Constraint::Any => self.anything(),
            Constraint::Is(kind) => {
                let next = &mut self.next;
                *self
                    .is
                    .entry(EntityType::clone(kind))
                    .or_insert_with(|| take(next))
            }
            Constraint::Eq(EntityReference::EUID(uid)) => self.equal(uid),
            Constraint::In(EntityReference::EUID(uid))
            | Constraint::IsIn(_, EntityReference::EUID(uid)) => self.within(uid),
            // A slot that is open: such a policy is no policy yet, and is asked each time.
            Constraint::Eq(EntityReference::Slot(_))
            | Constraint::In(EntityReference::Slot(_))
            | Constraint::IsIn(_, EntityReference::Slot(_)) => self.anything(),
        }
    }

    fn anything(&mut self) -> u32 {
        let next = &mut self.next;
        *self.any.get_or_insert_with(|| take(next))
    }

    fn equal(&mut self, uid: &EntityUID) -> u32 {
        let next = &mut self.next;
        *self.equal.entry(uid.clone()).or_insert_with(|| take(next))
    }

    fn within(&mut self, uid: &EntityUID) -> u32 {
        let next = &mut self.next;
        *self.within.entry(uid.clone()).or_insert_with(|| take(next))
    }

    /// The places whose constraints the entity meets.
    fn places(
        &self,
        uid: &EntityUID,
        entities: &cedar_policy_core::entities::Entities,
    ) -> Vec<u32> {
        let mut places: Vec<u32> = self.any.into_iter().collect();
        places.extend(self.is.get(uid.entity_type()));
        places.extend(self.equal.get(uid));
        if self.within.is_empty() {
            return places;
        }
        places.extend(self.within.get(uid));
        if let Dereference::Data(entity) = entities.entity(uid) {
            // An entity that is its own ancestor would come twice.
            let above = entity.ancestors().filter(|a| *a != uid);
            places.extend(above.filter_map(|a| self.within.get(a)));
        }
        places
    }
}

fn take(next: &mut u32) -> u32 {
    *next += 1;
    *next
}
