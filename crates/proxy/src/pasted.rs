//! A base URL that an endpoint was pasted into: said once, because OpenAI's own 404 does not tell what is wrong with it.
//! Knows nothing of calls.

use std::sync::atomic::{AtomicBool, Ordering};

/// What SDKs put behind the base URL.
const ENDPOINTS: [&str; 5] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/models",
];
/// Letters of a path that are shown.
const MOST_PATH_LETTERS: usize = 128;

/// Whether it was said.
#[derive(Debug, Default)]
pub(crate) struct Pasted(AtomicBool);

impl Pasted {
    /// Says so, if this target is the first with two endpoints in it. It goes on to `OpenAI` all the same.
    pub(crate) fn came(&self, target: &str) {
        let path = target.split('?').next().unwrap_or_default();
        if !has_two_endpoints(path) || self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        // Whoever pastes may paste a key.
        let words: Vec<&str> = path
            .split('/')
            .map(|word| {
                if word.starts_with("sk-") {
                    "sk-..."
                } else {
                    word
                }
            })
            .collect();
        let path: String = words.join("/").chars().take(MOST_PATH_LETTERS).collect();
        tracing::warn!("path {path}: the base URL should end in /v1");
    }
}

fn has_two_endpoints(path: &str) -> bool {
    let without_last = ENDPOINTS.iter().find_map(|last| path.strip_suffix(last));
    without_last.is_some_and(|rest| ENDPOINTS.iter().any(|first| rest.ends_with(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_behind_an_endpoint_is_seen_and_nothing_else() {
        for pasted in [
            "/v1/chat/completions/chat/completions",
            "/v1/chat/completions/models",
            "/v1/responses/responses",
            "/chat/completions/embeddings",
        ] {
            assert!(has_two_endpoints(pasted), "{pasted}");
        }
        for sound in [
            "/v1/chat/completions",
            "/v1/models",
            "/v1/chat/completions/chatcmpl-1/messages",
            "/v1/responses/resp_1",
            "/v1/fine_tuning/models",
            "/",
            "",
        ] {
            assert!(!has_two_endpoints(sound), "{sound}");
        }
    }
}
