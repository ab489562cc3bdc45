//! The door for anybody's agents, and the way out to target systems.

pub mod access;
mod feed;
pub mod http;
pub mod mcp;
pub mod metrics;
mod told;
pub mod upstream;
pub mod webhook;
