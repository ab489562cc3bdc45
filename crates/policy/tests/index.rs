//! The index against Cedar's authorizer over the whole set: the same decision, the same reasons, the same errors.
//!
//! Random policies with scopes of every form, conditions that hold, fail and err, linked templates, random hierarchies
//! of entities of which some are not in the store, random requests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    str::FromStr,
};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, SlotId,
};
use policy::{Answer, Indexed};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

/// Sets of policies, and requests put to each.
const SETS: u32 = 1_200;
const REQUESTS: usize = 25;

/// Later ones may be above earlier ones. `Agent` is above `Agent` too.
const PRINCIPALS: &[&str] = &[
    "Agent::\"a0\"",
    "Agent::\"a1\"",
    "Agent::\"a2\"",
    "Robot::\"a0\"",
    "Team::\"t0\"",
    "Team::\"t1\"",
    "Org::\"o0\"",
];
const ACTIONS: &[&str] = &[
    "Action::\"read\"",
    "Action::\"write\"",
    "Action::\"pay\"",
    "Action::\"all\"",
    "Bank::Action::\"pay\"",
];
const RESOURCES: &[&str] = &[
    "Case::\"c0\"",
    "Case::\"c1\"",
    "Agent::\"a1\"",
    "Folder::\"f0\"",
    "Folder::\"f1\"",
];

/// Some hold often, some seldom, some err on most requests, some by their type.
const CONDITIONS: &[&str] = &[
    "when { true }",
    "when { context.n > 3 }",
    "when { context.n <= 6 } unless { context.n == 2 }",
    "when { context.flag }",
    "when { context has flag && context.flag }",
    "unless { context has flag && context.flag }",
    "when { context.args.to == \"x\" }",
    "when { [\"x\", \"y\"].contains(context.args.to) } when { context.n > 1 }",
    "when { principal.level > 2 }",
    "when { principal has level && principal.level > 2 }",
    "when { resource.owner == principal }",
    "when { principal in Team::\"t0\" }",
    "when { resource in Folder::\"f0\" || context.n == 1 }",
    "when { principal is Agent }",
    "when { context.n }",
    "when { context.n * 9223372036854775807 > 0 }",
    "when { context.s like \"1*\" }",
    "when { ip(context.s).isLoopback() }",
    "when { context.d.lessThan(decimal(\"1.5\")) }",
    "when { context has d && context.d == decimal(\"1.5000\") }",
    "when { context.rec.a == {n: 3, t: \"127.0.0.1\"} }",
    "when { context.rows.contains({k: \"x\", n: 1}) }",
    "when { context.rows.containsAny([{k: \"y\"}, {k: \"x\", n: 2}]) } unless { context.rows.isEmpty() }",
    "when { if context.n > 4 then context.missing else true }",
    "when { principal in context.n }",
    "",
];

#[derive(Clone, Debug)]
struct World {
    /// Text of each policy, and what the slots of a template are filled with.
    policies: Vec<(String, Option<(usize, usize)>)>,
    /// Pairs below and above, by place in the lists.
    above: [Vec<(usize, usize)>; 3],
    /// Which entities the store does not know.
    unknown: Vec<bool>,
    levels: Vec<Option<i64>>,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    principal: usize,
    action: usize,
    resource: usize,
    n: i64,
    flag: Option<bool>,
    to: Option<&'static str>,
    s: &'static str,
}

fn world() -> impl Strategy<Value = World> {
    let edges = |n: usize| {
        let pair = (0..n, 0..n).prop_map(|(a, b)| (a.min(b), a.max(b)));
        prop::collection::vec(pair, n..3 * n)
    };
    (
        prop::collection::vec(policy(), 4..36),
        (
            edges(PRINCIPALS.len()),
            edges(ACTIONS.len()),
            edges(RESOURCES.len()),
        ),
        prop::collection::vec(prop::bool::weighted(0.15), 17),
        prop::collection::vec(prop::option::of(0..6_i64), 17),
        prop::collection::vec(asked(), REQUESTS),
    )
        .prop_map(|(policies, (p, a, r), unknown, levels, asked)| World {
            policies,
            above: [p, a, r],
            unknown,
            levels,
            asked,
        })
}

