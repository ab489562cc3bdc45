//! Retrieval: which clauses a question is about, by its words and, where the release has vectors, by its meaning too.
//!
//! The same query over the same release ranks the same on every machine: words are ranked by [`bm25`] and meanings by products
//! of [`vectors`], both in whole numbers. Where both rank, each list gives its first [`DEPTH`] clauses `1 / (`[`K`]` + rank)`,
//! and the sums rank (reciprocal rank fusion; Cormack, Clarke and Büttcher, SIGIR 2009). Equal ones go by id.

mod bm25;
mod settings;
mod vectors;
mod words;

use duty::{release::ClauseRef, time::Time};

use bm25::{Bm25, Fields, milli};
pub use bm25::{Counts, TermMatch};
pub(crate) use settings::Settings;
pub(crate) use vectors::{Book, FOLDER, Matrix};
pub use vectors::{Embedder, Vector, embedded_text, vector_files};

use crate::clause::Clause;

/// How much the first ranks count over the later ones.
const K: usize = 60;
/// How many clauses of each list are fused.
const DEPTH: usize = 50;
/// What `1 / 1` counts as when lists are fused, in thousandths.
const WHOLE: i64 = 1_000_000;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// The question.
    pub text: &'q str,
    /// Its vector; not needed where the release ranks by words alone, or holds the vector of this very text.
    pub vector: Option<&'q Vector>,
    /// Clauses in force at this moment are found.
    pub at: Time,
}

/// A clause that retrieval found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The clause.
    pub clause: ClauseRef,
    /// In thousandths, larger is better: of a point of BM25 where words rank alone; where meanings rank too, of the sum of
    /// `1000 / (60 + rank)`. 0 for what is found only because the release binds it to an action.
    pub score_milli: i64,
    /// Its title.
    pub title: String,
    /// Whether the release binds it to an action, so that it is always found.
    pub bound: bool,
    /// Its place by words.
    pub by_words: Option<Place>,
    /// Its place by meaning; the score is the cosine of the angle between the vectors.
    pub by_meaning: Option<Place>,
}

/// A place in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// From 1.
    pub rank: usize,
    /// In thousandths.
    pub score_milli: i64,
}

/// The index over one release's clauses.
pub(crate) struct Index {
    bm25: Bm25,
    meanings: Option<Matrix>,
}

impl Index {
    pub(crate) fn new(clauses: &[Clause], settings: &Settings, meanings: Option<Matrix>) -> Self {
        let fields = clauses.iter().map(|c| Fields {
            id: &c.id,
            title: &c.title,
            section: &c.section,
            text: &c.text,
        });
        Self {
            bm25: Bm25::new(settings.words(), fields),
            meanings,
        }
    }

    /// The best clauses for a query, at most `limit`, best first.
    pub(crate) fn search(
        &self,
        clauses: &[Clause],
        query: &Query<'_>,
        limit: usize,
    ) -> Result<Vec<Found>, String> {
        let in_force = |place: usize| clauses[place].in_force(query.at);
        let depth = if self.meanings.is_some() {
            DEPTH
        } else {
            limit
        };
        let words = self.bm25.scores(query.text);
        let words = words.into_iter().filter(|(place, _)| in_force(*place));
        let words = best(clauses, words.collect(), depth);
        let Some(meanings) = &self.meanings else {
            let found = words.into_iter().enumerate().map(|(i, (place, score))| {
                let mut found = found(&clauses[place]);
                found.score_milli = milli(score);
                found.by_words = Some(at(i, found.score_milli));
                found
            });
            return Ok(found.collect());
        };
        let Some(vector) = query.vector else {
            return Err("the release ranks by meaning too, and the query has no vector".to_owned());
        };
        let products = meanings.products(vector)?.into_iter().enumerate();
        let products = products.filter(|(place, _)| in_force(*place));
        let meant = best(clauses, products.collect(), depth);
        let mut fused: Vec<(usize, Found)> = Vec::new();
        let mut of = |place: usize| -> usize {
            let known = fused.iter().position(|(p, _)| *p == place);
            known.unwrap_or_else(|| {
                fused.push((place, found(&clauses[place])));
                fused.len() - 1
            })
        };
        let by_words: Vec<_> = words.iter().map(|(place, _)| of(*place)).collect();
        let by_meaning: Vec<_> = meant.iter().map(|(place, _)| of(*place)).collect();
        for (i, (n, (_, score))) in by_words.into_iter().zip(words).enumerate() {
            fused[n].1.by_words = Some(at(i, milli(score)));
        }
        for (i, (n, (_, product))) in by_meaning.into_iter().zip(meant).enumerate() {
            fused[n].1.by_meaning = Some(at(i, i64::from(product) * 1000 / (127 * 127)));
        }
        for (_, found) in &mut fused {
            let ranks = [found.by_words, found.by_meaning].into_iter().flatten();
            found.score_milli = ranks
                .map(|p| WHOLE / i64::try_from(K + p.rank).unwrap_or(i64::MAX))
                .sum();
        }
        fused.sort_by(|(a, x), (b, y)| {
            let by_score = y.score_milli.cmp(&x.score_milli);
            by_score.then_with(|| order(clauses, *a, *b))
        });
        fused.truncate(limit);
        Ok(fused.into_iter().map(|(_, found)| found).collect())
    }

    /// Why the words of a query find a clause.
    pub(crate) fn explain(&self, query: &str, place: usize) -> Vec<TermMatch> {
        self.bm25.explain(query, place)
    }
}

fn found(clause: &Clause) -> Found {
    Found {
        clause: clause.reference(),
        score_milli: 0,
        title: clause.title.clone(),
        bound: false,
        by_words: None,
        by_meaning: None,
    }
}

fn at(index: usize, score_milli: i64) -> Place {
    Place {
        rank: index + 1,
        score_milli,
    }
}

/// No order is left to chance: equal scores go by id, and then by place.
fn order(clauses: &[Clause], a: usize, b: usize) -> std::cmp::Ordering {
    clauses[a].id.cmp(&clauses[b].id).then(a.cmp(&b))
}

/// The best of a list, best first.
fn best<S: Ord + Copy>(
    clauses: &[Clause],
    mut scored: Vec<(usize, S)>,
    limit: usize,
) -> Vec<(usize, S)> {
    let compare =
        |a: &(usize, S), b: &(usize, S)| b.1.cmp(&a.1).then_with(|| order(clauses, a.0, b.0));
    if scored.len() > limit && limit > 0 {
        scored.select_nth_unstable_by(limit - 1, compare);
    }
    scored.truncate(limit);
    scored.sort_by(compare);
    scored
}
