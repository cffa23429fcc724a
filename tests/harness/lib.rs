//! The harness of the end-to-end suites: the real binary as a child process, clients and upstreams
//! on plain sockets, and recorded exchanges to play through them.
//!
//! It must not know how the product is built: nothing here imports a crate of the product, only the
//! simulated `OpenAI` at its other side. What it believes about HTTP it reads from the bytes
//! themselves, so that a mistake of the product's HTTP library is seen and not shared.

pub mod agreement;
pub mod answering;
pub mod authority;
pub mod background;
pub mod beside;
pub mod built;
pub mod callgrind;
pub mod chance;
pub mod chat;
pub mod clock;
pub mod coding;
pub mod command;
pub mod compare;
pub mod corpus;
pub mod crowd;
pub mod day;
pub mod disk;
pub mod doorway;
pub mod figures;
pub mod findings;
pub mod flood;
pub mod foreign;
pub mod gauge;
pub mod http1;
pub mod kept;
pub mod lasting;
pub mod lines;
pub mod mount;
pub mod night;
pub mod note;
pub mod patience;
pub mod proxy;
pub mod raw;
pub mod reckoning;
pub mod redis;
pub mod replay;
pub mod sdks;
pub mod skip;
pub mod sqlite;
pub mod strace;
pub mod trace;
pub mod tunnel;
pub mod upstream;
pub mod watched;
pub mod websocket;
