//! What the side-by-side runner is made of: an upstream, a bare pass-through, nginx, loads, a CPU clock. It must not
//! know tollfree's insides: tollfree is measured as the program that is shipped.

pub mod calls;
pub mod certificates;
pub mod contest;
pub mod cpu;
pub mod load;
pub mod pass_through;
pub mod results;
pub mod rhythm;
pub mod sides;
pub mod spread;
pub mod streams;
pub mod upstream;

/// Anything that ends a measurement early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
