//! Reads Rust as text: what is left without comments and literals, and which paths that names.

use std::collections::BTreeSet;

/// `control/admin/mod.rs` → `control`, `admin`, `mod`.
pub fn module_of(path: &str) -> Vec<String> {
    path.trim_end_matches(".rs").split('/').map(str::to_owned).collect()
}

/// The text without comments, strings and character literals; each is replaced by a space.
pub fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let name_before = code.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n'),
            '/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
            '"' => closing_quote(rest),
            'r' if !name_before && (rest.starts_with("r\"") || rest.starts_with("r#")) => raw_string(rest),
            '\'' => Some(character(rest)),
            _ => Some(0),
        };
        match skipped {
            Some(0) => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
            Some(length) => {
                code.push(' ');
                rest = &rest[length..];
            }
            None => break,
        }
    }
    code
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end.then_some(at + 1)
    })
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    if !text[1 + hashes..].starts_with('"') {
        return Some(0);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[2 + hashes..].find(&end).map(|at| 2 + hashes + at + end.len())
}

/// The length of the character literal that `text` begins with; a lifetime's tick alone is not one.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3),
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 0,
    }
}

/// Each word of `code`, with its place.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(word)?;
        let length = code[start..].find(|c| !word(c)).unwrap_or(code.len() - start);
        at = start + length;
        Some((start, &code[start..at]))
    })
}

/// What stands in each `cfg(…)`, `cfg!(…)` and `cfg_attr(…)`.
pub fn conditions(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let behind = code[at + word.len()..].trim_start_matches('!');
        if matches!(word, "cfg" | "cfg_attr") && behind.starts_with('(') {
            let mut depth = 0;
            let inside = behind.chars().take_while(|c| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth > 0
            });
            found.push(inside.collect());
        }
    }
    found
}

/// Every path of our own crate that `code` names, from its first module on.
pub fn own_paths(module: &[String], code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, word) in words(code) {
        let rest = &code[at + word.len()..];
        let qualified = code[..at].trim_end().ends_with("::");
        if qualified || !rest.starts_with("::") {
            continue;
        }
        match word {
            "crate" | "udp_proxy" => expand("", &rest[2..], &mut found),
            "super" => {
                let mut rest = rest;
                let mut up = 1;
                while let Some(further) = rest.strip_prefix("::super") {
                    (rest, up) = (further, up + 1);
                }
                // A mod.rs is the module of its directory; a module inside the file is one level deeper.
                let file = module.len() - usize::from(module.last().is_some_and(|last| last == "mod"));
                let left = (file + inline_depth(&code[..at])).saturating_sub(up);
                if let Some(rest) = rest.strip_prefix("::").filter(|_| left < file) {
                    expand(&module[..left].join("::"), rest, &mut found);
                }
            }
            _ => {}
        }
    }
    found
}

/// In how many `mod name { … }` of its file the end of `before` stands.
fn inline_depth(before: &str) -> usize {
    let mut open = Vec::new();
    for (at, c) in before.char_indices() {
        match c {
            '{' => open.push(begins_module(&before[..at])),
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().filter(|module| *module).count()
}

/// Whether `mod name` stands at the end of `before`.
fn begins_module(before: &str) -> bool {
    let mut last = before.split_whitespace().rev();
    last.next().is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        && last.next() == Some("mod")
}

/// Adds each path that `{a, b::{c, d}}`, or a plain path, stands for.
fn expand(prefix: &str, text: &str, found: &mut BTreeSet<String>) {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut depth = 1;
        let mut start = 0;
        for (at, c) in group.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 || (depth == 1 && c == ',') {
                expand(prefix, &group[start..at], found);
                start = at + 1;
            }
            if depth == 0 {
                return;
            }
        }
        return;
    }
    let Some((0, name)) = words(text).next() else {
        // A star, or nothing behind a trailing comma.
        if text.starts_with('*') {
            found.insert(join("*"));
        }
        return;
    };
    match text[name.len()..].trim_start().strip_prefix("::") {
        Some(rest) => expand(&join(name), rest, found),
        None => {
            found.insert(join(name));
        }
    }
}
