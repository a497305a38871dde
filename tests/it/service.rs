//! The Windows service, as far as it needs no service manager: `ci/windows` installs and runs it.

use crate::support::process::run;

/// Exit code, standard output and standard error of `service WORDS`.
fn service(words: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&[&["service"], words].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Asserts that it is refused with exit code 2 and one line that holds each of `parts`.
#[track_caller]
fn refused(words: &[&str], parts: &[&str]) {
    let (code, out, text) = service(words);
    assert_eq!((code, out.as_str(), text.lines().count()), (Some(2), "", 1), "{words:?}: {text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{words:?}: {parts:?} are not in: {text}");
}

#[test]
fn settings_are_checked_without_being_stored() {
    let good: &[&[&str]] = &[
        &["--targets=a=10.0.0.1:8125 b=h:8126?queue=10k&overflow=oldest", "--source=:8125", "--admin=off"],
        &["--targets=h:1", "--admin=127.0.0.1:1 127.0.0.1:2,[::1]:1"],
        &["--targets", "127.0.0.1:9", "--source", "", "--admin", "", "--log-level", "", "--extra-flags", ""],
        &["--targets=h:1", "--extra-flags=--shards 2 --shutdown-delay=1s"],
        &["--targets=h:1", "--extra-flags", "--shards 2 --metrics-prefix \"x.y\""],
        &["--extra-flags", "--target=h:1"],
    ];
    for words in good {
        let (code, out, text) = service(&[&["validate"], *words].concat());
        assert_eq!((code, out.as_str(), text.as_str()), (Some(0), "", ""), "{words:?}");
    }
    refused(&["validate"], &["--target", "no target"]);
    refused(&["validate", "--targets=h"], &["--target", "'h'", "no port"]);
    refused(&["validate", "--targets=h:1", "--source=nonsense"], &["--source", "nonsense"]);
    refused(&["validate", "--targets=h:1", "--log-level=loud"], &["--log-level", "loud"]);
    refused(&["validate", "--targets=h:1", "--admin=nowhere"], &["--admin", "nowhere"]);
    refused(&["validate", "--targets=h:1", "--admin=:1 off"], &["--admin", "'off'", "alone"]);
    refused(&["validate", "--targets=h:1", "--extra-flags=--shard 2"], &["--shard", "did you mean --shards"]);
    refused(&["validate", "--target-list=h:1"], &["--target-list", "unknown"]);
}

#[test]
fn wrong_words_are_refused() {
    refused(&["begin"], &["begin", "unknown command"]);
    refused(&["start", "--now"], &["--now", "unknown"]);
}

#[cfg(not(windows))]
#[test]
fn elsewhere_one_line_says_so() {
    for words in [&["run"][..], &["install", "--targets=h:1"], &["start"], &["stop"], &["status"], &["uninstall"]] {
        refused(words, &["service: is for Windows"]);
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::ffi::OsStrExt;
    use std::path::Path;
    use std::ptr::{null, null_mut};

    use udp_proxy::service::events;
    use windows_sys::Win32::Storage::FileSystem::{GetFileVersionInfoSizeW, GetFileVersionInfoW, VerQueryValueW};
    use windows_sys::Win32::System::Diagnostics::Debug::{
        FORMAT_MESSAGE_ARGUMENT_ARRAY, FORMAT_MESSAGE_FROM_HMODULE, FormatMessageW,
    };
    use windows_sys::Win32::System::LibraryLoader::{LOAD_LIBRARY_AS_DATAFILE, LoadLibraryExW};

    use super::*;

    fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
        text.as_ref().encode_wide().chain([0]).collect()
    }

    fn program() -> Vec<u16> {
        wide(Path::new(env!("CARGO_BIN_EXE_udp-proxy")))
    }

    #[test]
    fn from_a_console_it_does_not_run_as_a_service() {
        refused(&["run", "--target=h:1"], &["service run: only the service manager starts it"]);
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_said_before_anything_is_installed() {
        refused(&["install"], &["--target", "no target"]);
        refused(&["install", "--targets=nonsense"], &["--target", "nonsense"]);
    }

    #[test]
    fn every_event_has_its_text() {
        let argument = wide("the text of 100 % of the events");
        // SAFETY: the name ends with a zero; the program is only mapped to be read.
        let module = unsafe { LoadLibraryExW(program().as_ptr(), null_mut(), LOAD_LIBRARY_AS_DATAFILE) };
        assert!(!module.is_null(), "{}", std::io::Error::last_os_error());
        let rendered = |id| {
            let mut text = [0u16; 256];
            let arguments = [argument.as_ptr()];
            // SAFETY: `text` is as long as is said; the one argument that the text takes is in the array.
            let length = unsafe {
                FormatMessageW(
                    FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY,
                    module.cast(),
                    id,
                    0,
                    text.as_mut_ptr(),
                    text.len() as u32,
                    arguments.as_ptr().cast(),
                )
            };
            String::from_utf16(&text[..length as usize]).unwrap()
        };
        for (event, ..) in events::TABLE {
            assert_eq!(rendered(event as u32), "the text of 100 % of the events\r\n", "{event:?}");
        }
        assert_eq!(rendered(events::TABLE.len() as u32 + 1), "", "there is no other event");
    }

    #[test]
    fn the_program_says_its_version_and_publisher() {
        let program = program();
        // SAFETY: the name ends with a zero.
        let size = unsafe { GetFileVersionInfoSizeW(program.as_ptr(), null_mut()) };
        assert!(size > 0, "{}", std::io::Error::last_os_error());
        let mut block = vec![0u8; size as usize];
        // SAFETY: `block` is as long as is said.
        assert_ne!(unsafe { GetFileVersionInfoW(program.as_ptr(), 0, size, block.as_mut_ptr().cast()) }, 0);
        for (name, expected) in [
            ("ProductName", "udp-proxy"),
            ("ProductVersion", env!("CARGO_PKG_VERSION")),
            ("FileVersion", env!("CARGO_PKG_VERSION")),
            ("CompanyName", "udp-proxy authors"),
        ] {
            let (mut value, mut length): (*const u16, u32) = (null(), 0);
            let path = wide(format!(r"\StringFileInfo\040904b0\{name}"));
            // SAFETY: the path ends with a zero; what comes back points into `block`.
            let found =
                unsafe { VerQueryValueW(block.as_ptr().cast(), path.as_ptr(), (&raw mut value).cast(), &mut length) };
            assert_ne!(found, 0, "{name}");
            // SAFETY: the call gave `length` characters at `value`, the last of them a zero.
            let text = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(value, length as usize) });
            assert_eq!(text.trim_end_matches('\0'), expected, "{name}");
        }
    }
}
