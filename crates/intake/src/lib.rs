//! Documents that other software wrote, into policy documents of clauses with stable ids.
//!
//! Nothing here writes a word of its own into a clause. What cannot be read as it stands is refused, or named with its place
//! ([`Left`]), so that a person decides whether the edition goes on without it.
//!
//! | module | what |
//! |---|---|
//! | [`read`](mod@read) | a file into headings, paragraphs and items |
//! | [`outline`](mod@outline) | those into sections and clauses |
//! | [`ids`] | which id each clause has, given the edition before |
//! | [`write`](mod@write) | the policy document |

mod docx;
mod html;
pub mod ids;
pub mod outline;
mod pdf;
pub mod read;
mod text;
pub mod write;
mod xml;

pub use ids::{Assigned, How, Previous, assign};
pub use outline::{Clause, Outline, outline};
pub use read::{Block, Form, Left, Read, Refused, What, read};
pub use write::{Header, document};
