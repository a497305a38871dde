//! The registry: the stored settings, and the event source. Each build uses its own view (a 32-bit program on
//! 64-bit Windows: `WOW6432Node`), and so does the MSI of the same build.

use std::io;

use windows_registry::{LOCAL_MACHINE, Result};

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
    if let Ok(key) = LOCAL_MACHINE.open(SETTINGS) {
        for (name, field) in VALUES {
            *field(&mut settings) = key.get_string(name).ok();
        }
    }
    settings
}

/// Stores `settings`; one that is not given is removed.
pub(super) fn store(settings: &Settings) -> io::Result<()> {
    let store = || -> Result<()> {
        let key = LOCAL_MACHINE.create(SETTINGS)?;
        for (name, field) in VALUES {
            match field(&mut settings.clone()) {
                Some(value) if !value.trim().is_empty() => key.set_string(name, value.as_str())?,
                _ => absent(key.remove_value(name))?,
            }
        }
        Ok(())
    };
    store().map_err(io::Error::from)
}

/// Registers the event source: its texts are in `program`'s resources.
pub(super) fn register_events(program: &str) -> io::Result<()> {
    let register = || -> Result<()> {
        let key = LOCAL_MACHINE.create(EVENT_SOURCE)?;
        key.set_expand_string("EventMessageFile", program)?;
        key.set_u32("TypesSupported", TYPES_SUPPORTED)
    };
    register().map_err(io::Error::from)
}

/// Removes the settings and the event source.
pub(super) fn clear() -> io::Result<()> {
    for path in [SETTINGS, EVENT_SOURCE] {
        absent(LOCAL_MACHINE.remove_tree(path))?;
    }
    Ok(())
}

/// What is not there needs no removing.
fn absent(result: Result<()>) -> Result<()> {
    const NOT_FOUND: u32 = 0x8007_0002;
    result.or_else(|error| if error.code().0 as u32 == NOT_FOUND { Ok(()) } else { Err(error) })
}
