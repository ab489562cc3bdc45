//! `generate-payables [--seed N] [--count N] --out DIR` writes `DIR/data/*.csv` and `DIR/answers.csv`.

use std::{fs, path::PathBuf, process::ExitCode};

use payables::generate::{DEFAULT_COUNT, DEFAULT_SEED, generate};

const USAGE: &str = "usage: generate-payables [--seed N] [--count N] --out DIR";

fn main() -> ExitCode {
    let (seed, count, out) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("generate-payables: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let data = generate(seed, count);
    let mut files: Vec<(PathBuf, String)> = vec![(out.join("answers.csv"), data.answers_csv())];
    files.extend(
        data.files
            .into_iter()
            .map(|(name, text)| (out.join("data").join(name), text)),
    );
    let written = fs::create_dir_all(out.join("data")).and_then(|()| {
        files
            .iter()
            .try_for_each(|(path, text)| fs::write(path, text))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!(
                "generate-payables: cannot write under `{}`: {e}",
                out.display()
            );
            ExitCode::from(4)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(u64, usize, PathBuf), String> {
    let (mut seed, mut count, mut out) = (DEFAULT_SEED, DEFAULT_COUNT, None);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(format!("`{arg}` needs a value"))?;
        let number = || format!("`{arg} {value}` is not a whole number");
        match arg.as_str() {
            "--seed" => seed = value.parse().map_err(|_| number())?,
            "--count" => count = value.parse().map_err(|_| number())?,
            "--out" => out = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown argument `{arg}`")),
        }
    }
    Ok((seed, count, out.ok_or("`--out DIR` is missing")?))
}
