//! Writing events into the Windows event log (Application), under the service's name as source.

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::EventLog;

use crate::service::NAME;
use crate::service::events::{Event, Gravity};

/// The most characters of an event's text; the system takes 31,839 at most.
const LONGEST: usize = 30_000;

/// An open event source. Where it cannot be opened, nothing is written: the log file still tells.
#[derive(Debug)]
pub(super) struct Events(HANDLE);

// SAFETY: the handle is only given to ReportEventW and, once, to DeregisterEventSource; the event log's functions
// may be called from any thread.
unsafe impl Send for Events {}
// SAFETY: as above; ReportEventW does not change what the handle points to.
unsafe impl Sync for Events {}

impl Events {
    pub(super) fn open() -> Self {
        let name = wide(NAME);
        // SAFETY: `name` ends with a zero and lives through the call; no server means this computer.
        Self(unsafe { EventLog::RegisterEventSourceW(std::ptr::null(), name.as_ptr()) })
    }

    pub(super) fn write(&self, event: Event, gravity: Gravity, text: &str) {
        if self.0.is_null() {
            return;
        }
        let kind = match gravity {
            Gravity::Information => EventLog::EVENTLOG_INFORMATION_TYPE,
            Gravity::Warning => EventLog::EVENTLOG_WARNING_TYPE,
            Gravity::Error => EventLog::EVENTLOG_ERROR_TYPE,
        };
        let text = wide(text);
        let strings = [text.as_ptr()];
        // SAFETY: the handle is open; `strings` holds one pointer to a text that ends with a zero, and both live
        // through the call. There is no user and no raw data. A failure (a full log, say) leaves nothing to do.
        unsafe {
            EventLog::ReportEventW(
                self.0,
                kind,
                0,
                event as u32,
                std::ptr::null_mut(),
                1,
                0,
                strings.as_ptr(),
                std::ptr::null(),
            );
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the handle was opened by RegisterEventSourceW and is not used after this.
            unsafe { EventLog::DeregisterEventSource(self.0) };
        }
    }
}

/// UTF-16 with its final zero, cut to what an event may hold.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().filter(|unit| *unit != 0).take(LONGEST).chain([0]).collect()
}
