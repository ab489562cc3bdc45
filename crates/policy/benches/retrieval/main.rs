//! Retrieval, measured: how often the right clause is found first and among five, and how fast, in the example's policies alone
//! and among many other clauses of a company.
//!
//! `cargo bench -p policy --bench retrieval`. Set `RETRIEVAL_MISSES=1` to see what of the tuning half is missed.
//!
//! With meanings too: `RETRIEVAL_TEXTS=FILE` writes every text that is to be embedded, a JSON string a line, and ends; a model
//! makes a JSON array of each (`tests/retrieval/embed.py`), and `RETRIEVAL_TEXTS=FILE RETRIEVAL_VECTORS=FILE` measures both ways.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod company;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Instant,
};

use duty::{canonical::Digest, time::Time};
use policy::{Query, Release, Vector, vector_files};

const SIZES: [usize; 3] = [0, 1_000, 20_000];

/// A question with the clauses that answer it.
struct Question {
    text: String,
    right: Vec<String>,
}

fn main() {
    let questions = questions();
    println!(
        "{} questions, {} of them without an answer",
        questions.len(),
        questions.iter().filter(|q| q.right.is_empty()).count()
    );
    let vectors = match (
        std::env::var("RETRIEVAL_TEXTS"),
        std::env::var("RETRIEVAL_VECTORS"),
    ) {
        (Ok(texts), Ok(vectors)) => Some(read_vectors(&texts, &vectors)),
        (Ok(texts), Err(_)) => return write_texts(&texts, &questions),
        _ => None,
    };
    println!(
        "\n| clauses | ranked by | tuning @1 | @5 | held out @1 | @5 | all @1 | @5 | p50 | p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for size in SIZES {
        let files = files(size);
        let began = Instant::now();
        let release = Release::from_files(files.clone()).unwrap();
        let loaded = began.elapsed();
        measure(&release, &questions, None);
        eprintln!("loaded {} clauses in {loaded:.0?}", release.clauses().len());
        let Some(vectors) = &vectors else { continue };
        match with_vectors(files, vectors) {
            Some(files) => measure(
                &Release::from_files(files).unwrap(),
                &questions,
                Some(vectors),
            ),
            None => eprintln!("not all of these clauses have vectors: measured by words alone"),
        }
    }
}

/// Vectors by the digest of their text.
type Vectors = BTreeMap<Digest, Vector>;

fn digest(text: &str) -> Digest {
    Digest::of_bytes(text.as_bytes())
}

fn write_texts(path: &str, questions: &[Question]) {
    // The questions first, and the few clauses before the many: vectors of the first so many lines are enough for a part.
    let mut all: Vec<String> = questions.iter().map(|q| q.text.clone()).collect();
    for size in SIZES {
        let needed = Release::to_embed(by_meaning_too(files(size))).unwrap();
        all.extend(needed.texts);
        let mut seen = BTreeSet::new();
        all.retain(|text| seen.insert(text.clone()));
        eprintln!("{} texts with {size} clauses", all.len());
    }
    let lines: Vec<_> = all
        .iter()
        .map(|t| serde_json::to_string(t).unwrap())
        .collect();
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

fn read_vectors(texts: &str, vectors: &str) -> Vectors {
    let (texts, vectors) = [texts, vectors]
        .map(|p| fs::read_to_string(p).unwrap())
        .into();
    let pairs = texts.lines().zip(vectors.lines()).map(|(text, vector)| {
        let text: String = serde_json::from_str(text).unwrap();
        let numbers: Vec<f32> = serde_json::from_str(vector).unwrap();
        (digest(&text), Vector::of(&numbers).unwrap())
    });
    pairs.collect()
}

/// The same files, of a release that ranks by meaning too; without vectors yet.
fn by_meaning_too(mut files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let team = files.get_mut("team.toml").unwrap();
    let with = team.replacen("[retrieval]\n", "[retrieval]\nembedder = \"minilm\"\n", 1);
    assert_ne!(*team, with, "the example has settings of retrieval");
    *team = with;
    files
}

/// The same files with their vectors; none where some are missing.
fn with_vectors(
    files: BTreeMap<String, String>,
    vectors: &Vectors,
) -> Option<BTreeMap<String, String>> {
    let mut files = by_meaning_too(files);
    let needed = Release::to_embed(files.clone()).unwrap();
    let digests = needed.texts.iter().map(|text| digest(text));
    let own: Option<Vectors> = digests
        .map(|d| Some((d, vectors.get(&d)?.clone())))
        .collect();
    files.extend(vector_files(&needed.embedder, &own?));
    Some(files)
}

/// One line of the table.
fn measure(release: &Release, questions: &[Question], vectors: Option<&Vectors>) {
    let at = at();
    let query = |q: &'_ Question| -> Vec<String> {
        let query = Query {
            text: &q.text,
            vector: vectors.map(|v| &v[&digest(&q.text)]),
            at,
        };
        let found = release.search(&query, 8).unwrap();
        found.into_iter().map(|f| f.clause.id).collect()
    };
    let mut hits = [[0_usize; 2]; 2];
    let mut asked = [0_usize; 2];
    for (i, q) in questions
        .iter()
        .enumerate()
        .filter(|(_, q)| !q.right.is_empty())
    {
        let found = query(q);
        let rank = found.iter().position(|id| q.right.contains(id));
        asked[i % 2] += 1;
        hits[i % 2][0] += usize::from(rank == Some(0));
        hits[i % 2][1] += usize::from(rank.is_some_and(|r| r < 5));
        if i % 2 == 0 && rank != Some(0) && std::env::var_os("RETRIEVAL_MISSES").is_some() {
            eprintln!(
                "{} {:?}: {:?}",
                q.text,
                q.right,
                &found[..found.len().min(5)]
            );
        }
    }
    let mut times: Vec<_> = (0..20)
        .flat_map(|_| questions)
        .map(|q| {
            let began = Instant::now();
            std::hint::black_box(query(q));
            began.elapsed()
        })
        .collect();
    times.sort();
    let percent = |half: &[usize], n: usize| {
        let (hits, asked): (usize, usize) = half
            .iter()
            .map(|h| (hits[*h][n], asked[*h]))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        format!("{:.1} %", 100.0 * hits as f64 / asked as f64)
    };
    println!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {:.2?} | {:.2?} |",
        release.clauses().len(),
        if vectors.is_some() {
            "words and meaning"
        } else {
            "words"
        },
        percent(&[0], 0),
        percent(&[0], 1),
        percent(&[1], 0),
        percent(&[1], 1),
        percent(&[0, 1], 0),
        percent(&[0, 1], 1),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

/// A moment at which the example's policies are in force.
fn at() -> Time {
    "2026-06-01T00:00:00.000Z".parse().unwrap()
}

fn questions() -> Vec<Question> {
    let lines = include_str!("questions.tsv").lines();
    let lines = lines.filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            let right = fields[2].split(' ').filter(|id| *id != "-");
            Question {
                text: fields[1].to_owned(),
                right: right.map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// The example's release, with other clauses of a company up to `size`.
fn files(size: usize) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/payables/release");
    let mut files = BTreeMap::new();
    for folder in [
        "",
        "courses",
        "permissions",
        "policies",
        "prompts",
        "tables",
        "thresholds",
    ] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let own = Release::from_files(files.clone()).unwrap().clauses().len();
    files.extend(company::policies(size.saturating_sub(own)));
    files
}
