//! What the creating endpoints have in common on the request's side: where the texts are, which tools
//! there are, which text steers. Reads JSON values; knows nothing of answers.

use serde_json::Value;

use crate::tokens;

/// Tokens that each message takes besides its text.
const TOKENS_PER_MESSAGE: u64 = 3;

/// The text of a message's content: a string, or the texts of its parts one after another.
pub(crate) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
            .collect(),
        _ => String::new(),
    }
}

fn text_of(message: &Value) -> String {
    let content = message.get("content").or_else(|| message.get("output"));
    content.map(content_text).unwrap_or_default()
}

/// The messages of a chat, or the input items of a response; a plain string is one user message.
#[derive(Debug)]
pub(crate) struct Conversation<'a> {
    items: &'a [Value],
    plain: Option<&'a str>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        Self {
            items: value.as_array().map_or(&[], Vec::as_slice),
            plain: value.as_str(),
        }
    }

    /// The text that steers: the last user message's, or the last message's if no user spoke.
    pub(crate) fn steering_text(&self) -> String {
        if let Some(plain) = self.plain {
            return plain.to_owned();
        }
        let by_user = |item: &&Value| item.get("role").and_then(Value::as_str) == Some("user");
        let item = self.items.iter().rev().find(by_user);
        item.or(self.items.last()).map(text_of).unwrap_or_default()
    }

    /// Whether the last item is what a function tool returned.
    pub(crate) fn ends_with_tool_result(&self) -> bool {
        self.items.last().is_some_and(|item| {
            item.get("role").and_then(Value::as_str) == Some("tool")
                || item.get("type").and_then(Value::as_str) == Some("function_call_output")
        })
    }

    /// Input tokens of all messages and of what else the model reads.
    pub(crate) fn tokens(&self, also_read: &[Option<&Value>]) -> u64 {
        let plain = self
            .plain
            .map_or(0, |text| tokens::of_text(text) + TOKENS_PER_MESSAGE);
        let items: u64 = self
            .items
            .iter()
            .map(|item| tokens::of_text(&text_of(item)) + TOKENS_PER_MESSAGE)
            .sum();
        let also: u64 = also_read
            .iter()
            .flatten()
            .filter(|value| !value.is_null())
            .map(|value| tokens::of_text(&value.to_string()))
            .sum();
        (plain + items + also).max(1)
    }
}

/// A function tool that the model can call.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameters: Option<&'a Value>,
}

/// The function tool that this request makes the model call, if any: the named one, or the first if a
/// call is required, or the first if the text asks for one and no result has come back yet.
pub(crate) fn function_to_call<'a>(
    body: &'a Value,
    conversation: &Conversation<'_>,
    asked_by_text: bool,
) -> Option<Function<'a>> {
    let tools = body.get("tools")?.as_array()?;
    let mut functions = tools.iter().filter_map(|tool| {
        // Chat nests the function, Responses does not.
        let function = tool.get("function").unwrap_or(tool);
        (tool.get("type")?.as_str()? == "function").then_some(Function {
            name: function.get("name")?.as_str()?,
            parameters: function.get("parameters"),
        })
    });
    let choice = body.get("tool_choice");
    let named = choice.and_then(|choice| {
        let named = choice.get("function").unwrap_or(choice);
        named.get("name")?.as_str()
    });
    if let Some(named) = named {
        return functions.find(|function| function.name == named);
    }
    let called = match choice.and_then(Value::as_str) {
        Some("required") => true,
        Some("none") => false,
        _ => asked_by_text && !conversation.ends_with_tool_result(),
    };
    called.then(|| functions.next()).flatten()
}

/// Whether a member is literally true.
pub(crate) fn is_true(body: &Value, member: &str) -> bool {
    body.get(member).and_then(Value::as_bool) == Some(true)
}

/// A member of `stream_options`.
pub(crate) fn stream_option(body: &Value, member: &str) -> Option<bool> {
    body.get("stream_options")?.get(member)?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_user_message_steers() {
        let messages = json!([
            {"role": "user", "content": "[call]"},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "tool", "content": "result"},
        ]);
        let conversation = Conversation::of(&messages);
        assert_eq!(conversation.steering_text(), "ab");
        assert!(conversation.ends_with_tool_result());
        assert_eq!(conversation.tokens(&[]), 2 + 1 + 1 + 2 + 4 * 3);
    }

    #[test]
    fn a_function_is_called_when_it_is_asked_for() {
        let tools = json!([{"type": "web_search"}, {"type": "function", "name": "f"},
                           {"type": "function", "function": {"name": "g"}}]);
        let input = json!("hi");
        let called = |choice: Value, asked| {
            let body = json!({"tools": tools, "tool_choice": choice});
            let conversation = Conversation::of(&input);
            let function = function_to_call(&body, &conversation, asked);
            function.map(|function| function.name.to_owned())
        };
        assert_eq!(called(Value::Null, false), None);
        assert_eq!(called(Value::Null, true).as_deref(), Some("f"));
        assert_eq!(called(json!("none"), true), None);
        assert_eq!(called(json!("required"), false).as_deref(), Some("f"));
        let named = json!({"type": "function", "function": {"name": "g"}});
        assert_eq!(called(named, false).as_deref(), Some("g"));
    }
}
