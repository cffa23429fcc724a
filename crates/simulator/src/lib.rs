//! A simulated OpenAI: a real HTTP server that answers as OpenAI does on the wire, counts tokens,
//! keeps its own log and writes its own bill by the published rule of the complimentary daily tokens.
//! It serves demos, tests and benches. It imports nothing of the workspace and must not: its bill is
//! the independent second opinion that every verdict is compared with.
//!
//! ```no_run
//! # async fn run() -> Result<(), simulator::StartError> {
//! let simulator = simulator::Simulator::start(simulator::Settings::default()).await?;
//! let base_url = format!("http://{}/v1", simulator.address());
//! // point a client at `base_url` with the key `sk-sim-acme`, then compare:
//! let lines = simulator.bill();
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod bill;
mod body;
mod call;
mod chat;
mod completions;
mod embeddings;
mod errors;
mod exchange;
mod headers;
mod ids;
mod json;
mod log;
mod models;
mod request;
mod responses;
mod routes;
mod schema;
mod server;
mod settings;
mod socket;
mod sse;
mod steering;
mod store;
mod text;
mod threads;
mod tokens;
mod world;

pub use bill::{BillLine, Payer, bill_of};
pub use log::{LogEntry, MOST_LOG_ENTRIES};
pub use models::Group;
pub use server::{Simulator, StartError};
pub use settings::{
    AfterCrossing, Clock, KeySettings, OrganizationSettings, PayerShown, Settings, SharedProjects,
};
pub use steering::STEERING_WORDS;

#[cfg(test)]
mod tests;
