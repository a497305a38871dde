//! Properties of `inject` over manifests in every layout that YAML and JSON allow: made at random, written at random.

use clap::Parser;
use proptest::collection::vec;
use proptest::prelude::*;
use udp_proxy::cli::{Cli, Command};
use udp_proxy::tools::inject::{Settings, inject, uninject};

/// A value before it is written. Scalars are text as it stands in the manifest.
#[derive(Clone, Debug)]
enum Value {
    Scalar(String),
    /// Lines of a block scalar, and its header; one line in flow style.
    Lines(&'static str, Vec<&'static str>),
    Map(Vec<(String, Value)>),
    List(Vec<Value>),
}

use Value::{Lines, List, Map, Scalar};

fn word(text: &str) -> Value {
    Scalar(text.to_owned())
}

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

/// What a YAML reader that thinks about values would change.
const SCALARS: &[&str] = &[
    "1e3",
    "\"1e3\"",
    "yes",
    "'no'",
    "on",
    "0777",
    "0o17",
    "12345678901234567890123",
    "1.0",
    "1.10",
    "~",
    "null",
    "\"null\"",
    "\"a: b\"",
    "'it''s # no comment'",
    "ünï",
    "\"\\u00e9\\n\"",
    "x#y",
    "a-b",
    "2026-11-24",
    "0x1F",
    "1_000",
    ".inf",
    "-0",
    "!!str 5",
    "\"- dash\"",
    "12:30:45",
    "''",
    "=",
    "\"tab\\there\"",
];
/// The same for JSON.
const JSON_SCALARS: &[&str] = &[
    "1e3",
    "\"1e3\"",
    "true",
    "null",
    "12345678901234567890123",
    "1.0",
    "-0",
    "\"\\ud83d\\ude00\"",
    "\"a\\/b\"",
    "\"ünï\"",
    "\"\"",
    "\"- name: x\"",
    "\"{\\\"a\\\": [1]}\"",
];

fn extra(scalars: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let lines =
        vec(prop_oneof![Just("- name: udp-proxy"), Just("# no comment"), Just("x: |"), Just("ü"), Just("")], 1..4);
    let scalar = proptest::sample::select(scalars).prop_map(word);
    let leaf = if scalars.contains(&"~") {
        let header = prop_oneof![Just("|"), Just(">-"), Just("|+")];
        let block = (header, lines).prop_map(|(header, mut lines)| {
            lines.insert(0, "first");
            Lines(header, lines)
        });
        prop_oneof![8 => scalar, 1 => block].boxed()
    } else {
        scalar.boxed()
    };
    leaf.prop_recursive(3, 12, 3, |inner| {
        let keys =
            prop_oneof![Just("k"), Just("name"), Just("spec"), Just("\"q: r\""), Just("containers"), Just("x.y/z")];
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(List),
            vec((keys, inner), 0..3).prop_map(|entries| {
                Map(entries
                    .into_iter()
                    .enumerate()
                    .map(|(n, (key, value))| {
                        let key =
                            key.strip_prefix('"').map_or_else(|| format!("{key}{n}"), |rest| format!("\"{n}{rest}"));
                        (key, value)
                    })
                    .collect())
            }),
        ]
    })
}

