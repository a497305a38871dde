//! Promises that tie documents to the program. `UPDATE_DOCS=1 cargo test --test contracts` writes what is
//! generated anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use udp_proxy::cli::Cli;
use udp_proxy::service::events;
use udp_proxy::stats::reason::DropReason;
use udp_proxy::stats::table;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a generated document with the one in the tree, or writes it.
#[track_caller]
fn generated(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, text).unwrap();
        return;
    }
    let found = read(path).replace("\r\n", "\n");
    let first = found.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(
        found == text,
        "{path} is not what the program says (first difference: {first:?}): UPDATE_DOCS=1 cargo test --test contracts"
    );
}

#[test]
fn the_metrics_page_is_made_from_the_table() {
    generated("docs/metrics.md", &table::markdown());
}

#[test]
fn the_flags_page_is_made_from_the_command_line() {
    let mut text = String::from(
        "# Flags\n\nMade from the program's own definitions; a test compares. Lists are separated by spaces or commas.\n\n",
    );
    let mut cli = Cli::command().term_width(100);
    text.push_str("| flag | environment | default | meaning |\n|---|---|---|---|\n");
    for argument in cli.get_arguments().filter(|a| a.get_env().is_some()) {
        let value = match argument.get_value_names() {
            Some([name]) if argument.get_action().takes_values() => format!(" {name}"),
            _ => String::new(),
        };
        let default = argument.get_default_values().iter().map(|v| format!("`{}`", v.to_string_lossy()));
        text.push_str(&format!(
            "| `--{}{value}` | `{}` | {} | {} |\n",
            argument.get_long().unwrap(),
            argument.get_env().unwrap().to_string_lossy(),
            default.collect::<Vec<_>>().join(" "),
            argument.get_help().unwrap().to_string().replace('|', "\\|"),
        ));
    }
    text.push_str("\n## The whole help\n\n```text\n");
    let help = cli.render_long_help().to_string();
    for line in help.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("```\n");
    generated("docs/flags.md", &text);
}

#[test]
fn the_kustomize_component_is_what_inject_writes() {
    const CONTAINERS: &str = "containers: [{name: any}]\n";
    let template = |indent: usize| {
        let pad = " ".repeat(indent);
        format!("{pad}metadata:\n{pad}  name: any\n{pad}spec:\n{pad}  {CONTAINERS}")
    };
    let deep = |indent: usize| template(indent).replace("name: any\n", "labels: {}\n");
    let workload = |version: &str, kind: &str, rest: &str| format!("apiVersion: {version}\nkind: {kind}\n{rest}");
    let named = "metadata:\n  name: any\nspec:\n";
    let patches = [
        ("template", workload("apps/v1", "Deployment", &format!("{named}  template:\n{}", deep(4)))),
        (
            "cronjob",
            workload("batch/v1", "CronJob", &format!("{named}  jobTemplate:\n    spec:\n      template:\n{}", deep(8))),
        ),
        ("pod", workload("v1", "Pod", &template(0))),
    ];
    for (name, manifest) in patches {
        let mut command = Command::new(env!("CARGO_BIN_EXE_udp-proxy"));
        let mut child = command
            .args(["inject", "--target", "set=by.the.replacement:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let written = String::from_utf8(output.stdout).unwrap();
        let lines =
            written.lines().filter(|line| !line.ends_with(CONTAINERS.trim_end()) && !line.ends_with("labels: {}"));
        let patch: String = lines.map(|line| format!("{}\n", line.replace("inject/", "kustomize/"))).collect();
        let head = "# Made by `UPDATE_DOCS=1 cargo test --test contracts` from what `udp-proxy inject` writes.\n";
        generated(&format!("deploy/kustomize/sidecar/{name}.yaml"), &(head.to_owned() + &patch));
    }
}

/// The words in `text` that look like flags of the proxy.
fn flags_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let flags = words.filter(|word| word.starts_with("--") && word.len() > 3 && !word[2..].starts_with('-'));
    flags.map(|word| word.trim_end_matches('-').to_owned()).collect()
}

/// Every long flag of the program and its subcommands.
fn known_flags() -> BTreeSet<String> {
    fn collect(command: &clap::Command, flags: &mut BTreeSet<String>) {
        flags
            .extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")));
        command.get_subcommands().for_each(|command| collect(command, flags));
    }
    let mut flags = BTreeSet::new();
    collect(&Cli::command(), &mut flags);
    flags
}

#[test]
fn the_service_page_names_every_event_command_and_flag_of_the_service() {
    let page = read("docs/windows-service.md").replace("\r\n", "\n");
    assert!(page.contains(&events::markdown()), "its table of events is to be:\n{}", events::markdown());
    let cli = Cli::command();
    let service = cli.find_subcommand("service").expect("there is one");
    for command in service.get_subcommands() {
        assert!(page.contains(&format!("\n| `{}` | ", command.get_name())), "{} is missing", command.get_name());
        for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("`--{flag}`")), "--{flag} is missing");
        }
    }
    let known = known_flags();
    assert!(flags_in(&page).iter().all(|flag| known.contains(flag)), "{:?}", flags_in(&page));
}

#[test]
fn the_readme_names_every_flag_of_the_proxy_and_no_other() {
    let readme = read("README.md");
    let named = flags_in(&readme);
    let cli = Cli::command();
    for argument in cli.get_arguments().filter(|a| a.get_env().is_some()) {
        let flag = format!("--{}", argument.get_long().unwrap());
        assert!(named.contains(&flag), "README.md does not tell of {flag}");
    }
    // What belongs to cargo, docker, helm and kubectl.
    let foreign =
        ["--release", "--help", "--version", "--rm", "--set", "--create-namespace", "--namespace", "--network"];
    let known = known_flags();
    for flag in named.iter().filter(|flag| !foreign.contains(&flag.as_str())) {
        assert!(known.contains(flag), "README.md tells of {flag}, which the program does not have");
    }
}

#[test]
fn the_readme_names_every_drop_reason_and_exit_code() {
    let readme = read("README.md");
    for reason in DropReason::ALL {
        assert!(readme.contains(&format!("`{}`", reason.name())), "README.md does not tell of {}", reason.name());
    }
    for code in ["| 0 |", "| 1 |", "| 2 |", "| 70 |"] {
        assert!(readme.contains(code), "README.md does not tell of exit code {code}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).chain([root.join("README.md")]);
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains("://") {
                continue;
            }
            links += 1;
            assert!(page.parent().unwrap().join(link).exists(), "{}: {link} leads nowhere", page.display());
        }
    }
    assert!(links > 5, "only {links} links were found: the scan is broken");
}

#[test]
fn the_scan_for_flags_can_fail() {
    let found = flags_in("use --source :1 or `--no-such-flag`; a -- dash and a --- rule are none");
    assert_eq!(found, ["--no-such-flag".to_owned(), "--source".to_owned()].into());
    assert!(!known_flags().contains("--no-such-flag"));
}
