//! A manifest as a tree of nodes, each with its place in the text. Read only: edits are made in the text.
//!
//! Always true: a node's span lies within the text, ends behind its last character, and does not hold comments or
//! line ends that follow it, except those of a block scalar.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deeper than any manifest; keeps the recursions over the tree bounded.
pub const DEEPEST: usize = 200;

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its bytes in the text. A block collection begins at its first key or item.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// An alias elsewhere in the document means this node, too.
    pub shared: bool,
    anchor: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, and whether it stands without quotes.
    Scalar {
        /// Its value.
        text: String,
        /// Not quoted, so it may mean null, a number, a truth.
        plain: bool,
    },
    /// Keys and values in their order.
    Map {
        /// The entries.
        entries: Vec<(Node, Node)>,
        /// Written with braces.
        flow: bool,
    },
    /// Items in their order.
    List {
        /// The items.
        items: Vec<Node>,
        /// Written with brackets.
        flow: bool,
    },
    /// A name for a node that was written before.
    Alias(usize),
}

impl Node {
    /// A node that no alias means.
    pub fn new(span: Range<usize>, kind: Kind) -> Self {
        Self { span, kind, shared: false, anchor: 0 }
    }

    /// The entries, if it is a mapping.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List { items, .. } => items,
            _ => &[],
        }
    }

    /// The value of `key`, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.position(key).map(|at| &self.entries()[at].1)
    }

    /// Where among the entries `key` stands.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.entries().iter().position(|(name, _)| name.text() == Some(key))
    }

    /// The text, if it is a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Nothing, an empty mapping or an empty list.
    pub fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Scalar { text, plain } => *plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            Kind::Map { entries, .. } => entries.is_empty(),
            Kind::List { items, .. } => items.is_empty(),
            Kind::Alias(_) => false,
        }
    }

    /// Whether it is written with braces or brackets.
    pub fn flow(&self) -> bool {
        matches!(&self.kind, Kind::Map { flow: true, .. } | Kind::List { flow: true, .. })
    }

    fn mark_shared(&mut self, used: &[usize]) {
        self.shared = self.anchor != 0 && used.contains(&self.anchor);
        match &mut self.kind {
            Kind::Map { entries, .. } => entries.iter_mut().for_each(|(key, value)| {
                key.mark_shared(used);
                value.mark_shared(used);
            }),
            Kind::List { items, .. } => items.iter_mut().for_each(|item| item.mark_shared(used)),
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
    }
}

/// The documents of a YAML text; an empty one is an empty scalar.
///
/// # Errors
/// Which document cannot be read, and why.
pub fn yaml(text: &str) -> Result<Vec<Node>, (usize, String)> {
    let places = Places::new(text);
    let mut documents: Vec<Node> = Vec::new();
    let mut open: Vec<Node> = Vec::new();
    let mut used: Vec<usize> = Vec::new();
    for event in Parser::new_from_str(text) {
        let number = documents.len() + 1;
        let failed = |why: String| (number, why);
        let (event, span) = event.map_err(|error| {
            failed(format!("line {}, column {}: {}", error.marker().line(), error.marker().col() + 1, error.info()))
        })?;
        let at = places.of(span);
        let done = match event {
            Event::MappingStart(anchor, _) => {
                open.push(Node { anchor, ..Node::new(at, Kind::Map { entries: Vec::new(), flow: false }) });
                None
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Node { anchor, ..Node::new(at, Kind::List { items: Vec::new(), flow: false }) });
                None
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop().map(|node| closed(node, at)),
            Event::Scalar(value, style, anchor, _) => {
                // Behind the indicator of a block scalar there is its text; the parser's place begins with the text.
                let kind = Kind::Scalar { text: value.into_owned(), plain: style == ScalarStyle::Plain };
                // The place of a scalar that is not there is where the parser noticed: it has no text of its own.
                let at = if matches!(&kind, Kind::Scalar { text, plain: true } if text.is_empty()) {
                    at.start..at.start
                } else {
                    at
                };
                Some(Node { anchor, ..Node::new(at, kind) })
            }
            Event::Alias(anchor) => {
                used.push(anchor);
                Some(Node::new(at, Kind::Alias(anchor)))
            }
            Event::DocumentEnd => {
                if let Some(document) = documents.last_mut() {
                    document.mark_shared(&used);
                }
                None
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => None,
        };
        if open.len() > DEEPEST {
            return Err(failed(format!("nested more than {DEEPEST} deep")));
        }
        if let Some(node) = done {
            match open.last_mut() {
                Some(parent) => push(parent, node),
                None => documents.push(node),
            }
        }
    }
    Ok(documents)
}

/// A mapping takes its keys and values in turn: a key waits with an alias to nothing as its value.
fn push(parent: &mut Node, node: Node) {
    const WAITING: usize = 0;
    match &mut parent.kind {
        Kind::List { items, .. } => items.push(node),
        Kind::Map { entries, .. } => match entries.last_mut() {
            Some((_, value)) if matches!(value.kind, Kind::Alias(WAITING)) => *value = node,
            _ => entries.push((node, Node::new(0..0, Kind::Alias(WAITING)))),
        },
        Kind::Scalar { .. } | Kind::Alias(_) => {}
    }
}

/// Gives a collection its end: the closing bracket, or the end of its last part.
fn closed(mut node: Node, end: Range<usize>) -> Node {
    // Only brackets take room at their end.
    let brackets = !end.is_empty();
    let last = match &mut node.kind {
        Kind::Map { entries, flow } => {
            *flow = brackets;
            entries.last().map(|(key, value)| value.span.end.max(key.span.end))
        }
        Kind::List { items, flow } => {
            *flow = brackets;
            items.last().map(|item| item.span.end)
        }
        Kind::Scalar { .. } | Kind::Alias(_) => None,
    };
    // The parser counts the white space behind a bracket as part of it.
    node.span.end = if brackets { end.start + 1 } else { last.unwrap_or(node.span.start).max(node.span.start) };
    node
}

/// Turns the parser's places, which count characters, into bytes.
struct Places<'t> {
    text: &'t str,
    /// Byte of each character; empty when they are the same.
    bytes: Cow<'static, [usize]>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        let bytes = if text.is_ascii() {
            Cow::Borrowed(&[][..])
        } else {
            Cow::Owned(text.char_indices().map(|(at, _)| at).collect())
        };
        Self { text, bytes }
    }

    fn byte(&self, character: usize) -> usize {
        match self.bytes.is_empty() {
            true => character.min(self.text.len()),
            false => self.bytes.get(character).copied().unwrap_or(self.text.len()),
        }
    }

    fn of(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }
}
