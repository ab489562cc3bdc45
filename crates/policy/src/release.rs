//! A release: loaded once, checked whole, asked purely.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use duty::{
    action::Action,
    canonical::Digest,
    edition::Edition,
    name::{PrincipalId, ThresholdId},
    principal::Duty,
    release::{
        Ask, ClauseRef, Hearing, Near, Permission, RiskFinding, RuleHit, Rules, Team, Threshold,
        Tier,
    },
    time::Time,
};
use serde_json::Map;

use crate::{
    ask::{Question, Types},
    bind::Bind,
    cedar::{Known, RuleBook, condition},
    clause::{self, Clause},
    edition, explain, files,
    index::{Answer, Indexed, Posed},
    pin::{self, Pin},
    problem::{Problems, ReleaseErrors},
    redact::Redaction,
    retrieval::{Book, FOLDER, Found, Index, Matrix, Query, TermMatch, Vector, embedded_text},
    schema::{self, ToolTypes},
    table::{self, Matter, Table, TableVerdict},
    team::{self, AgentPlan, TeamFile},
    threshold::threshold,
    types::{self, Fields},
};

const RISK: &str = "risk.cedar";

/// A team with its permission sets, policies, prompts and thresholds, by content hash.
pub struct Release {
    files: BTreeMap<String, String>,
    digest: Digest,
    clauses: Vec<Clause>,
    editions: BTreeMap<String, Vec<Edition>>,
    /// Places of clauses by digest.
    places: HashMap<Digest, usize>,
    index: Index,
    /// Files of rules by agent.
    rule_files: BTreeMap<PrincipalId, BTreeSet<String>>,
    vectors: Book,
    embedder: Option<String>,
    binds: Vec<Bind>,
    team: Team,
    plans: BTreeMap<PrincipalId, AgentPlan>,
    permissions: HashMap<PrincipalId, RuleBook>,
    tables: HashMap<PrincipalId, Table>,
    risk: RuleBook,
    thresholds: Vec<(Threshold, Digest)>,
    scopes: HashMap<ThresholdId, Indexed>,
    /// Conditions of the team's human steps, in their order; none means always.
    steps: Vec<Option<Indexed>>,
    types: BTreeMap<String, ToolTypes>,
    redaction: Redaction,
    /// Declared types of facts by namespace.
    fact_types: BTreeMap<String, Fields>,
    pins: BTreeMap<String, Pin>,
}

/// Texts whose vectors a release needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToEmbed {
    /// Whose vectors.
    pub embedder: String,
    /// The texts: of clauses, and of the queries of decision tables.
    pub texts: Vec<String>,
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Release({})", self.digest.short())
    }
}