/// A pod template, with or without what `inject` needs a place in.
fn template(scalars: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, Value)>> {
    let extra = move || vec(extra(scalars), 0..2);
    let empty = prop_oneof![Just("null"), Just("{}"), Just("[]"), Just("~"), Just("")];
    (0..4u8, 0..4u8, extra(), extra(), extra(), empty).prop_map(move |(meta, init, a, b, c, empty)| {
        let json = !scalars.contains(&"~");
        let nothing = |brackets: &str| match empty {
            "{}" | "[]" => word(brackets),
            _ if json => word("null"),
            other => word(other),
        };
        let numbered = |name: &str, values: Vec<Value>| {
            values.into_iter().enumerate().map(|(n, value)| entry(&format!("{name}{n}"), value)).collect::<Vec<_>>()
        };
        let container = |name: &str, rest: Vec<(String, Value)>| {
            Map([vec![entry("name", word(&format!("\"{name}\""))), entry("image", word("\"i:1\""))], rest].concat())
        };
        let mut metadata = numbered("m", a);
        match meta {
            0 => {
                metadata.push(entry("annotations", Map(vec![entry("a", word("\"1e3\"")), entry("b/c", word("\"x\""))])))
            }
            1 => metadata.insert(0, entry("annotations", nothing("{}"))),
            _ => {}
        }
        let mut spec = numbered("s", b);
        match init {
            0 => {
                spec.push(entry("initContainers", List(vec![container("first", vec![]), container("second", vec![])])))
            }
            1 => spec.push(entry("initContainers", nothing("[]"))),
            _ => {}
        }
        spec.push(entry("containers", List(vec![container("app", numbered("e", c))])));
        let metadata = match (meta, metadata.is_empty()) {
            (2, _) => None,
            (_, true) => Some(nothing("{}")),
            _ => Some(Map(metadata)),
        };
        let mut parts: Vec<_> = metadata.map(|metadata| entry("metadata", metadata)).into_iter().collect();
        parts.push(entry("spec", Map(spec)));
        parts
    })
}

fn document(scalars: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let head = |version: &str, kind: &str| vec![entry("apiVersion", word(version)), entry("kind", word(kind))];
    let workload = move |version: &str, kind: &str, template: Vec<(String, Value)>| {
        let meta = entry("metadata", Map(vec![entry("name", word("\"web\""))]));
        Map([head(version, kind), vec![meta, entry("spec", Map(vec![entry("template", Map(template))]))]].concat())
    };
    let quote = |words: &str| format!("\"{words}\"");
    let one = (template(scalars), 0..4u8).prop_map(move |(template, kind)| match kind {
        0 => Map([head(&quote("v1"), &quote("Pod")), template].concat()),
        1 => workload(&quote("apps/v1"), &quote("Deployment"), template),
        2 => workload(&quote("batch/v1"), &quote("Job"), template),
        _ => {
            let job = Map(vec![entry("spec", Map(vec![entry("template", Map(template))]))]);
            Map([
                head(&quote("batch/v1"), &quote("CronJob")),
                vec![entry("spec", Map(vec![entry("jobTemplate", job)]))],
            ]
            .concat())
        }
    });
    let other = extra(scalars)
        .prop_map(move |value| Map([head("\"v1\"", "\"ConfigMap\""), vec![entry("data", value)]].concat()));
    let one = prop_oneof![6 => one, 1 => other].boxed();
    prop_oneof![
        5 => one.clone(),
        1 => vec(one, 0..3).prop_map(move |items| Map([head("\"v1\"", "\"List\""), vec![entry("items", List(items))]].concat())),
    ]
}

/// Writes values; how is drawn from `choices`, round and round.
struct Writer<'c> {
    choices: &'c [u8],
    at: usize,
    json: bool,
}

