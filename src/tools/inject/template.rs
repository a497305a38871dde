//! One pod template: is the sidecar there, put it in, take it out, prove that nothing else changed.
//!
//! The annotation records who put it there, and what stood where something empty (`annotations: {}`) was filled:
//! `inject/0.1.0; was annotations={}`. So what is taken out leaves what was there before.

use super::edit::{self, Edit};
use super::sidecar::{INJECTED, LABEL, NAME, Settings};
use super::tree::{Kind, Node};
use super::value::Value;
use super::workload::{Template, child, optional};

/// Separates the parts of the record.
const WAS: &str = "; was ";

/// Takes a sidecar out that is not the one `settings` make, so that it can be put in anew.
pub fn refresh(text: &str, template: &Template<'_>, settings: &Settings, edits: &mut Vec<Edit>) -> Result<(), String> {
    let parts = Parts::of(template.node)?;
    if parts.record().is_none() {
        return Ok(());
    }
    let wanted = settings.with_annotations(parts.annotations)?.container();
    let current = parts.sidecar().is_some_and(|(at, node)| at == 0 && wanted.is(node));
    let version = parts.record().is_some_and(|record| record.split(WAS).next() == Some(&*author()));
    if current && version { Ok(()) } else { take(text, template, edits) }
}

/// Puts the sidecar in, or says why the template is left as it is.
pub fn put(
    text: &str,
    template: &Template<'_>,
    settings: &Settings,
    edits: &mut Vec<Edit>,
) -> Result<Option<String>, String> {
    let node = template.node;
    let parts = Parts::of(node)?;
    let label = parts.metadata.and_then(|m| m.get("labels")?.get(LABEL)?.text());
    if label == Some("false") || parts.record().is_some() {
        return Ok(None);
    }
    if parts.sidecar().is_some() || parts.containers.items().iter().any(named) {
        return Ok(Some(format!("has a container {NAME} already: left as it is")));
    }
    if parts.spec.get("os").and_then(|os| os.get("name")?.text()) == Some("windows") {
        return Ok(Some("is for Windows, and the sidecar's image is for Linux: left as it is".into()));
    }
    let container = settings.with_annotations(parts.annotations)?.container();
    let mut record = author();
    let mut filled = |key: &str, node: &Node| record.push_str(&format!("{WAS}{key}={}", original(text, node)));
    match parts.init {
        None => {
            let before = parts.spec.position("containers").unwrap_or_default();
            edits.push(edit::entry(text, parts.spec, before, "initContainers", Value::List(vec![container])));
        }
        Some(init) if init.is_empty() => {
            filled("initContainers", init);
            edits.push(edit::fill(text, init, &Value::List(vec![container])));
        }
        Some(init) => edits.push(edit::item(text, init, &container)),
    }
    let annotation = |record: String| Value::Map(vec![(INJECTED, Value::Text(record))]);
    let under_metadata = |record| Value::Map(vec![("annotations", annotation(record))]);
    edits.push(match (parts.metadata, parts.annotations) {
        (None, _) => {
            let before = node.position("spec").unwrap_or_default();
            edit::entry(text, node, before, "metadata", under_metadata(record))
        }
        (Some(metadata), _) if metadata.is_empty() => {
            filled("metadata", metadata);
            edit::fill(text, metadata, &under_metadata(record))
        }
        (Some(metadata), None) => edit::entry(text, metadata, 0, "annotations", annotation(record)),
        (Some(_), Some(annotations)) if annotations.is_empty() => {
            filled("annotations", annotations);
            edit::fill(text, annotations, &annotation(record))
        }
        (Some(_), Some(annotations)) => edit::entry(text, annotations, 0, INJECTED, Value::Text(record)),
    });
    Ok(None)
}

/// Takes the sidecar out, if the record says that it was put in.
pub fn take(text: &str, template: &Template<'_>, edits: &mut Vec<Edit>) -> Result<(), String> {
    let node = template.node;
    let parts = Parts::of(node)?;
    let (Some(record), Some(metadata), Some(annotations)) = (parts.record(), parts.metadata, parts.annotations) else {
        return Ok(());
    };
    let was = |key: &str| record.split(WAS).skip(1).find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    if let (Some(init), Some((at, _))) = (parts.init, parts.sidecar()) {
        edits.push(match (init.items().len(), was("initContainers")) {
            (1, Some(original)) => edit::restore(text, init, original),
            (1, None) => edit::remove(text, parts.spec, parts.spec.position("initContainers").unwrap_or_default()),
            _ => edit::remove(text, init, at),
        });
    }
    let at = annotations.position(INJECTED).unwrap_or_default();
    edits.push(match (annotations.entries().len(), metadata.entries().len()) {
        (1, 1) if was("metadata").is_some() => edit::restore(text, metadata, was("metadata").unwrap_or_default()),
        (1, _) if was("annotations").is_some() => {
            edit::restore(text, annotations, was("annotations").unwrap_or_default())
        }
        (1, 1) => edit::remove(text, node, node.position("metadata").unwrap_or_default()),
        (1, _) => edit::remove(text, metadata, metadata.position("annotations").unwrap_or_default()),
        _ => edit::remove(text, annotations, at),
    });
    Ok(())
}