impl Release {
    /// A release from its files: path with `/` to text.
    ///
    /// # Errors
    /// All that is wrong with them, each with its place.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, ReleaseErrors> {
        Self::load(files, true)
    }

    /// With `meaning`, an embedder's vectors must be there.
    fn load(files: BTreeMap<String, String>, meaning: bool) -> Result<Self, ReleaseErrors> {
        let mut problems = Problems::default();
        for (path, text) in &files {
            if !files::belongs(path) {
                problems.add(
                    path,
                    "does not belong in a release: team.toml, risk.cedar, permissions/*.cedar, tables/*.cedar, thresholds/*.toml, policies/*.md, prompts/*.md, courses/*.md, tools/*.json, vectors/*.txt",
                );
            }
            if text.len() > files::LONGEST {
                problems.add(
                    path,
                    format!(
                        "has {} bytes, and a record of the log holds {} of a file; split it",
                        text.len(),
                        files::LONGEST
                    ),
                );
            }
        }
        let policies = files
            .iter()
            .filter(|(path, _)| path.starts_with("policies/"));
        let clauses = clause::parse_all(policies, &mut problems);
        let editions = edition::by_id(&clauses);
        let places = clauses.iter().enumerate().map(|(i, c)| (c.digest, i));
        let places = places.collect();
        let has_clause = |id: &str| editions.contains_key(id);
        let Some(mut team) = team::parse(&files, &has_clause, &mut problems) else {
            problems.finish()?;
            unreachable!("INVARIANT: a team that cannot be read is a problem");
        };
        let pins = pin::read(&files, &mut team.team.tools, &mut problems);
        let parts = Parts::load(&files, &mut team, &has_clause, &mut problems);
        let embedder = team.retrieval.embedder.clone();
        let vectors = Book::read(&files, embedder.as_deref(), &mut problems);
        let meanings = match &embedder {
            Some(_) if meaning && problems.is_empty() => {
                Matrix::new(&clauses, &vectors, &mut problems)
            }
            _ => None,
        };
        problems.finish()?;
        let index = Index::new(&clauses, &team.retrieval, meanings);
        let digest = Digest::of(&manifest(&files))
            .expect("INVARIANT: paths and digests have a canonical form");
        Ok(Self {
            files,
            digest,
            clauses,
            editions,
            places,
            index,
            rule_files: rule_files(&team.permission_sets, &team.tables),
            vectors,
            embedder,
            binds: parts.binds,
            team: team.team,
            plans: team.plans,
            permissions: parts.permissions,
            tables: parts.tables,
            risk: parts.risk,
            thresholds: parts.thresholds,
            scopes: parts.scopes,
            steps: parts.steps,
            fact_types: schema::fact_types(&team.types),
            types: team.types,
            redaction: team.redaction,
            pins,
        })
    }

    /// What has to be embedded before a release of these files ranks by meaning. Vectors that are there do not count.
    ///
    /// # Errors
    /// All that is wrong with the files otherwise, and that `team.toml` names no embedder.
    pub fn to_embed(mut files: BTreeMap<String, String>) -> Result<ToEmbed, ReleaseErrors> {
        files.retain(|path, _| !path.starts_with(FOLDER));
        let mut without = Problems::default();
        let release = Self::load(files, false)?;
        match release.embedder.clone() {
            Some(embedder) => Ok(ToEmbed {
                embedder,
                texts: release.needed(),
            }),
            None => {
                without.add(
                    "team.toml",
                    "names no `[retrieval] embedder`; words alone need no vectors",
                );
                Err(without
                    .finish()
                    .expect_err("INVARIANT: a problem was added"))
            }
        }
    }

    /// A release from a directory.
    ///
    /// # Errors
    /// As [`Release::from_files`], and for files that cannot be read.
    pub fn from_dir(path: &Path) -> Result<Self, ReleaseErrors> {
        Self::from_files(files::read(path)?)
    }

    /// The files of a directory with a release: path to text.
    ///
    /// # Errors
    /// For files that cannot be read.
    pub fn files_in(path: &Path) -> Result<BTreeMap<String, String>, ReleaseErrors> {
        files::read(path)
    }

    /// Its files: path to text.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Its files: path to SHA-256 of the content. The release's digest is over this map's canonical JSON.
    #[must_use]
    pub fn manifest(&self) -> BTreeMap<String, Digest> {
        manifest(&self.files)
    }

    /// What the server of a tool said of it when the release was made, where the release pins it; the name is
    /// `<server>.<tool>`.
    #[must_use]
    pub fn pin(&self, tool: &str) -> Option<&Pin> {
        self.pins.get(tool)
    }

    /// All that is pinned, by `<server>.<tool>`.
    #[must_use]
    pub fn pins(&self) -> &BTreeMap<String, Pin> {
        &self.pins
    }

    /// Its clauses, in order of document and place.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// A clause that records cite, with its text.
    #[must_use]
    pub fn cited(&self, clause: &ClauseRef) -> Option<&Clause> {
        self.clause_of(&clause.digest)
            .filter(|c| c.id == clause.id && c.version == clause.version)
    }

    /// The clause of this digest.
    fn clause_of(&self, digest: &Digest) -> Option<&Clause> {
        self.clauses.get(*self.places.get(digest)?)
    }

    /// The clause of this id in the edition in force at a moment, with its text.
    #[must_use]
    pub fn clause_at(&self, id: &str, at: Time) -> Option<&Clause> {
        self.cited(self.clause(id, at)?)
    }

    /// The clauses that fit a query best, at most `limit`, best first; then what the release binds to an action and is not
    /// among them.
    ///
    /// # Errors
    /// Where the release ranks by meaning and the query has no vector, or none of its kind.
    pub fn search(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Found>, String> {
        let query = Query {
            vector: query.vector.or_else(|| self.vector_of(query.text)),
            ..*query
        };
        let mut found = self.index.search(&self.clauses, &query, limit)?;
        for bind in &self.binds {
            let Some(clause) = self.clause_at(&bind.clause, query.at) else {
                continue;
            };
            match found.iter_mut().find(|f| f.clause.digest == clause.digest) {
                Some(known) => known.bound = true,
                None => found.push(Found {
                    clause: clause.reference(),
                    score_milli: 0,
                    title: clause.title.clone(),
                    bound: true,
                    by_words: None,
                    by_meaning: None,
                }),
            }
        }
        Ok(found)
    }

    /// Why the words of a query find a clause, the weightiest term first.
    #[must_use]
    pub fn explain(&self, query: &str, found: &ClauseRef) -> Vec<TermMatch> {
        let place = self.places.get(&found.digest);
        place.map_or_else(Vec::new, |place| self.index.explain(query, *place))
    }

    /// All texts whose vectors the release needs: of its clauses, and of the queries of its tables.
    fn needed(&self) -> Vec<String> {
        let queries = self.tables.values().flat_map(Table::verdicts);
        let queries: BTreeSet<_> = queries.map(|v| v.query.clone()).collect();
        self.clauses
            .iter()
            .map(embedded_text)
            .chain(queries)
            .collect()
    }

    /// Whose vectors rank beside the words, where any do.
    #[must_use]
    pub fn embedder(&self) -> Option<&str> {
        self.embedder.as_deref()
    }

    /// The vector of exactly this text, where the release holds it.
    #[must_use]
    pub fn vector_of(&self, text: &str) -> Option<&Vector> {
        self.vectors.of(text)
    }

    /// The first moment after this one at which another edition of some document comes into force, or one goes out.
    #[must_use]
    pub fn next_change(&self, after: Time) -> Option<Time> {
        let moments = self.clauses.iter().flat_map(|c| [Some(c.from), c.until]);
        moments.flatten().filter(|t| *t > after).min()
    }

    /// Ids of clauses that are bound to a tool, in order.
    #[must_use]
    pub fn bound_clauses(&self) -> BTreeSet<&str> {
        self.binds.iter().map(|b| b.clause.as_str()).collect()
    }

    /// What an agent reads and recommends.
    #[must_use]
    pub fn agent(&self, id: &PrincipalId) -> Option<&AgentPlan> {
        self.plans.get(id)
    }

    /// What language models are not to see.
    #[must_use]
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Whether arguments are as the tool declares them.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn takes(&self, action: &Action) -> Result<(), String> {
        let types = self.types.get(&action.tool);
        let declared = types.and_then(|t| t.args.as_ref());
        types::check_arguments(&action.tool, declared, &action.arguments)
    }

    /// What the agent's decision table says of a case; none where it has no table.
    #[must_use]
    pub fn decide_table(&self, agent: &PrincipalId, matter: &Matter<'_>) -> Option<TableVerdict> {
        let duty = self.team.agent(agent)?.duty;
        let proposed = matter.proposed.filter(|_| duty == Duty::Review);
        let types = proposed.and_then(|action| self.types.get(&action.tool));
        let nothing = Map::new();
        let question = Question {
            principal: agent.as_str(),
            action: duty.word(),
            case: matter.case.as_str(),
            subject: matter.subject,
            env: matter.environment.as_str(),
            args: proposed.map_or(&nothing, |action| &action.arguments),
            proposed: proposed.map(|action| action.tool.as_str()),
            facts: matter.facts,
            types: Types {
                args: types.and_then(|types| types.args.as_ref()),
                facts: &self.fact_types,
            },
        };
        Some(self.tables.get(agent)?.decide(question))
    }

    /// Tools whose arguments or facts have no declared types: what rules read of them is not validated.
    pub(crate) fn untyped(&self) -> Vec<&str> {
        schema::untyped(&self.types)
    }

    /// The question, with arguments and facts as tools declare them.
    fn pose<'q>(&'q self, wanted: &Ask<'q>) -> Result<Posed<'q>, String> {
        let action = wanted.action;
        let types = self.types.get(&action.tool);
        Question {
            principal: wanted.principal.as_str(),
            action: &action.tool,
            case: wanted.case,
            subject: wanted.subject,
            env: wanted.environment.as_str(),
            args: &action.arguments,
            proposed: None,
            facts: wanted.facts,
            types: Types {
                args: types.and_then(|t| t.args.as_ref()),
                facts: &self.fact_types,
            },
        }
        .pose()
    }

    /// Whether a file of rules is an agent's, as permission set or as table.
    pub(crate) fn rules_are_of(&self, path: &str, agent: &PrincipalId) -> bool {
        self.rule_files
            .get(agent)
            .is_some_and(|files| files.contains(path))
    }

    /// The permission set of an agent.
    pub(crate) fn permission_set(&self, agent: &PrincipalId) -> Option<&RuleBook> {
        self.permissions.get(agent)
    }

    /// What is bound to a tool.
    pub(crate) fn binds_of(&self, tool: &str) -> impl Iterator<Item = &Bind> {
        self.binds.iter().filter(move |bind| bind.is_about(tool))
    }

    /// What a tool takes and brings.
    pub(crate) fn types_of(&self, tool: &str) -> Option<&ToolTypes> {
        self.types.get(tool)
    }

    /// The verdicts of all rows of an agent's table.
    pub(crate) fn rows(&self, agent: &PrincipalId) -> impl Iterator<Item = &TableVerdict> {
        self.tables.get(agent).into_iter().flat_map(Table::verdicts)
    }
}

