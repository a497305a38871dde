//! What is written into a manifest, as a value that can be written in either style and compared with a node.

use super::tree::{Kind, Node};

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string; always quoted where it might be read as something else.
    Text(String),
    /// A number or a truth, as written.
    Plain(&'static str),
    /// Items.
    List(Vec<Value>),
    /// Keys and values.
    Map(Vec<(&'static str, Value)>),
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// Whether `node` says the same, whatever its style and the order of its keys.
    pub fn is(&self, node: &Node) -> bool {
        match (self, &node.kind) {
            (Value::Text(text), Kind::Scalar { text: found, .. }) => text == found,
            (Value::Plain(text), Kind::Scalar { text: found, plain: true }) => text == found,
            (Value::List(items), Kind::List { items: found, .. }) => {
                items.len() == found.len() && items.iter().zip(found).all(|(item, node)| item.is(node))
            }
            (Value::Map(entries), Kind::Map { entries: found, .. }) => {
                entries.len() == found.len()
                    && entries.iter().all(|(key, value)| node.get(key).is_some_and(|node| value.is(node)))
            }
            _ => false,
        }
    }

    /// In block style; lines after the first begin with `indent` spaces. Lists stand two deeper than their key.
    pub fn block(&self, indent: usize) -> String {
        let pad = " ".repeat(indent);
        match self {
            Value::Text(text) => scalar(text),
            Value::Plain(text) => (*text).to_owned(),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| format!("- {}", item.block(indent + 2))).collect();
                items.join(&format!("\n{pad}"))
            }
            Value::Map(entries) => {
                let entry = |(key, value): &(&str, Value)| match value {
                    Value::List(_) | Value::Map(_) => {
                        format!("{}:\n{pad}  {}", scalar(key), value.block(indent + 2))
                    }
                    _ => format!("{}: {}", scalar(key), value.block(0)),
                };
                entries.iter().map(entry).collect::<Vec<_>>().join(&format!("\n{pad}"))
            }
        }
    }

    /// As JSON on one line.
    pub fn line(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Plain(text) => (*text).to_owned(),
            Value::List(items) => format!("[{}]", items.iter().map(Value::line).collect::<Vec<_>>().join(", ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.line()));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// As JSON on many lines; those after the first begin with `pad`, and each level adds `step`.
    pub fn lines(&self, pad: &str, step: &str) -> String {
        let deeper = format!("{pad}{step}");
        let parts: Vec<_> = match self {
            Value::List(items) => items.iter().map(|item| item.lines(&deeper, step)).collect(),
            Value::Map(entries) => {
                let entry = |(key, value): &(&str, Value)| format!("{}: {}", quoted(key), value.lines(&deeper, step));
                entries.iter().map(entry).collect()
            }
            Value::Text(_) | Value::Plain(_) => return self.line(),
        };
        let (open, close) = if matches!(self, Value::List(_)) { ('[', ']') } else { ('{', '}') };
        format!("{open}\n{deeper}{}\n{pad}{close}", parts.join(&format!(",\n{deeper}")))
    }
}

/// Without quotes where no reader of YAML can take it for anything but this string.
fn scalar(text: &str) -> String {
    let safe = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte))
        // y, no, on, null, true, inf and their kin.
        && (text.len() > 5 || text.contains(['-', '/']) || KNOWN.contains(&text));
    if safe { text.to_owned() } else { quoted(text) }
}

/// Short words of ours that mean nothing else in YAML.
const KNOWN: &[&str] = &["name", "value", "image", "env", "exec", "cpu", "drop", "limits", "type", "ALL"];

/// JSON's string, which YAML reads alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
