//! Times for people.

use std::time::{Duration, UNIX_EPOCH};

/// First second of the year 10000: calendar text ends there.
const CALENDAR_END: u64 = 253_402_300_800;

/// `2026-01-31T12:00:00Z (1769860800)`.
pub(super) fn calendar(seconds: u64) -> String {
    if seconds >= CALENDAR_END {
        return seconds.to_string();
    }
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    format!("{} ({seconds})", humantime::format_rfc3339_seconds(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_seconds_has_a_text() {
        assert_eq!(calendar(0), "1970-01-01T00:00:00Z (0)");
        assert_eq!(calendar(1_769_860_800), "2026-01-31T12:00:00Z (1769860800)");
        assert_eq!(calendar(CALENDAR_END - 1), format!("9999-12-31T23:59:59Z ({})", CALENDAR_END - 1));
        assert_eq!(calendar(CALENDAR_END), CALENDAR_END.to_string());
        assert_eq!(calendar(u64::MAX), u64::MAX.to_string());
    }
}
