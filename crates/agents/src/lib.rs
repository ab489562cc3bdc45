//! Built-in agents: models behind one trait, and the runner that takes a team through its cases.

mod model;
mod rules;
mod runner;

pub use model::{Answered, Model, ModelError, Step, View};
pub use rules::RuleModel;
pub use runner::{Hold, Progress, RunError, Runner, Stop};
