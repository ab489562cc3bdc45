//! Built-in agents: models behind one trait, and the runner that takes a team through its cases.

mod desk;
mod endpoint;
mod escalation;
pub mod language;
mod model;
pub mod replay;
mod rules;
mod runner;
pub mod view;

pub use desk::{Desk, Filed, Question, Reply};
pub use endpoint::{Endpoint, Endpoints};
pub use escalation::ESCALATED;
pub use model::{Answered, Model, ModelError, Said, Step, Unusable, View};
pub use rules::RuleModel;
pub use runner::{Hold, Progress, RunError, Runner, Stop};
