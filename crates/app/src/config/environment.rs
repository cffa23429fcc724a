//! The environment: the closed list of variables that are read, and those that look like ours but
//! are not.
//!
//! It must not know how a value is read.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::document::nearest;
use super::keys::KEYS;

/// A variable that is read, with one line about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
}

/// The variables that are no key of the file: ours, and those every program of an environment
/// shares. Together with the keys' own they are all that is read.
pub(crate) const VARIABLES: &[Variable] = &[
    Variable {
        name: "TOLLFREE_CONFIG",
        about: "configuration file, if --config is not given",
    },
    Variable {
        name: "TOLLFREE_UPSTREAM_PROXY_FILE",
        about: "file that holds the value of TOLLFREE_UPSTREAM_PROXY",
    },
    Variable {
        name: "TOLLFREE_SHARE_URL_FILE",
        about: "file that holds the value of TOLLFREE_SHARE_URL",
    },
    Variable {
        name: "TOLLFREE_ADMIN_TOKEN_FILE",
        about: "file that holds the value of TOLLFREE_ADMIN_TOKEN",
    },
    Variable {
        name: "STATE_DIRECTORY",
        about: "folder of the ledger under systemd, if none is named",
    },
    Variable {
        name: "XDG_DATA_HOME",
        about: "else its folder tollfree; not set: ~/.local/share",
    },
    Variable {
        name: "HOME",
        about: "home directory: what ~ stands for",
    },
    Variable {
        name: "NOTIFY_SOCKET",
        about: "where systemd is told that the proxy is ready",
    },
    Variable {
        name: "HTTPS_PROXY",
        about: "proxy to an https upstream (also https_proxy)",
    },
    Variable {
        name: "http_proxy",
        about: "proxy to an http upstream (HTTP_PROXY is not read)",
    },
    Variable {
        name: "ALL_PROXY",
        about: "proxy to any upstream (also all_proxy)",
    },
    Variable {
        name: "NO_PROXY",
        about: "hosts reached without a proxy (also no_proxy)",
    },
    Variable {
        name: "SSL_CERT_FILE",
        about: "roots (PEM) trusted beside the built-in ones",
    },
    Variable {
        name: "COLUMNS",
        about: "width of the terminal",
    },
    Variable {
        name: "NO_COLOR",
        about: "no colour (also TERM=dumb)",
    },
    Variable {
        name: "CLICOLOR_FORCE",
        about: "colour without a terminal, too; rows for programs have none",
    },
    Variable {
        name: "LC_ALL",
        about: "a UTF-8 locale gives bars and marks (also LC_CTYPE, LANG)",
    },
];

/// What ours begin with.
const PREFIX: &str = "TOLLFREE_";
/// Kubernetes sets these for a service named `tollfree`.
const IGNORED: &[&str] = &["TOLLFREE_PORT", "TOLLFREE_SERVICE_"];

/// The variables a process was started with; empty ones count as not there.
#[derive(Clone, Default)] // no Debug: a value may be a secret
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    /// The value of a variable that holds text.
    ///
    /// # Errors
    /// [`NotText`] if it is not UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        self.get(name)
            .map(|value| value.to_str().ok_or(NotText))
            .transpose()
    }

    /// Whether a variable of ours says something of the configuration.
    pub(crate) fn sets_something(&self) -> bool {
        KEYS.iter().any(|key| self.0.contains_key(key.variable))
    }

    /// One warning for each variable that looks like ours but is not read.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let known = || {
            let keys = KEYS.iter().map(|key| key.variable);
            keys.chain(VARIABLES.iter().map(|variable| variable.name))
        };
        self.0
            .keys()
            .filter(|name| name.starts_with(PREFIX))
            .filter(|name| !IGNORED.iter().any(|ignored| name.starts_with(ignored)))
            .filter(|name| !known().any(|known| known == name.as_str()))
            .map(|name| {
                let ours = known().filter(|known| known.starts_with(PREFIX));
                match nearest(name, ours) {
                    Some(near) => {
                        format!("variable {name} is not known. help: did you mean {near}?")
                    }
                    None => format!(
                        "variable {name} is not known. help: tollfree help environment lists all"
                    ),
                }
            })
            .collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        )
    }
}

/// The value of a variable is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotText;
