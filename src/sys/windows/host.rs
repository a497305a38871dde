//! Host counters by `GetUdpStatisticsEx`. `GetUdpStatisticsEx2` tells the same in-errors and no-ports, in 32 bits
//! as well (only datagrams that did arrive have 64 there), and Windows before 10 lacks it.

use windows_sys::Win32::NetworkManagement::IpHelper::{GetUdpStatisticsEx, MIB_UDPSTATS};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};

use crate::sys::host::UdpCounters;

pub(in crate::sys) fn udp_counters() -> [Option<UdpCounters>; 2] {
    [of_family(u32::from(AF_INET)), of_family(u32::from(AF_INET6))]
}

fn of_family(family: u32) -> Option<UdpCounters> {
    let mut stats = MIB_UDPSTATS { dwInDatagrams: 0, dwNoPorts: 0, dwInErrors: 0, dwOutDatagrams: 0, dwNumAddrs: 0 };
    // SAFETY: `stats` is a valid MIB_UDPSTATS for the call to fill.
    let result = unsafe { GetUdpStatisticsEx(&mut stats, family) };
    (result == 0).then_some(UdpCounters {
        in_errors: u64::from(stats.dwInErrors),
        no_ports: u64::from(stats.dwNoPorts),
        ..UdpCounters::default()
    })
}
