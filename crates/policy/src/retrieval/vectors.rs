//! Vectors: what texts mean, as whole numbers, kept in the release by the digest of what was embedded.
//!
//! `vectors/*.txt` holds a line `embedder <name> <dimensions>` and then, for each text, its SHA-256 and the base64 of one
//! signed byte per dimension. A vector is its model's, scaled to length 127 and rounded, so that a product of two is a whole
//! number and every machine ranks the same.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::canonical::Digest;
use pulp::{Arch, Simd, WithSimd};

use crate::{clause::Clause, problem::Problems};

/// The folder of a release that holds vectors.
pub(crate) const FOLDER: &str = "vectors/";
/// The most dimensions.
const MOST: usize = 4096;
/// The length to which a vector is scaled.
const LENGTH: f64 = 127.0;

/// A text's vector: one signed byte per dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector(Vec<i8>);

impl Vector {
    /// From a model's numbers, of whatever length.
    ///
    /// # Errors
    /// Where there are none or too many, or they have no length.
    pub fn of(numbers: &[f32]) -> Result<Self, String> {
        let squares: f64 = numbers.iter().map(|n| f64::from(*n).powi(2)).sum();
        let length = squares.sqrt();
        if numbers.is_empty() || numbers.len() > MOST || !length.is_finite() || length == 0.0 {
            return Err(format!(
                "{} numbers of length {length} are no vector; 1 to {MOST} numbers that are not all 0 are",
                numbers.len()
            ));
        }
        let scaled = numbers
            .iter()
            .map(|n| byte(f64::from(*n) / length * LENGTH));
        Ok(Self(scaled.collect()))
    }

    /// How many dimensions.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// As records hold it: base64.
    #[must_use]
    pub fn written(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().map(|n| n.cast_unsigned()).collect();
        BASE64_STANDARD.encode(bytes)
    }

    /// From how records hold it.
    ///
    /// # Errors
    /// Where it is no base64, or of no dimension or too many.
    pub fn read(written: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD
            .decode(written)
            .map_err(|e| format!("the vector is no base64: {e}"))?;
        if bytes.is_empty() || bytes.len() > MOST {
            return Err(format!("the vector has {} dimensions", bytes.len()));
        }
        Ok(Self(bytes.into_iter().map(u8::cast_signed).collect()))
    }
}

/// The products of a vector with rows, compiled for each width of registers that processors have. They are whole numbers, and
/// so the same on all.
struct Products<'v> {
    query: &'v [i8],
    rows: &'v [i8],
    products: &'v mut [i32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.rows.chunks_exact(self.query.len());
        for (product, row) in self.products.iter_mut().zip(rows) {
            *product = dot(self.query, row);
        }
    }
}

/// The product of two vectors of one length: 16,129 where they point the same way.
#[inline(always)]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    // A loop, since only what is inlined here is compiled for the width.
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        sum += i32::from(*a) * i32::from(*b);
    }
    sum
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "held within the range of a signed byte"
)]
fn byte(n: f64) -> i8 {
    n.round().clamp(-127.0, 127.0) as i8
}

/// Makes vectors of texts. Its name is what a release pins, so a change of the model is a change of the name.
pub trait Embedder: Send + Sync {
    /// Like `http/text-embedding-3-small`.
    fn name(&self) -> &str;

    /// One vector for each text, in their order. It may wait for a network or compute for long.
    ///
    /// # Errors
    /// Where they cannot be made, in words for people.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, String>;
}

/// What of a clause is embedded.
#[must_use]
pub fn embedded_text(clause: &Clause) -> String {
    format!("{}. {}", clause.title, clause.text)
}

/// The vectors of a release, by the digest of their text.
#[derive(Debug, Default)]
pub(crate) struct Book {
    dimensions: usize,
    by_text: HashMap<Digest, Vector>,
}

impl Book {
    /// Reads all files of vectors, which must be of one embedder.
    pub(crate) fn read(
        files: &BTreeMap<String, String>,
        embedder: Option<&str>,
        problems: &mut Problems,
    ) -> Self {
        let mut book = Self::default();
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
            let Some(embedder) = embedder else {
                problems.add(
                    path,
                    "is used by nothing: `team.toml` names no `[retrieval] embedder`",
                );
                continue;
            };
            for (i, line) in text.lines().enumerate() {
                let read = match i {
                    0 => book.head(line, embedder),
                    _ => book.line(line),
                };
                if let Err(why) = read {
                    problems.add(format!("{path}:{}", i + 1), why);
                    break;
                }
            }
        }
        book
    }

    fn head(&mut self, line: &str, embedder: &str) -> Result<(), String> {
        let again = "run `policy embed` on the directory";
        let rest = line
            .strip_prefix("embedder ")
            .and_then(|rest| rest.rsplit_once(' '));
        let Some((name, dimensions)) = rest else {
            return Err(format!(
                "does not begin with `embedder <name> <dimensions>`; {again}"
            ));
        };
        if name != embedder {
            return Err(format!(
                "is of `{name}`, and `team.toml` names `{embedder}`; {again}"
            ));
        }
        match dimensions.parse::<usize>() {
            Ok(d) if (1..=MOST).contains(&d) && [0, d].contains(&self.dimensions) => {
                self.dimensions = d;
                Ok(())
            }
            _ => Err(format!(
                "`{dimensions}` dimensions do not fit the other files; {again}"
            )),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (digest, vector) = line.split_once(' ').ok_or("is no digest and vector")?;
        let digest: Digest = digest.parse()?;
        let vector = Vector::read(vector)?;
        if vector.dimensions() != self.dimensions {
            return Err(format!("has {} dimensions", vector.dimensions()));
        }
        self.by_text.insert(digest, vector);
        Ok(())
    }

    /// The vector of a text, where it was embedded.
    pub(crate) fn of(&self, text: &str) -> Option<&Vector> {
        self.by_text.get(&Digest::of_bytes(text.as_bytes()))
    }
}

