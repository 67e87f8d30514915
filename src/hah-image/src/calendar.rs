//! Dates as archives and people spell them, from seconds since 1970 UTC.

/// A date of the Gregorian calendar and a time of day.
struct Date {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
}

impl Date {
    /// Days are counted in eras of 400 years that begin in March, so that the leap day is the last of its year.
    fn of(seconds: u64) -> Self {
        let shifted = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            second: seconds % 86_400,
        }
    }
}

/// The snapshot archive's spelling: `20250809T123456Z`.
pub(crate) fn stamp(seconds: u64) -> String {
    let Date { year, month, day, second } = Date::of(seconds);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// For people: `2025-08-09 12:34 UTC`.
pub(crate) fn minute(seconds: u64) -> String {
    let Date { year, month, day, second } = Date::of(seconds);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}

/// The day: `2025-08-09`.
pub(crate) fn day(seconds: u64) -> String {
    let Date { year, month, day, second: _ } = Date::of(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day, as certificates take it; far beyond all years for a clock that is.
pub(crate) fn year_month_day(seconds: u64) -> (i32, u8, u8) {
    let Date { year, month, day, second: _ } = Date::of(seconds);
    let small = |number: u64| u8::try_from(number).unwrap_or(1);
    (i32::try_from(year).unwrap_or(i32::MAX).min(9999), small(month), small(day))
}

/// The year: 2025.
pub(crate) fn year(seconds: u64) -> u64 {
    Date::of(seconds).year
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
        assert_eq!((year(1_735_689_599), year(1_735_689_600)), (2024, 2025));
    }
}
