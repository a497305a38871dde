//! Sizes, durations and counts as people write them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Two to the power of `bits`, or the most that a 32-bit program can count.
pub const fn two_to(bits: u32) -> usize {
    match 1usize.checked_shl(bits) {
        Some(value) => value,
        None => usize::MAX,
    }
}

/// A count: `4096`, `100k`, `2M` (decimal).
///
/// # Errors
/// What is wrong and what would be right.
pub fn count(raw: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let (digits, unit) = split(raw);
    let factor = match unit {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        _ => None,
    };
    let value = factor.and_then(|factor| digits.parse::<usize>().ok()?.checked_mul(factor));
    within(raw, value, range, "a whole number such as 4096 or 10k")
}

/// A size in bytes: `65535`, `64KiB`, `4MiB`, `1GiB`; `K`, `M`, `G` mean the same (powers of 1024).
///
/// # Errors
/// What is wrong and what would be right.
pub fn size(raw: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let (digits, unit) = split(raw);
    let factor: Option<usize> = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "ki" | "kib" => Some(1 << 10),
        "m" | "mb" | "mi" | "mib" => Some(1 << 20),
        "g" | "gb" | "gi" | "gib" => Some(1 << 30),
        _ => None,
    };
    let value = factor.and_then(|factor| digits.parse::<usize>().ok()?.checked_mul(factor));
    within(raw, value, range, "a size in bytes such as 65535, 64KiB or 4MiB")
}

/// A duration: `500ms`, `10s`, `2m`, `1h`; `0` needs no unit.
///
/// # Errors
/// What is wrong and what would be right.
pub fn duration(raw: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let (digits, unit) = split(raw);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "" if digits == "0" => Some(0),
        _ => None,
    };
    let value = millis.and_then(|millis| digits.parse::<u64>().ok()?.checked_mul(millis)).map(Duration::from_millis);
    let show = |d: &Duration| Shown(*d);
    match value {
        None => Err(format!("'{raw}' is not a duration such as 500ms, 10s or 2m")),
        Some(value) if !range.contains(&value) => {
            Err(format!("'{raw}' is out of range: give {} to {}", show(range.start()), show(range.end())))
        }
        Some(value) => Ok(value),
    }
}

/// A duration as it is written on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub Duration);

impl Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            ms if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            ms if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            ms if ms.is_multiple_of(1_000) => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

fn split(raw: &str) -> (&str, &str) {
    raw.split_at(raw.find(|c: char| !c.is_ascii_digit()).unwrap_or(raw.len()))
}

fn within(raw: &str, value: Option<usize>, range: RangeInclusive<usize>, right: &str) -> Result<usize, String> {
    match value {
        None => Err(format!("'{raw}' is not {right}")),
        Some(value) if !range.contains(&value) => {
            Err(format!("'{raw}' is out of range: give {} to {}", range.start(), range.end()))
        }
        Some(value) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        assert_eq!(size("65535", 0..=usize::MAX), Ok(65_535));
        assert_eq!(size("4MiB", 0..=usize::MAX), Ok(4 << 20));
        assert_eq!(size("8K", 0..=usize::MAX), Ok(8 << 10));
        assert_eq!(count("100k", 0..=usize::MAX), Ok(100_000));
        assert_eq!(duration("500ms", Duration::ZERO..=Duration::MAX), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m", Duration::ZERO..=Duration::MAX), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0", Duration::ZERO..=Duration::MAX), Ok(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for raw in ["", "x", "-1", "1.5MiB", "1TiB", "99999999999999999999", "0x10", " 1"] {
            assert!(size(raw, 0..=usize::MAX).is_err(), "{raw}");
            assert!(count(raw, 0..=usize::MAX).is_err(), "{raw}");
        }
        for raw in ["", "5", "s", "-1s", "1.5s", "5 s", "5d"] {
            assert!(duration(raw, Duration::ZERO..=Duration::MAX).is_err(), "{raw}");
        }
        assert_eq!(count("0", 1..=9), Err("'0' is out of range: give 1 to 9".into()));
    }

    #[test]
    fn a_duration_is_shown_as_it_is_written() {
        for text in ["0s", "500ms", "10s", "2m", "1h"] {
            assert_eq!(Shown(duration(text, Duration::ZERO..=Duration::MAX).unwrap()).to_string(), text);
        }
    }
}
