//! The events that the service writes into the Windows event log (Application, source `udp-proxy`).
//!
//! Always true: ids run from 1 without a gap and never change their meaning. build.rs reads this file too: the
//! program's resources hold a text for each id.

/// One kind of event. The number is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Event {
    /// It serves.
    Started = 1,
    /// It has drained.
    Stopped = 2,
    /// Its configuration cannot work.
    Configuration = 3,
    /// A line about traffic.
    Traffic = 4,
    /// Anything else.
    Failure = 5,
}

/// Each event with the levels it comes in, and what it tells.
pub const TABLE: [(Event, &str, &str); 5] = [
    (Event::Started, "Information", "The service serves; version and commit."),
    (Event::Stopped, "Information", "The service has drained and ended; the books."),
    (
        Event::Configuration,
        "Error",
        "The settings cannot work: the flag, what is wrong, what would be right. Exit code 2.",
    ),
    (
        Event::Traffic,
        "Warning, Information",
        "Datagrams are lost, or a target changed its state; at most one event in ten seconds for each subject.",
    ),
    (
        Event::Failure,
        "Error, Warning",
        "The system refused something (exit code 1), no log can be written, or an internal error (exit code 70).",
    ),
];

/// The table's rows as documents have them.
pub fn markdown() -> String {
    let row =
        |(event, levels, meaning): &(Event, &str, &str)| format!("| {} | {levels} | {meaning} |\n", *event as u32);
    TABLE.iter().map(row).collect()
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Nothing to do.
    Information,
    /// Datagrams are lost or at risk.
    Warning,
    /// It does not serve.
    Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_run_from_1() {
        assert!(TABLE.iter().zip(1..).all(|((event, ..), id)| *event as u32 == id));
        assert!(markdown().starts_with("| 1 | Information | "));
    }
}
