//! Chat completions as an upstream answers them, as short as they come: whole, and as streams.
//!
//! Knows the form of these answers; who sends them when is the upstream's affair.

/// The type of an answer in one piece.
pub const JSON: (&str, &str) = ("content-type", "application/json");
/// The type of a stream.
pub const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");
/// How a stream is framed.
pub const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
/// Noon of a day that begins after any test does: a proxy that hears it counts that day whole, and no
/// midnight is near.
pub const DATE: (&str, &str) = ("date", "Fri, 15 Jan 2077 12:00:00 GMT");
/// The path.
pub const PATH: &str = "/v1/chat/completions";
/// A model of the small group.
pub const MODEL: &str = "gpt-4o-mini-2024-07-18";
/// The last event of a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// The member `usage` that says so many tokens.
pub fn usage(input: u64, output: u64) -> String {
    let total = input + output;
    format!(
        r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total}}}"#
    )
}

/// A request body; `rest` are its members after the model, with a comma in front of each.
pub fn ask(model: &str, rest: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{rest}}}"#)
}

/// The body of an answer in one piece; `rest` are its members after the choices, with a comma in front
/// of each.
pub fn completion(id: &str, model: &str, text: &str, rest: &str) -> Vec<u8> {
    let message = format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    let choices = format!(r#""choices":[{{"index":0,"message":{message}}}]"#);
    let begin = format!(r#""id":"{id}","object":"chat.completion","model":"{model}""#);
    format!("{{{begin},{choices}{rest}}}").into_bytes()
}

/// One event of a stream; `rest` are its members after the model.
pub fn event(id: &str, model: &str, rest: &str) -> Vec<u8> {
    let begin = format!(r#""id":"{id}","object":"chat.completion.chunk","model":"{model}""#);
    format!("data: {{{begin},{rest}}}\n\n").into_bytes()
}

/// The event that brings this text.
pub fn says(id: &str, model: &str, text: &str) -> Vec<u8> {
    event(
        id,
        model,
        &format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]"#),
    )
}

/// The event that brings the usage alone.
pub fn counts(id: &str, model: &str, usage: &str) -> Vec<u8> {
    event(id, model, &format!(r#""choices":[],{usage}"#))
}
