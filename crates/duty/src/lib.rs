//! The functional core: who may do what in one case.
//!
//! Pure: no I/O, no async, no clock, no random number.

pub mod action;
pub mod canonical;
pub mod facts;
pub mod name;
pub mod principal;
pub mod release;
pub mod time;