fn policy() -> impl Strategy<Value = (String, Option<(usize, usize)>)> {
    let scope = |word: &'static str, all: &'static [&'static str]| {
        let kinds = select(vec!["Agent", "Team", "Case", "Folder"]);
        prop_oneof![
            5 => Just(word.to_owned()),
            2 => select(all).prop_map(move |e| format!("{word} == {e}")),
            3 => select(all).prop_map(move |e| format!("{word} in {e}")),
            1 => kinds.clone().prop_map(move |k| format!("{word} is {k}")),
            1 => (kinds, select(all)).prop_map(move |(k, e)| format!("{word} is {k} in {e}")),
            1 => Just(format!("{word} == ?{word}")),
            1 => Just(format!("{word} in ?{word}")),
        ]
    };
    let action = prop_oneof![
        3 => Just("action".to_owned()),
        2 => select(ACTIONS).prop_map(|e| format!("action == {e}")),
        1 => select(ACTIONS).prop_map(|e| format!("action in {e}")),
        2 => prop::collection::vec(select(ACTIONS), 0..4)
            .prop_map(|all| format!("action in [{}]", all.join(", "))),
    ];
    (
        select(vec!["permit", "permit", "permit", "forbid"]),
        scope("principal", PRINCIPALS),
        action,
        scope("resource", RESOURCES),
        prop_oneof![
            select(CONDITIONS).prop_map(str::to_owned),
            condition().prop_map(|c| format!("when {{ {c} }}")),
        ],
        (0..PRINCIPALS.len(), 0..RESOURCES.len()),
    )
        .prop_map(|(effect, principal, action, resource, condition, slots)| {
            let text = format!("{effect} ({principal}, {action}, {resource}) {condition};");
            let open = text.contains('?');
            (text, open.then_some(slots))
        })
}

/// Expressions over the context, of every form that is evaluated without Cedar, and of some that are not; most are of the
/// wrong type somewhere.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        2 => select(vec!["context.n", "context.rec.a.n", "3", "-1", "9223372036854775807"]),
        2 => select(vec!["context.flag", "true", "false", "context.rec.yes"]),
        2 => select(vec!["context.args.to", "context.s", "\"x\"", "context.rec.a.t"]),
        1 => select(vec!["context.list", "context.rec", "context.rec.a", "context.missing", "context"]),
        1 => select(vec!["context.d", "context.rows", "context.rec.d", "{k: \"x\", n: 1}", "{k: \"y\"}"]),
        1 => select(vec!["principal", "principal.level", "[1, 2]", "[\"x\", 3, true]", "{n: 1}"]),
        3 => select(vec![
            "context has flag", "context has rec.a.n", "context has rec.a.x.y", "context.rec has a",
            "context.rec.a has n", "context.n has x", "context has n.x", "context has missing.x",
        ]),
    ]
    .prop_map(str::to_owned);
    let whole = leaf.prop_recursive(4, 24, 3, |inner| {
        let sign = select(vec![
            "&&", "&&", "||", "||", "==", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*",
        ]);
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            6 => (two.clone(), sign).prop_map(|((a, b), sign)| format!("(({a}) {sign} ({b}))")),
            1 => inner.clone().prop_map(|a| format!("(!({a}))")),
            1 => inner.clone().prop_map(|a| format!("(({a}) like \"x*\")")),
            2 => two.clone().prop_map(|(a, b)| format!("(({a}).contains({b}))")),
            1 => select(vec!["context.d", "context.rec.d", "decimal(\"2.0\")", "context.n"])
                .prop_map(|a| format!("(({a}).lessThanOrEqual(decimal(\"2.0\")))")),
            1 => inner.clone().prop_map(|a| format!("(({a}) == decimal(\"3.5\"))")),
            1 => inner.clone().prop_map(|a| format!("([1, 3, \"x\", true].contains({a}))")),
            1 => (two, inner).prop_map(|((a, b), c)| format!("(if ({a}) then ({b}) else ({c}))")),
        ]
    });
    let compared = (
        select(vec!["context.n", "context.rec.a.n"]),
        select(vec!["<", ">=", "=="]),
        0..8_i64,
    )
        .prop_map(|(a, sign, n)| format!("{a} {sign} {n}"));
    prop_oneof![
        2 => whole.clone(),
        1 => (compared.clone(), whole.clone()).prop_map(|(a, b)| format!("{a} && ({b})")),
        1 => (compared, whole).prop_map(|(a, b)| format!("{a} || ({b})")),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        0..PRINCIPALS.len(),
        0..ACTIONS.len(),
        0..RESOURCES.len(),
        -2..9_i64,
        prop::option::of(any::<bool>()),
        prop::option::of(select(vec!["x", "y", "z"])),
        select(vec!["127.0.0.1", "10.0.0.1", "no address"]),
    )
        .prop_map(|(principal, action, resource, n, flag, to, s)| Asked {
            principal,
            action,
            resource,
            n,
            flag,
            to,
            s,
        })
}

