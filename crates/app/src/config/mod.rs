//! The configuration: read once from flags, variables and a file into typed values, with every
//! mistake reported at once.
//!
//! It must not know what the values are used for, nor change anything in the world.

mod data_dir;
mod document;
mod environment;
mod form;
mod keys;
pub(crate) mod load;
mod mistake;
mod offer;
mod organizations;
mod parse;
mod prices;
mod read;
mod settings;
mod sharing;
#[cfg(test)]
mod tests;
mod upstream_url;

pub(crate) use data_dir::DataDir;
pub(crate) use environment::{Environment, VARIABLES};
pub(crate) use form::{
    Raw, address, boolean, coverage, data_dir, log_filter, log_format, shared_projects,
    upstream_url, usage_tier,
};
pub(crate) use keys::KEYS;
pub(crate) use load::{
    BUILT_IN_OFFER, Flags, Loaded, Sources, built_in_offer, load, load_as_far_as_it_goes,
};
pub(crate) use mistake::{Mistakes, Wrong};
pub(crate) use offer::offer_is_old;
pub(crate) use read::reason;
#[cfg(test)]
pub(crate) use settings::TlsFiles;
pub(crate) use settings::{Admin, Config, Listener, Log, LogFormat, Secret};
pub(crate) use upstream_url::UpstreamUrl;

/// Every key with its comment: the file that is shipped.
pub(crate) const ALL_KEYS: &str = include_str!("../../../../config/tollfree.toml");
