//! Holds the code to "Who may import whom": reads the paths that src/ names, and where `unsafe` and platforms
//! may stand. Reads text, not types: comments and literals are taken out first.

mod scan;

use std::fs;
use std::path::Path;

use scan::{code_of, conditions, module_of, own_paths, words};

/// Each module, and what it may name of ours. `a::b` allows that part of `a` alone; a longer path than the
/// module's own first name makes an exception for one file.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["cli", "app", "service", "tools"]),
    ("cli", &["config"]),
    ("app", &["cli", "config", "control", "data", "stats", "statsd", "lifecycle", "sys"]),
    ("tools", &["app", "cli", "config", "control", "data", "stats", "statsd", "lifecycle", "sys"]),
    ("service", &["app", "cli", "config", "lifecycle", "control::log"]),
    (
        "control",
        &[
            "config",
            "stats",
            "lifecycle",
            "data::table",
            "sys::bind",
            "sys::host",
            "sys::Endpoint",
            "sys::Waker",
            "sys::resident_bytes",
        ],
    ),
    ("data", &["sys", "stats", "statsd", "lifecycle", "config::limits"]),
    ("config", &["sys::Endpoint", "sys::bind"]),
    // Turns the raw words of the command line into values; the only place of config that knows them.
    ("config::mod", &["cli"]),
    ("statsd", &[]),
    ("stats", &[]),
    ("sys", &[]),
    ("lifecycle", &[]),
    ("lib", &[]),
];

/// Crates that a module must not name: the data plane waits for nothing and logs nothing.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    (
        "data",
        &[
            "tokio",
            "hyper",
            "hyper_util",
            "clap",
            "tracing",
            "tracing_subscriber",
            "metrics",
            "serde",
            "serde_json",
            "socket2",
            "mio",
            "libc",
        ],
    ),
    ("sys", &["tokio", "hyper", "clap", "tracing", "metrics", "serde"]),
    ("stats", &["tokio", "hyper", "clap", "tracing", "mio", "socket2", "libc"]),
    ("statsd", &["tokio", "hyper", "clap", "tracing", "mio", "socket2", "libc"]),
    ("cli", &["tokio", "hyper", "tracing", "mio", "socket2", "libc"]),
];

/// Files outside `sys/`, `control/signals*` and `service*` that may tell Unix from Windows, because Windows has
/// no Unix sockets.
const MAY_TELL_UNIX: &[&str] = &["config/source.rs", "config/target.rs", "control/admin/mod.rs", "tools/http.rs"];

/// One file of src/: its path there, and its text without comments and literals.
struct Source {
    path: String,
    raw: String,
    code: String,
}

fn sources() -> Vec<Source> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let raw = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source { code: code_of(&raw), path, raw });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 30, "only {} files were found: the scan is broken", found.len());
    found
}

/// Fails with all of `problems` at once.
#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn modules_name_only_what_is_below_them() {
    none(sources().iter().flat_map(|source| naming_problems(&source.path, &source.code)).collect());
}

#[test]
fn unsafe_code_and_platforms_stay_in_their_places() {
    none(sources().iter().flat_map(|source| platform_problems(&source.path, &source.code)).collect());
}

#[test]
fn files_are_small_and_say_what_they_are() {
    none(sources().iter().flat_map(|source| shape_problems(&source.path, &source.raw, &source.code)).collect());
}

fn naming_problems(path: &str, code: &str) -> Vec<String> {
    let module = module_of(path);
    let allowed: Vec<&str> = MAY_NAME
        .iter()
        .filter(|(name, _)| module[0] == *name || module.join("::") == *name)
        .flat_map(|(_, allowed)| allowed.iter().copied())
        .collect();
    if !MAY_NAME.iter().any(|(name, _)| *name == module[0]) {
        return vec![format!("{path}: '{}' is a module that tests/architecture.rs does not know", module[0])];
    }
    let mut problems = Vec::new();
    for named in own_paths(&module, code) {
        let within = |allowed: &str| named == allowed || named.starts_with(&format!("{allowed}::"));
        let own = named.split("::").next() == Some(&module[0]);
        if !own && !allowed.iter().any(|allowed| within(allowed)) {
            problems.push(format!("{path}: names {named}; {} may name {allowed:?}", module[0]));
        }
    }
    let banned = MUST_NOT_NAME.iter().filter(|(name, _)| *name == module[0]).flat_map(|(_, banned)| *banned);
    for name in banned {
        if words(code).any(|(at, word)| word == *name && code[at + word.len()..].starts_with("::")) {
            problems.push(format!("{path}: {} must not know {name}", module[0]));
        }
    }
    problems
}

fn platform_problems(path: &str, code: &str) -> Vec<String> {
    let home = |prefix| path.starts_with(prefix);
    if home("sys/") || home("control/signals") || home("service") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if words(code).any(|(_, word)| word == "unsafe") {
        problems.push(format!("{path}: unsafe code belongs into sys/"));
    }
    for condition in conditions(code) {
        for (_, word) in words(&condition) {
            match word {
                "target_os" | "target_family" | "target_env" | "target_arch" | "target_vendor" => {
                    problems.push(format!("{path}: {word} belongs into sys/"));
                }
                "unix" | "windows" if !MAY_TELL_UNIX.contains(&path) => {
                    problems
                        .push(format!("{path}: cfg({word}) belongs into sys/, or tests/architecture.rs must say why"));
                }
                _ => {}
            }
        }
    }
    problems
}

