//! Dates as archives and people spell them, from seconds since 1970 UTC.

use time::UtcDateTime;

/// The moment; what is beyond the year 9999 counts as its end, which no archive outlives.
fn moment(seconds: u64) -> UtcDateTime {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::MAX)
}

/// The snapshot archive's spelling: `20250809T123456Z`.
pub(crate) fn stamp(seconds: u64) -> String {
    let (year, month, day) = moment(seconds).to_calendar_date();
    let (hour, minute, second) = moment(seconds).as_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// For people: `2025-08-09 12:34 UTC`.
pub(crate) fn minute(seconds: u64) -> String {
    let (hour, minute, _) = moment(seconds).as_hms();
    format!("{} {hour:02}:{minute:02} UTC", day(seconds))
}

/// The day: `2025-08-09`.
pub(crate) fn day(seconds: u64) -> String {
    let (year, month, day) = moment(seconds).to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

/// The day, as certificates take it; far beyond all years for a clock that is.
pub(crate) fn year_month_day(seconds: u64) -> (i32, u8, u8) {
    let (year, month, day) = moment(seconds).to_calendar_date();
    (year, u8::from(month), day)
}

/// The year: 2025.
pub(crate) fn year(seconds: u64) -> i32 {
    moment(seconds).year()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, want) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_735_689_599, "20241231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(stamp(seconds), want);
        }
        assert_eq!(minute(1_754_742_896), "2025-08-09 12:34 UTC");
        assert_eq!(day(1_754_742_896), "2025-08-09");
        assert_eq!(day(u64::MAX), "9999-12-31");
        assert_eq!((year(1_735_689_599), year(1_735_689_600)), (2024, 2025));
    }
}
