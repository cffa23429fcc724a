//! What a request line asks for: an endpoint that creates usage, one that shows the usage of an
//! earlier call, or anything else. It must not know bodies or headers, and never decodes a path.

use std::fmt;

/// What tollfree does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Creates something and reports its usage in this very response.
    Metered(Metered),
    /// Where a client may ask for a WebSocket on which it makes calls; without an upgrade, forwarded unread.
    Socket(Socket),
    /// Shows the usage of a call made earlier: never counted on sight, except the first whole sight of a call whose
    /// usage never came.
    Replay(Shows),
    /// Everything else: forwarded unread.
    PassThrough,
}

/// Which earlier calls a replay shows whole, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shows {
    /// One call of this endpoint.
    One(Metered),
    /// A list of calls of this endpoint.
    List(Metered),
    /// Steps of calls, sums of them, or calls that were not made here.
    Others,
}

/// The creating endpoints, by the shape of their requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metered {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/responses/compact`
    ResponsesCompact,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/audio/transcriptions`
    Transcriptions,
    /// `POST /v1/audio/speech`
    Speech,
    /// `POST /v1/images/generations`
    ImageGenerations,
    /// `POST /v1/images/edits`
    ImageEdits,
    /// `POST /v1/threads/runs` and `POST /v1/threads/{thread}/runs`
    ThreadRuns,
    /// A response on the WebSocket `/v1/realtime`, or speech written down there.
    Realtime,
}

/// A WebSocket on which calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// `GET /v1/responses`: many responses, interleaved in lanes.
    Responses,
    /// `GET /v1/realtime` and what lies below it (`/translations`): a session of one model.
    Realtime,
}

impl Socket {
    /// The endpoint its responses are calls of.
    #[must_use]
    pub const fn calls(self) -> Metered {
        match self {
            Self::Responses => Metered::Responses,
            Self::Realtime => Metered::Realtime,
        }
    }
}

impl Metered {
    /// Every metered endpoint; tables by endpoint keep this order.
    pub const ALL: [Self; 11] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::ResponsesCompact,
        Self::Embeddings,
        Self::Transcriptions,
        Self::Speech,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ThreadRuns,
        Self::Realtime,
    ];

    /// The short label used in the ledger and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::ResponsesCompact => "responses.compact",
            Self::Embeddings => "embeddings",
            Self::Transcriptions => "audio.transcriptions",
            Self::Speech => "audio.speech",
            Self::ImageGenerations => "images.generations",
            Self::ImageEdits => "images.edits",
            Self::ThreadRuns => "threads.runs",
            Self::Realtime => "realtime",
        }
    }

    /// Whether a request can be a form.
    #[must_use]
    pub const fn takes_form(self) -> bool {
        matches!(self, Self::Transcriptions | Self::ImageEdits)
    }

    /// Whether an answer can be sound or plain text.
    #[must_use]
    pub const fn gives_media(self) -> bool {
        matches!(self, Self::Speech | Self::Transcriptions)
    }

    /// Whether a whole answer says of each hosted tool whether it ran. Elsewhere only the request says what was offered.
    #[must_use]
    pub const fn shows_tools(self) -> bool {
        matches!(self, Self::Responses)
    }

    /// A model to judge a call by whose own is not known, where all of an endpoint's are alike: no allowance covers images,
    /// speech, transcriptions or realtime (the offer's terms). Images have `dall-e-2` as their default (`OpenAI`'s API
    /// reference).
    #[must_use]
    pub const fn model_like_all(self) -> Option<&'static str> {
        match self {
            Self::ImageGenerations | Self::ImageEdits => Some("dall-e-2"),
            Self::Transcriptions => Some("whisper-1"),
            Self::Speech => Some("tts-1"),
            Self::Realtime => Some("gpt-realtime"),
            _ => None,
        }
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a request goes and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What the request asks for.
    pub endpoint: Endpoint,
    /// Path and query to send upstream, where the client's base URL has another form than
    /// OpenAI's; `None`: exactly as they came.
    pub rewritten: Option<String>,
}

/// First segments of OpenAI's API, under `/v1/`. Only these are recognised without their `/v1`,
/// so that an unknown path always goes on as it came.
const FAMILIES: &[&str] = &[
    "assistants",
    "audio",
    "batches",
    "chat",
    "chatkit",
    "completions",
    "containers",
    "conversations",
    "embeddings",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "models",
    "moderations",
    "organization",
    "realtime",
    "responses",
    "skills",
    "threads",
    "traces",
    "uploads",
    "vector_stores",
    "videos",
];

/// Most segments a path of a known endpoint has, counted after `/v1/`.
const MOST_SEGMENTS: usize = 8;

/// Says what `method` and `path_and_query` ask for.
///
/// `/x`, `//v1/x` and `/v1/v1/x` are rewritten to `/v1/x` where `x` belongs to OpenAI's API.
/// Nothing is ever decoded or merged beyond that: a percent-encoded or trailing-slash spelling is
/// not the endpoint. Allocates only where it rewrites.
#[must_use]
pub fn classify(method: &str, path_and_query: &str) -> Route {
    let (rest, is_plain) = if let Some(rest) = path_and_query.strip_prefix("/v1/v1/") {
        (rest, false)
    } else if let Some(rest) = path_and_query.strip_prefix("//v1/") {
        (rest, false)
    } else if let Some(rest) = path_and_query.strip_prefix("/v1/") {
        (rest, true)
    } else if let Some(rest) = path_and_query.strip_prefix('/') {
        (rest, false)
    } else {
        (path_and_query, true)
    };
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    let family = path.split_once('/').map_or(path, |(family, _)| family);
    if !FAMILIES.contains(&family) {
        return Route {
            endpoint: Endpoint::PassThrough,
            rewritten: None,
        };
    }
    Route {
        endpoint: endpoint_of(method, path),
        rewritten: (!is_plain).then(|| format!("/v1/{rest}")),
    }
}