impl Rules for Release {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn team(&self) -> &Team {
        &self.team
    }

    fn thresholds(&self) -> &[(Threshold, Digest)] {
        &self.thresholds
    }

    fn editions(&self, id: &str) -> &[Edition] {
        self.editions.get(id).map_or(&[], Vec::as_slice)
    }

    fn bound(&self, wanted: &Ask<'_>) -> Vec<RuleHit> {
        let mut binds = self.binds_of(&wanted.action.tool).peekable();
        if binds.peek().is_none() {
            return Vec::new();
        }
        let posed = self.pose(wanted);
        binds.filter_map(|bind| bind.hit(&posed)).collect()
    }

    fn text_of(&self, cited: &ClauseRef) -> Option<&str> {
        self.cited(cited).map(|clause| clause.text.as_str())
    }

    fn permission(&self, wanted: &Ask<'_>) -> Permission {
        Posing::new(self, wanted).permission()
    }

    fn risk(&self, wanted: &Ask<'_>) -> RiskFinding {
        Posing::new(self, wanted).risk()
    }

    fn in_scope(&self, threshold: &Threshold, wanted: &Ask<'_>) -> Result<bool, String> {
        Posing::new(self, wanted).in_scope(threshold)
    }

    fn step_holds(&self, step: usize, wanted: &Ask<'_>) -> bool {
        Posing::new(self, wanted).step_holds(step)
    }

