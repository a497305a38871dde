//! Which documents hold pod templates, and where. Other kinds are nobody's business here.

use super::tree::{Kind, Node};

/// A pod template in a manifest: the mapping that has `metadata` and `spec`.
#[derive(Clone, Debug)]
pub struct Template<'n> {
    /// Which document it is, for people: `document 2 (Deployment web)`.
    pub place: String,
    /// The mapping with `metadata` and `spec`.
    pub node: &'n Node,
}

/// All pod templates, in their order.
///
/// # Errors
/// A document that says it has one, but has not: its place and what is wrong.
pub fn templates(documents: &[Node]) -> Result<Vec<Template<'_>>, String> {
    let mut found = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        collect(document, format!("document {}", number + 1), &mut found)?;
    }
    Ok(found)
}

fn collect<'n>(node: &'n Node, place: String, found: &mut Vec<Template<'n>>) -> Result<(), String> {
    let word = |key| node.get(key).and_then(Node::text).unwrap_or_default();
    let (version, kind) = (word("apiVersion"), word("kind"));
    if version == "v1" && kind == "List" {
        for (number, item) in node.get("items").map_or(&[][..], Node::items).iter().enumerate() {
            collect(item, format!("{place}, item {}", number + 1), found)?;
        }
        return Ok(());
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let path: &[&str] = match (group, kind) {
        ("", "Pod") => &[],
        ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet") | ("batch", "Job") => &["spec", "template"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
        _ => return Ok(()),
    };
    let metadata = node.get("metadata");
    let name = ["name", "generateName"].into_iter().find_map(|key| metadata?.get(key)?.text());
    let place = format!("{place} ({kind} {})", name.unwrap_or("without a name"));
    let mut at = node;
    for (depth, key) in path.iter().enumerate() {
        let way = || path[..=depth].join(".");
        at = child(at, key).map_err(|why| format!("{place}: {}: {why}", way()))?;
    }
    if !matches!(at.kind, Kind::Map { .. }) {
        return Err(format!("{place}: {}: is not a mapping", path.join(".")));
    }
    found.push(Template { place, node: at });
    Ok(())
}

/// The value of `key`, which must be there and be written here and nowhere else.
///
/// # Errors
/// What is wrong with it.
pub fn child<'n>(node: &'n Node, key: &str) -> Result<&'n Node, String> {
    optional(node, key)?.ok_or_else(|| "is missing".into())
}

/// The value of `key`, if it is there.
///
/// # Errors
/// When it is not certain what the value is, or an edit would change more than itself.
pub fn optional<'n>(node: &'n Node, key: &str) -> Result<Option<&'n Node>, String> {
    if node.get("<<").is_some() {
        return Err("stands beside a merge key (<<): write out what is merged".into());
    }
    if node.entries().iter().filter(|(name, _)| name.text() == Some(key)).count() > 1 {
        return Err("is there twice: keep one".into());
    }
    match node.get(key) {
        Some(Node { kind: Kind::Alias(_), .. }) => Err("is an alias (*): write out what it means".into()),
        Some(Node { shared: true, .. }) => Err("is used elsewhere by an alias (*): write it out there".into()),
        value => Ok(value),
    }
}