/// The endpoint of a path after `/v1/`, without its query.
fn endpoint_of(method: &str, path: &str) -> Endpoint {
    let mut held = [""; MOST_SEGMENTS];
    let mut count = 0;
    for segment in path.split('/') {
        let Some(place) = held.get_mut(count) else {
            return Endpoint::PassThrough;
        };
        // An empty segment (a doubled or trailing slash) is no id and no endpoint.
        if segment.is_empty() {
            return Endpoint::PassThrough;
        }
        *place = segment;
        count += 1;
    }
    let segments = held.get(..count).unwrap_or_default();
    match method {
        "POST" => posted(segments),
        "GET" => shown(segments),
        _ => Endpoint::PassThrough,
    }
}

fn posted(segments: &[&str]) -> Endpoint {
    match segments {
        ["chat", "completions"] => Endpoint::Metered(Metered::ChatCompletions),
        ["completions"] => Endpoint::Metered(Metered::Completions),
        ["responses"] => Endpoint::Metered(Metered::Responses),
        ["responses", "compact"] => Endpoint::Metered(Metered::ResponsesCompact),
        ["embeddings"] => Endpoint::Metered(Metered::Embeddings),
        ["audio", "transcriptions"] => Endpoint::Metered(Metered::Transcriptions),
        ["audio", "speech"] => Endpoint::Metered(Metered::Speech),
        ["images", "generations"] => Endpoint::Metered(Metered::ImageGenerations),
        ["images", "edits"] => Endpoint::Metered(Metered::ImageEdits),
        ["threads", "runs"] | ["threads", _, "runs"] => Endpoint::Metered(Metered::ThreadRuns),
        ["chat", "completions", _] => Endpoint::Replay(Shows::One(Metered::ChatCompletions)),
        ["responses", _, "cancel"] => Endpoint::Replay(Shows::One(Metered::Responses)),
        ["threads", _, "runs", _] | ["threads", _, "runs", _, "cancel" | "submit_tool_outputs"] => {
            Endpoint::Replay(Shows::One(Metered::ThreadRuns))
        }
        ["batches"] | ["batches", _, "cancel"] | ["evals", _, "runs", ..] => {
            Endpoint::Replay(Shows::Others)
        }
        _ => Endpoint::PassThrough,
    }
}

