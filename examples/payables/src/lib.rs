//! The example: a company's invoices, the agents' team that pays them, and the books they read.
//!
//! Three things live here: the release (team, permission sets, risk rules, decision tables, threshold, policies, prompts),
//! the books (a read-only MCP server over CSV files), and the generator of those files. The generator also writes down
//! what should become of every invoice; no agent and no server reads that.

pub mod books;
pub mod generate;
pub mod memo;
pub mod number;
mod shipped;

pub use shipped::{Answer, Expected, Trap, answers, data_files, release_files, rows};
