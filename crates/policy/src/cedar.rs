//! Cedar in a release: one condition language for permissions, risk, tables and thresholds.
//!
//! Each file is parsed once, checked whole, and sliced by action: a rule whose scope names other actions can neither
//! hold nor fail, so it is not asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    str::FromStr,
};

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Expression, Policy, PolicyId, PolicySet,
    PrincipalConstraint,
};
use duty::release::RuleHit;

use crate::{
    ask::{ACTION, AGENT, CASE},
    problem::Problems,
};

/// The rules of one file.
#[derive(Debug)]
pub(crate) struct RuleFile {
    path: String,
    rules: BTreeMap<String, Rule>,
    /// The rules whose scope names the action, with those that name none.
    by_action: HashMap<String, PolicySet>,
    /// The rules whose scope names no action.
    open: PolicySet,
}

/// One rule with its annotations.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) forbids: bool,
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) policy: Policy,
    /// The actions that its scope names; none where it is about every action.
    actions: Option<BTreeSet<String>>,
}

/// What the rules of a file may name.
pub(crate) struct Known<'a> {
    /// Annotations besides `@id`, `@clause` and `@why`.
    pub(crate) notes: &'a [&'a str],
    /// Ids of `Action` entities.
    pub(crate) actions: &'a BTreeSet<&'a str>,
    /// Ids of `Agent` entities.
    pub(crate) agents: &'a BTreeSet<&'a str>,
    /// Whether a policy document has the clause.
    pub(crate) has_clause: &'a dyn Fn(&str) -> bool,
}

impl RuleFile {
    /// Reads a file; every policy needs `@id`, unique in it, and `@clause` naming a clause of the release.
    pub(crate) fn parse(
        path: &str,
        text: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            rules: BTreeMap::new(),
            by_action: HashMap::new(),
            open: PolicySet::new(),
        };
        let parsed = match PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                for e in e.iter() {
                    problems.add(located(path, text, e), e.to_string());
                }
                return file;
            }
        };
        if parsed.templates().next().is_some() {
            problems.add(
                path,
                "templates with slots are not used in a release; write the rule out",
            );
        }
        for policy in parsed.policies() {
            file.take(policy, known, problems);
        }
        if file.rules.is_empty() {
            problems.add(path, "holds no rule");
        }
        file.slice();
        file
    }

    fn take(&mut self, policy: &Policy, known: &Known<'_>, problems: &mut Problems) {
        let notes: BTreeMap<String, String> = policy
            .annotations()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let Some(id) = notes.get("id").filter(|id| !id.is_empty()).cloned() else {
            problems.add(
                &self.path,
                format!("rule `{}` has no `@id(\"…\")`", first_line(policy)),
            );
            return;
        };
        let place = format!("{}#{id}", self.path);
        match notes.get("clause") {
            None => problems.add(&place, "names no clause; add `@clause(\"…\")`"),
            Some(clause) if !(known.has_clause)(clause) => {
                problems.add(
                    &place,
                    format!("names clause `{clause}`, which no policy document has"),
                );
            }
            Some(_) => {}
        }
        for key in notes.keys() {
            let common = ["id", "clause", "why"].contains(&key.as_str());
            if !common && !known.notes.contains(&key.as_str()) {
                problems.add(&place, format!("`@{key}` means nothing here"));
            }
        }
        known.entities(&place, policy, problems);
        if self.rules.contains_key(&id) {
            problems.add(&place, "is there twice; ids are unique in a file");
            return;
        }
        let rule = Rule {
            id: id.clone(),
            forbids: policy.effect() == Effect::Forbid,
            notes,
            policy: policy.new_id(PolicyId::new(&id)),
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::In(uids) => Some(uids.iter().map(id_of).collect()),
                ActionConstraint::Eq(uid) => Some(BTreeSet::from([id_of(&uid)])),
            },
        };
        self.rules.insert(id, rule);
    }

    fn slice(&mut self) {
        let set = |rules: Vec<&Rule>| {
            PolicySet::from_policies(rules.into_iter().map(|r| r.policy.clone()))
                .expect("INVARIANT: ids are unique in a file")
        };
        self.open = set(self.rules().filter(|r| r.actions.is_none()).collect());
        let named: BTreeSet<String> = self
            .rules()
            .filter_map(|r| r.actions.clone())
            .flatten()
            .collect();
        self.by_action = named
            .into_iter()
            .map(|action| {
                let rules = self.rules().filter(|r| r.is_about(&action)).collect();
                (action, set(rules))
            })
            .collect();
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    pub(crate) fn hit(&self, id: &str, why: Option<&str>) -> RuleHit {
        let rule = self.rules.get(id);
        let said = rule.and_then(|r| r.notes.get("why").map(String::as_str));
        RuleHit {
            rule: format!("{}#{id}", self.path),
            why: why.or(said).unwrap_or(id).to_owned(),
            clause: rule.and_then(|r| r.notes.get("clause").cloned()),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The rules that can speak of an action.
    pub(crate) fn about(&self, action: &str) -> &PolicySet {
        self.by_action.get(action).unwrap_or(&self.open)
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

    /// The rule as a set of its own.
    pub(crate) fn alone(&self) -> PolicySet {
        PolicySet::from_policies([self.policy.clone()])
            .expect("INVARIANT: one policy has no second of its id")
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

/// A single condition as a rule of its own: how a threshold's scope is evaluated.
///
/// # Errors
/// Where it is not exactly one Cedar expression, or names what is not there.
pub(crate) fn condition(place: &str, text: &str, known: &Known<'_>) -> Result<PolicySet, Problems> {
    let wrong = |what: String| {
        let mut problems = Problems::default();
        problems.add(place, format!("the scope {what}"));
        problems
    };
    // First as an expression: text that closes its brace could smuggle in a rule of its own.
    if let Err(e) = Expression::from_str(text) {
        return Err(wrong(format!("is not one condition: {e}")));
    }
    // The line end keeps a comment at its end from swallowing the closing brace.
    let policy = format!("permit (principal, action, resource) when {{ {text}\n}};");
    let policy = Policy::parse(None, policy).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let mut problems = Problems::default();
    known.entities(place, &policy, &mut problems);
    if problems.is_empty() {
        Ok(PolicySet::from_policies([policy])
            .expect("INVARIANT: one policy has no second of its id"))
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
