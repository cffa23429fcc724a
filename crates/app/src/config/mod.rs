//! The configuration: read once from flags, variables and a file into typed values, with every
//! mistake reported at once.
//!
//! It must not know what the values are used for, nor change anything in the world.

mod settings;
mod terms;
mod upstream_url;

pub(crate) use settings::{
    ClientGone, Config, DrainSettings, EnvironmentProxy, Limits, Listener, Log, LogFormat,
    OfferSettings, Secret, Streams, TlsFiles, Upstream,
};
pub(crate) use terms::{AfterCrossing, Coverage, DeclaredOrganization, SharedProjects, Terms};
pub(crate) use upstream_url::UpstreamUrl;
