//! How things are printed: tables for people, one JSON object a line for programs.

use std::io::Write as _;

use comfy_table::{Table, presets};
use duty::action::Action;
use serde::Serialize;

/// A listing in the making.
pub(crate) struct Listing {
    json: bool,
    lines: Vec<String>,
    table: Table,
}

impl Listing {
    pub(crate) fn new(json: bool, header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header);
        Self {
            json,
            lines: Vec::new(),
            table,
        }
    }

    pub(crate) fn row<T: Serialize>(&mut self, value: &T, cells: Vec<String>) {
        if self.json {
            self.lines.push(to_json(value));
        } else {
            self.table.add_row(cells);
        }
    }

    /// Prints it; `empty` stands for an empty table.
    pub(crate) fn print(self, empty: &str) {
        if self.json {
            self.lines.iter().for_each(|l| line(l));
        } else if self.table.row_iter().next().is_none() {
            line(empty);
        } else {
            line(&self.table.to_string());
        }
    }
}

/// Prints one JSON object on a line.
pub(crate) fn json<T: Serialize>(value: &T) {
    line(&to_json(value));
}

/// Prints a line; a reader that has gone away (`| head`) is no fault of ours.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// An action on one line.
pub(crate) fn action(action: &Action) -> String {
    let arguments: Vec<_> = action
        .arguments
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}={}",
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            )
        })
        .collect();
    format!("{}({})", action.tool, arguments.join(", "))
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"problem\":\"{e}\"}}"))
}