fn shape_problems(path: &str, raw: &str, code: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = raw.lines().count();
    let most = if path == "main.rs" { 40 } else { 400 };
    if lines > most {
        problems.push(format!("{path}: {lines} lines, at most {most}"));
    }
    let head = raw.lines().next().unwrap_or_default();
    if head.strip_prefix("//! ").is_none_or(|head| head.trim().is_empty()) {
        problems.push(format!("{path}: its first line does not say what it is (//! …)"));
    }
    for (at, word) in words(code) {
        let call = code[at + word.len()..].starts_with("!(");
        if call && matches!(word, "todo" | "unimplemented" | "dbg") {
            problems.push(format!("{path}: {word}! is left over"));
        }
    }
    problems
}

mod the_scan_can_fail {
    use super::*;

    fn named(path: &str, code: &str) -> usize {
        naming_problems(path, &code_of(code)).len()
    }

    #[test]
    fn on_forbidden_modules() {
        assert_eq!(named("data/shard.rs", "use crate::control::State;"), 1);
        assert_eq!(named("data/shard.rs", "use crate::{stats::cells, cli};"), 1);
        assert_eq!(named("data/shard.rs", "use crate::config::{limits::QueueLimits, units};"), 1);
        assert_eq!(named("data/shard.rs", "fn f() { crate::app::start() }"), 1);
        assert_eq!(named("data/shard.rs", "use super::super::control;"), 1);
        assert_eq!(named("data/shard.rs", "mod tests { use super::super::super::control; }"), 1);
        assert_eq!(named("data/shard.rs", "use crate::*;"), 1);
        assert_eq!(named("stats/cells.rs", "use crate::sys::{self, Io};"), 2);
        assert_eq!(named("control/admin/mod.rs", "use crate::sys::{Io, bind, linux::Batched};"), 2);
        assert_eq!(named("control/admin/mod.rs", "use crate::data::{shard::Shard, table::Table};"), 1);
        assert_eq!(named("main.rs", "use udp_proxy::control::State;"), 1);
        assert_eq!(named("config/units.rs", "use crate::cli;"), 1);
        assert_eq!(named("novel.rs", ""), 1);
    }

    #[test]
    fn on_forbidden_crates() {
        for code in ["use tokio::net::UdpSocket;", "tracing::info!()", "fn f(x: clap::Error) {}"] {
            assert_eq!(named("data/fanout.rs", code), 1, "{code}");
        }
    }

    #[test]
    fn but_not_on_what_is_allowed() {
        for (path, code) in [
            ("data/shard.rs", "use crate::config::limits::{Overflow, QueueLimits}; use super::batch::Batch;"),
            ("data/shard.rs", "mod tests { use super::*; }"),
            ("data/shard.rs", "// use crate::control::State;\n/* crate::cli::x */ let s = \"crate::cli::Cli\";"),
            ("lifecycle.rs", "mod tests { use super::*; mod more { use super::super::Phase; } }"),
            ("config/mod.rs", "use crate::cli;"),
            (
                "control/admin/mod.rs",
                "use super::State; use crate::data::table::Table; use crate::sys::{Endpoint, bind};",
            ),
            ("main.rs", "use udp_proxy::cli::{self, Command}; use udp_proxy::{app, tools};"),
            (
                "data/shard.rs",
                "fn f<'a>(c: char) -> &'a str { match c { '\"' => \"a\", '\\'' => r#\"tokio::x\"#, _ => \"\" } }",
            ),
        ] {
            assert_eq!(naming_problems(path, &code_of(code)), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn on_unsafe_code_and_platforms() {
        let count = |path: &str, code: &str| platform_problems(path, &code_of(code)).len();
        assert_eq!(count("data/batch.rs", "let x = unsafe { *p };"), 1);
        assert_eq!(count("data/batch.rs", "#[cfg(target_os = \"linux\")] fn f() {}"), 1);
        assert_eq!(count("data/batch.rs", "#[cfg_attr(all(unix, not(test)), inline)] fn f() {}"), 1);
        assert_eq!(count("app.rs", "if cfg!(target_os = \"linux\") {}"), 1);
        assert_eq!(count("tools/http.rs", "#[cfg(unix)] fn f() {}"), 0);
        assert_eq!(count("sys/linux/send.rs", "unsafe { x() }"), 0);
        assert_eq!(count("control/signals/unix.rs", "unsafe { x() }"), 0);
        assert_eq!(count("data/batch.rs", "#![deny(unsafe_code)] // unsafe\n let unix = 1;"), 0);
    }

    #[test]
    fn on_shapes() {
        let count = |path: &str, code: &str| shape_problems(path, code, &code_of(code)).len();
        assert_eq!(count("data/batch.rs", "use std::io;"), 1);
        assert_eq!(count("data/batch.rs", "//! \nuse std::io;"), 1);
        assert_eq!(count("data/batch.rs", "//! A head.\nfn f() { todo!() }"), 1);
        assert_eq!(count("data/batch.rs", &format!("//! A head.\n{}", "\n".repeat(400))), 1);
        assert_eq!(count("main.rs", &format!("//! A head.\n{}", "\n".repeat(40))), 1);
        assert_eq!(count("data/batch.rs", "//! A head.\nlet text = \"todo!()\"; // todo!()"), 0);
    }
}
