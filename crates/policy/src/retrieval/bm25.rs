//! BM25 over the fields of clauses, in whole numbers: every machine comes to the same scores.
//!
//! A term counts with `idf · tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / average))`, where `tf` is the sum of its counts
//! in title, section and text, each with its weight, and `idf` is `ln(1 + (N − n + ½) / (n + ½))`. All of it is known when the
//! index is built, so that a query only adds up. Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
//! Beyond", 2009.

use std::collections::{BTreeMap, HashMap};

use super::words::Words;

/// Binary places of fractions.
const PLACES: u32 = 16;
const ONE: u64 = 1 << PLACES;

/// How much a term's repetition counts: 1.2.
const K1: u64 = ONE * 12 / 10;
/// How much a clause's length counts: 0.75.
const B: u64 = ONE * 75 / 100;
/// How often a word of a title, of a section's heading and of the text counts.
const WEIGHTS: Counts = Counts {
    title: 3,
    section: 1,
    text: 1,
};
/// What a synonym's term counts for, in percent of the word that was asked for.
const SYNONYM_PERCENT: u64 = 80;

/// How often a term is in the fields of a clause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// In its title, or as its id.
    pub title: u16,
    /// In its section's heading.
    pub section: u16,
    /// In its text.
    pub text: u16,
}

impl Counts {
    fn weighted(self) -> u64 {
        u64::from(self.title) * u64::from(WEIGHTS.title)
            + u64::from(self.section) * u64::from(WEIGHTS.section)
            + u64::from(self.text) * u64::from(WEIGHTS.text)
    }
}

/// A term in one clause.
struct Posting {
    clause: u32,
    counts: Counts,
    /// What it counts for, in 1/65,536.
    points: u32,
}

/// A clause's fields.
pub(crate) struct Fields<'c> {
    pub(crate) id: &'c str,
    pub(crate) title: &'c str,
    pub(crate) section: &'c str,
    pub(crate) text: &'c str,
}

/// A term of a query in one clause.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TermMatch {
    /// The term as it was asked for, stemmed.
    pub term: String,
    /// The term that was found instead, where it is a synonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synonym: Option<String>,
    /// Where it is.
    pub counts: Counts,
    /// What it counts for, in thousandths.
    pub points_milli: i64,
}

/// The index.
pub(crate) struct Bm25 {
    words: Words,
    terms: HashMap<String, Vec<Posting>>,
    clauses: usize,
}

impl Bm25 {
    pub(crate) fn new<'c>(words: Words, clauses: impl Iterator<Item = Fields<'c>>) -> Self {
        let mut counted: HashMap<String, Vec<Posting>> = HashMap::new();
        let mut lengths = Vec::new();
        for fields in clauses {
            let clause = u32::try_from(lengths.len()).unwrap_or(u32::MAX);
            let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
            let mut count = |text: &str, field: fn(&mut Counts) -> &mut u16| {
                for term in words.terms(text) {
                    let n = field(counts.entry(term).or_default());
                    *n = n.saturating_add(1);
                }
            };
            count(fields.id, |c| &mut c.title);
            count(fields.title, |c| &mut c.title);
            count(fields.section, |c| &mut c.section);
            count(fields.text, |c| &mut c.text);
            lengths.push(counts.values().map(|c| c.weighted()).sum::<u64>());
            for (term, counts) in counts {
                counted.entry(term).or_default().push(Posting {
                    clause,
                    counts,
                    points: 0,
                });
            }
        }
        let all: u64 = lengths.iter().sum();
        let number = lengths.len() as u64;
        for postings in counted.values_mut() {
            let idf = idf(number, postings.len() as u64);
            for posting in postings {
                let length = lengths[posting.clause as usize];
                // Length over the average, in 1/65,536.
                let relative = length * number * ONE / all.max(1);
                let norm = ONE - B + ((B * relative) >> PLACES);
                let tf = posting.counts.weighted() * ONE;
                let points = (idf * (tf * (K1 + ONE) / (tf + ((K1 * norm) >> PLACES)))) >> PLACES;
                posting.points = u32::try_from(points).unwrap_or(u32::MAX);
            }
        }
        Self {
            words,
            terms: counted,
            clauses: lengths.len(),
        }
    }

    /// Clauses that have a term of the query, with their scores in 1/65,536, in order of place.
    pub(crate) fn scores(&self, query: &str) -> Vec<(usize, u64)> {
        let mut sums = vec![0_u64; self.clauses];
        for asked in self.asked(query) {
            for posting in self.terms.get(&asked.found).into_iter().flatten() {
                sums[posting.clause as usize] += asked.points(posting);
            }
        }
        let sums = sums.into_iter().enumerate();
        sums.filter(|(_, sum)| *sum > 0).collect()
    }

    /// Why a clause has its score, the weightiest term first.
    pub(crate) fn explain(&self, query: &str, clause: usize) -> Vec<TermMatch> {
        let mut matches = Vec::new();
        for asked in self.asked(query) {
            let postings = self.terms.get(&asked.found).map_or(&[][..], Vec::as_slice);
            let at = postings.binary_search_by_key(&clause, |p| p.clause as usize);
            let Ok(at) = at else { continue };
            let posting = &postings[at];
            matches.push(TermMatch {
                synonym: (asked.found != asked.term).then_some(asked.found),
                term: asked.term,
                counts: posting.counts,
                points_milli: milli(asked.weight * u64::from(posting.points) / 100),
            });
        }
        matches.sort_by(|a, b| {
            let by_points = b.points_milli.cmp(&a.points_milli);
            by_points.then_with(|| a.term.cmp(&b.term))
        });
        matches
    }

    /// What a query asks for: each of its terms once, and what the release says is the same.
    fn asked(&self, query: &str) -> Vec<Asked> {
        let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
        let mut terms = self.words.terms(query);
        terms.sort();
        terms.dedup();
        for term in &terms {
            let own = Asked {
                term: term.clone(),
                found: term.clone(),
                weight: 100,
            };
            asked.insert(term.clone(), own);
        }
        for term in &terms {
            for synonym in self.words.synonyms(term) {
                asked.entry(synonym.clone()).or_insert_with(|| Asked {
                    term: term.clone(),
                    found: synonym.clone(),
                    weight: SYNONYM_PERCENT,
                });
            }
        }
        asked.into_values().collect()
    }
}

