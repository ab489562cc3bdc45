//! `books --data DIR` serves the company's books over MCP on stdin and stdout.

use std::process::ExitCode;

use payables::books::{Options, run};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [flag, data] = args.as_slice() else {
        eprintln!("usage: books --data DIR");
        return ExitCode::from(2);
    };
    if flag != "--data" {
        eprintln!("books: unknown argument `{flag}`\nusage: books --data DIR");
        return ExitCode::from(2);
    }
    match run(Options { data: data.into() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("books: {problem}");
            ExitCode::from(4)
        }
    }
}
