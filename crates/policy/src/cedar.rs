//! Cedar in a release: one condition language for permissions, risk, tables and thresholds.
//!
//! Each file is parsed once, checked whole, and indexed by scope: a rule whose scope cannot hold is not asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use cedar_policy::{
    ActionConstraint, Effect, EntityId, EntityUid, Expression, Policy, PolicyId, PolicySet,
    PrincipalConstraint, Validator,
};
use duty::release::RuleHit;

use crate::{
    ask::{ACTION, AGENT, CASE},
    index::{Answer, Indexed, Posed},
    problem::Problems,
    schema,
};

/// The rules of one or more files, by `<file>#<id>`.
#[derive(Debug, Default)]
pub(crate) struct RuleBook {
    rules: BTreeMap<String, Rule>,
    index: Indexed,
}

/// One rule with its annotations.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `<file>#<id>`; what the policy is called too.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) forbids: bool,
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) policy: Policy,
    /// The actions that its scope names; none where it is about every action.
    actions: Option<BTreeSet<String>>,
}

/// What the rules of a file may name.
pub(crate) struct Known<'a> {
    /// Annotations besides `@id`, `@clause`, `@why` and `@advice`.
    pub(crate) notes: &'a [&'a str],
    /// Ids of `Action` entities.
    pub(crate) actions: &'a BTreeSet<&'a str>,
    /// Ids of `Agent` entities.
    pub(crate) agents: &'a BTreeSet<&'a str>,
    /// The types of what rules read, where they are declared.
    pub(crate) types: Option<&'a Validator>,
    /// Whether a policy document has the clause.
    pub(crate) has_clause: &'a dyn Fn(&str) -> bool,
}

impl RuleBook {
    /// Reads files; every policy needs `@id`, unique in its file, and `@clause` naming a clause of the release.
    pub(crate) fn parse<'t>(
        files: impl IntoIterator<Item = (&'t str, &'t str)>,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut book = Self::default();
        for (path, text) in files {
            book.read(path, text, known, problems);
        }
        book.index = book.rules().map(|r| r.policy.clone()).collect();
        book
    }

    fn read(&mut self, path: &str, text: &str, known: &Known<'_>, problems: &mut Problems) {
        let parsed = match PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                for e in e.iter() {
                    problems.add(located(path, text, e), e.to_string());
                }
                return;
            }
        };
        if parsed.templates().next().is_some() {
            problems.add(
                path,
                "templates with slots are not used in a release; write the rule out",
            );
        }
        let before: Vec<String> = self.rules.keys().cloned().collect();
        for policy in parsed.policies() {
            self.take(path, policy, known, problems);
        }
        if let Some(validator) = known.types {
            let read = self.rules().filter(|r| !before.contains(&r.name));
            let set = PolicySet::from_policies(read.map(|r| r.policy.clone()))
                .expect("INVARIANT: names of rules are unique");
            schema::validate(validator, path, Some(text), &set, problems);
        }
        if parsed.is_empty() {
            problems.add(path, "holds no rule");
        }
    }

    fn take(&mut self, path: &str, policy: &Policy, known: &Known<'_>, problems: &mut Problems) {
        let notes: BTreeMap<String, String> = policy
            .annotations()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let Some(id) = notes.get("id").filter(|id| !id.is_empty()).cloned() else {
            problems.add(
                path,
                format!("rule `{}` has no `@id(\"…\")`", first_line(policy)),
            );
            return;
        };
        let name = format!("{path}#{id}");
        match notes.get("clause") {
            None => problems.add(&name, "names no clause; add `@clause(\"…\")`"),
            Some(clause) if !(known.has_clause)(clause) => {
                problems.add(
                    &name,
                    format!("names clause `{clause}`, which no policy document has"),
                );
            }
            Some(_) => {}
        }
        for key in notes.keys() {
            let common = ["id", "clause", "why", "advice"].contains(&key.as_str());
            if !common && !known.notes.contains(&key.as_str()) {
                problems.add(&name, format!("`@{key}` means nothing here"));
            }
        }
        known.entities(&name, policy, problems);
        if self.rules.contains_key(&name) {
            problems.add(&name, "is there twice; ids are unique in a file");
            return;
        }
        let rule = Rule {
            name: name.clone(),
            id,
            forbids: policy.effect() == Effect::Forbid,
            notes,
            policy: policy.new_id(PolicyId::new(&name)),
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::In(uids) => Some(uids.iter().map(id_of).collect()),
                ActionConstraint::Eq(uid) => Some(BTreeSet::from([id_of(&uid)])),
            },
        };
        self.rules.insert(name, rule);
    }

    /// In order of name.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    pub(crate) fn hit(&self, name: &str, why: Option<&str>) -> RuleHit {
        let rule = self.rules.get(name);
        let said = rule.map(|r| r.notes.get("why").unwrap_or(&r.id).as_str());
        RuleHit {
            rule: name.to_owned(),
            why: why.or(said).unwrap_or(name).to_owned(),
            clause: rule.and_then(|r| r.notes.get("clause").cloned()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Rule> {
        self.rules.get(name)
    }

    /// What the rules answer.
    pub(crate) fn answer(&self, posed: &Posed<'_>) -> Answer {
        self.index.answer(posed)
    }
}

impl Rule {
    /// Whether its scope takes the action in.
    pub(crate) fn is_about(&self, action: &str) -> bool {
        self.actions.as_ref().is_none_or(|a| a.contains(action))
    }

    /// Whether its scope names the action, and does not just take every one.
    pub(crate) fn names(&self, action: &str) -> bool {
        self.actions.as_ref().is_some_and(|a| a.contains(action))
    }

    /// The agent that its scope is for, where it names one.
    pub(crate) fn agent(&self) -> Option<String> {
        match self.policy.principal_constraint() {
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) => Some(id_of(&uid)),
            PrincipalConstraint::IsIn(_, uid) => Some(id_of(&uid)),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        }
    }

    /// Whether more than its scope decides.
    pub(crate) fn has_conditions(&self) -> bool {
        self.policy.has_non_scope_constraint()
    }

    /// Its scope and conditions as one expression.
    pub(crate) fn condition(&self) -> cedar_policy_core::ast::Expr {
        let policy: &cedar_policy_core::ast::Policy = self.policy.as_ref();
        policy.condition()
    }

    /// The rule as a set of its own.
    pub(crate) fn alone(&self) -> Indexed {
        Indexed::from_iter([self.policy.clone()])
    }
}

