//! The registry: the stored settings, and the event source. Each build uses its own view (a 32-bit program on
//! 64-bit Windows: `WOW6432Node`), and so does the MSI of the same build.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS, WIN32_ERROR};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, REG_DWORD, REG_EXPAND_SZ, REG_SZ, REG_VALUE_TYPE, RRF_RT_REG_SZ, RegDeleteKeyValueW,
    RegDeleteTreeW, RegGetValueW, RegSetKeyValueW,
};

use crate::cli::service::Settings;

const SETTINGS: &str = r"SOFTWARE\udp-proxy";
const EVENT_SOURCE: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\udp-proxy";
/// Error, warning and information.
const TYPES_SUPPORTED: u32 = 7;

/// A setting in [`Settings`].
type Field = fn(&mut Settings) -> &mut Option<String>;
/// The registry values: each one's name and what it sets.
const VALUES: [(&str, Field); 5] = [
    ("Source", |settings| &mut settings.source),
    ("Targets", |settings| &mut settings.targets),
    ("Admin", |settings| &mut settings.admin),
    ("LogLevel", |settings| &mut settings.log_level),
    ("ExtraFlags", |settings| &mut settings.extra_flags),
];

/// The stored settings; what is missing or is no text counts as not given.
pub(super) fn settings() -> Settings {
    let mut settings = Settings::default();
    for (name, field) in VALUES {
        *field(&mut settings) = text(SETTINGS, name);
    }
    settings
}

/// Stores `settings`; one that is not given is removed.
pub(super) fn store(settings: &Settings) -> io::Result<()> {
    for (name, field) in VALUES {
        match field(&mut settings.clone()) {
            Some(value) if !value.trim().is_empty() => set(SETTINGS, name, REG_SZ, &bytes(value))?,
            _ => remove(SETTINGS, name)?,
        }
    }
    Ok(())
}

/// Registers the event source: its texts are in `program`'s resources.
pub(super) fn register_events(program: &str) -> io::Result<()> {
    set(EVENT_SOURCE, "EventMessageFile", REG_EXPAND_SZ, &bytes(program))?;
    set(EVENT_SOURCE, "TypesSupported", REG_DWORD, &TYPES_SUPPORTED.to_le_bytes())
}

/// Removes the settings and the event source.
pub(super) fn clear() -> io::Result<()> {
    for path in [SETTINGS, EVENT_SOURCE] {
        // SAFETY: the path ends with a zero and lives through the call.
        absent(unsafe { RegDeleteTreeW(HKEY_LOCAL_MACHINE, wide(path).as_ptr()) })?;
    }
    Ok(())
}

fn text(path: &str, name: &str) -> Option<String> {
    let (path, name) = (wide(path), wide(name));
    let mut value = vec![0u16; 1024];
    loop {
        let mut size = (2 * value.len()) as u32;
        // SAFETY: both names end with a zero; `value` has room for the `size` bytes that are given.
        let result = unsafe {
            RegGetValueW(
                HKEY_LOCAL_MACHINE,
                path.as_ptr(),
                name.as_ptr(),
                RRF_RT_REG_SZ, // an expandable one is expanded and counts as this type
                std::ptr::null_mut(),
                value.as_mut_ptr().cast(),
                &mut size,
            )
        };
        if result == ERROR_SUCCESS {
            // With its final zero, which the call sees to.
            let end = value.iter().position(|unit| *unit == 0).unwrap_or(0);
            return Some(String::from_utf16_lossy(&value[..end]));
        }
        // Anything but "more data" is no text; a value holds a megabyte at most.
        if size as usize <= 2 * value.len() || size > 1 << 20 {
            return None;
        }
        value.resize(size as usize / 2 + 1, 0);
    }
}

fn set(path: &str, name: &str, kind: REG_VALUE_TYPE, value: &[u8]) -> io::Result<()> {
    let (path, name) = (wide(path), wide(name));
    // SAFETY: both names end with a zero; `value` is as long as is said. The key is made when missing.
    checked(unsafe {
        RegSetKeyValueW(
            HKEY_LOCAL_MACHINE,
            path.as_ptr(),
            name.as_ptr(),
            kind,
            value.as_ptr().cast(),
            value.len() as u32,
        )
    })
}

fn remove(path: &str, name: &str) -> io::Result<()> {
    // SAFETY: both names end with a zero and live through the call.
    absent(unsafe { RegDeleteKeyValueW(HKEY_LOCAL_MACHINE, wide(path).as_ptr(), wide(name).as_ptr()) })
}

/// What is not there needs no removing.
fn absent(result: WIN32_ERROR) -> io::Result<()> {
    if result == ERROR_FILE_NOT_FOUND { Ok(()) } else { checked(result) }
}

fn checked(result: WIN32_ERROR) -> io::Result<()> {
    if result == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(result as i32)) }
}

/// UTF-16 with its final zero.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().filter(|unit| *unit != 0).chain([0]).collect()
}

/// The same as the registry's bytes.
fn bytes(text: &str) -> Vec<u8> {
    wide(text).into_iter().flat_map(u16::to_le_bytes).collect()
}