fn uid(text: &str) -> EntityUid {
    EntityUid::from_str(text).unwrap()
}

impl World {
    fn set(&self) -> PolicySet {
        let (mut text, mut links) = (String::new(), Vec::new());
        for (n, (policy, slots)) in self.policies.iter().enumerate() {
            writeln!(text, "{policy}").unwrap();
            if let Some((principal, resource)) = slots {
                let mut values = HashMap::new();
                if policy.contains("?principal") {
                    values.insert(SlotId::principal(), uid(PRINCIPALS[*principal]));
                }
                if policy.contains("?resource") {
                    values.insert(SlotId::resource(), uid(RESOURCES[*resource]));
                }
                links.push((n, values));
            }
        }
        let mut set = PolicySet::from_str(&text).unwrap();
        for (n, values) in links {
            let template = PolicyId::new(format!("policy{n}"));
            set.link(template, PolicyId::new(format!("link{n}")), values)
                .unwrap();
        }
        set
    }

    fn entities(&self) -> Entities {
        let mut parents: BTreeMap<&str, HashSet<EntityUid>> = BTreeMap::new();
        for (all, edges) in [PRINCIPALS, ACTIONS, RESOURCES].iter().zip(&self.above) {
            for (below, above) in edges.iter().filter(|(b, a)| b != a) {
                let above = uid(all[*above]);
                parents.entry(all[*below]).or_default().insert(above);
            }
        }
        let all = PRINCIPALS.iter().chain(ACTIONS).chain(RESOURCES);
        let mut entities = BTreeMap::new();
        for (n, name) in all.enumerate() {
            if self.unknown[n] {
                continue;
            }
            let mut attributes = HashMap::new();
            if let Some(level) = self.levels[n] {
                let value = RestrictedExpression::new_long(level);
                attributes.insert("level".to_owned(), value);
                let owner = RestrictedExpression::new_entity_uid(uid(PRINCIPALS[0]));
                attributes.insert("owner".to_owned(), owner);
            }
            let above = parents.get(name).cloned().unwrap_or_default();
            // `Agent::"a1"` is a principal and a resource: the first stays.
            entities
                .entry(*name)
                .or_insert_with(|| Entity::new(uid(name), attributes, above).unwrap());
        }
        // An action's attributes and ancestors are taken as they are: there is no schema.
        Entities::from_entities(entities.into_values(), None).unwrap()
    }
}

