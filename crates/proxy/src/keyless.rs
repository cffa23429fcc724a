//! Clients whose calls carry no key: said once for each, because `OpenAI`'s own answer does not tell where to look.
//! Knows nothing of calls.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::USER_AGENT;

/// Clients of which it is remembered that it was said; further ones are not told of.
const MOST_CLIENTS: usize = 1_024;
/// Letters of a client's own name that are shown.
const MOST_NAME_LETTERS: usize = 64;

/// The clients that were told of.
#[derive(Debug, Default)]
pub(crate) struct Keyless {
    told: Mutex<HashSet<IpAddr>>,
}

impl Keyless {
    /// Says that a call without a key came from here, if this is the first.
    pub(crate) fn came(&self, client: IpAddr, headers: &HeaderMap) {
        if !self.is_new(client) {
            return;
        }
        let name = name(headers);
        tracing::warn!(
            "calls without Authorization are arriving (last: {name}, {client}). tollfree holds no key. \
             help: set OPENAI_API_KEY where the client runs"
        );
    }

    fn is_new(&self, client: IpAddr) -> bool {
        // Nothing under the lock can leave the set half changed.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_CLIENTS && told.insert(client)
    }
}

/// What the client calls itself, as far as it can be shown.
fn name(headers: &HeaderMap) -> String {
    let name = headers
        .get(USER_AGENT)
        .and_then(|name| name.to_str().ok())
        .unwrap_or("no name");
    name.chars().take(MOST_NAME_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_told_of_once_and_not_all_of_them() {
        let keyless = Keyless::default();
        let clients = (0..2_000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let told = clients.clone().filter(|client| keyless.is_new(*client));
        assert_eq!(told.count(), MOST_CLIENTS);
        assert!(clients.clone().all(|client| !keyless.is_new(client)));
    }

    #[test]
    fn a_name_is_cut() {
        let mut headers = HeaderMap::new();
        assert_eq!(name(&headers), "no name");
        let long = "a".repeat(100);
        headers.insert(USER_AGENT, long.parse().unwrap());
        assert_eq!(name(&headers).len(), MOST_NAME_LETTERS);
    }
}