    fn near(&self, wanted: &Ask<'_>) -> Vec<Near> {
        Posing::new(self, wanted).near()
    }

    fn hear<'q>(&'q self, wanted: &Ask<'q>) -> Option<Box<dyn Hearing + 'q>> {
        Some(Box::new(Posing::new(self, wanted)))
    }
}

/// A question, put once.
struct Posing<'q> {
    release: &'q Release,
    principal: &'q PrincipalId,
    tool: &'q str,
    /// Or what stopped it.
    posed: Result<Posed<'q>, String>,
}

impl<'q> Posing<'q> {
    fn new(release: &'q Release, wanted: &Ask<'q>) -> Self {
        Self {
            release,
            principal: wanted.principal,
            tool: &wanted.action.tool,
            posed: release.pose(wanted),
        }
    }

    fn put(&self, book: &RuleBook) -> Result<Answer, RuleHit> {
        match &self.posed {
            Ok(posed) => Ok(book.answer(posed)),
            Err(why) => Err(RuleHit {
                rule: "the question".to_owned(),
                why: why.clone(),
                clause: None,
            }),
        }
    }
}

impl Hearing for Posing<'_> {
    fn permission(&self) -> Permission {
        let Some(book) = self.release.permissions.get(self.principal) else {
            return Permission::Silent;
        };
        let answer = match self.put(book) {
            Ok(answer) => answer,
            Err(hit) => return Permission::Fault(hit),
        };
        // Cedar passes over a policy that cannot be evaluated. A forbid that is passed over would widen: it refuses here.
        let forbid = answer
            .faults
            .iter()
            .find(|(id, _)| book.get(id).is_some_and(|r| r.forbids));
        match (&answer.holding.first(), forbid, answer.faults.first()) {
            (Some(id), _, _) if !answer.allowed => Permission::Forbid(book.hit(id, None)),
            (_, Some((id, why)), _) => Permission::Fault(book.hit(id, Some(why))),
            (Some(id), None, _) => Permission::Allow(book.hit(id, None)),
            (None, None, Some((id, why))) => Permission::Fault(book.hit(id, Some(why))),
            (None, None, None) => Permission::Silent,
        }
    }

    fn risk(&self) -> RiskFinding {
        let high = |hits| RiskFinding {
            tier: Tier::High,
            hits,
        };
        let risk = &self.release.risk;
        let answer = match self.put(risk) {
            Ok(answer) => answer,
            Err(hit) => return high(vec![hit]),
        };
        let faults = answer
            .faults
            .iter()
            .map(|(id, why)| risk.hit(id, Some(why)));
        let mut hits: Vec<_> = faults.collect();
        let held = answer
            .holding
            .iter()
            .filter_map(|id| Some((id, tier_of(risk.get(id)?)?)));
        let held: Vec<_> = held.collect();
        let tier = match held.iter().map(|(_, tier)| *tier).max() {
            Some(tier) if hits.is_empty() => tier,
            _ => Tier::High,
        };
        hits.extend(
            held.iter()
                .filter(|(_, t)| *t == tier)
                .map(|(id, _)| risk.hit(id, None)),
        );
        if hits.is_empty() {
            hits.push(RuleHit {
                rule: RISK.to_owned(),
                why: "no rule says how risky it is".to_owned(),
                clause: None,
            });
        }
        RiskFinding { tier, hits }
    }

    fn in_scope(&self, threshold: &Threshold) -> Result<bool, String> {
        let set = self
            .release
            .scopes
            .get(&threshold.id)
            .ok_or("its scope is not loaded")?;
        let answer = set.answer(self.posed.as_ref().map_err(String::clone)?);
        match answer.faults.into_iter().next() {
            Some((_, why)) => Err(why),
            None => Ok(answer.allowed),
        }
    }

    fn step_holds(&self, step: usize) -> bool {
        let Some(Some(condition)) = self.release.steps.get(step) else {
            return true;
        };
        // What cannot be evaluated asks for a human.
        self.posed.as_ref().map_or(true, |posed| {
            let answer = condition.answer(posed);
            answer.allowed || !answer.faults.is_empty()
        })
    }

    fn near(&self) -> Vec<Near> {
        let book = self.release.permissions.get(self.principal);
        let (Some(book), Ok(posed)) = (book, &self.posed) else {
            return Vec::new();
        };
        explain::near(book, self.tool, posed, &book.answer(posed))
    }
}

