//! Packing against its promise: the lines that leave are the lines that came.

use udp_proxy::statsd::pack::{Offer, Packer, count_lines};

use super::choose::Choose;

/// The lines of `datagrams`, in order; what is empty is no line.
pub fn lines<'a>(datagrams: impl IntoIterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let split = datagrams.into_iter().flat_map(|datagram| datagram.split(|byte| *byte == b'\n'));
    split.filter(|line| !line.is_empty()).collect()
}

/// Chooses datagrams of lines: long and short ones, empty ones, newlines in every place.
pub fn datagrams(choose: &mut impl Choose) -> Vec<Vec<u8>> {
    (0..choose.below(80)).map(|_| (0..choose.below(60)).map(|_| byte(choose)).collect()).collect()
}

fn byte(choose: &mut impl Choose) -> u8 {
    match choose.below(8) {
        0 | 1 => b'\n',
        2 => choose.below(256) as u8,
        letter => b'a' + letter as u8,
    }
}

/// Packs `datagrams` as a target does and checks what leaves; the open pack is closed after those that
/// `pause` says.
pub fn check(limit: usize, datagrams: &[Vec<u8>], mut pause: impl FnMut() -> bool) {
    let mut packer = Packer::new(limit);
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut taken = 0;
    let mut empty = 0;
    let mut packed = 0;
    let mut close = |packer: &mut Packer, out: &mut Vec<Vec<u8>>| {
        if let Some(closed) = packer.close() {
            let bytes = packer.bytes(closed.range).to_vec();
            assert!(bytes.len() <= limit, "a pack of {} bytes, the limit is {limit}", bytes.len());
            assert_eq!(count_lines(&bytes), closed.lines);
            packed += closed.datagrams;
            out.push(bytes);
            packer.recycle();
        }
        assert_eq!((packer.held_datagrams(), packer.held_bytes()), (0, 0));
    };
    for datagram in datagrams {
        loop {
            match packer.offer(datagram) {
                Offer::Full => close(&mut packer, &mut out),
                Offer::Alone { lines } => {
                    assert!(datagram.len() > limit);
                    assert_eq!(lines, count_lines(datagram));
                    close(&mut packer, &mut out);
                    out.push(datagram.clone());
                    break;
                }
                Offer::Taken { lines } => {
                    assert_eq!(lines, count_lines(datagram));
                    taken += 1;
                    break;
                }
                Offer::Empty => {
                    assert_eq!(count_lines(datagram), 0);
                    empty += 1;
                    break;
                }
            }
        }
        if pause() {
            close(&mut packer, &mut out);
        }
    }
    close(&mut packer, &mut out);
    let alone = datagrams.iter().filter(|datagram| datagram.len() > limit).count();
    assert_eq!(taken, packed, "each datagram that was taken is in one pack");
    assert_eq!(datagrams.len(), taken as usize + alone + empty);
    assert!(lines(out.iter().map(Vec::as_slice)) == lines(datagrams.iter().map(Vec::as_slice)), "the lines changed");
}
