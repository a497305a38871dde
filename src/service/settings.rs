//! What the service runs with: stored settings and the words on its command line become one checked
//! configuration.
//!
//! Always true: a flag that a later layer names is not taken from an earlier one. The layers are the settings
//! with a name of their own, then the extra flags, then the service's own command line.

use std::ffi::OsString;

use crate::app::AppError;
use crate::cli::service::Settings;
use crate::cli::{self, Outcome};
use crate::config::{Config, ConfigError};

/// Checks `settings` with `own`, the words of the service's command line.
pub(super) fn config(settings: &Settings, own: &[OsString]) -> Result<Config, AppError> {
    let wrong = |problem| AppError::Config(ConfigError { flag: "service", problem });
    let words = std::iter::once("udp-proxy".into()).chain(words(settings, own));
    match cli::read(words) {
        Outcome::Run(cli) if cli.command.is_none() => Ok(Config::from_cli(&cli.proxy)?),
        Outcome::Wrong(problem) => Err(wrong(problem)),
        Outcome::Run(_) | Outcome::Print(_) => {
            Err(wrong("takes the proxy's flags and nothing else: see udp-proxy --help".into()))
        }
    }
}

/// The proxy's command line.
fn words(settings: &Settings, own: &[OsString]) -> Vec<OsString> {
    let extra = split(settings.extra_flags.as_deref().unwrap_or_default());
    let extra: Vec<OsString> = without(extra.into_iter().map(OsString::from).collect(), own);
    let named = [
        ("--source", &settings.source),
        ("--target", &settings.targets),
        ("--admin", &settings.admin),
        ("--log-level", &settings.log_level),
    ];
    let mut words = Vec::new();
    for (flag, value) in named {
        let value = value.as_deref().map(str::trim).unwrap_or_default();
        if !value.is_empty() && !names(&extra, flag) && !names(own, flag) {
            words.push(format!("{flag}={value}").into());
        }
    }
    words.extend(extra);
    words.extend_from_slice(own);
    words
}

/// `words` without the flags, and their values, that `later` names.
fn without(words: Vec<OsString>, later: &[OsString]) -> Vec<OsString> {
    let mut dropped = false;
    let keep = |word: &OsString| {
        if let Some(flag) = flag_of(word) {
            dropped = names(later, &flag);
        }
        !dropped
    };
    words.into_iter().filter(keep).collect()
}

fn names(words: &[OsString], flag: &str) -> bool {
    words.iter().any(|word| flag_of(word).as_deref() == Some(flag))
}

/// The flag that a word names, without its value.
fn flag_of(word: &OsString) -> Option<String> {
    let word = word.to_string_lossy();
    word.starts_with("--").then(|| word.split('=').next().unwrap_or_default().to_owned())
}

/// Splits a Windows command line into words: spaces part them, quotes hold them together, and only before a
/// quote a backslash means something (two of them one, one of them the quote itself).
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' if !quoted => words.extend(word.take()),
            '"' => {
                // Two quotes inside quotes are one.
                if quoted && rest.next_if_eq(&'"').is_some() {
                    word.get_or_insert_default().push('"');
                } else {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
            }
            '\\' => {
                let mut count = 1;
                while rest.next_if_eq(&'\\').is_some() {
                    count += 1;
                }
                let word = word.get_or_insert_default();
                if rest.peek() != Some(&'"') {
                    word.extend(std::iter::repeat_n('\\', count));
                } else {
                    word.extend(std::iter::repeat_n('\\', count / 2));
                    if count % 2 == 1 {
                        word.extend(rest.next());
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn command_lines_are_split_as_windows_does() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  a\tb  c ", &["a", "b", "c"]),
            (r#""a b" c"#, &["a b", "c"]),
            (r#"--x="a b"c"#, &["--x=a bc"]),
            (r#"a "" b"#, &["a", "", "b"]),
            (r"C:\a\b \\host\c", &[r"C:\a\b", r"\\host\c"]),
            (r#"a\"b"#, &[r#"a"b"#]),
            (r#""a\\" b"#, &[r"a\", "b"]),
            (r#"a\\\"b"#, &[r#"a\"b"#]),
            (r#""a""b""#, &[r#"a"b"#]),
            (r#""open end"#, &["open end"]),
        ];
        for (line, expected) in cases {
            assert_eq!(split(line), *expected, "{line}");
        }
    }

    #[test]
    fn later_layers_win_flag_by_flag() {
        let settings = Settings {
            source: Some(":1".into()),
            targets: Some("a=h:1?queue=1 b=h:2".into()),
            admin: Some("  ".into()),
            log_level: Some("debug".into()),
            extra_flags: Some("--shards 2 --log-level=warn --engine portable".into()),
        };
        assert_eq!(
            words(&settings, &os(&["--shards=1", "--source", ":2"])),
            os(&[
                "--target=a=h:1?queue=1 b=h:2",
                "--log-level=warn",
                "--engine",
                "portable",
                "--shards=1",
                "--source",
                ":2"
            ])
        );
        assert_eq!(words(&Settings::default(), &[]), os(&[]));
    }

    #[test]
    fn several_admin_addresses_are_stored_in_one_value() {
        let of = |admin: &str| {
            let settings = Settings { targets: Some("h:1".into()), admin: Some(admin.into()), ..Settings::default() };
            config(&settings, &[]).unwrap_or_else(|error| panic!("{admin:?}: {error}")).admin.len()
        };
        assert_eq!(["", "off", ":1", "127.0.0.1:1 127.0.0.1:2", " [::1]:1,127.0.0.1:1 "].map(of), [1, 0, 1, 2, 2]);
    }

    #[test]
    fn several_targets_are_stored_in_one_value() {
        for list in
            ["a=127.0.0.1:9 b=127.0.0.1:10?queue=5&overflow=oldest", "127.0.0.1:9,127.0.0.1:10", " h:1\t\r\nh:2 "]
        {
            let settings = Settings { targets: Some(list.into()), ..Settings::default() };
            let config = config(&settings, &[]).unwrap_or_else(|error| panic!("{list:?}: {error}"));
            assert_eq!(config.targets.len(), 2, "{list:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_one_line_with_exit_code_2() {
        let targets = |targets: &str| Settings { targets: Some(targets.into()), ..Settings::default() };
        let extra = |flags: &str| Settings { extra_flags: Some(flags.into()), ..targets("h:1") };
        for (settings, own, parts) in [
            (Settings::default(), &[][..], ["--target", "no target"]),
            (targets("nonsense"), &[], ["--target: 'nonsense'", "no port"]),
            (extra("--sourc :1"), &[], ["service: --sourc", "did you mean --source"]),
            (extra("demo"), &[], ["service: demo", "cannot be used"]),
            (extra("--help"), &[], ["service: ", "flags and nothing else"]),
            (extra("--shards 2 --shards 3"), &[], ["--shards", "twice"]),
            (targets("h:1"), &["--log-level=loud"], ["--log-level", "loud"]),
        ] {
            let error = config(&settings, &os(own)).expect_err("it cannot work");
            let text = error.to_string();
            assert!(error.exit_code() == 2 && text.lines().count() == 1, "{text}");
            assert!(parts.iter().all(|part| text.contains(part)), "{settings:?}: {text}");
        }
    }
}