fn tier_of(rule: &crate::cedar::Rule) -> Option<Tier> {
    match rule.notes.get("tier").map(String::as_str) {
        Some("low") => Some(Tier::Low),
        Some("elevated") => Some(Tier::Elevated),
        Some("high") => Some(Tier::High),
        _ => None,
    }
}

fn manifest(files: &BTreeMap<String, String>) -> BTreeMap<String, Digest> {
    let digests = files
        .iter()
        .map(|(path, text)| (path.clone(), Digest::of_bytes(text.as_bytes())));
    digests.collect()
}

fn rule_files(
    sets: &BTreeMap<PrincipalId, Vec<String>>,
    tables: &BTreeMap<PrincipalId, String>,
) -> BTreeMap<PrincipalId, BTreeSet<String>> {
    let sets = sets
        .iter()
        .flat_map(|(agent, files)| files.iter().map(move |f| (agent, f)));
    let mut of: BTreeMap<PrincipalId, BTreeSet<String>> = BTreeMap::new();
    for (agent, file) in sets.chain(tables) {
        of.entry(agent.clone()).or_default().insert(file.clone());
    }
    of
}

/// The parts of a release that are Cedar.
struct Parts {
    permissions: HashMap<PrincipalId, RuleBook>,
    tables: HashMap<PrincipalId, Table>,
    risk: RuleBook,
    thresholds: Vec<(Threshold, Digest)>,
    scopes: HashMap<ThresholdId, Indexed>,
    binds: Vec<Bind>,
    steps: Vec<Option<Indexed>>,
}

