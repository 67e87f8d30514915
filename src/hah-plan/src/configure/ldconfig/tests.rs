use super::*;

#[test]
fn versions_compare_as_numbers() {
    use Ordering::{Equal, Greater, Less};
    let table = [
        ("libx.so.9", "libx.so.10", Less),
        ("libx.so.10", "libx.so.9", Greater),
        ("libx.so.1", "libx.so", Greater),
        ("libx.so", "libx.so.1", Less),
        ("libx.so.1", "libx.so.1", Equal),
        ("lib1", "liba", Greater),
        ("liba", "lib1", Less),
        ("a", "b", Less),
    ];
    for (left, right, want) in table {
        assert_eq!(compare(left, right), want, "{left} {right}");
    }
}

#[test]
fn patterns_match_names() {
    let table = [
        ("*.conf", "libc.conf", true),
        ("*.conf", ".hidden.conf", false),
        ("*.conf", "libc.conf~", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "aXc", false),
        ("libc.conf", "libc.conf", true),
        ("libc.conf", "libc.conf.x", false),
    ];
    for (pattern, name, want) in table {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}

#[test]
fn only_library_names_are_looked_into() {
    for (name, want) in [
        ("libc.so.6", true),
        ("ld-linux-aarch64.so.1", true),
        ("libx.a", false),
        ("x.so", false),
        ("libx.so.1.dpkg-new", false),
    ] {
        assert_eq!(is_library(name), want, "{name}");
    }
}