impl Asked {
    fn request(&self) -> Request {
        let mut pairs = vec![
            ("n".to_owned(), RestrictedExpression::new_long(self.n)),
            (
                "s".to_owned(),
                RestrictedExpression::new_string(self.s.to_owned()),
            ),
        ];
        if let Some(flag) = self.flag {
            pairs.push(("flag".to_owned(), RestrictedExpression::new_bool(flag)));
        }
        let (text, long) = (
            RestrictedExpression::new_string,
            RestrictedExpression::new_long,
        );
        let list = [
            long(3),
            text("x".to_owned()),
            RestrictedExpression::new_bool(true),
        ];
        let list = RestrictedExpression::new_set(list);
        pairs.push(("list".to_owned(), list));
        let record = |pairs: Vec<(&str, RestrictedExpression)>| {
            let pairs = pairs.into_iter().map(|(k, v)| (k.to_owned(), v));
            RestrictedExpression::new_record(pairs).unwrap()
        };
        let a = record(vec![
            ("n", long(self.n + 1)),
            ("t", text(self.s.to_owned())),
        ]);
        let yes = RestrictedExpression::new_bool(self.n % 2 == 0);
        let decimal = |n: i64| RestrictedExpression::new_decimal(format!("{n}.5"));
        let rec = vec![("a", a), ("yes", yes), ("d", decimal(self.n))];
        pairs.push(("rec".to_owned(), record(rec)));
        if self.flag.is_some() {
            pairs.push(("d".to_owned(), decimal(self.n - 1)));
        }
        let row = |k: &str, n: Option<i64>| {
            let n = n.map(|n| ("n", long(n)));
            record([("k", text(k.to_owned()))].into_iter().chain(n).collect())
        };
        let rows = [row("x", Some(self.n % 3)), row("y", None)];
        let rows = rows.into_iter().take(self.n.unsigned_abs() as usize % 3);
        pairs.push(("rows".to_owned(), RestrictedExpression::new_set(rows)));
        let to = self
            .to
            .map(|to| RestrictedExpression::new_string(to.to_owned()));
        let args = to.map(|to| ("to".to_owned(), to));
        let args = RestrictedExpression::new_record(args).unwrap();
        pairs.push(("args".to_owned(), args));
        Request::new(
            uid(PRINCIPALS[self.principal]),
            uid(ACTIONS[self.action]),
            uid(RESOURCES[self.resource]),
            Context::from_pairs(pairs).unwrap(),
            None,
        )
        .unwrap()
    }
}

/// Cedar's own answer, over all policies.
fn scanned(set: &PolicySet, request: &Request, entities: &Entities) -> Answer {
    let response = Authorizer::new().is_authorized(request, set, entities);
    let diagnostics = response.diagnostics();
    let mut holding: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    holding.sort();
    let mut faults: Vec<_> = diagnostics
        .errors()
        .map(|e| match e {
            AuthorizationError::PolicyEvaluationError(e) => {
                (e.policy_id().to_string(), e.inner().to_string())
            }
        })
        .collect();
    faults.sort();
    Answer {
        allowed: response.decision() == Decision::Allow,
        holding,
        faults,
    }
}

/// What came out, so that a generator that never hits does not pass for a proof.
#[derive(Debug, Default)]
struct Seen {
    asked: u32,
    allowed: u32,
    forbidden: u32,
    silent: u32,
    with_faults: u32,
    policies: usize,
    candidates: usize,
}

#[test]
fn the_index_answers_as_a_scan_of_the_whole_set_does() {
    let seen = RefCell::new(Seen::default());
    let config = Config {
        cases: SETS,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    runner
        .run(&world(), |world| {
            let (set, entities) = (world.set(), world.entities());
            let indexed = Indexed::from(&set);
            prop_assert_eq!(indexed.len(), set.policies().count());
            for asked in &world.asked {
                let request = asked.request();
                let whole = scanned(&set, &request, &entities);
                let answer = indexed.ask(&request, &entities);
                prop_assert_eq!(&answer, &whole, "{:?}", asked);
                let mut seen = seen.borrow_mut();
                seen.asked += 1;
                seen.allowed += u32::from(whole.allowed);
                seen.forbidden += u32::from(!whole.allowed && !whole.holding.is_empty());
                seen.silent += u32::from(whole.holding.is_empty());
                seen.with_faults += u32::from(!whole.faults.is_empty());
                seen.policies += indexed.len();
                seen.candidates += indexed.candidates(&request, &entities).len();
            }
            Ok(())
        })
        .unwrap();
    let seen = seen.into_inner();
    let share = |of: u32| of * 100 / seen.asked;
    assert!(seen.asked >= 30_000, "{seen:?}");
    assert!(share(seen.allowed) >= 15, "{seen:?}");
    assert!(share(seen.forbidden) >= 15, "{seen:?}");
    assert!(share(seen.silent) >= 15, "{seen:?}");
    assert!(share(seen.with_faults) >= 15, "{seen:?}");
    // And the index does pass over most.
    assert!(seen.candidates * 3 < seen.policies, "{seen:?}");
}
