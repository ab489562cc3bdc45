//! `team.toml`: agents bound to duties, tools, who approves what, limits.

mod approval;
mod language;

use std::collections::{BTreeMap, BTreeSet};

use duty::{
    canonical::Digest,
    conflict::{self, Apart, Conflict, ConflictMatrix},
    name::{Course, PrincipalId},
    principal::{Duty, Role},
    release::{
        Agent, Attention, BreakGlass, Disqualify, Level, Pace, Patience, Retention, Team, Tier,
        Tool,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};

pub use language::{Form, LanguagePlan};

use approval::{WrittenOverrides, WrittenQuorum, WrittenStep};
use language::WrittenLanguage;

use crate::{
    bind::WrittenBind,
    course::{WrittenCourse, courses},
    problem::{Problems, read_toml},
    redact::{Redaction, WrittenRedact},
    retrieval::Settings,
    schema::ToolTypes,
    template::Template,
    types::Fields,
};

/// What the runner needs to know of an agent.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// Its instructions.
    pub prompt: String,
    /// What the rule model reads, in order.
    pub reads: Vec<Template>,
    /// The action that it recommends, where all that it needs is known.
    pub action: Option<Template>,
    /// Whether it runs outside: it comes through a door by itself, and the built-in runner leaves its part alone.
    pub external: bool,
    /// How its language model is asked, where it runs on one.
    pub language: Option<LanguagePlan>,
}

