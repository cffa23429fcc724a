//! API keys as keyed hashes, and with which organization each was last seen. No key is ever kept.

use dashmap::DashMap;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use meter::Organization;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::call_id::NoRandomness;

/// Keys remembered. Past it one that was seen before gives way: its next 2xx answer names its organization
/// again.
pub(crate) const MOST_KEYS: usize = 100_000;

/// The first 128 bits of HMAC-SHA256 over the credential with a secret that never leaves this machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash([u8; 16]);

impl KeyHash {
    /// A hash that was kept.
    pub(crate) const fn of_bytes(bytes: [u8; 16]) -> KeyHash {
        KeyHash(bytes)
    }

    /// The hash, to be kept.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// The key that a browser, which can set no header, names among the protocols of a WebSocket it asks for.
fn key_of_protocols(headers: &HeaderMap) -> Option<&str> {
    let protocols = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix("openai-insecure-api-key."))
}

/// What the last 2xx answer to a key said.
#[derive(Clone, Debug)]
pub(crate) struct SeenWith {
    /// The organization OpenAI named.
    pub(crate) organization: Organization,
    /// The project OpenAI named.
    pub(crate) project: Option<Box<str>>,
}

/// The keys seen.
pub(crate) struct Keys {
    secret: hmac::Key,
    seen: DashMap<KeyHash, SeenWith, ahash::RandomState>,
}

impl Keys {
    /// No key seen yet, with a secret of this process alone.
    ///
    /// # Errors
    /// [`NoRandomness`] when there is nothing to make a secret of.
    pub(crate) fn new() -> Result<Keys, NoRandomness> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Keys::with)
            .map_err(|_| NoRandomness)
    }

    /// What this replica is called where replicas meet: the same on the same ledger, and nothing that tells the secret.
    pub(crate) fn replica(&self) -> String {
        let tag = hmac::sign(&self.secret, b"replica");
        let first = tag.as_ref().iter().take(8);
        let number = first.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        format!("{number:016x}")
    }

    /// No key seen yet, with the secret that kept hashes were made with.
    pub(crate) fn with_secret(secret: &[u8]) -> Keys {
        Keys::with(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn with(secret: hmac::Key) -> Keys {
        Keys {
            secret,
            seen: DashMap::with_hasher(ahash::RandomState::new()),
        }
    }

    /// The hash of the credential that a request carries, if it carries one.
    pub(crate) fn hash(&self, headers: &HeaderMap) -> Option<KeyHash> {
        let tag = if let Some(credential) = headers.get(AUTHORIZATION) {
            hmac::sign(&self.secret, credential.as_bytes())
        } else {
            let key = key_of_protocols(headers)?;
            hmac::sign(&self.secret, format!("Bearer {key}").as_bytes())
        };
        let mut hash = [0; 16];
        for (slot, byte) in hash.iter_mut().zip(tag.as_ref()) {
            *slot = *byte;
        }
        Some(KeyHash(hash))
    }

    /// With whom this key was last seen on a 2xx answer.
    pub(crate) fn seen_with(&self, key: KeyHash) -> Option<SeenWith> {
        self.seen.get(&key).map(|seen| seen.clone())
    }

    /// Remembers what a 2xx answer said.
    pub(crate) fn remember(
        &self,
        key: KeyHash,
        organization: &Organization,
        project: Option<&str>,
    ) {
        if let Some(seen) = self.seen.get(&key)
            && seen.organization == *organization
            && seen.project.as_deref() == project
        {
            return;
        }
        if self.seen.len() >= MOST_KEYS {
            let gives_way = self.seen.iter().next().map(|entry| *entry.key());
            if let Some(key) = gives_way {
                self.seen.remove(&key);
            }
        }
        self.seen.insert(
            key,
            SeenWith {
                organization: organization.clone(),
                project: project.map(Into::into),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_key_is_the_same_key_wherever_a_client_can_put_it() {
        let keys = Keys::new().unwrap();
        let hash = |name, value| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            keys.hash(&headers)
        };
        let key = hash(AUTHORIZATION, "Bearer sk-1");
        let protocols = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1";
        assert!(key.is_some());
        assert_eq!(hash(SEC_WEBSOCKET_PROTOCOL, protocols), key);
        assert_eq!(hash(SEC_WEBSOCKET_PROTOCOL, "realtime"), None);
    }
}
