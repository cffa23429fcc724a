//! What the operator may set about sharing, and what this replica is called. Plain data; parsed elsewhere.

use std::fmt;
use std::time::Duration;

use redis::IntoConnectionInfo;
use thiserror::Error;

/// Where totals are shared, and by whom.
#[derive(Clone)]
pub struct ShareSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    pub url: String,
    /// The URL names one node of a cluster.
    pub cluster: bool,
    /// What every key begins with.
    pub prefix: String,
    /// PEM of roots that are trusted for `rediss://` in place of the built-in web roots.
    pub roots: Option<Vec<u8>>,
    /// How often replicas speak.
    pub times: Times,
}

/// One of those that share.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The same after a restart on the same ledger, and no other's.
    pub name: String,
    /// The names of the offer's groups, in its order.
    pub groups: Vec<Box<str>>,
}

/// How often replicas speak, and how long one waits for another: the same for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How often what changed is said, and what others took is read.
    pub beat: Duration,
    /// How long after the store was lost, or lost what it knew, other replicas may still be silent.
    pub rejoin: Duration,
    /// How long a replica may be silent before it counts as missing.
    pub missing: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            beat: Duration::from_secs(1),
            rejoin: Duration::from_secs(3),
            missing: Duration::from_secs(5),
        }
    }
}

/// A store that cannot be meant.
#[derive(Debug, Error)]
#[error("{url} is no URL of a Redis or Valkey server: {source}")]
pub struct ShareSettingsError {
    /// The URL, without its password.
    pub url: String,
    /// What is wrong with it.
    #[source]
    pub source: redis::RedisError,
}

impl ShareSettings {
    /// Whether the URL can be used at all; nothing is connected.
    ///
    /// # Errors
    /// [`ShareSettingsError`] says what is wrong with it.
    pub fn check(url: &str) -> Result<(), ShareSettingsError> {
        match url.into_connection_info() {
            Ok(_) => Ok(()),
            Err(source) => Err(ShareSettingsError {
                url: without_password(url),
                source,
            }),
        }
    }

    /// The URL as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        without_password(&self.url)
    }
}

impl fmt::Debug for ShareSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareSettings")
            .field("url", &self.shown())
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A URL without what stands before the `@` of its authority.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not a URL)".to_owned();
    };
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    // A password may hold a slash that was not encoded: then nothing is sure to be shown safely.
    if path.contains('@') {
        return format!("{scheme}://...");
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://me:pass@store/2", "rediss://store/2"),
            ("redis://:p@ss@store:1", "redis://store:1"),
            ("redis://:pa/ss@store:1", "redis://..."),
            ("redis://store?password=x", "redis://store"),
            ("no url", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_nothing_is_told() {
        assert!(ShareSettings::check("redis://:pass@127.0.0.1:6379/1").is_ok());
        assert!(ShareSettings::check("rediss://store.example").is_ok());
        let error = ShareSettings::check("http://me:pass@store").unwrap_err();
        assert!(!error.to_string().contains("pass"), "{error}");
    }
}
