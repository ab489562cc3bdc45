//! The shell round the core: authenticate, decide, append, act.
//!
//! The way of one request: [`Engine::submit`] decides it under a short lock, gives its records their place in the journal,
//! and answers only when they are durable. Whatever has an effect ([`Engine::execute`]) happens after that (I1). Whoever takes
//! several steps takes them ahead ([`Pending`]), and waits once.

mod act;
mod announce;
mod caller;
pub mod clock;
mod docket;
mod erase;
mod error;
pub mod fold;
mod library;
mod meter;
mod pending;
mod recover;
mod seat;
mod shell;
pub mod stop;
pub mod target;

pub use act::{Called, Executed};
pub use caller::Begun;
pub use docket::Waiting;
pub use error::EngineError;
pub use meter::Meter;
pub use pending::{Ahead, Pending};
pub use recover::Recovered;
pub use seat::{ADMIN, ENGINE, LOCAL_SUFFIX, Seat, new_services};
pub use shell::{Engine, Options};