/// A term to look for.
struct Asked {
    term: String,
    found: String,
    /// In percent.
    weight: u64,
}

impl Asked {
    fn points(&self, posting: &Posting) -> u64 {
        self.weight * u64::from(posting.points) / 100
    }
}

/// A score in 1/65,536 in thousandths.
pub(crate) fn milli(points: u64) -> i64 {
    i64::try_from((points * 1000) >> PLACES).unwrap_or(i64::MAX)
}

/// `ln(1 + (N − n + ½) / (n + ½))` in 1/65,536: that is `ln((2N + 2) / (2n + 1))`.
fn idf(number: u64, with: u64) -> u64 {
    ln(2 * number + 2, 2 * with + 1)
}

/// The natural logarithm of a ratio that is at least 1, in 1/65,536: its whole part is a position of a bit, and each binary
/// place of the rest comes by squaring.
fn ln(over: u64, under: u64) -> u64 {
    /// ln 2 in 1/65,536.
    const LN_2: u64 = 45_426;
    let mut ratio = (u128::from(over) << 32) / u128::from(under);
    let whole = ratio.ilog2() - 32;
    ratio >>= whole;
    let mut log = u64::from(whole);
    for _ in 0..PLACES {
        ratio = (ratio * ratio) >> 32;
        let bit = ratio >> 33;
        ratio >>= bit;
        log = (log << 1) | u64::from(bit == 1);
    }
    (log * LN_2) >> PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_real_numbers() {
        for (over, under) in [
            (1, 1),
            (2, 1),
            (3, 1),
            (10, 3),
            (40_002, 1),
            (40_002, 39_999),
        ] {
            let exact = (over as f64 / under as f64).ln() * 65_536.0;
            let ours = ln(over, under) as f64;
            assert!((exact - ours).abs() < 4.0, "{over}/{under}: {exact} {ours}");
        }
    }

    fn index(texts: &[(&str, &str)]) -> Bm25 {
        let fields = texts.iter().map(|(title, text)| Fields {
            id: "A-1",
            title,
            section: "",
            text,
        });
        Bm25::new(
            Words::new("english", &[], &[vec!["bill".into(), "invoice".into()]]),
            fields,
        )
    }

    #[test]
    fn the_score_is_what_the_formula_says() {
        let texts = [
            ("alpha", "beta gamma"),
            ("delta", "beta beta beta"),
            ("x", "y"),
        ];
        let index = index(&texts);
        // Weighted lengths with the id, which counts as a word of the title: 3 + 3 + 2, 3 + 3 + 3, 3 + 3 + 1.
        let average = (8.0 + 9.0 + 7.0) / 3.0;
        let idf = (1.0_f64 + (3.0 - 2.0 + 0.5) / 2.5).ln();
        let score =
            |tf: f64, length: f64| idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average));
        let scores = index.scores("beta");
        for ((_, ours), exact) in scores.iter().zip([score(1.0, 8.0), score(3.0, 9.0)]) {
            assert!(
                (*ours as f64 / 65_536.0 - exact).abs() < 0.001,
                "{ours} {exact}"
            );
        }
        assert_eq!(scores.len(), 2);
    }

    #[test]
    fn a_synonym_counts_less_and_is_named_and_parts_add_up() {
        let index = index(&[
            ("invoice", "is paid"),
            ("bill", "is paid"),
            ("other", "words"),
        ]);
        let scores = index.scores("a bill paid");
        let of = |clause| scores.iter().find(|(c, _)| *c == clause).unwrap().1;
        assert!(of(1) > of(0));
        let why = index.explain("a bill paid", 0);
        assert_eq!(why[0].synonym.as_deref(), Some("invoic"));
        let sum: i64 = why.iter().map(|m| m.points_milli).sum();
        assert!((sum - milli(of(0))).abs() <= 2);
        assert!(index.explain("a bill paid", 2).is_empty());
    }
}
