//! JSON with its members in the order they were put in, rendered compactly (events of a stream) or
//! with two spaces (whole answers), as OpenAI does. Knows nothing of what it renders; it can render
//! text that is not JSON at all, for hostile answers.

use serde_json::Value;

/// A JSON value whose members keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A scalar, or a value of the request shown again.
    Value(Value),
    Object(Vec<(&'static str, Node)>),
    List(Vec<Node>),
    /// Put in as it is, whether it is JSON or not.
    Raw(String),
}

/// An object with these members.
pub(crate) fn object<const N: usize>(members: [(&'static str, Node); N]) -> Node {
    Node::Object(members.into())
}

/// An object with the members of which some may be left out.
pub(crate) fn object_of<const N: usize>(members: [Option<(&'static str, Node)>; N]) -> Node {
    Node::Object(members.into_iter().flatten().collect())
}

pub(crate) fn list(nodes: impl IntoIterator<Item = Node>) -> Node {
    Node::List(nodes.into_iter().collect())
}

pub(crate) const NULL: Node = Node::Value(Value::Null);

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Value(Value::from(text))
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Value(Value::from(text))
    }
}

impl From<&String> for Node {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<u64> for Node {
    fn from(number: u64) -> Self {
        Self::Value(Value::from(number))
    }
}

impl From<usize> for Node {
    fn from(number: usize) -> Self {
        Self::Value(Value::from(number))
    }
}

impl From<i64> for Node {
    fn from(number: i64) -> Self {
        Self::Value(Value::from(number))
    }
}

impl From<f64> for Node {
    fn from(number: f64) -> Self {
        Self::Value(Value::from(number))
    }
}

impl From<bool> for Node {
    fn from(truth: bool) -> Self {
        Self::Value(Value::from(truth))
    }
}

impl<T: Into<Node>> From<Option<T>> for Node {
    fn from(maybe: Option<T>) -> Self {
        maybe.map_or(NULL, Into::into)
    }
}

impl Node {
    /// On one line, without spaces.
    pub(crate) fn compact(&self) -> String {
        let mut out = String::new();
        self.render(&mut out, None);
        out
    }

    /// With two spaces for each depth.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.render(&mut out, Some(0));
        out
    }

    fn render(&self, out: &mut String, depth: Option<usize>) {
        match self {
            Self::Raw(raw) => out.push_str(raw),
            Self::Value(Value::Array(items)) => {
                let items = items.iter().map(|item| (None, Self::Value(item.clone())));
                render_all(out, depth, ['[', ']'], items);
            }
            Self::Value(Value::Object(members)) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (Some(name.as_str()), Self::Value(value.clone())));
                render_all(out, depth, ['{', '}'], members);
            }
            Self::Value(scalar) => out.push_str(&scalar.to_string()),
            Self::List(items) => {
                let items = items.iter().map(|item| (None, item));
                render_all(out, depth, ['[', ']'], items);
            }
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| (Some(*name), node));
                render_all(out, depth, ['{', '}'], members);
            }
        }
    }
}

fn render_all<'a, N: std::borrow::Borrow<Node>>(
    out: &mut String,
    depth: Option<usize>,
    [open, close]: [char; 2],
    members: impl Iterator<Item = (Option<&'a str>, N)>,
) {
    out.push(open);
    let inner = depth.map(|depth| depth + 1);
    let mut empty = true;
    for (name, node) in members {
        if !empty {
            out.push(',');
        }
        empty = false;
        new_line(out, inner);
        if let Some(name) = name {
            out.push_str(&Value::from(name).to_string());
            out.push_str(if depth.is_some() { ": " } else { ":" });
        }
        node.borrow().render(out, inner);
    }
    if !empty {
        new_line(out, depth);
    }
    out.push(close);
}

fn new_line(out: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let node = object([
            ("b", 1_u64.into()),
            ("a", list([NULL, object([]), "x\"".into()])),
        ]);
        assert_eq!(node.compact(), r#"{"b":1,"a":[null,{},"x\""]}"#);
        let pretty = "{\n  \"b\": 1,\n  \"a\": [\n    null,\n    {},\n    \"x\\\"\"\n  ]\n}";
        assert_eq!(node.pretty(), pretty);
    }

    #[test]
    fn a_value_renders_as_serde_json_does() {
        let value = serde_json::json!({"a": [1.0, {"b": []}], "c": {"d": "\u{1}é"}});
        assert_eq!(Node::from(value.clone()).compact(), value.to_string());
        assert_eq!(
            Node::from(value.clone()).pretty(),
            serde_json::to_string_pretty(&value).unwrap()
        );
    }

    #[test]
    fn raw_text_stays_as_it_is() {
        assert_eq!(
            object([("u", Node::Raw("1e999".to_owned()))]).compact(),
            r#"{"u":1e999}"#
        );
    }
}
