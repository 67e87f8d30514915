//! The Gregorian calendar in UTC: strftime(3) and the dates that scripts write.

/// A moment, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From Sunday, 0.
    weekday: i64,
    /// From 1.
    yearday: i64,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days since 1970 of a date; Howard Hinnant's algorithm.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Moment {
    fn of(time: i64) -> Self {
        let (days, rest) = (time.div_euclid(86_400), time.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            yearday: days - days_of(year, 1, 1) + 1,
        }
    }

    /// ISO 8601's year and week.
    fn iso_week(&self) -> (i64, i64) {
        let weekday = (self.weekday + 6) % 7 + 1;
        let week = (self.yearday - weekday + 10) / 7;
        let weeks_in = |year: i64| {
            let first = |year: i64| (days_of(year, 1, 1) + 3).rem_euclid(7) + 1;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            if first(year) == 4 || leap && first(year) == 3 { 53 } else { 52 }
        };
        match week {
            0 => (self.year - 1, weeks_in(self.year - 1)),
            53 if weeks_in(self.year) == 52 => (self.year + 1, 1),
            week => (self.year, week),
        }
    }
}

/// strftime(3) of `time`, seconds since 1970; the conversion that is not known otherwise.
pub(in crate::commands) fn format_time(format: &str, time: i64) -> Result<String, char> {
    let moment = Moment::of(time);
    let mut out = String::new();
    let mut left = format.chars().peekable();
    while let Some(letter) = left.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let flag = left.next_if(|flag| matches!(flag, '-' | '_' | '0' | '^' | '#' | '+'));
        let mut width = 0_usize;
        while let Some(digit) = left.peek().and_then(|digit| digit.to_digit(10)) {
            left.next();
            width = (width * 10 + digit as usize).min(1024);
        }
        let Some(letter) = left.next() else {
            out.push('%');
            break;
        };
        let number = |value: i64, digits: usize, pad: char| {
            let digits = if width > 0 { width } else { digits };
            match flag.unwrap_or(pad) {
                '-' => value.to_string(),
                '_' | ' ' => format!("{value:digits$}"),
                _ => format!("{value:0digits$}"),
            }
        };
        let twelve = (moment.hour + 11) % 12 + 1;
        let (weekday, month) = (DAYS[moment.weekday as usize], MONTHS[moment.month as usize - 1]);
        let text = match letter {
            '%' => "%".to_owned(),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            'a' => weekday[..3].to_owned(),
            'A' => weekday.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'B' => month.to_owned(),
            'C' => number(moment.year.div_euclid(100), 2, '0'),
            'd' => number(moment.day, 2, '0'),
            'e' => number(moment.day, 2, ' '),
            'D' => format_time("%m/%d/%y", time)?,
            'F' => format_time("%Y-%m-%d", time)?,
            'g' => number(moment.iso_week().0.rem_euclid(100), 2, '0'),
            'G' => number(moment.iso_week().0, 4, '0'),
            'H' => number(moment.hour, 2, '0'),
            'I' => number(twelve, 2, '0'),
            'j' => number(moment.yearday, 3, '0'),
            'k' => number(moment.hour, 2, ' '),
            'l' => number(twelve, 2, ' '),
            'm' => number(moment.month, 2, '0'),
            'M' => number(moment.minute, 2, '0'),
            'N' => match flag {
                None => "0".repeat(if width > 0 { width } else { 9 }),
                Some(_) => return Err(letter),
            },
            'p' => if moment.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'P' => if moment.hour < 12 { "am" } else { "pm" }.to_owned(),
            'q' => number((moment.month - 1) / 3 + 1, 1, '0'),
            'r' => format_time("%I:%M:%S %p", time)?,
            'R' => format_time("%H:%M", time)?,
            's' => time.to_string(),
            'S' => number(moment.second, 2, '0'),
            'T' | 'X' => format_time("%H:%M:%S", time)?,
            'u' => number((moment.weekday + 6) % 7 + 1, 1, '0'),
            'U' => number((moment.yearday + 6 - moment.weekday) / 7, 2, '0'),
            'V' => number(moment.iso_week().1, 2, '0'),
            'w' => number(moment.weekday, 1, '0'),
            'W' => number((moment.yearday + 6 - (moment.weekday + 6) % 7) / 7, 2, '0'),
            'x' => format_time("%m/%d/%y", time)?,
            'c' => format_time("%a %b %e %H:%M:%S %Y", time)?,
            'y' => number(moment.year.rem_euclid(100), 2, '0'),
            'Y' => number(moment.year, if width > 0 { width } else { 1 }, '0'),
            'z' => "+0000".to_owned(),
            ':' if left.next_if_eq(&'z').is_some() => "+00:00".to_owned(),
            'Z' => "UTC".to_owned(),
            other => return Err(other),
        };
        match flag {
            Some('^') => out.push_str(&text.to_uppercase()),
            Some('#' | '+') => return Err(letter),
            _ => out.push_str(&text),
        }
    }
    Ok(out)
}