/// What `team.toml` says.
pub(crate) struct TeamFile {
    pub(crate) team: Team,
    pub(crate) plans: BTreeMap<PrincipalId, AgentPlan>,
    /// What tools take and bring.
    pub(crate) types: BTreeMap<String, ToolTypes>,
    /// Permission set files by agent.
    pub(crate) permission_sets: BTreeMap<PrincipalId, Vec<String>>,
    /// Prompt files.
    pub(crate) prompts: BTreeSet<String>,
    /// Table files by agent.
    pub(crate) tables: BTreeMap<PrincipalId, String>,
    /// Clauses bound to tools; their conditions are still to be read.
    pub(crate) binds: Vec<WrittenBind>,
    /// How clauses are looked for.
    pub(crate) retrieval: Settings,
    /// What language models are not to see.
    pub(crate) redaction: Redaction,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    agent: Vec<WrittenAgent>,
    tool: Vec<WrittenTool>,
    approval: BTreeMap<Tier, WrittenQuorum>,
    disqualify: Option<WrittenDisqualify>,
    recommendation: WrittenRecommendation,
    grant: WrittenGrant,
    #[serde(default)]
    durability: BTreeMap<Tier, Level>,
    retention: Option<WrittenRetention>,
    cases: Option<WrittenCases>,
    #[serde(default)]
    conflict: Vec<WrittenConflict>,
    break_glass: Option<WrittenGlass>,
    attention: Option<WrittenAttention>,
    #[serde(default)]
    bind: Vec<WrittenBind>,
    #[serde(default)]
    retrieval: Settings,
    #[serde(default)]
    course: Vec<WrittenCourse>,
    #[serde(default)]
    redact: Vec<WrittenRedact>,
    #[serde(default)]
    human_step: Vec<WrittenStep>,
    #[serde(rename = "override")]
    overrides: Option<WrittenOverrides>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAttention {
    max_per_hour: Option<u32>,
    max_waiting: Option<u32>,
    clause: String,
}

/// What becomes of a yes that comes sooner than it can be read.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Hasty {
    Refuse,
    Raise,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGlass {
    role: Role,
    certification: Course,
    minutes: u32,
    review_minutes: u32,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConflict {
    duties: [Duty; 2],
    tiers: Option<BTreeSet<Tier>>,
    apart: BTreeSet<Apart>,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRetention {
    snapshot_days: u32,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCases {
    open_minutes: u32,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAgent {
    id: PrincipalId,
    duty: Duty,
    owner: PrincipalId,
    permission_set: OneOrMore,
    prompt: String,
    lineage: Option<String>,
    model: Option<WrittenModel>,
    model_family: Option<String>,
    #[serde(default)]
    reads: Vec<WrittenCall>,
    action: Option<WrittenCall>,
}

/// A file holds at most what fits in a record, so that a large set is several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a file, or a list of files")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum WrittenModel {
    Rules { table: String },
    External { id: String },
    Openai(WrittenLanguage),
    Anthropic(WrittenLanguage),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCall {
    tool: String,
    #[serde(default)]
    args: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTool {
    name: String,
    effect: bool,
    /// Types by name of argument.
    args: Option<BTreeMap<String, String>>,
    facts_as: Option<String>,
    #[serde(default)]
    facts: WrittenFacts,
    idempotency: Option<WrittenKey>,
    lookup: Option<String>,
    effect_by: Option<EffectBy>,
}

/// The argument that takes the grant's id, or `false`: the target takes none, and what is unknown stays so until people look.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "the name of an argument, or `false`")]
enum WrittenKey {
    Argument(String),
    Taken(bool),
}

/// Who carries the effect of a tool out.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EffectBy {
    Engine,
    Caller,
}

/// Names alone, or with their types.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of names, or a table of names and types")]
enum WrittenFacts {
    Names(Vec<String>),
    Typed(BTreeMap<String, String>),
}

impl Default for WrittenFacts {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDisqualify {
    facts: Vec<String>,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRecommendation {
    min_confidence: u8,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGrant {
    expires_minutes: u32,
}

pub(crate) const TEAM: &str = "team.toml";

/// Reads `team.toml`; none where it cannot be read at all.
pub(crate) fn parse(
    files: &BTreeMap<String, String>,
    has_clause: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<TeamFile> {
    let Some(text) = files.get(TEAM) else {
        problems.add(TEAM, "is missing; every release has one");
        return None;
    };
    let written: Written = read_toml(TEAM, text, problems)?;
    let mut check = Check {
        files,
        has_clause,
        problems,
    };
    Some(check.team(written))
}

struct Check<'a> {
    files: &'a BTreeMap<String, String>,
    has_clause: &'a dyn Fn(&str) -> bool,
    problems: &'a mut Problems,
}

impl Check<'_> {
    fn team(&mut self, written: Written) -> TeamFile {
        let (tools, types) = self.tools(written.tool);
        let mut file = TeamFile {
            team: Team {
                name: written.name,
                agents: Vec::new(),
                tools,
                courses: Vec::new(),
                conflicts: ConflictMatrix::default(),
                approval: BTreeMap::new(),
                human_steps: Vec::new(),
                overrides: None,
                attention: None,
                break_glass: None,
                disqualify: None,
                min_confidence: written.recommendation.min_confidence,
                confidence_clause: written.recommendation.clause,
                grant_minutes: written.grant.expires_minutes,
                durability: written.durability,
                retention: None,
                patience: None,
            },
            types,
            plans: BTreeMap::new(),
            permission_sets: BTreeMap::new(),
            prompts: BTreeSet::new(),
            tables: BTreeMap::new(),
            binds: written.bind,
            retrieval: written.retrieval,
            redaction: Redaction::parse(written.redact, &mut |what| {
                self.wrong("[[redact]]", what);
            }),
        };
        file.retrieval
            .check(&format!("{TEAM} [retrieval]"), self.problems);
        for agent in written.agent {
            self.agent(agent, &mut file);
        }
        for duty in [Duty::Prepare, Duty::Review, Duty::Execute] {
            let have = file.team.with_duty(duty).count();
            if have != 1 {
                self.wrong(
                    "[[agent]]",
                    format!("{have} agents {}; a team has one", duty.word()),
                );
            }
        }
        let agents = file.team.agents.iter();
        let owned: Vec<_> = agents.map(|a| (a.id.clone(), a.owner.clone())).collect();
        for (id, owner) in owned {
            if file.team.agent(&owner).is_some() {
                self.wrong(
                    &format!("[[agent]] {id}"),
                    format!("its owner `{owner}` is an agent; a human answers for an agent"),
                );
            }
        }
        let problems = &mut *self.problems;
        file.team.courses = courses(
            written.course,
            self.files,
            self.has_clause,
            &mut |place, what| problems.add(format!("{TEAM} {place}"), what),
        );
        self.conflicts(written.conflict, &mut file.team);
        self.limits(written.approval, &mut file.team);
        self.human_steps(written.human_step, &mut file.team);
        self.overrides(written.overrides, &mut file.team);
        if file.team.min_confidence > 100 {
            self.wrong(
                "[recommendation]",
                "`min_confidence` is a percent: at most 100".to_owned(),
            );
        }
        if file.team.grant_minutes == 0 {
            self.wrong("[grant]", "`expires_minutes` is at least 1".to_owned());
        }
        if let Some(a) = written.attention {
            self.attention(a, &mut file.team);
        }
        if let Some(g) = written.break_glass {
            self.glass(g, &mut file.team);
        }
        if let Some(r) = written.retention {
            if r.snapshot_days == 0 {
                self.wrong("[retention]", "`snapshot_days` is at least 1".to_owned());
            }
            self.clause("[retention]", &r.clause);
            file.team.retention = Some(Retention {
                days: r.snapshot_days,
                clause: r.clause,
            });
        }
        if let Some(c) = written.cases {
            if c.open_minutes == 0 {
                self.wrong("[cases]", "`open_minutes` is at least 1".to_owned());
            }
            self.clause("[cases]", &c.clause);
            file.team.patience = Some(Patience {
                minutes: c.open_minutes,
                clause: c.clause,
            });
        }
        let clause = file.team.confidence_clause.clone();
        self.clause("[recommendation]", &clause);
        if let Some(d) = written.disqualify {
            self.clause("[disqualify]", &d.clause);
            for path in &d.facts {
                // A path that no answer fills would disqualify nobody, ever.
                let declared = path
                    .split_once('.')
                    .is_some_and(|(namespace, field)| records(&file.team.tools, namespace, field));
                if !declared {
                    self.wrong(
                        "[disqualify]",
                        format!(
                            "`{path}` is no `<facts_as>.<fact>` of a `[[tool]]`, so it would never name anybody"
                        ),
                    );
                }
            }
            file.team.disqualify = Some(Disqualify {
                facts: d.facts,
                clause: d.clause,
            });
        }
        file
    }

    fn agent(&mut self, agent: WrittenAgent, file: &mut TeamFile) {
        let place = format!("[[agent]] {}", agent.id);
        if file.plans.contains_key(&agent.id) {
            self.wrong(&place, "is there twice".to_owned());
        }
        if agent.duty == Duty::Approve {
            self.wrong(&place, "no agent approves: humans do".to_owned());
        }
        let set = match agent.permission_set {
            OneOrMore::One(path) => vec![path],
            OneOrMore::More(paths) => paths,
        };
        if set.is_empty() {
            self.wrong(
                &place,
                "has an empty `permission_set`; name a file".to_owned(),
            );
        }
        for (n, path) in set.iter().enumerate() {
            self.needs(&place, "permissions/", path);
            if set[..n].contains(path) {
                self.wrong(&place, format!("names `{path}` twice"));
            }
        }
        let prompt = self.needs(&place, "prompts/", &agent.prompt);
        let prompt = prompt.unwrap_or_default();
        file.prompts.insert(agent.prompt);
        let external = matches!(agent.model, Some(WrittenModel::External { .. }));
        let mut language = None;
        let mut made_by = None;
        let mut lingual = |written: WrittenLanguage, form: Form| {
            let (model, family, pinned, plan) =
                written.read(form, &mut |what| self.wrong(&place, what));
            made_by = Some(family);
            language = Some((pinned, plan));
            Some(model)
        };
        let model = match agent.model {
            Some(WrittenModel::Openai(written)) => lingual(written, Form::OpenAi),
            Some(WrittenModel::Anthropic(written)) => lingual(written, Form::Anthropic),
            Some(WrittenModel::External { id }) => {
                if family(&id).is_none_or(|f| f.is_empty() || f == "rules") {
                    self.wrong(
                        &place,
                        format!("the model `{id}` of an external agent is named `<family>/<model>`, like `openai/gpt-5.1`; `rules` is the built-in one"),
                    );
                }
                Some(id)
            }
            Some(WrittenModel::Rules { table }) => {
                let text = self.needs(&place, "tables/", &table);
                file.tables.insert(agent.id.clone(), table);
                text.map(|t| format!("rules/{}", Digest::of_bytes(t.as_bytes())))
            }
            None => None,
        };
        if model.is_none() && matches!(agent.duty, Duty::Prepare | Duty::Review) {
            self.wrong(&place, "needs a `model`: it recommends".to_owned());
        }
        let tools = &file.team.tools;
        let mut call = |written: WrittenCall, effect: bool| {
            match tools.get(&written.tool) {
                None => self.wrong(&place, format!("`{}` is no `[[tool]]`", written.tool)),
                Some(tool) if tool.effect != effect => {
                    let what = if effect {
                        "has no effect and is no action"
                    } else {
                        "has an effect and cannot be read"
                    };
                    self.wrong(&place, format!("`{}` {what}", written.tool));
                }
                Some(tool) => {
                    if tool
                        .idempotency
                        .as_ref()
                        .is_some_and(|f| written.args.contains_key(f))
                    {
                        self.wrong(
                            &place,
                            format!(
                                "the engine alone sets the idempotency key of `{}`",
                                tool.name
                            ),
                        );
                    }
                }
            }
            let template = Template::new(written.tool, written.args)
                .map_err(|why| self.wrong(&place, why))
                .ok()?;
            for namespace in template.namespaces() {
                if !tools
                    .values()
                    .any(|t| t.facts_as.as_deref() == Some(namespace))
                {
                    self.wrong(
                        &place,
                        format!(
                            "`{}` waits for `$facts.{namespace}`, and no `[[tool]]` has `facts_as = \"{namespace}\"`",
                            template.tool()
                        ),
                    );
                }
            }
            Some(template)
        };
        let action = agent.action.and_then(|a| call(a, true));
        let reads = agent
            .reads
            .into_iter()
            .filter_map(|r| call(r, false))
            .collect();
        file.permission_sets.insert(agent.id.clone(), set);
        let (pinned, language) = language.unzip();
        file.team.agents.push(Agent {
            id: agent.id.clone(),
            duty: agent.duty,
            owner: agent.owner,
            model_family: agent
                .model_family
                .or(made_by)
                .or_else(|| family(model.as_deref()?)),
            model,
            language: pinned,
            lineage: agent
                .lineage
                .unwrap_or_else(|| Digest::of_bytes(prompt.as_bytes()).to_string()),
            prompt: Digest::of_bytes(prompt.as_bytes()),
        });
        file.plans.insert(
            agent.id,
            AgentPlan {
                prompt,
                reads,
                action,
                external,
                language,
            },
        );
    }

    fn attention(&mut self, a: WrittenAttention, team: &mut Team) {
        let place = "[attention]";
        if a.max_per_hour
            .is_some_and(|n| !(1..=Attention::MOST).contains(&n))
        {
            self.wrong(place, format!("`max_per_hour` is 1 to {}", Attention::MOST));
        }
        if a.max_waiting == Some(0) {
            self.wrong(place, "`max_waiting` is at least 1".to_owned());
        }
        if a.max_per_hour.is_none() && a.max_waiting.is_none() {
            self.wrong(
                place,
                "sets no bound: name `max_per_hour` or `max_waiting`, or leave it out".to_owned(),
            );
        }
        self.clause(place, &a.clause);
        team.attention = Some(Attention {
            max_per_hour: a.max_per_hour,
            max_waiting: a.max_waiting,
            clause: a.clause,
        });
    }

    /// How soon a yes may come. High risk refuses what comes sooner, unless the release says otherwise.
    fn pace(&mut self, place: &str, tier: Tier, q: &WrittenQuorum) -> Option<Pace> {
        let Some(seconds) = q.min_seconds else {
            if q.hasty.is_some() {
                self.wrong(
                    place,
                    "says what becomes of a hasty yes, and not what is hasty: add `min_seconds`"
                        .to_owned(),
                );
            }
            return None;
        };
        if !(1..=Pace::LONGEST).contains(&seconds) {
            self.wrong(place, format!("`min_seconds` is 1 to {}", Pace::LONGEST));
        }
        if u64::from(seconds) >= u64::from(q.expires_minutes) * 60 {
            self.wrong(
                place,
                "`min_seconds` is as long as the request stands: nobody could ever approve"
                    .to_owned(),
            );
        }
        let refuse = match q.hasty {
            Some(hasty) => hasty == Hasty::Refuse,
            None => tier == Tier::High,
        };
        Some(Pace { seconds, refuse })
    }

    fn glass(&mut self, g: WrittenGlass, team: &mut Team) {
        let place = "[break_glass]";
        if !(1..=BreakGlass::LONGEST).contains(&g.minutes) {
            self.wrong(
                place,
                format!(
                    "`minutes` is 1 to {}: an emergency is short",
                    BreakGlass::LONGEST
                ),
            );
        }
        if g.review_minutes == 0 {
            self.wrong(place, "`review_minutes` is at least 1".to_owned());
        }
        if !matches!(g.role, Role::Approver | Role::Owner) {
            self.wrong(
                place,
                format!(
                    "`{}` signs nothing; humans who approve or own do",
                    g.role.word()
                ),
            );
        }
        self.clause(place, &g.clause);
        team.break_glass = Some(BreakGlass {
            role: g.role,
            certification: g.certification,
            minutes: g.minutes,
            review_minutes: g.review_minutes,
            clause: g.clause,
        });
    }

    /// The matrix, and whether the team can work under it at all.
    fn conflicts(&mut self, written: Vec<WrittenConflict>, team: &mut Team) {
        for line in written {
            let [a, b] = line.duties;
            let place = format!("[[conflict]] {} and {}", a.word(), b.word());
            if a == b {
                self.wrong(&place, "names one duty twice; name two".to_owned());
            }
            if line.apart.is_empty() {
                self.wrong(
                    &place,
                    "asks for nothing: `apart` names what must differ".to_owned(),
                );
            }
            if line.tiers.as_ref().is_some_and(BTreeSet::is_empty) {
                self.wrong(&place, "has no tier; leave `tiers` out for all".to_owned());
            }
            self.clause(&place, &line.clause);
            team.conflicts.lines.push(Conflict {
                duties: (a, b),
                tiers: line
                    .tiers
                    .unwrap_or_else(|| [Tier::Low, Tier::Elevated, Tier::High].into()),
                apart: line.apart,
                clause: line.clause,
            });
        }
        for unfit in conflict::unfit(team) {
            let [(a, does), (b, other)] = unfit.agents;
            let behind = unfit
                .clause
                .map_or("no release can allow that".to_owned(), |c| {
                    format!("clause {c} asks that it differ")
                });
            self.wrong(
                &format!("[[agent]] {a}"),
                format!(
                    "{} as `{b}`, and would {} where that one would {}: {behind}",
                    unfit.same,
                    does.word(),
                    other.word()
                ),
            );
        }
    }

    fn tools(
        &mut self,
        written: Vec<WrittenTool>,
    ) -> (BTreeMap<String, Tool>, BTreeMap<String, ToolTypes>) {
        let (mut tools, mut all_types) = (BTreeMap::new(), BTreeMap::new());
        let names: Vec<_> = written.iter().map(|t| (t.name.clone(), t.effect)).collect();
        for t in written {
            let place = format!("[[tool]] {}", t.name);
            if t.name
                .split_once('.')
                .is_none_or(|(server, tool)| server.is_empty() || tool.is_empty())
            {
                self.wrong(&place, "a tool is named `<server>.<tool>`".to_owned());
            }
            let mut types = ToolTypes {
                args: t.args.map(|args| self.types(&place, args)),
                facts: None,
            };
            let (facts, fact_types) = match t.facts {
                WrittenFacts::Names(names) => {
                    let none = names.is_empty();
                    (names, none.then(Fields::new))
                }
                WrittenFacts::Typed(typed) => {
                    let names = typed.keys().cloned().collect();
                    (names, Some(self.types(&place, typed)))
                }
            };
            if t.facts_as.is_none() && !facts.is_empty() {
                self.wrong(
                    &place,
                    "takes facts and says not under which name: add `facts_as`".to_owned(),
                );
            }
            if t.effect && t.facts_as.is_some() {
                self.wrong(
                    &place,
                    "facts are taken from tools without effect".to_owned(),
                );
            }
            let by_caller = t.effect_by == Some(EffectBy::Caller);
            if t.effect_by.is_some() && !t.effect {
                self.wrong(
                    &place,
                    "has no effect that anybody carries out; leave `effect_by` out".to_owned(),
                );
            }
            let key = match &t.idempotency {
                Some(WrittenKey::Argument(name)) => Some(name.clone()),
                Some(WrittenKey::Taken(true)) => {
                    self.wrong(
                        &place,
                        "names no argument in `idempotency`: the name of one, or `false`"
                            .to_owned(),
                    );
                    None
                }
                Some(WrittenKey::Taken(false)) | None => None,
            };
            if key.is_none() && t.effect && t.lookup.is_some() {
                self.wrong(
                    &place,
                    "has a `lookup` by the grant's id and no `idempotency` that takes it"
                        .to_owned(),
                );
            }
            if by_caller && t.idempotency.is_some() {
                self.wrong(
                    &place,
                    "the engine does not call it, so that it cannot fill `idempotency`; leave it out: its caller gets the grant's id"
                        .to_owned(),
                );
            }
            if !by_caller && t.effect != t.idempotency.is_some() {
                self.wrong(
                    &place,
                    "a tool with an effect needs `idempotency`, and only such a tool: the argument that takes the grant's id, by which a lost answer is looked up, or `false` where its server takes none".to_owned(),
                );
            }
            if let Some(lookup) = &t.lookup
                && !names.contains(&(lookup.clone(), false))
            {
                self.wrong(
                    &place,
                    format!("`lookup` names `{lookup}`, which is no `[[tool]]` without effect"),
                );
            }
            if let (Some(field), Some(args)) = (&key, &types.args)
                && args.contains_key(field)
            {
                self.wrong(
                    &place,
                    format!("`args` has `{field}`, which the engine alone sets; leave it out"),
                );
            }
            types.facts = t.facts_as.clone().map(|namespace| (namespace, fact_types));
            all_types.insert(t.name.clone(), types);
            let tool = Tool {
                name: t.name.clone(),
                effect: t.effect,
                facts_as: t.facts_as,
                facts,
                idempotency: key,
                lookup: t.lookup,
                by_caller,
                pinned: None,
            };
            if tools.insert(t.name, tool).is_some() {
                self.wrong(&place, "is there twice".to_owned());
            }
        }
        (tools, all_types)
    }

    fn types(&mut self, place: &str, written: BTreeMap<String, String>) -> Fields {
        let mut fields = Fields::new();
        for (name, t) in written {
            match t.parse() {
                Ok(t) => {
                    fields.insert(name, t);
                }
                Err(why) => self.wrong(place, format!("`{name}`: {why}")),
            }
        }
        fields
    }

    fn needs(&mut self, place: &str, folder: &str, path: &str) -> Option<String> {
        if !path.starts_with(folder) {
            self.wrong(place, format!("names `{path}`; it belongs in `{folder}`"));
            return None;
        }
        let text = self.files.get(path).cloned();
        if text.is_none() {
            self.wrong(
                place,
                format!(
                    "names `{path}`, which is not among the release's files; add it or name another"
                ),
            );
        }
        text
    }

    fn clause(&mut self, place: &str, id: &str) {
        if !(self.has_clause)(id) {
            self.wrong(
                place,
                format!("names clause `{id}`, which no policy document has"),
            );
        }
    }

    fn wrong(&mut self, place: &str, what: String) {
        self.problems.add(format!("{TEAM} {place}"), what);
    }
}

/// Whether a tool's answers put this fact into records.
pub(crate) fn records(tools: &BTreeMap<String, Tool>, namespace: &str, field: &str) -> bool {
    tools
        .values()
        .any(|t| t.facts_as.as_deref() == Some(namespace) && t.facts.iter().any(|f| f == field))
}

/// What stands before the first `/` of a model's id.
fn family(model: &str) -> Option<String> {
    model.split_once('/').map(|(family, _)| family.to_owned())
}
