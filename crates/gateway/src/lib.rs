//! The door for anybody's agents, and the way out to target systems.

pub mod http;
pub mod upstream;