impl Known<'_> {
    /// A name that nothing has makes a rule that never speaks: a forbid with a misspelt tool forbids nothing.
    fn entities(&self, place: &str, policy: &Policy, problems: &mut Problems) {
        let literals: BTreeSet<(String, String)> = policy
            .entity_literals()
            .iter()
            .map(|uid| (uid.type_name().to_string(), id_of(uid)))
            .collect();
        for (kind, id) in literals {
            let what = match kind.as_str() {
                ACTION if self.actions.contains(id.as_str()) => continue,
                ACTION => format!(
                    "names action `{id}`, which is none here; there are {}",
                    listed(self.actions)
                ),
                AGENT if self.agents.contains(id.as_str()) => continue,
                AGENT => format!(
                    "names agent `{id}`, which is not in the team; there are {}",
                    listed(self.agents)
                ),
                CASE => continue,
                _ => format!("names `{kind}::\"{id}\"`; only Agent, Action and Case are known"),
            };
            problems.add(place, what);
        }
    }
}

/// A single condition as a rule of its own about one tool: how a threshold's scope is evaluated.
///
/// # Errors
/// Where it is not exactly one Cedar expression, or names what is not there.
pub(crate) fn condition(
    place: &str,
    tool: &str,
    text: &str,
    known: &Known<'_>,
) -> Result<Indexed, Problems> {
    let wrong = |what: String| {
        let mut problems = Problems::default();
        problems.add(place, format!("the condition {what}"));
        problems
    };
    // First as an expression: text that closes its brace could smuggle in a rule of its own.
    if let Err(e) = Expression::from_str(text) {
        return Err(wrong(format!("is not one condition: {e}")));
    }
    // The line end keeps a comment at its end from swallowing the closing brace.
    let action = EntityUid::from_type_name_and_id(
        ACTION
            .parse()
            .expect("INVARIANT: a constant word is a type name"),
        EntityId::new(tool),
    );
    let policy = format!("permit (principal, action == {action}, resource) when {{ {text}\n}};");
    let policy = Policy::parse(None, policy).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let mut problems = Problems::default();
    known.entities(place, &policy, &mut problems);
    if let Some(validator) = known.types {
        let set = PolicySet::from_policies([policy.clone()])
            .expect("INVARIANT: one policy has no second of its id");
        schema::validate(validator, place, None, &set, &mut problems);
    }
    if problems.is_empty() {
        Ok(Indexed::from_iter([policy]))
    } else {
        Err(problems)
    }
}

fn id_of(uid: &EntityUid) -> String {
    uid.id().unescaped().to_owned()
}

fn listed(names: &BTreeSet<&str>) -> String {
    let names: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    names.join(", ")
}

fn first_line(policy: &Policy) -> String {
    policy
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn located(path: &str, text: &str, e: &cedar_policy::ParseError) -> String {
    use miette::Diagnostic as _;
    let offset = e
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|l| l.offset());
    match offset {
        Some(offset) => format!("{path}:{}", crate::problem::line_at(text, offset)),
        None => path.to_owned(),
    }
}