impl Writer<'_> {
    fn choose(&mut self, of: u8) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()] % of
    }

    fn comment(&mut self, pad: usize) -> String {
        match self.choose(6) {
            0 => format!("{}# - name: comment\n", " ".repeat(pad)),
            1 => "\n".to_owned(),
            2 if self.choose(3) == 0 => "# at the edge\n".to_owned(),
            _ => String::new(),
        }
    }

    /// A value behind `key:`, with its line end.
    fn behind_key(&mut self, value: &Value, pad: usize) -> String {
        let tail = |writer: &mut Self| if writer.choose(5) == 0 { "  # tail\n" } else { "\n" };
        match value {
            Map(entries) if !entries.is_empty() && self.choose(6) != 0 => {
                let deeper = pad + 1 + usize::from(self.choose(4));
                format!("{}{}", tail(self), self.map(entries, deeper, true))
            }
            List(items) if !items.is_empty() && self.choose(6) != 0 => {
                let deeper = pad + [0, 2, 2, 4][usize::from(self.choose(4))];
                format!("{}{}", tail(self), self.list(items, deeper, true))
            }
            Lines(header, lines) => {
                let lines: Vec<_> = lines
                    .iter()
                    .map(|line| if line.is_empty() { "\n".into() } else { format!("{}{line}\n", " ".repeat(pad + 2)) })
                    .collect();
                format!(" {header}\n{}", lines.concat())
            }
            _ => format!(" {}{}", self.flow(value, pad + 2), tail(self)),
        }
    }

    fn map(&mut self, entries: &[(String, Value)], pad: usize, own_line: bool) -> String {
        let mut out = String::new();
        for (n, (key, value)) in entries.iter().enumerate() {
            if n > 0 || own_line {
                out += &self.comment(pad);
                out += &" ".repeat(pad);
            }
            out += &format!("{key}:{}", self.behind_key(value, pad));
        }
        out
    }

    fn list(&mut self, items: &[Value], pad: usize, own_line: bool) -> String {
        let mut out = String::new();
        for (n, item) in items.iter().enumerate() {
            if n > 0 || own_line {
                out += &self.comment(pad);
                out += &" ".repeat(pad);
            }
            out += "-";
            out += &match item {
                Map(entries) if !entries.is_empty() && self.choose(4) != 0 => {
                    let gap = 1 + usize::from(self.choose(3));
                    format!("{}{}", " ".repeat(gap), self.map(entries, pad + 1 + gap, false))
                }
                List(items) if !items.is_empty() && self.choose(2) == 0 => {
                    format!(" {}", self.list(items, pad + 2, false))
                }
                _ => self.behind_key(item, pad),
            };
        }
        out
    }

    fn flow(&mut self, value: &Value, pad: usize) -> String {
        let (open, close, parts) = match value {
            Scalar(text) if text.is_empty() && self.json => return "null".into(),
            Scalar(text) => return text.clone(),
            Lines(_, lines) => return format!("\"{}\"", lines.join("\\n")),
            Map(entries) => {
                let parts: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        let key = if self.json && !key.starts_with('"') { format!("\"{key}\"") } else { key.clone() };
                        let gap = if self.json && self.choose(4) == 0 { "" } else { " " };
                        let value = self.flow(value, pad + 2);
                        // Nothing at all before a comma is a null, too.
                        format!("{key}:{gap}{value}")
                    })
                    .collect();
                ("{", "}", parts)
            }
            List(items) => {
                let parts = items.iter().map(|item| match self.flow(item, pad + 2) {
                    nothing if nothing.is_empty() => "null".into(),
                    written => written,
                });
                ("[", "]", parts.collect())
            }
        };
        let tab = self.json && self.choose(3) == 0;
        let line = |pad: usize| if tab { format!("\n{}", "\t".repeat(pad)) } else { format!("\n{}", " ".repeat(pad)) };
        match self.choose(4) {
            0 if !parts.is_empty() => {
                format!("{open}{}{}{}{close}", line(pad + 2), parts.join(&format!(",{}", line(pad + 2))), line(pad))
            }
            1 => format!("{open} {} {close}", parts.join(" , ")),
            _ => format!("{open}{}{close}", parts.join(", ")),
        }
    }

    fn stream(&mut self, documents: &[Value]) -> String {
        let mut out = String::new();
        for document in documents {
            if self.json {
                out += &format!("{}\n", self.flow(document, 0));
                continue;
            }
            out += ["---\n", "---\n# Source: x\n", "--- # y\n", "---\n---\n"][usize::from(self.choose(4))];
            out += &match document {
                Map(entries) if self.choose(8) != 0 => self.map(entries, 0, true),
                value => self.flow(value, 0) + "\n",
            };
        }
        if self.choose(5) == 0 {
            out = out.replace('\n', "\r\n");
        }
        if self.choose(5) == 0 {
            out = out.trim_end().to_owned();
        }
        out
    }
}