/// The date forms that scripts give to `-d`: `@SECONDS`, `now`, `today`, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS]`,
/// `YYYY-MM-DDTHH:MM:SS[Z]`, with ` UTC` behind; `None` for others.
pub(in crate::commands) fn parse_date(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok();
    }
    if matches!(text, "now" | "today" | "") {
        return if text.is_empty() { Some(now - now.rem_euclid(86_400)) } else { Some(now) };
    }
    if let Some(time) = parse_own_form(text) {
        return Some(time);
    }
    let bare = ["UTC", "GMT", "Z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text).trim_end();
    let (date, clock) = match bare.split_once([' ', 'T']) {
        Some((date, clock)) => (date, clock.trim_start()),
        None => (bare, "00:00"),
    };
    let parts: Vec<i64> = match date.split('-').collect::<Vec<_>>().as_slice() {
        [year, month, day] if year.len() == 4 => {
            [year, month, day].iter().map(|part| part.parse().ok()).collect::<Option<_>>()?
        }
        [all] if all.len() == 8 => [&all.get(..4)?, &all.get(4..6)?, &all.get(6..)?]
            .iter()
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?,
        _ => return None,
    };
    let [year, month, day] = parts.try_into().ok()?;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    moment((year, month, day), (hour, minute, second)).filter(|_| clock.next().is_none())
}

/// The form that date(1) itself prints in the C locale: `Thu Jan  1 00:00:00 UTC 2026`.
fn parse_own_form(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (month, day, clock, year) = match words.as_slice() {
        [_, month, day, clock, "UTC" | "GMT", year] | [month, day, clock, "UTC" | "GMT", year] => {
            (month, day, clock, year)
        }
        _ => return None,
    };
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = names.iter().position(|name| name == month)? as i64 + 1;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    moment((year.parse().ok()?, month, day.parse().ok()?), (hour, minute, second))
}

fn moment((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64)) -> Option<i64> {
    let whole =
        (1..=12).contains(&month) && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let time = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    (whole && Moment::of(days_of(year, month, day) * 86_400).day == day).then_some(time)
}

/// touch's `-t`: `[[CC]YY]MMDDhhmm[.ss]`.
pub(in crate::commands) fn parse_stamp(text: &str, now: u32) -> Option<i64> {
    let (digits, second) = match text.split_once('.') {
        Some((digits, second)) if second.len() == 2 => (digits, second.parse().ok()?),
        Some(_) => return None,
        None => (text, 0),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match digits.len() {
        8 => (Moment::of(now.into()).year, digits),
        10 => {
            let year: i64 = digits[..2].parse().ok()?;
            (if year < 69 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        12 => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i64>().ok();
    moment((year, part(0)?, part(2)?), (part(4)?, part(6)?, second))
}
