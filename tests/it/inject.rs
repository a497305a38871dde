//! `inject` and `uninject` as processes: what they write, what they leave, what they refuse.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::process::command;

/// What a run came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(words: &[&str], input: impl AsRef<[u8]>) -> Ran {
    let mut command = command(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_ref()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[track_caller]
fn injected(words: &[&str], input: &str) -> String {
    let ran = run(&[&["inject", "--target=a=10.0.0.1:8125"], words].concat(), input);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert_eq!(run(&["uninject"], &ran.out).out, input, "uninject takes exactly it away");
    ran.out
}

/// The one line that `input` is refused with.
#[track_caller]
fn refused(words: &[&str], input: impl AsRef<[u8]>) -> String {
    let ran = run(words, input);
    assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    ran.err.trim_end().to_owned()
}

fn pod(rest: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n{rest}\nspec:\n  containers:\n  - name: app\n")
}

/// Compares with a file of `inject.d`, or writes it with UPDATE_DOCS.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/inject.d").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap().replace("\r\n", "\n"), text, "UPDATE_DOCS=1 writes {name} anew");
}

#[test]
fn all_that_is_not_the_sidecar_survives() {
    let input = include_str!("inject.d/survives.yaml").replace("\r\n", "\n");
    let out = injected(&["--image=registry:5000/udp-proxy:test", "--port=9125"], &input);
    // The version is in the annotation only.
    golden("survives.injected.yaml", &out.replace(concat!("inject/", env!("CARGO_PKG_VERSION")), "inject/VERSION"));
    // Every line of the input is there, in its order; JSON's grew.
    let mut lines = out.lines();
    for line in input
        .lines()
        .filter(|line| !line.contains("\"containers\"") && !line.contains("\"json\"") && !line.contains("it''s"))
    {
        assert!(lines.any(|found| found == line), "lost: {line}");
    }
    assert_eq!(out.matches("udp-proxy/injected").count(), 3, "Deployment, CronJob, Pod");
    assert_eq!(
        run(&["inject", "--target=a=10.0.0.1:8125", "--image=registry:5000/udp-proxy:test", "--port=9125"], &out).out,
        out
    );
}

#[test]
fn every_workload_kind_gets_it_and_no_other() {
    let template = "template: {spec: {containers: [{name: app}]}}";
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
    ];
    for (version, kind) in kinds {
        let out = injected(&[], &format!("apiVersion: {version}\nkind: {kind}\nspec:\n  {template}\n"));
        assert!(out.contains("\"restartPolicy\": \"Always\""), "{kind}: {out}");
    }
    for (version, kind) in [("v1", "Service"), ("serving.knative.dev/v1", "Deployment"), ("v1", "Job"), ("", "")] {
        let other = format!("apiVersion: {version}\nkind: {kind}\nspec:\n  {template}\n");
        assert_eq!(injected(&[], &other), other, "{version} {kind} is not ours");
    }
    for nothing in ["", "\n", "# only a comment\n", "---\n---\n", "just text\n", "- a\n- b\n", "\u{feff}a: 1\n"] {
        assert_eq!(injected(&[], nothing), nothing);
    }
}

#[test]
fn annotations_go_before_flags() {
    let annotations = "  annotations:\n    udp-proxy/targets: dd=$(HOST_IP):8125?pack=mtu otel=otel.monitoring:8125\n    \
        udp-proxy/port: \"9125\"\n    udp-proxy/log-level: debug\n    udp-proxy/cpu-request: 50m\n    \
        udp-proxy/memory-request: 32Mi\n    udp-proxy/cpu-limit: \"1\"\n    udp-proxy/memory-limit: \"\"";
    let out = injected(&["--log-level=warn", "--memory-limit=1Gi"], &pod(annotations));
    for line in [
        "        value: \"dd=$(HOST_IP):8125?pack=mtu otel=otel.monitoring:8125\"",
        "        value: \"127.0.0.1:9125\"",
        "        value: \"debug\"",
        "          cpu: \"50m\"\n          memory: \"32Mi\"\n        limits:\n          cpu: \"1\"\n      securityContext:",
    ] {
        assert!(out.contains(line), "no {line} in\n{out}");
    }
    // No target but the annotation's.
    assert_eq!(run(&["inject"], pod(annotations)).code, Some(0));
}

#[test]
fn other_flags_make_another_sidecar_and_not_a_second_one() {
    let first = injected(&[], &pod(""));
    let second =
        run(&["inject", "--target=b=10.0.0.2:8125", "--cpu-request=", "--memory-request=", "--memory-limit="], &first);
    assert_eq!(second.out.matches("- name: udp-proxy").count(), 1);
    assert!(second.out.contains("b=10.0.0.2:8125") && !second.out.contains("resources"), "{}", second.out);
    assert_eq!(run(&["uninject"], &second.out).out, pod(""));
}