fn shown(segments: &[&str]) -> Endpoint {
    match segments {
        ["responses", _] => Endpoint::Replay(Shows::One(Metered::Responses)),
        ["chat", "completions", _] => Endpoint::Replay(Shows::One(Metered::ChatCompletions)),
        ["threads", _, "runs", _] => Endpoint::Replay(Shows::One(Metered::ThreadRuns)),
        ["chat", "completions"] => Endpoint::Replay(Shows::List(Metered::ChatCompletions)),
        ["threads", _, "runs"] => Endpoint::Replay(Shows::List(Metered::ThreadRuns)),
        ["threads", _, "runs", _, "steps"]
        | ["threads", _, "runs", _, "steps", _]
        | ["batches"]
        | ["batches", _]
        | ["files", _, "content"]
        | ["evals", _, "runs", ..]
        | ["organization", "usage", ..]
        | ["organization", "costs"] => Endpoint::Replay(Shows::Others),
        ["responses"] => Endpoint::Socket(Socket::Responses),
        ["realtime", ..] => Endpoint::Socket(Socket::Realtime),
        _ => Endpoint::PassThrough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metered(path: &str) -> Option<Metered> {
        match classify("POST", path).endpoint {
            Endpoint::Metered(metered) => Some(metered),
            _ => None,
        }
    }

    #[test]
    fn every_creating_endpoint_is_metered() {
        for (path, expected) in [
            ("/v1/chat/completions", Metered::ChatCompletions),
            ("/v1/completions", Metered::Completions),
            ("/v1/responses", Metered::Responses),
            ("/v1/responses?beta=true", Metered::Responses),
            ("/v1/responses/compact", Metered::ResponsesCompact),
            ("/v1/embeddings", Metered::Embeddings),
            ("/v1/audio/transcriptions", Metered::Transcriptions),
            ("/v1/audio/speech", Metered::Speech),
            ("/v1/images/generations", Metered::ImageGenerations),
            ("/v1/images/edits", Metered::ImageEdits),
            ("/v1/threads/runs", Metered::ThreadRuns),
            ("/v1/threads/thread_1/runs", Metered::ThreadRuns),
        ] {
            assert_eq!(metered(path), Some(expected), "{path}");
            assert_eq!(classify("POST", path).rewritten, None, "{path}");
            assert_ne!(classify("GET", path).endpoint, Endpoint::Metered(expected));
        }
    }

    #[test]
    fn replays_are_never_metered() {
        for (method, path) in [
            ("GET", "/v1/responses/resp_1"),
            ("GET", "/v1/responses/resp_1?stream=true&starting_after=4"),
            ("POST", "/v1/responses/resp_1/cancel"),
            ("GET", "/v1/chat/completions"),
            ("GET", "/v1/chat/completions/chatcmpl-1"),
            ("POST", "/v1/chat/completions/chatcmpl-1"),
            ("GET", "/v1/threads/t/runs"),
            ("GET", "/v1/threads/t/runs/r"),
            ("GET", "/v1/threads/t/runs/r/steps"),
            ("GET", "/v1/threads/t/runs/r/steps/s"),
            ("POST", "/v1/threads/t/runs/r"),
            ("POST", "/v1/threads/t/runs/r/cancel"),
            ("POST", "/v1/threads/t/runs/r/submit_tool_outputs"),
            ("POST", "/v1/batches"),
            ("GET", "/v1/batches/b"),
            ("POST", "/v1/batches/b/cancel"),
            ("GET", "/v1/files/f/content"),
            ("GET", "/v1/evals/e/runs"),
            ("POST", "/v1/evals/e/runs"),
            ("GET", "/v1/organization/usage/completions?start_time=1"),
            ("GET", "/v1/organization/costs"),
        ] {
            let endpoint = classify(method, path).endpoint;
            assert!(matches!(endpoint, Endpoint::Replay(_)), "{method} {path}");
        }
    }

    #[test]
    fn a_replay_says_which_calls_it_shows() {
        for (method, path, shown) in [
            (
                "GET",
                "/v1/responses/resp_1?stream=true",
                Shows::One(Metered::Responses),
            ),
            (
                "POST",
                "/v1/responses/resp_1/cancel",
                Shows::One(Metered::Responses),
            ),
            (
                "GET",
                "/v1/threads/t/runs/r",
                Shows::One(Metered::ThreadRuns),
            ),
            (
                "POST",
                "/v1/threads/t/runs/r/submit_tool_outputs",
                Shows::One(Metered::ThreadRuns),
            ),
            (
                "GET",
                "/v1/chat/completions/chatcmpl-1",
                Shows::One(Metered::ChatCompletions),
            ),
            (
                "GET",
                "/v1/chat/completions?limit=2",
                Shows::List(Metered::ChatCompletions),
            ),
            (
                "GET",
                "/v1/threads/t/runs",
                Shows::List(Metered::ThreadRuns),
            ),
            ("GET", "/v1/threads/t/runs/r/steps", Shows::Others),
            ("GET", "/v1/threads/t/runs/r/steps/s", Shows::Others),
            ("GET", "/v1/batches/b", Shows::Others),
        ] {
            assert_eq!(
                classify(method, path).endpoint,
                Endpoint::Replay(shown),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn sockets_are_told_by_their_paths() {
        for (path, socket) in [
            ("/v1/responses", Socket::Responses),
            ("/v1/responses?beta=true", Socket::Responses),
            ("/v1/realtime?model=gpt-realtime", Socket::Realtime),
            ("/v1/realtime?call_id=rtc_1", Socket::Realtime),
            ("/realtime", Socket::Realtime),
            (
                "/v1/realtime/translations?model=gpt-realtime-translate",
                Socket::Realtime,
            ),
        ] {
            assert_eq!(
                classify("GET", path).endpoint,
                Endpoint::Socket(socket),
                "{path}"
            );
        }
    }

    #[test]
    fn everything_else_passes_through() {
        for (method, path) in [
            ("POST", "/v1/moderations"),
            ("POST", "/v1/audio/translations"),
            ("POST", "/v1/images/variations"),
            ("POST", "/v1/responses/input_tokens"),
            ("POST", "/v1/chat/completions/"),
            ("POST", "/v1//chat/completions"),
            ("POST", "/v1/chat%2Fcompletions"),
            ("POST", "/v1/Chat/Completions"),
            ("POST", "/v1/responses/"),
            ("GET", "/v1/responses/"),
            ("POST", "/v1/realtime"),
            ("GET", "/v1/responses/resp_1/input_items"),
            ("DELETE", "/v1/responses/resp_1"),
            ("HEAD", "/v1/responses/resp_1"),
            ("OPTIONS", "/v1/chat/completions"),
            ("POST", "/v1/files"),
            ("POST", "/v1/traces/ingest"),
            ("GET", "/v1/models"),
            ("POST", "/v1/threads/a/b/c/d/e/f/g/h/i/j"),
            ("GET", "/"),
            ("GET", ""),
            ("OPTIONS", "*"),
            ("POST", "/v1"),
            ("POST", "/v1/"),
        ] {
            let route = classify(method, path);
            assert_eq!(route.endpoint, Endpoint::PassThrough, "{method} {path}");
            assert_eq!(route.rewritten, None, "{method} {path}");
        }
    }

    #[test]
    fn base_urls_in_the_wild_reach_v1() {
        for (path, expected) in [
            ("/chat/completions", "/v1/chat/completions"),
            ("//v1/chat/completions?a=b/c", "/v1/chat/completions?a=b/c"),
            ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ] {
            let route = classify("POST", path);
            assert_eq!(metered(path), Some(Metered::ChatCompletions), "{path}");
            assert_eq!(route.rewritten.as_deref(), Some(expected), "{path}");
        }
        assert_eq!(
            classify("GET", "/models").rewritten.as_deref(),
            Some("/v1/models")
        );
        for path in [
            "/v2/chat/completions",
            "///v1/chat/completions",
            "/v1/v1/v1/chat/completions",
            "/chatter",
            "/v1/v1/unknown",
            "//chat/completions",
            "chat",
        ] {
            assert_eq!(classify("POST", path).rewritten, None, "{path}");
        }
    }
}
