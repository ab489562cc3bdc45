//! Webhooks in the form of [Standard Webhooks 1.0](https://github.com/standard-webhooks/standard-webhooks): how they are signed,
//! where they may go, when they are tried again, and how far each receiver has come. What they tell is others' business.
//!
//! | module | what |
//! |---|---|
//! | `sign` | secrets and signatures, `v1` and `v1a` |
//! | `config` | `webhooks.toml` |
//! | `address` | which addresses are fit to be sent to |
//! | `post` | one attempt |
//! | `retry` | how long until the next |
//! | `cursor` | `webhooks.db`: how far each receiver has come |

mod address;
pub mod config;
pub mod cursor;
mod post;
mod retry;
mod sign;

pub use config::Endpoint;
pub use cursor::{Cursors, Standing};
pub use post::{Answer, Post};
pub use retry::wait;
pub use sign::{Signer, headers};
