//! Counters of the host's (more exactly: of this network namespace's) UDP stack.

/// The counters that tell of datagrams lost before any program could read them (RFC 4113; Linux
/// `/proc/net/snmp` and `/proc/net/snmp6`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounters {
    /// Datagrams dropped because a socket's receive buffer was full (`RcvbufErrors`).
    pub receive_buffer_errors: u64,
    /// Datagrams that could not be delivered for any reason but a missing port (`InErrors`).
    pub in_errors: u64,
    /// Datagrams that could not be sent because the send buffer was full (`SndbufErrors`).
    pub send_buffer_errors: u64,
    /// Datagrams for a port where nothing listens (`NoPorts`).
    pub no_ports: u64,
}

/// The IPv4 and the IPv6 counters; `None` where the host does not tell.
pub fn udp_counters() -> [Option<UdpCounters>; 2] {
    imp::udp_counters()
}

#[cfg(windows)]
use super::os::host as imp;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_datagram_that_nobody_takes_is_counted() {
        for (family, any) in ["127.0.0.1:0", "[::1]:0"].into_iter().enumerate() {
            let Ok(sender) = UdpSocket::bind(any) else {
                println!("skip: this host has no IPv6");
                continue;
            };
            let Some(before) = udp_counters()[family] else {
                println!("skip: this host does not tell how many datagrams of {any} found no port");
                continue;
            };
            let gone = UdpSocket::bind(any).and_then(|socket| socket.local_addr()).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while udp_counters()[family].is_none_or(|now| now.no_ports <= before.no_ports) {
                assert!(Instant::now() < deadline, "{any}: still {before:?}");
                sender.send_to(b"x", gone).ok();
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[cfg(not(windows))]
mod imp {
    use super::UdpCounters;

    pub(super) fn udp_counters() -> [Option<UdpCounters>; 2] {
        let read = |path| std::fs::read_to_string(path).ok();
        [read("/proc/net/snmp").as_deref().and_then(snmp), read("/proc/net/snmp6").as_deref().and_then(snmp6)]
    }

    /// `/proc/net/snmp`: a line of names and a line of values, both beginning with `Udp:`.
    pub(super) fn snmp(text: &str) -> Option<UdpCounters> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let value = |name: &str| {
            let position = names.split(' ').position(|n| n == name)?;
            values.split(' ').nth(position)?.parse().ok()
        };
        collect(value)
    }

    /// `/proc/net/snmp6`: a line `Udp6Name value` each.
    pub(super) fn snmp6(text: &str) -> Option<UdpCounters> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp6"));
            lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        collect(value)
    }

    fn collect(value: impl Fn(&str) -> Option<u64>) -> Option<UdpCounters> {
        Some(UdpCounters {
            receive_buffer_errors: value("RcvbufErrors")?,
            in_errors: value("InErrors")?,
            send_buffer_errors: value("SndbufErrors")?,
            no_ports: value("NoPorts")?,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn both_files_are_read_by_name() {
            let snmp_text = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 10 2 3 11 4 5\nUdpLite: InDatagrams\nUdpLite: 0\n";
            let expected = UdpCounters { receive_buffer_errors: 4, in_errors: 3, send_buffer_errors: 5, no_ports: 2 };
            assert_eq!(snmp(snmp_text), Some(expected));
            let snmp6_text =
                "Udp6InDatagrams   \t10\nUdp6NoPorts\t2\nUdp6InErrors\t3\nUdp6RcvbufErrors\t4\nUdp6SndbufErrors\t5\n";
            assert_eq!(snmp6(snmp6_text), Some(expected));
            assert_eq!(snmp("Udp: A\n"), None);
            assert_eq!(snmp6(""), None);
        }
    }
}
