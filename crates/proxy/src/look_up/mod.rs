//! The look-up: the final word on a call, by any of its ids, on the proxy's own listener. Whoever names a
//! call by OpenAI's ids must show the key that made it; unknown, foreign and expired are the same answer.

pub(crate) mod recent;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Response, StatusCode, request};
use percent_encoding::percent_decode_str;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::sync::watch;

use crate::bodies::answer_body::AnswerBody;
use crate::call_id::CallId;
use crate::heads::refusal::{self, Refusal};
use crate::keys::KeyHash;
use crate::proxy::Shared;
use crate::settling::row;
use recent::RecentCall;

const CALLS: &str = "calls/";
const NOT_FOUND: &str = "no such call here. help: name it by x-tollfree-call, or by OpenAI's response id or \
    x-request-id together with the API key that made it; older calls are forgotten";
const NOT_A_PATH: &str = "/_tollfree/ has no such path. help: GET /_tollfree/calls/{id}";

/// Whether this target is in our own path space, which is never forwarded: `/_tollfree/...`, also under the
/// `/v1` that SDKs put before each path, and in any spelling that a server may take for the same path.
pub(crate) fn is_ours(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    rest(target).is_some()
        || ((path.contains('%') || path.contains("/.")) && rest(&normal(path)).is_some())
}

/// The path as the most forgiving server reads it: nothing is encoded, not even a slash, and dots have done their work
/// (RFC 3986, 6.2.2).
fn normal(path: &str) -> String {
    let plain = percent_decode_str(path).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in plain.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn rest(target: &str) -> Option<&str> {
    let mut path = target.trim_start_matches('/');
    while let Some(after) = path.strip_prefix("v1/") {
        path = after.trim_start_matches('/');
    }
    let path = path.strip_prefix("_tollfree")?;
    match path.as_bytes().first() {
        None | Some(b'?') => Some(""),
        Some(b'/') => Some(path.trim_start_matches('/')),
        Some(_) => None,
    }
}

/// Answers a request to our own path space.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    head: &request::Parts,
) -> Result<Response<AnswerBody>, Refusal> {
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let rest = rest(target).unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let id = path
        .strip_prefix(CALLS)
        .ok_or(Refusal::NoSuchCall(NOT_A_PATH))?;
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(Refusal::LookupMethod(head.method.clone()));
    }
    let settings = shared.settings.load_full();
    let wait = wait(query, settings.lookup_wait)?;
    let key = shared.keys.hash(&head.headers);
    let recent = shared
        .recent
        .find(id)
        .or_else(|| shared.recent.find_openai_id(key?, id));
    let call = match recent {
        Some(call) => call,
        None => kept(shared, key, id)
            .await
            .ok_or(Refusal::NoSuchCall(NOT_FOUND))?,
    };
    if !wait.is_zero() && call.outcome().is_none() {
        let _place = shared
            .waits
            .enter(
                key,
                settings.lookup_waits_per_key,
                settings.lookup_waits_total,
            )
            .ok_or(Refusal::TooManyWaits)?;
        // Whichever it is, the call is shown as it is then.
        tokio::select! {
            () = call.wait(wait) => {}
            () = shared.waits.over() => {}
        }
    }
    Ok(refusal::json(
        StatusCode::OK,
        &Shown(&call, shared.clock.now()),
    ))
}

/// The call as the ledger has it: whatever is no longer recent.
async fn kept(shared: &Arc<Shared>, key: Option<KeyHash>, id: &str) -> Option<Arc<RecentCall>> {
    let ledger = shared.outbox.ledger()?.clone();
    let ours = CallId::of_text(id);
    let key = key.map(KeyHash::bytes);
    if ours.is_none() && key.is_none() {
        return None;
    }
    let _turn = shared.ledger_lookups.acquire().await.ok()?;
    let id = id.to_owned();
    let search = move || match ours {
        Some(call) => ledger.find_call(call.as_str()),
        None => ledger.find_openai_id(&key?, &id),
    };
    let found = tokio::task::spawn_blocking(search).await.ok()??;
    row::kept(found).map(Arc::new)
}

fn wait(query: &str, most: Duration) -> Result<Duration, Refusal> {
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix("wait=")) else {
        return Ok(Duration::ZERO);
    };
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds).min(most)),
        Err(_) => Err(Refusal::BadWait(text.into(), most.as_secs())),
    }
}

/// A call as the look-up shows it, at this moment in Unix seconds: its tags, then the names OpenAI gave it.
struct Shown<'c>(&'c RecentCall, i64);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.0;
        let (tags, outcome) = call.word();
        let tags = tags.clone().at(self.1);
        let mut map = serializer.serialize_map(None)?;
        tags.serialize_into(&mut map)?;
        map.serialize_entry("endpoint", &*call.endpoint)?;
        if let Some(model) = outcome.and_then(|outcome| outcome.model.as_ref()) {
            map.serialize_entry("model", model)?;
        }
        if let Some(id) = call.response_id() {
            map.serialize_entry("response-id", id)?;
        }
        if let Some(id) = &call.request_id {
            map.serialize_entry("request-id", id)?;
        }
        map.end()
    }
}

