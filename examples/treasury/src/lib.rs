//! A small treasury system: a company's payment accounts behind an MCP server with a database of its own.
//!
//! It stands for the target systems that agents act on. It is a separate process, trusts nobody without its token, and
//! executes a transfer once per idempotency key however often it is asked. It knows nothing of approvals or policies:
//! whoever holds the token can pay, which is why only the gateway holds it.

mod book;
mod server;

pub use book::{Transfer, TreasuryError, add_token, init, transfers};
pub use server::{Options, TOKEN_VARIABLE, run};
