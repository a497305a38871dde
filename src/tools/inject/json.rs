//! JSON documents, one behind the other, as the same tree. YAML holds most of JSON, but not tabs everywhere nor
//! its pairs of `\u` escapes; `kubectl get -o json` writes both.

use serde::de::IgnoredAny;

use super::tree::{DEEPEST, Kind, Node};

/// The documents, if the whole text is JSON objects; `None` when it is something else.
pub fn documents(text: &str) -> Option<Vec<Node>> {
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return None;
    }
    let begin = text.find('{')?;
    let stream = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<IgnoredAny>();
    // That it is well-formed is serde_json's to say; the reader below only finds places.
    for document in stream {
        document.ok()?;
    }
    let mut reader = Reader { text, at: begin };
    let mut documents = Vec::new();
    loop {
        reader.skip_space();
        if reader.at == text.len() {
            return Some(documents);
        }
        documents.push(reader.node(0)?);
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        if depth > DEEPEST {
            return None;
        }
        let start = self.at;
        let kind = match self.next()? {
            b'{' => {
                let mut entries = Vec::new();
                self.parts(b'}', |reader| {
                    let key = reader.node(depth + 1)?;
                    reader.skip_space();
                    reader.at += 1; // the colon
                    reader.skip_space();
                    entries.push((key, reader.node(depth + 1)?));
                    Some(())
                })?;
                Kind::Map { entries, flow: true }
            }
            b'[' => {
                let mut items = Vec::new();
                self.parts(b']', |reader| {
                    items.push(reader.node(depth + 1)?);
                    Some(())
                })?;
                Kind::List { items, flow: true }
            }
            b'"' => {
                self.at += 1;
                while self.next()? != b'"' {
                    self.at += if self.next()? == b'\\' { 2 } else { 1 };
                }
                self.at += 1;
                Kind::Scalar { text: serde_json::from_str(&self.text[start..self.at]).ok()?, plain: false }
            }
            _ => {
                while self.next().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",]}".contains(&byte)) {
                    self.at += 1;
                }
                Kind::Scalar { text: self.text[start..self.at].to_owned(), plain: true }
            }
        };
        Some(Node::new(start..self.at, kind))
    }

    /// Reads from the opening bracket to behind the closing one.
    fn parts(&mut self, closing: u8, mut part: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        loop {
            self.skip_space();
            match self.next()? {
                byte if byte == closing => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                _ => part(self)?,
            }
        }
    }
}
