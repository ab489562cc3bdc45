//! The shell round the core: load, decide, append, act.

pub mod target;