/// Writes files of vectors, each small enough for a record: path to text.
#[must_use]
pub fn vector_files(
    embedder: &str,
    vectors: &BTreeMap<Digest, Vector>,
) -> BTreeMap<String, String> {
    let Some(dimensions) = vectors.values().next().map(Vector::dimensions) else {
        return BTreeMap::new();
    };
    let head = format!("embedder {embedder} {dimensions}\n");
    let mut files = BTreeMap::new();
    let mut text = head.clone();
    let mut close = |text: &mut String| {
        let path = format!("{FOLDER}{:04}.txt", files.len() + 1);
        files.insert(path, std::mem::replace(text, head.clone()));
    };
    for (digest, vector) in vectors {
        let line = format!("{digest} {}\n", vector.written());
        if text.len() + line.len() > crate::files::LONGEST {
            close(&mut text);
        }
        text.push_str(&line);
    }
    close(&mut text);
    files
}

/// The vectors of the clauses of a release, in one block in their order.
pub(crate) struct Matrix {
    dimensions: usize,
    rows: Vec<i8>,
}

impl Matrix {
    /// None where there is a clause without a vector; those are problems.
    pub(crate) fn new(clauses: &[Clause], book: &Book, problems: &mut Problems) -> Option<Self> {
        let mut rows = Vec::with_capacity(clauses.len() * book.dimensions);
        let missing = clauses.iter().filter(|clause| {
            match book.of(&embedded_text(clause)) {
                Some(vector) => rows.extend_from_slice(&vector.0),
                None => return true,
            }
            false
        });
        let missing: Vec<_> = missing.collect();
        if let Some(first) = missing.first() {
            problems.add(
                FOLDER,
                format!(
                    "{} clauses have no vector, `{}` among them; run `policy embed` on the directory",
                    missing.len(),
                    first.id
                ),
            );
            return None;
        }
        Some(Self {
            dimensions: book.dimensions,
            rows,
        })
    }

    /// The products of a query's vector with those of all clauses, in order of place.
    pub(crate) fn products(&self, query: &Vector) -> Result<Vec<i32>, String> {
        if query.dimensions() != self.dimensions {
            return Err(format!(
                "the query's vector has {} dimensions, and those of the release have {}",
                query.dimensions(),
                self.dimensions
            ));
        }
        let mut products = vec![0; self.rows.len() / self.dimensions];
        Arch::new().dispatch(Products {
            query: &query.0,
            rows: &self.rows,
            products: &mut products,
        });
        Ok(products)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_whole_numbers_and_comes_back_as_it_was_written() {
        let vector = Vector::of(&[3.0, -4.0]).unwrap();
        assert_eq!(vector.0, [76, -102]);
        assert_eq!(Vector::read(&vector.written()).unwrap(), vector);
        assert!(Vector::of(&[0.0, 0.0]).is_err() && Vector::of(&[]).is_err());
        assert!(Vector::of(&[f32::NAN]).is_err());
        assert_eq!(dot(&vector.0, &vector.0), 76 * 76 + 102 * 102);
    }

    #[test]
    fn files_of_vectors_are_split_and_read_again() {
        let vectors: BTreeMap<_, _> = (0..200_u32)
            .map(|n| {
                let numbers: Vec<f32> = (0..384).map(|d| ((n + d) % 7) as f32 - 2.5).collect();
                let text = format!("text {n}");
                (
                    Digest::of_bytes(text.as_bytes()),
                    Vector::of(&numbers).unwrap(),
                )
            })
            .collect();
        let files = vector_files("test/a b", &vectors);
        assert!(files.len() > 2 && files.values().all(|f| f.len() <= crate::files::LONGEST));
        let mut problems = Problems::default();
        let book = Book::read(&files, Some("test/a b"), &mut problems);
        problems.finish().unwrap();
        assert_eq!(book.by_text.len(), 200);
        assert_eq!(book.of("text 7"), vectors.get(&Digest::of_bytes(b"text 7")));
        let mut problems = Problems::default();
        Book::read(&files, Some("other"), &mut problems);
        let said = problems.finish().unwrap_err().to_string();
        assert!(
            said.contains("vectors/0001.txt:1: is of `test/a b`"),
            "{said}"
        );
    }
}
