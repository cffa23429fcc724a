//! OpenAI's errors: statuses, types, codes and texts as recorded. Knows nothing of sockets or of what
//! led to an error.

use http::StatusCode;

use crate::json::{NULL, Node, object};

/// Who of OpenAI's machines makes an error: it decides which headers the answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The API itself: the answer names organization and project.
    Api,
    /// The edge, before the API: no organization, no `openai-version`, `vary: Origin`.
    Edge,
    /// Authentication: no organization, but `www-authenticate`.
    Authentication,
    /// Cloudflare in front of it all: an HTML page.
    Cloudflare,
}

/// An HTTP error of OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) origin: Origin,
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

const INVALID: &str = "invalid_request_error";

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            origin: Origin::Api,
            kind: INVALID,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    fn from(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// The request had no `Authorization: Bearer`.
    pub(crate) fn no_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password \
             field (with blank username) if you're accessing the API from your browser and are \
             prompted for a username and password. You can obtain an API key from \
             https://platform.openai.com/account/api-keys.",
        )
        .from(Origin::Authentication)
    }

    /// The key belongs to nobody; long keys are shown with their middle starred.
    pub(crate) fn wrong_key(key: &str) -> Self {
        let letters: Vec<char> = key.chars().collect();
        let shown: String = if letters.len() <= 12 {
            key.to_owned()
        } else {
            let hidden = 8..letters.len() - 4;
            let starred = letters.iter().enumerate();
            starred
                .map(|(at, letter)| if hidden.contains(&at) { '*' } else { *letter })
                .collect()
        };
        Self::new(
            StatusCode::UNAUTHORIZED,
            format!(
                "Incorrect API key provided: {shown}. You can find your API key at \
                 https://platform.openai.com/account/api-keys."
            ),
        )
        .code("invalid_api_key")
        .from(Origin::Authentication)
    }

    /// `OpenAI-Organization` names another organization than the key's.
    pub(crate) fn mismatched_organization() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "OpenAI-Organization header should match organization for API key",
        )
        .code("mismatched_organization")
        .from(Origin::Authentication)
    }

    /// `OpenAI-Project` names another project than the key's.
    pub(crate) fn mismatched_project() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "OpenAI-Project header should match project for API key",
        )
        .code("mismatched_project")
        .from(Origin::Authentication)
    }

    /// The body is not JSON.
    pub(crate) fn not_json() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "We could not parse the JSON body of your request. (HINT: This likely means you \
             aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but \
             what was sent was not valid JSON. If you have trouble figuring out how to fix this, \
             please contact us through our help center at help.openai.com.)",
        )
    }

    /// The body is over the limit.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Maximum content size limit ({limit}) exceeded"),
        )
    }

    /// A member that must be there is not.
    pub(crate) fn missing(param: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("Missing required parameter: '{param}'."),
        )
        .param(param)
        .code("missing_required_parameter")
    }

    /// The request names no model.
    pub(crate) fn no_model() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "you must provide a model parameter",
        )
    }

    /// No such model: the edge's 404.
    pub(crate) fn unknown_model(model: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
        .code("model_not_found")
        .from(Origin::Edge)
    }

    /// No such model: the Responses API's 400.
    pub(crate) fn unknown_model_in_responses(model: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("The requested model '{model}' does not exist."),
        )
        .param("model")
        .code("model_not_found")
    }

    /// A completions model asked for a chat.
    pub(crate) fn not_a_chat_model() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. \
             Did you mean to use v1/completions?",
        )
        .param("model")
    }

    /// A chat model asked for a completion.
    pub(crate) fn a_chat_model() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean \
             to use v1/chat/completions?",
        )
        .param("model")
    }

    /// A model asked for what it does not do.
    pub(crate) fn not_allowed_to(what: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            format!("You are not allowed to {what} this model"),
        )
        .from(Origin::Edge)
    }

    /// No such endpoint.
    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("Invalid URL ({method} {path})"),
        )
    }

    /// The endpoint exists, but not for this method.
    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!(
                "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different \
                 HTTP method?)"
            ),
        )
        .code("method_not_supported")
    }

    /// No stored response, or one of somebody else.
    pub(crate) fn no_response(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("Response with id '{id}' not found."),
        )
    }

    /// The response that a request continues is not stored, or somebody else's.
    pub(crate) fn no_previous_response(id: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("Previous response with id '{id}' not found."),
        )
        .param("previous_response_id")
        .code("previous_response_not_found")
    }

    /// No stored chat completion, or one of somebody else.
    pub(crate) fn no_chat(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("Chat completion with id '{id}' not found."),
        )
    }

    /// No such run, or somebody else's, or another thread's.
    pub(crate) fn no_run(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("No run found with id '{id}'."),
        )
    }

    /// Only background responses can be cancelled.
    pub(crate) fn not_cancellable() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "Cannot cancel a synchronous response.",
        )
    }

    /// The error of a status, as a request asks for it with `[status N]`.
    pub(crate) fn of_status(status: StatusCode, model: &str, organization_id: &str) -> Self {
        match status.as_u16() {
            400 => Self::new(status, "Invalid value: 'simulated'.").code("invalid_value"),
            401 => Self::wrong_key("sk-sim-revoked-0000"),
            403 => Self::not_allowed_to("sample from"),
            404 => Self::unknown_model(model),
            429 => Self::new(
                status,
                format!(
                    "Rate limit reached for {model} in organization {organization_id} on tokens \
                     per min (TPM): Limit 100000, Used 96749, Requested 19126. Please try again \
                     in 9.525s. Visit https://platform.openai.com/account/rate-limits to learn \
                     more."
                ),
            )
            .kind("tokens")
            .code("rate_limit_exceeded"),
            500 => Self::new(
                status,
                "The server had an error while processing your request. Sorry about that!",
            )
            .kind("server_error"),
            503 => Self::new(
                status,
                "The engine is currently overloaded, please try again later",
            )
            .kind("service_unavailable_error")
            .code("server_is_overloaded"),
            502 | 504 | 520..=530 => Self::new(status, "").from(Origin::Cloudflare),
            _ => Self::new(status, "A simulated error."),
        }
    }

    /// The `error` object.
    pub(crate) fn node(&self) -> Node {
        object([
            ("message", (&self.message).into()),
            ("type", self.kind.into()),
            ("param", self.param.as_deref().map_or(NULL, Node::from)),
            ("code", self.code.into()),
        ])
    }

    /// The body of the answer: JSON, or Cloudflare's page.
    pub(crate) fn body(&self) -> String {
        if self.origin == Origin::Cloudflare {
            let status = self.status.as_u16();
            return format!(
                "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head><title>api.openai.com | {status}: \
                 Web server is returning an error</title></head>\n<body><h1>Error code \
                 {status}</h1></body>\n</html>\n"
            );
        }
        object([("error", self.node())]).pretty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_starred_as_recorded() {
        let shown = |key: &str| ApiError::wrong_key(key).message;
        assert!(shown("invalid-key").starts_with("Incorrect API key provided: invalid-key. You"));
        assert!(shown("sk-abcde12345wxyz").contains(": sk-abcde*****wxyz. You"));
    }

    #[test]
    fn all_four_members_are_always_there() {
        let body = ApiError::no_model().body();
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        let members = error["error"].as_object().unwrap();
        assert_eq!(members.len(), 4);
        assert!(members["param"].is_null() && members["code"].is_null());
    }
}
