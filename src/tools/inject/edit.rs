//! Edits in the text of a manifest: what is put in before an entry or item, and how exactly that is taken out again.
//!
//! Always true: every byte outside an edit stays; what [`entry`], [`item`] or [`fill`] put in, [`remove`] or
//! [`restore`] takes out.

use std::ops::Range;

use super::tree::{Kind, Node};
use super::value::Value;

/// Replaces a range of the text.
#[derive(Clone, Debug)]
pub struct Edit {
    span: Range<usize>,
    with: String,
}

/// Makes all edits; they do not overlap.
pub fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let (mut out, mut done) = (String::with_capacity(text.len() + 1024 * edits.len()), 0);
    for edit in edits {
        out.push_str(&text[done..edit.span.start]);
        out.push_str(&edit.with);
        done = edit.span.end;
    }
    out + &text[done..]
}

/// Puts `key: value` before the entry number `before` of a mapping.
pub fn entry(text: &str, map: &Node, before: usize, key: &'static str, value: Value) -> Edit {
    let at = map.entries()[before].0.span.start;
    let floor = before.checked_sub(1).map_or(0, |above| map.entries()[above].1.span.end);
    if map.flow() {
        return in_flow(text, map, at, |pad, step| match step {
            Some(step) => format!("{}: {}", Value::text(key).line(), value.lines(pad, step)),
            None => format!("{}: {}", Value::text(key).line(), value.line()),
        });
    }
    in_block(text, at, floor, |indent| Value::Map(vec![(key, value)]).block(indent))
}

/// Puts a value before the first item of a list.
pub fn item(text: &str, list: &Node, value: &Value) -> Edit {
    if list.flow() {
        return in_flow(text, list, list.items()[0].span.start, |pad, step| match step {
            Some(step) => value.lines(pad, step),
            None => value.line(),
        });
    }
    let at = dash(text, &list.items()[0]);
    in_block(text, at, 0, |indent| format!("- {}", value.block(indent + 2)))
}

/// Puts a value where nothing, `{}` or `[]` stands.
pub fn fill(text: &str, empty: &Node, value: &Value) -> Edit {
    let Range { start, end } = empty.span;
    if start < end {
        return Edit { span: start..end, with: value.line() };
    }
    // Nothing is written: the place may be that of the key's end, before the colon.
    let rest = &text[start..];
    let at = if rest.trim_start_matches(' ').starts_with(':') {
        start + rest.find(':').map_or(0, |colon| colon + 1)
    } else {
        start
    };
    Edit { span: at..at, with: format!(" {}", value.line()) }
}

/// Takes what [`fill`] put there out again.
pub fn restore(text: &str, filled: &Node, original: &str) -> Edit {
    let Range { start, end } = filled.span;
    let start = if original.is_empty() && text[..start].ends_with(' ') { start - 1 } else { start };
    Edit { span: start..end, with: original.to_owned() }
}

/// Takes an entry of a mapping or an item of a list out.
pub fn remove(text: &str, parent: &Node, at: usize) -> Edit {
    let part = |at: usize| match &parent.kind {
        Kind::Map { entries, .. } => {
            entries.get(at).map(|(key, value)| key.span.start..value.span.end.max(key.span.end))
        }
        Kind::List { items, flow: true } => items.get(at).map(|item| item.span.clone()),
        Kind::List { items, flow: false } => items.get(at).map(|item| dash(text, item)..item.span.end),
        Kind::Scalar { .. } | Kind::Alias(_) => None,
    };
    let own = part(at).unwrap_or(parent.span.clone());
    let (above, below) = (at.checked_sub(1).and_then(part), part(at + 1));
    let begin = line_start(text, own.start);
    let lines = text[begin..own.start].trim_matches(' ').is_empty();
    let span = match (below, above) {
        _ if !parent.flow() && lines => {
            let ended = text[..own.end].ends_with('\n') && own.end > own.start;
            begin..if ended { own.end } else { line_end(text, own.end) }
        }
        (Some(below), _) => own.start..below.start,
        (None, Some(above)) if parent.flow() => above.end..own.end,
        (None, _) => own,
    };
    Edit { span, with: String::new() }
}

fn in_block(text: &str, at: usize, floor: usize, write: impl FnOnce(usize) -> String) -> Edit {
    let begin = line_start(text, at);
    let prefix = &text[begin..at];
    let indent = prefix.chars().count();
    let eol = if text[..line_end(text, at)].ends_with("\r\n") { "\r\n" } else { "\n" };
    let written = write(indent).replace('\n', eol);
    if prefix.trim_matches(' ').is_empty() {
        let at = above_comments(text, begin, floor, prefix);
        return Edit { span: at..at, with: format!("{prefix}{written}{eol}") };
    }
    // Behind the dash of a list: the dash becomes ours.
    Edit { span: at..at, with: format!("{written}{eol}{}", " ".repeat(indent)) }
}

fn in_flow(text: &str, parent: &Node, at: usize, write: impl FnOnce(&str, Option<&str>) -> String) -> Edit {
    let begin = line_start(text, at);
    let pad = &text[begin..at];
    if begin == 0 || !pad.trim_matches([' ', '\t']).is_empty() {
        return Edit { span: at..at, with: format!("{}, ", write("", None)) };
    }
    let outer = &text[line_start(text, parent.span.start)..];
    let outer = &outer[..outer.len() - outer.trim_start_matches([' ', '\t']).len()];
    let step = pad.strip_prefix(outer).filter(|step| !step.is_empty()).unwrap_or("  ");
    let eol = if text[..begin].ends_with("\r\n") { "\r\n" } else { "\n" };
    Edit { span: at..at, with: format!("{},\n{pad}", write(pad, Some(step))).replace('\n', eol) }
}

/// Comments right above an entry, as deep as itself, are its own: the place above them.
fn above_comments(text: &str, mut begin: usize, floor: usize, prefix: &str) -> usize {
    while begin > floor {
        let above = line_start(text, begin - 1);
        let line = &text[above..begin];
        if above < floor || !line.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('#')) {
            break;
        }
        begin = above;
    }
    begin
}

/// The dash before an item of a block list.
fn dash(text: &str, item: &Node) -> usize {
    let mut before = &text[..item.span.start];
    while let Some(at) = before.rfind('-') {
        // A dash in a comment has more before it than other dashes.
        if text[line_start(text, at)..at].trim_matches([' ', '-']).is_empty() {
            return at;
        }
        before = &before[..at];
    }
    item.span.start
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Behind the end of the line.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}
