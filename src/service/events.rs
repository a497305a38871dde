//! The events that the service writes into the Windows event log.
//!
//! The message table in the program's resources (build.rs) has a line `%1` for each of these ids; the rest of
//! docs/windows.md's table is made by hand and a test compares.

/// One kind of event. The number is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Event {
    /// It serves.
    Started = 1,
    /// It has drained; the books.
    Stopped = 2,
    /// Its configuration cannot work.
    Configuration = 3,
    /// A line about traffic, at most one in ten seconds for each subject.
    Traffic = 4,
    /// Anything else that ended it or that it cannot do.
    Failure = 5,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gravity {
    /// Nothing to do.
    Information,
    /// Datagrams are lost or at risk.
    Warning,
    /// It does not serve.
    Error,
}