impl Parts {
    fn load(
        files: &BTreeMap<String, String>,
        team: &mut TeamFile,
        has_clause: &dyn Fn(&str) -> bool,
        problems: &mut Problems,
    ) -> Self {
        let binds = std::mem::take(&mut team.binds);
        let team = &*team;
        let text = |path: &str| files.get(path).map_or("", String::as_str);
        let agents: BTreeSet<_> = team.team.agents.iter().map(|a| a.id.as_str()).collect();
        let tools: BTreeSet<_> = team.team.tools.keys().map(String::as_str).collect();
        // A table is asked by the agent's duty, everything else by the tool.
        let duties: BTreeSet<_> = Duty::ALL.iter().map(|d| d.word()).collect();
        let schema = schema::of_tools(&team.types, problems);
        let known = |notes, actions| Known {
            notes,
            actions,
            types: schema.as_ref(),
            agents: &agents,
            has_clause,
        };
        let mut permissions = HashMap::new();
        for (agent, paths) in &team.permission_sets {
            let files = paths.iter().map(|path| (path.as_str(), text(path)));
            let book = RuleBook::parse(files, &known(&[], &tools), problems);
            permissions.insert(agent.clone(), book);
        }
        let mut tables = HashMap::new();
        for (agent, path) in &team.tables {
            let file = [(path.as_str(), text(path))];
            // Tables read whole answers, of which not every field is declared.
            let known = Known {
                types: None,
                ..known(table::NOTES, &duties)
            };
            let book = RuleBook::parse(file, &known, problems);
            tables.insert(agent.clone(), Table::new(&book, has_clause, problems));
        }
        if !files.contains_key(RISK) {
            problems.add(RISK, "is missing: how risky is what?");
        }
        let risk = RuleBook::parse([(RISK, text(RISK))], &known(&["tier"], &tools), problems);
        for rule in risk.rules() {
            let place = &rule.name;
            if rule.forbids {
                problems.add(place, "a risk rule is a `permit` with a `@tier`");
            }
            if tier_of(rule).is_none() {
                problems.add(
                    place,
                    "needs `@tier(\"low\")`, `\"elevated\"` or `\"high\"`",
                );
            }
        }
        let (mut thresholds, mut scopes) = (Vec::new(), HashMap::new());
        for (path, text) in files
            .iter()
            .filter(|(path, _)| path.starts_with("thresholds/"))
        {
            let types = |tool: &str| team.types.get(tool);
            let read = threshold(path, text, &team.team, &types, has_clause, problems);
            let Some(threshold) = read else {
                continue;
            };
            match condition(path, &threshold.tool, &threshold.scope, &known(&[], &tools)) {
                Ok(scope) => {
                    scopes.insert(threshold.id.clone(), scope);
                }
                Err(wrong) => problems.extend(wrong),
            }
            match Digest::of(&threshold) {
                Ok(digest) => thresholds.push((threshold, digest)),
                Err(why) => problems.add(path, why.to_string()),
            }
        }
        let mut steps = Vec::new();
        for step in &team.team.human_steps {
            let place = format!("{} [[human_step]] {}", team::TEAM, step.tool);
            let when = step
                .when
                .as_ref()
                .map(|when| condition(&place, &step.tool, when, &known(&[], &tools)));
            match when.transpose() {
                Ok(condition) => steps.push(condition),
                Err(wrong) => problems.extend(wrong),
            }
        }
        // The order in which they are tried, and so which one answers, is theirs and not their files'.
        thresholds.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let binds = binds
            .into_iter()
            .filter_map(|b| Bind::parse(b, &team.team, &known(&[], &tools), problems));
        let binds = binds.collect();
        named_for_agents(files, team, problems);
        Self {
            permissions,
            tables,
            risk,
            thresholds,
            scopes,
            binds,
            steps,
        }
    }
}

/// A file that no agent uses is a rule that somebody believes in and that does nothing.
fn named_for_agents(files: &BTreeMap<String, String>, team: &TeamFile, problems: &mut Problems) {
    let used = |path: &String| {
        team.permission_sets
            .values()
            .flatten()
            .chain(team.tables.values())
            .any(|p| p == path)
            || team.prompts.contains(path)
    };
    for path in files.keys() {
        let per_agent = ["permissions/", "tables/", "prompts/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        if per_agent && !used(path) {
            problems.add(
                path,
                "is used by no agent of `team.toml`; remove it or name it there",
            );
        }
    }
}
