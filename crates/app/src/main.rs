//! The program `tollfree`: a table of contents. Each arm names the room that does the work.

#[expect(dead_code, unused_imports, reason = "read by the wiring, which is being joined to it")]
mod config;

fn main() {}
