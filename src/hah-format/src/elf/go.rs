//! Go's build information: the compiler's version, the module, and the settings that decide which processor a program needs.
//!
//! ```text
//! 0   14  "\xff Go buildinf:"
//! 14   1  size of a pointer
//! 15   1  flags: bit 1 set, the strings follow (since Go 1.18)
//! 16  16  pointers, of older programs
//! 32      varint length, version:  "go1.25.1"
//!         varint length, module information between two marks of 16 bytes, line by line:
//!             path TAB github.com/hashicorp/nomad
//!             mod  TAB PATH TAB VERSION [TAB SUM]
//!             dep  TAB …
//!             build TAB KEY=VALUE                          GOARCH=arm, GOARM=6, CGO_ENABLED=0
//! ```
//!
//! Source: Go's `src/debug/buildinfo/buildinfo.go` and `src/runtime/debug/mod.go`.

use std::collections::BTreeMap;

/// What begins it.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// It is aligned to this many bytes.
const ALIGNMENT: usize = 16;
/// Where the strings begin.
const HEADER: usize = 32;
/// The flag that says so.
const INLINE: u8 = 2;
/// Bytes of a mark around the module information.
const MARK: usize = 16;
/// Most settings that are kept, and longest of them in bytes.
const SETTINGS_MAX: usize = 1000;
const SETTING_MAX: usize = 16 << 10;

/// How a Go program was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoBuild {
    /// The compiler: `go1.25.1`.
    pub compiler: String,
    /// The main package's path: `github.com/hashicorp/nomad`.
    pub path: Option<String>,
    /// The main module's version: `v1.7.2`, `(devel)`.
    pub version: Option<String>,
    /// Settings by name: `GOARCH`, `GOARM`.
    pub settings: BTreeMap<String, String>,
}

/// Finds and reads build information within `bytes`; `None` when there is none, or none that can be read.
///
/// Programs of Go before 1.18 hold pointers instead of strings, and are not read.
pub fn parse(bytes: &[u8]) -> Option<GoBuild> {
    let at = (0..bytes.len()).step_by(ALIGNMENT).find(|at| bytes[*at..].starts_with(MAGIC))?;
    let found = &bytes[at..];
    if found.get(MAGIC.len() + 1)? & INLINE == 0 {
        return None;
    }
    let (compiler, rest) = string(found.get(HEADER..)?)?;
    let (module, _) = string(rest).unwrap_or_default();
    let mut build = GoBuild { compiler: printable(compiler)?, ..GoBuild::default() };
    let inner = module.len().checked_sub(2 * MARK).and_then(|length| module.get(MARK..MARK + length));
    let Some(text) = inner.and_then(|inner| std::str::from_utf8(inner).ok()) else { return Some(build) };
    for line in text.lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("path"), Some(path), _) => build.path = printable(path.as_bytes()),
            (Some("mod"), Some(_), Some(version)) => build.version = printable(version.as_bytes()),
            (Some("build"), Some(setting), _) if build.settings.len() < SETTINGS_MAX => {
                // Keys and values with odd characters are quoted; the ones that count have none.
                if let Some((key, value)) = setting.split_once('=')
                    && let (Some(key), Some(value)) = (printable(key.as_bytes()), printable(value.as_bytes()))
                {
                    build.settings.insert(key, value);
                }
            }
            _ => {}
        }
    }
    Some(build)
}

/// A string with its length before it, and what follows.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return bytes[position + 1..].split_at_checked(length);
        }
    }
    None
}

fn printable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= SETTING_MAX && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Build information as the linker lays it down.
    fn information(compiler: &str, module: &str) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([8, 2]);
        out.resize(HEADER, 0);
        let marks = [0x30u8; MARK];
        for text in [compiler.as_bytes(), &[&marks[..], module.as_bytes(), &marks[..]].concat()] {
            let mut length = text.len();
            while length >= 0x80 {
                out.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            out.push(length as u8);
            out.extend(text);
        }
        out
    }

    const MODULE: &str = "path\tgithub.com/hashicorp/consul\nmod\tgithub.com/hashicorp/consul\tv1.2.3\th1:x=\n\
        dep\tgithub.com/x/y\tv0.1.0\th1:z=\nbuild\t-compiler=gc\nbuild\tCGO_ENABLED=0\nbuild\tGOARCH=arm\nbuild\tGOARM=6\n";

    #[test]
    fn settings_are_read() {
        for before in [0, 16, 4096] {
            let bytes = [vec![0; before], information("go1.25.1", MODULE)].concat();
            let build = parse(&bytes).unwrap();
            assert_eq!(build.compiler, "go1.25.1");
            assert_eq!(build.path.as_deref(), Some("github.com/hashicorp/consul"));
            assert_eq!(build.version.as_deref(), Some("v1.2.3"));
            assert_eq!(build.settings["GOARCH"], "arm");
            assert_eq!(build.settings["GOARM"], "6");
        }
        assert_eq!(
            parse(&information("go1.25.1", "build\tGOARM=7,hardfloat\n")).unwrap().settings["GOARM"],
            "7,hardfloat"
        );
        assert_eq!(parse(&information("go1.25.1", "")).unwrap().settings.get("GOARM"), None);
    }

    #[test]
    fn other_bytes_have_none() {
        let mut old = information("go1.17", MODULE);
        old[15] = 0;
        let odd = [vec![0; 8], information("go1.25.1", MODULE)].concat();
        let mut long = information("go1.25.1", MODULE);
        long[HEADER] = 0xff;
        for bytes in [&b""[..], b"\xff Go buildinf:", &[0; 100], &old, &odd, &long] {
            assert_eq!(parse(bytes), None);
        }
        // Without its module a program still says its compiler.
        assert_eq!(parse(&information("go1.25.1", MODULE)[..HEADER + 9]).unwrap().settings.len(), 0);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]
        #[test]
        fn damage_does_not_panic(changes in proptest::collection::vec((0usize..500, proptest::num::u8::ANY), 1..8), end in 0usize..400) {
            let mut bytes = information("go1.25.1", MODULE);
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(end);
            let _ = parse(&bytes);
        }
    }
}
