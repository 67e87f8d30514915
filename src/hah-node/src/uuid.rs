//! UUIDs that follow from a digest, and how they are written (RFC 9562).

/// A UUID of version 8, which is made in a way of one's own: of the first 16 bytes of a SHA-256 digest.
pub fn of_digest(sha256: [u8; 32]) -> u128 {
    let first = sha256.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    first & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62
}

/// In five groups of lower-case hex digits.
pub fn text(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_variant_and_groups() {
        assert_eq!(text(of_digest([0xff; 32])), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(text(of_digest([0; 32])), "00000000-0000-8000-8000-000000000000");
        assert_eq!(text(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd), "01234567-89ab-4cde-8f01-23456789abcd");
    }
}