/// The look-ups that wait, counted per key and in all.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    by_key: Mutex<HashMap<Option<KeyHash>, usize>>,
    is_over: watch::Sender<bool>,
}

impl Waits {
    /// Ends all waiting, now and from now on: a stop is held up by calls, not by those who ask about them.
    pub(crate) fn end(&self) {
        self.is_over.send_replace(true);
    }

    /// Waits until nobody is to wait any more.
    async fn over(&self) {
        // The sender is ours, so there is always one.
        let _ = self.is_over.subscribe().wait_for(|over| *over).await;
    }

    fn enter(&self, key: Option<KeyHash>, per_key: usize, total: usize) -> Option<WaitSlot<'_>> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.values().sum::<usize>() >= total {
            return None;
        }
        let waiting = by_key.entry(key).or_insert(0);
        if *waiting >= per_key {
            return None;
        }
        *waiting += 1;
        Some(WaitSlot { waits: self, key })
    }
}

/// One who waits.
struct WaitSlot<'w> {
    waits: &'w Waits,
    key: Option<KeyHash>,
}

impl Drop for WaitSlot<'_> {
    fn drop(&mut self) {
        let mut by_key = self
            .waits
            .by_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = by_key.get_mut(&self.key) {
            *waiting -= 1;
            if *waiting == 0 {
                by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meter::{Reason, Verdict};

    use super::recent::{Names, Outcome};
    use super::*;
    use crate::tags::{Allowance, Tags};

    #[test]
    fn our_path_space_is_ours_under_each_base_url_and_nothing_else_is() {
        for ours in [
            "/_tollfree/calls/c_1",
            "/v1/_tollfree/calls/c_1?wait=5",
            "//v1/_tollfree/",
            "/v1/v1/_tollfree/x",
            "/_tollfree",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for spelled in [
            "/%5ftollfree/calls/c_1",
            "/v1/_tollfre%65/x?y",
            "/v1/./_tollfree/x",
            "/v1/%2e/_tollfree/x",
            "/v1/chat/%2E%2e/%5Ftollfree/x",
            "/v1/x/../../_tollfree",
            "/_tollfree%2fcalls",
            "/v1%2F_tollfree/calls/c_1",
            "/v1/x%2f..%2f%2e%2e/_tollfree",
            "/v1//_tollfree/x",
        ] {
            assert!(is_ours(spelled), "{spelled}");
        }
        for foreign in [
            "/",
            "/_tollfree%252fcalls",
            "/%zz/_tollfree/",
            "/V1/_tollfree/",
            "/v1/models?x=/%5ftollfree/",
            "/v1/models?x=/../_tollfree/",
            "/v1/models",
            "/v1/_tollfreedom",
            "/v2/_tollfree/calls/c_1",
            "/v1/chat/_tollfree/",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_time_until_midnight_is_that_of_the_question() {
        let allowance = Allowance {
            group: "small".into(),
            tokens: 1_000,
            remaining: 400,
            reset: 86_400,
            now: 80_000,
        };
        let tags = Tags {
            allowance: Some(allowance),
            ..Tags::bare(
                CallId::new().unwrap(),
                Verdict::Free,
                Reason::WithinAllowance,
            )
        };
        let names = Names {
            endpoint: "responses".into(),
            request_id: None,
            begun_as: None,
            key: None,
        };
        let outcome = Outcome {
            tags,
            response_id: None,
            model: None,
        };
        let call = RecentCall::kept(names, outcome);
        let shown = |now| serde_json::to_value(Shown(&call, now)).unwrap();
        assert_eq!(shown(86_300)["reset-seconds"], 100);
        assert_eq!(shown(90_000)["reset-seconds"], 0);
        assert_eq!(shown(90_000)["remaining-tokens"], 400);
    }

    #[test]
    fn waiting_is_bounded_per_key_and_in_all() {
        let waits = Waits::default();
        let one = Some(KeyHash::of_bytes([1; 16]));
        let first = waits.enter(one, 1, 2).unwrap();
        assert!(waits.enter(one, 1, 2).is_none());
        let _second = waits.enter(None, 1, 2).unwrap();
        assert!(
            waits
                .enter(Some(KeyHash::of_bytes([2; 16])), 1, 2)
                .is_none()
        );
        drop(first);
        assert!(waits.enter(one, 1, 2).is_some());
    }

    #[test]
    fn a_wait_is_whole_seconds_and_cut_to_the_limit() {
        let most = Duration::from_mins(1);
        assert_eq!(wait("", most).unwrap(), Duration::ZERO);
        assert_eq!(wait("x=1&wait=5", most).unwrap(), Duration::from_secs(5));
        assert_eq!(wait("wait=900", most).unwrap(), most);
        assert!(wait("wait=soon", most).is_err());
    }
}
