//! Section `[share]`: the store that replicas share their totals through.
//!
//! It must not know how the store is reached, nor what is kept there.

use std::path::{Path, PathBuf};

use share::ShareSettings;

use super::form::{self, Raw};
use super::mistake::Wrong;
use super::parse::existing;
use super::read::Reader;
use super::settings::Secret;

/// Characters of a prefix at most.
const LONGEST_PREFIX: usize = 64;

/// Section `[share]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// The store; nothing is shared without it.
    pub(crate) url: Option<Secret>,
    /// It is one node of a cluster.
    pub(crate) cluster: bool,
    /// What every key there begins with.
    pub(crate) prefix: String,
    /// PEM file of the roots that its certificate is judged by, in place of the built-in ones.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            url: None,
            cluster: false,
            prefix: "tollfree:".to_owned(),
            ca_file: None,
        }
    }
}

/// Reads the section.
pub(super) fn sharing(reader: &mut Reader<'_>, file: Option<&Path>) -> Sharing {
    let default = Sharing::default();
    Sharing {
        url: reader.value("share.url", url),
        cluster: reader
            .value("share.cluster", form::boolean)
            .unwrap_or(default.cluster),
        prefix: reader
            .value("share.prefix", prefix)
            .unwrap_or(default.prefix),
        ca_file: existing(reader, "share.ca_file", file),
    }
}

/// The URL of a Redis or Valkey server, possibly with a name and a password.
fn url(raw: Raw<'_>) -> Result<Secret, Wrong> {
    const FORM: &str =
        "a URL like \"redis://redis.internal:6379\", with TLS \"rediss://name:password@...\"";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    let is_known = ["redis://", "rediss://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if !is_known || ShareSettings::check(text).is_err() {
        return Err(Wrong::form(FORM));
    }
    Ok(Secret::new(text.to_owned()))
}

fn prefix(raw: Raw<'_>) -> Result<String, Wrong> {
    const FORM: &str = "letters, digits and : - _ . like \"tollfree:\", at most 64";
    let text = raw.text("").map_err(|_| Wrong::form(FORM))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.".contains(&byte);
    if text.len() > LONGEST_PREFIX || !text.bytes().all(is_plain) {
        return Err(Wrong::form(FORM));
    }
    Ok(text.to_owned())
}