/// Whether `new` is `old` with sidecars and their records and nothing else.
pub fn only_added(old: &Node, new: &Node) -> bool {
    match (&old.kind, &new.kind) {
        (Kind::Scalar { text: a, plain: p }, Kind::Scalar { text: b, plain: q }) => a == b && p == q,
        (Kind::Alias(a), Kind::Alias(b)) => a == b,
        (Kind::List { items: old, .. }, Kind::List { items: new, .. }) => {
            let new = if new.len() > old.len() && named(&new[0]) { &new[1..] } else { new };
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| only_added(old, new))
        }
        (Kind::Map { entries: old, .. }, Kind::Map { entries: new, .. }) => {
            let had = |key: &Node| old.iter().any(|(name, _)| name.text() == key.text());
            let kept: Vec<_> = new.iter().filter(|(key, value)| had(key) || !ours(key, value)).collect();
            old.len() == kept.len()
                && old.iter().zip(kept).all(|(a, b)| only_added(&a.0, &b.0) && (only_added(&a.1, &b.1) || grown(a, b)))
        }
        _ => false,
    }
}

/// Whether an empty value became ours.
fn grown(old: &(Node, Node), new: &(Node, Node)) -> bool {
    old.1.is_empty() && ours(&new.0, &new.1)
}

/// Whether an entry is ours altogether.
fn ours(key: &Node, value: &Node) -> bool {
    match key.text() {
        Some("initContainers") => value.items().len() == 1 && named(&value.items()[0]),
        Some("metadata") => value.entries().len() == 1 && value.get("annotations").is_some_and(only_record),
        Some("annotations") => only_record(value),
        Some(INJECTED) => true,
        _ => false,
    }
}

fn only_record(annotations: &Node) -> bool {
    annotations.entries().len() == 1 && annotations.get(INJECTED).is_some()
}

fn named(container: &Node) -> bool {
    container.get("name").and_then(Node::text) == Some(NAME)
}

/// Who puts the sidecar there.
fn author() -> String {
    concat!("inject/", env!("CARGO_PKG_VERSION")).into()
}

/// Something empty, as written; comments and lines within its brackets are not kept.
fn original<'t>(text: &'t str, empty: &Node) -> &'t str {
    let written = &text[empty.span.clone()];
    match (written.contains(['\n', '#', ';']), &empty.kind) {
        (true, Kind::List { .. }) => "[]",
        (true, _) => "{}",
        (false, _) => written,
    }
}

/// Where things are in a pod template.
struct Parts<'n> {
    metadata: Option<&'n Node>,
    annotations: Option<&'n Node>,
    spec: &'n Node,
    containers: &'n Node,
    init: Option<&'n Node>,
}

impl<'n> Parts<'n> {
    fn of(node: &'n Node) -> Result<Self, String> {
        let named = |way: &'static str| move |why: String| format!("{way}: {why}");
        let metadata = optional(node, "metadata").map_err(named("metadata"))?;
        let annotations = metadata
            .map_or(Ok(None), |metadata| optional(metadata, "annotations"))
            .map_err(named("metadata.annotations"))?;
        let spec = child(node, "spec").map_err(named("spec"))?;
        let containers = child(spec, "containers").map_err(named("spec.containers"))?;
        let init = optional(spec, "initContainers").map_err(named("spec.initContainers"))?;
        let list = |node: &Node| matches!(node.kind, Kind::List { .. });
        let map = |node: &Node| matches!(node.kind, Kind::Map { .. }) || node.is_empty();
        if !list(containers) || containers.is_empty() {
            return Err("spec.containers: is no list of containers".into());
        }
        if !init.is_none_or(|init| list(init) || init.is_empty()) {
            return Err("spec.initContainers: is no list of containers".into());
        }
        if !metadata.is_none_or(map) || !annotations.is_none_or(map) {
            return Err("metadata: it and its annotations must be mappings".into());
        }
        Ok(Self { metadata, annotations, spec, containers, init })
    }

    fn record(&self) -> Option<&'n str> {
        self.annotations?.get(INJECTED)?.text()
    }

    fn sidecar(&self) -> Option<(usize, &'n Node)> {
        self.init?.items().iter().enumerate().find(|(_, container)| named(container))
    }
}
