//! The pieces of a call that are worth a figure of their own: settling it, reading its request, its answer, one event
//! of its stream. The benchmarks measure their time, `tests/instructions.rs` counts their instructions.
//!
//! It must not know who measures, nor anything of a call but `meter` and `wire`.

mod reading;
mod settling;

pub use reading::{ESCAPED, PLAIN, answer, event, events, read_answer, request};
pub use settling::{LARGE_MODEL, SMALL_MODEL, Settling, rules};
