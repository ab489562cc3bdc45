//! Decision tables of the built-in rule model: rows in order, the first that holds decides.

use duty::{
    action::Action,
    facts::Facts,
    name::{CaseId, Environment},
    request::Stance,
};

use crate::{ask::Question, cedar::RuleBook, index::Indexed, problem::Problems};

/// Annotations that only a table's rows carry.
pub(crate) const NOTES: &[&str] = &[
    "priority",
    "recommend",
    "confidence",
    "query",
    "cite",
    "rationale",
];

/// What a table is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// Where the case runs.
    pub environment: &'a Environment,
    /// The case.
    pub case: &'a CaseId,
    /// What it is about.
    pub subject: &'a str,
    /// All plain fields of the agent's own answers.
    pub facts: &'a Facts,
    /// What was prepared: a reviewer's rows see its tool and its arguments, a preparer's do not.
    pub proposed: Option<&'a Action>,
}

/// What a table says of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableVerdict {
    /// The row that decided.
    pub row: String,
    /// What it recommends.
    pub stance: Stance,
    /// In whole percent.
    pub confidence: u8,
    /// What to look for in the policies.
    pub query: String,
    /// Ids of clauses to cite, where retrieval finds them.
    pub cite: Vec<String>,
    /// In plain sentences.
    pub rationale: String,
    /// Why a row could not be evaluated, where that stopped the table.
    pub problem: Option<String>,
}

/// The table of one agent.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    set: Indexed,
    priority: u32,
    verdict: TableVerdict,
}

impl Table {
    pub(crate) fn new(
        book: &RuleBook,
        has_clause: &dyn Fn(&str) -> bool,
        problems: &mut Problems,
    ) -> Self {
        let mut rows = Vec::new();
        for rule in book.rules() {
            let place = rule.name.clone();
            let note = |name: &str, problems: &mut Problems| {
                let found = rule.notes.get(name).cloned();
                found.unwrap_or_else(|| {
                    problems.add(&place, format!("has no `@{name}(\"…\")`"));
                    String::new()
                })
            };
            let priority = note("priority", problems);
            let priority = priority.parse().unwrap_or_else(|_| {
                problems.add(&place, format!("priority `{priority}` is no whole number"));
                0
            });
            let stance = match note("recommend", problems).as_str() {
                "proceed" => Stance::Proceed,
                "refuse" => Stance::Refuse,
                "refer" => Stance::Refer,
                other => {
                    problems.add(
                        &place,
                        format!("recommends `{other}`: write proceed, refuse or refer"),
                    );
                    Stance::Refer
                }
            };
            let confidence = note("confidence", problems);
            let confidence = confidence
                .parse()
                .ok()
                .filter(|c| *c <= 100)
                .unwrap_or_else(|| {
                    problems.add(
                        &place,
                        format!("confidence `{confidence}` is no whole percent"),
                    );
                    0
                });
            let cite: Vec<String> = note("cite", problems)
                .split(',')
                .map(|s| s.trim().to_owned())
                .collect();
            for clause in cite.iter().filter(|c| !has_clause(c)) {
                problems.add(
                    &place,
                    format!("cites clause `{clause}`, which no policy document has"),
                );
            }
            if rule.forbids {
                problems.add(&place, "a row of a table is a `permit`");
            }
            rows.push(Row {
                name: rule.name.clone(),
                set: rule.alone(),
                priority,
                verdict: TableVerdict {
                    row: rule.id.clone(),
                    stance,
                    confidence,
                    query: note("query", problems),
                    cite,
                    rationale: note("rationale", problems),
                    problem: None,
                },
            });
        }
        rows.sort_by(|a, b| (a.priority, &a.verdict.row).cmp(&(b.priority, &b.verdict.row)));
        for pair in rows.windows(2).filter(|w| w[0].priority == w[1].priority) {
            let a = &pair[0].verdict.row;
            problems.add(
                &pair[1].name,
                format!("has the same priority as `{a}`; which comes first must be said"),
            );
        }
        Self { rows }
    }

    pub(crate) fn decide(&self, question: Question<'_>) -> TableVerdict {
        let posed = match question.pose() {
            Ok(posed) => posed,
            Err(why) => {
                let said = "The case cannot be put to the table.".to_owned();
                return undecided(said, Some(why));
            }
        };
        for row in &self.rows {
            let answer = row.set.answer(&posed);
            if answer.allowed {
                return row.verdict.clone();
            }
            if let Some((_, why)) = answer.faults.into_iter().next() {
                return row.stopped(why);
            }
        }
        undecided("No row of the table holds.".to_owned(), None)
    }

    pub(crate) fn verdicts(&self) -> impl Iterator<Item = &TableVerdict> {
        self.rows.iter().map(|r| &r.verdict)
    }
}

fn undecided(rationale: String, problem: Option<String>) -> TableVerdict {
    TableVerdict {
        row: "none".to_owned(),
        stance: Stance::Refer,
        confidence: 0,
        query: "a human decides".to_owned(),
        cite: Vec::new(),
        rationale,
        problem,
    }
}

impl Row {
    /// A row that cannot be evaluated: a human decides, and is told why.
    fn stopped(&self, why: String) -> TableVerdict {
        TableVerdict {
            stance: Stance::Refer,
            confidence: 0,
            rationale: format!("Row `{}` could not be evaluated.", self.verdict.row),
            problem: Some(why),
            ..self.verdict.clone()
        }
    }
}
