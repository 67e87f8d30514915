//! Numbers with unit letters, as coreutils take them.

/// A count of bytes or lines: digits with an optional `b`, `k`, `K`, `M`, `G`, `T`, `kB`, `MB`, `KiB`, …
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let (digits, unit) = text.split_at(digits);
    let count: u64 = if digits.is_empty() && !unit.is_empty() { 1 } else { digits.parse().ok()? };
    let factor: u64 = match unit {
        "" | "c" => 1,
        "w" => 2,
        "b" => 512,
        "k" | "K" | "KiB" => 1 << 10,
        "kB" | "KB" => 1_000,
        "M" | "MiB" => 1 << 20,
        "MB" => 1_000_000,
        "G" | "GiB" => 1 << 30,
        "GB" => 1_000_000_000,
        "T" | "TiB" => 1 << 40,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    count.checked_mul(factor)
}
