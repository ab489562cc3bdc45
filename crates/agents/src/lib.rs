//! Built-in agents: models behind one trait, and the runner that takes a team through its cases.

mod desk;
mod endpoint;
pub mod language;
mod model;
mod rules;
mod runner;

pub use desk::{Desk, Filed, Question, Reply};
pub use endpoint::{Endpoint, Endpoints};
pub use model::{Answered, Model, ModelError, Said, Step, Unusable, View};
pub use rules::RuleModel;
pub use runner::{ESCALATED, Hold, Progress, RunError, Runner, Stop};