#[test]
fn some_pods_are_left_as_they_are() {
    let out = pod("  labels: {udp-proxy/inject: \"false\"}");
    assert_eq!(injected(&[], &out), out, "the label says no");
    let by_hand = pod("") + "  initContainers:\n  - name: udp-proxy\n    image: mine\n";
    let windows = pod("") + "  os: {name: windows}\n";
    for (input, why) in [(by_hand, "has a container udp-proxy already"), (windows, "is for Windows")] {
        let ran = run(&["inject", "--target=a=10.0.0.1:8125"], &input);
        assert_eq!((ran.code, &ran.out), (Some(0), &input));
        assert!(ran.err.starts_with("udp-proxy: document 1 (Pod p): ") && ran.err.contains(why), "{}", ran.err);
        assert_eq!(run(&["uninject"], &input).out, input, "what is not ours stays");
    }
}

#[test]
fn what_cannot_be_used_is_refused_in_one_line() {
    let two = |rest: &str| format!("kind: Any\n---\n{}", pod(rest));
    let deployment =
        |spec: &str| format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n{spec}\n");
    let list = "apiVersion: v1\nkind: List\nitems:\n- kind: Any\n- apiVersion: batch/v1\n  kind: Job\n";
    let annotated = |name: &str, value: &str| two(&format!("  annotations: {{udp-proxy/{name}: \"{value}\"}}"));
    let cases = [
        (pod("").replace("\n  - name: app", " []"), "document 1 (Pod p): spec.containers: is no list of containers"),
        ("a: [".into(), "document 1: is neither YAML nor JSON: line 2, column 1"),
        ("a: 1\n---\n\"".into(), "document 2: is neither YAML nor JSON: "),
        (annotated("port", "0"), "document 2 (Pod p): annotation udp-proxy/port: '0' is not a port"),
        (annotated("port", "+1"), "annotation udp-proxy/port: '+1' is not a port"),
        (annotated("log-level", "loud"), "annotation udp-proxy/log-level: 'loud'"),
        (annotated("memory-limit", "much"), "annotation udp-proxy/memory-limit: 'much' is no amount"),
        (annotated("targets", "nowhere"), "annotation udp-proxy/targets: 'nowhere': it has no port"),
        (annotated("targets", "a=127.0.0.1:8125"), "'127.0.0.1:8125' is the sidecar itself"),
        (annotated("targets", ""), "there is no target"),
        (deployment("  replicas: 1"), "document 1 (Deployment web): spec.template: is missing"),
        (deployment("  template: 5"), "document 1 (Deployment web): spec.template: is not a mapping"),
        (deployment("  template: {spec: {}}"), "(Deployment web): spec.containers: is missing"),
        (
            deployment("  template: &t\n    spec: {containers: [{name: a}]}\n  other: *t"),
            "is used elsewhere by an alias",
        ),
        (deployment("  other: &t {spec: {containers: [{name: a}]}}\n  template: *t"), "spec.template: is an alias"),
        (
            deployment("  other: &t {a: b}\n  template:\n    spec: {<<: *t, containers: [{name: a}]}"),
            "a merge key (<<)",
        ),
        (pod("spec: {}"), "document 1 (Pod p): spec: is there twice"),
        (list.into(), "document 1, item 2 (Job without a name): spec: is missing"),
        ("[".repeat(300), "document 1: is neither YAML nor JSON: "),
    ];
    for (input, why) in cases {
        let line = refused(&["inject", "--target=a=10.0.0.1:8125"], &input);
        assert!(line.starts_with("udp-proxy: stdin: document ") && line.contains(why), "{line}\nnot: {why}");
    }
    assert!(refused(&["inject"], pod("")).contains("(Pod p): there is no target: give --target"));
    assert!(refused(&["uninject"], "a: [").contains("document 1: is neither YAML nor JSON"));
    assert_eq!(refused(&["inject"], b"a: \xff"), "udp-proxy: stdin: is not UTF-8 at byte 3: give YAML or JSON");
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    for (flag, why) in [
        ("--target=nowhere", "--target: 'nowhere': it has no port"),
        ("--target=a=127.0.0.1:8125", "--target: '127.0.0.1:8125' is the sidecar itself"),
        ("--port=70000", "--port: '70000' is not a port: give 1 to 65535"),
        ("--image=", "--image: '' is no image"),
        ("--log-level=loud", "--log-level: 'loud'"),
        ("--cpu-request=some", "--cpu-request: 'some' is no amount"),
        ("--memory-limit=1.2.3Mi", "--memory-limit: '1.2.3Mi' is no amount"),
    ] {
        assert!(refused(&["inject", flag], "").starts_with(&format!("udp-proxy: {why}")), "{flag}");
    }
}