fn settings(words: &[&str]) -> Settings {
    let cli = Cli::try_parse_from([&["udp-proxy", "inject"], words].concat()).expect("the flags are right");
    match cli.command {
        Some(Command::Inject(args)) => Settings::from_cli(&args).expect("the values are right"),
        _ => unreachable!("inject was asked for"),
    }
}

#[track_caller]
fn holds(input: &str) -> Result<(), TestCaseError> {
    let one = settings(&["--target=a=10.0.0.1:8125"]);
    let other = settings(&["--target=b=10.0.0.2:8125", "--port=9125"]);
    let fail = |what: &str, why: String| TestCaseError::fail(format!("{what}: {why}\n{input}"));
    let (injected, _) = inject(input, &one).map_err(|why| fail("refused", why))?;
    prop_assert_eq!(&uninject(&injected).map_err(|why| fail("uninject", why))?, input, "inject | uninject");
    prop_assert_eq!(&inject(&injected, &one).map_err(|why| fail("again", why))?.0, &injected, "inject | inject");
    let (changed, _) = inject(&injected, &other).map_err(|why| fail("with other flags", why))?;
    prop_assert_eq!(
        &changed,
        &inject(input, &other).map_err(|why| fail("other flags", why))?.0,
        "other flags go before"
    );
    prop_assert_eq!(&uninject(input).map_err(|why| fail("uninject", why))?, input, "nothing to take out");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn yaml_in_any_layout_comes_back(documents in vec(document(SCALARS), 1..3), choices in vec(any::<u8>(), 40..80)) {
        holds(&Writer { choices: &choices, at: 0, json: false }.stream(&documents))?;
    }

    #[test]
    fn json_in_any_layout_comes_back(documents in vec(document(JSON_SCALARS), 1..3), choices in vec(any::<u8>(), 40..80)) {
        let text = Writer { choices: &choices, at: 0, json: true }.stream(&documents);
        holds(&text)?;
        let (injected, _) = inject(&text, &settings(&["--target=a=10.0.0.1:8125"])).unwrap();
        let documents = serde_json::Deserializer::from_str(&injected).into_iter::<serde::de::IgnoredAny>();
        prop_assert!(documents.into_iter().all(|document| document.is_ok()), "no JSON: {injected}");
    }

    /// Whatever comes in, there is an answer: changed manifests that can be changed back, or one line.
    #[test]
fn any_text_is_answered(
        text in "(apiVersion: v1\nkind: Pod\n)?(metadata: \\{\\}?\n)?(spec:\n  containers:\n  ?- )?[ -~\n\r\tüあ\u{feff}'\"&*?|>{}\\[\\]:#,-]{0,60}"
    ) {
        match inject(&text, &settings(&["--target=a=10.0.0.1:8125"])) {
            Ok((injected, _)) => prop_assert_eq!(uninject(&injected), uninject(&text)),
            Err(why) => prop_assert!(!why.contains('\n'), "{}", why),
        }
    }

    /// The same for manifests with mistakes in them.
    #[test]
    fn a_manifest_with_mistakes_is_answered(mistakes in vec((any::<prop::sample::Index>(), "[ \n\r\t:#&*?|>{}\\[\\]'\"ü<-]{0,2}"), 1..4)) {
        let mut text: Vec<char> = include_str!("inject.d/survives.yaml").chars().collect();
        for (place, what) in mistakes {
            let at = place.index(text.len());
            text.splice(at..=at, what.chars());
        }
        let text: String = text.into_iter().collect();
        match inject(&text, &settings(&["--target=a=10.0.0.1:8125"])) {
            Ok((injected, _)) => prop_assert_eq!(uninject(&injected), uninject(&text)),
            Err(why) => prop_assert!(!why.contains('\n'), "{}", why),
        }
    }
}
