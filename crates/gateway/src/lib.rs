//! The door for anybody's agents, and the way out to target systems.

pub mod access;
pub mod bridge;
mod feed;
pub mod http;
pub mod identity;
pub mod mcp;
pub mod metrics;
mod told;
pub mod upstream;
pub mod webhook;
