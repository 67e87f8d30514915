//! What `depmod` wants to know of a kernel module, found where libkmod looks for it.
//!
//! | fact | where |
//! |---|---|
//! | `modinfo` | section `.modinfo`: NUL-separated `key=value` |
//! | `exports` | `.symtab` names that begin with `__crc_`; without any (no `MODVERSIONS`), the strings of `__ksymtab_strings` |
//! | `imports` | undefined names of `.symtab`, then those of `__versions` that are not among them (`module_layout`) |

use std::collections::BTreeMap;
use std::io::Read;

use liblzma::stream::Stream;
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym};
use object::read::{FileKind, SymbolIndex};
use serde::{Deserialize, Serialize};

/// Facts read from a module's `.modinfo`, symbol table and `__versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFacts {
    /// `.modinfo` entries in file order, `key`, `value`: alias, depends, softdep, weakdep, name, …
    /// An entry without `=` has an empty value.
    pub modinfo: Vec<(String, String)>,
    /// Exported symbols, as depmod finds them, in its order (the symbol table's) and with its duplicates.
    pub exports: Vec<String>,
    /// Needed symbols, as depmod finds them: undefined ones in symbol table order, weak ones included (depmod adds the
    /// dependency when some module exports the name, and does not complain otherwise), then leftovers of `__versions`.
    pub imports: Vec<String>,
}

/// Largest module, uncompressed, in bytes. The largest of Debian's is 30 MB with all its symbols.
const MODULE_MAX: u64 = 256 << 20;
/// Memory for a decompressor, in bytes.
const DECODER_MEMORY: u64 = 128 << 20;
/// Size of one entry of `__versions`, in bytes: a checksum as long as a pointer, then a name.
const VERSION_ENTRY: usize = 64;

/// The facts of the kernel module `bytes`, which `path` names with its suffix: `.ko`, `.ko.xz`, `.ko.zst` or `.ko.gz`.
///
/// `None` when `path` is none of these, or the file is not a whole module: depmod skips such a file too.
pub fn inspect(path: &str, bytes: &[u8]) -> Option<ModuleFacts> {
    let (stem, suffix) = path.rsplit_once('.')?;
    if suffix == "ko" {
        return parse(bytes);
    }
    if !stem.ends_with(".ko") {
        return None;
    }
    let module = match suffix {
        "xz" => {
            let stream = Stream::new_stream_decoder(DECODER_MEMORY, 0).ok()?;
            unpack(liblzma::bufread::XzDecoder::new_stream(bytes, stream))?
        }
        "zst" => {
            let mut decoder = zstd::Decoder::with_buffer(bytes).ok()?;
            decoder.window_log_max(DECODER_MEMORY.ilog2()).ok()?;
            unpack(decoder)?
        }
        "gz" => unpack(flate2::bufread::GzDecoder::new(bytes))?,
        _ => return None,
    };
    parse(&module)
}

fn unpack(reader: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(MODULE_MAX + 1).read_to_end(&mut bytes).ok()?;
    (read as u64 <= MODULE_MAX).then_some(bytes)
}

fn parse(bytes: &[u8]) -> Option<ModuleFacts> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => facts::<elf::FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => facts::<elf::FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn facts<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<ModuleFacts> {
    let header = E::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    if header.e_type(endian) != elf::ET_REL {
        return None;
    }
    let sections = header.sections(endian, bytes).ok()?;
    let symbols = sections.symbols(endian, bytes, elf::SHT_SYMTAB).ok()?;

    let mut exports = Vec::new();
    let mut imports = Vec::new();
    let (versions, first) = versions(section(&sections, endian, bytes, "__versions")?, header.is_type_64());
    let mut visited = vec![false; versions.len()];
    let mut named = 0;
    for (index, symbol) in symbols.enumerate() {
        let name = symbols.symbol_name(endian, symbol).ok()?;
        // Names may share their ends, and so a small file hold gigabytes of them; a linker's never add up to the file.
        named += name.len();
        if named > bytes.len() {
            return None;
        }
        if let Some(name) = name.strip_prefix(b"__crc_") {
            exports.push(text(name));
        }
        if index != SymbolIndex(0) && symbol.st_shndx(endian) == elf::SHN_UNDEF && !name.is_empty() {
            if let Some(version) = first.get(name) {
                visited[*version] = true;
            }
            imports.push(text(name));
        }
    }
    if exports.is_empty() {
        exports = strings(section(&sections, endian, bytes, "__ksymtab_strings")?).map(text).collect();
    }
    let leftovers = versions.iter().zip(&visited).filter(|(_, visited)| !**visited);
    imports.extend(leftovers.map(|(name, _)| text(name)));
    let modinfo = strings(section(&sections, endian, bytes, ".modinfo")?)
        .map(|entry| {
            let entry = text(entry);
            match entry.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (entry, String::new()),
            }
        })
        .collect();
    Some(ModuleFacts { modinfo, exports, imports })
}

/// The data of a section by name: empty when there is none, `None` when it lies outside the file.
fn section<'a, E: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'a, E>,
    endian: Endianness,
    bytes: &'a [u8],
    name: &str,
) -> Option<&'a [u8]> {
    match sections.section_by_name(endian, name.as_bytes()) {
        Some((_, section)) => section.data(endian, bytes).ok(),
        None => Some(&[]),
    }
}

/// The names of `__versions`, and for each the first place where it stands. A table of odd length is as good as none.
fn versions(data: &[u8], is_64: bool) -> (Vec<&[u8]>, BTreeMap<&[u8], usize>) {
    if !data.len().is_multiple_of(VERSION_ENTRY) {
        return Default::default();
    }
    let checksum = if is_64 { 8 } else { 4 };
    let names: Vec<&[u8]> = data
        .chunks_exact(VERSION_ENTRY)
        .map(|entry| entry[checksum..].split(|byte| *byte == 0).next().unwrap_or_default())
        .collect();
    // In reverse, so that the first of equals stays.
    let first = names.iter().enumerate().rev().map(|(index, name)| (*name, index)).collect();
    (names, first)
}

fn strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == 0).filter(|string| !string.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A symbol: name, section index (0 is undefined).
    type Symbol<'a> = (&'a str, u16);

    /// A relocatable 64-bit AArch64 object with these sections and symbols.
    fn object(sections: &[(&str, &[u8])], symbols: &[Symbol<'_>]) -> Vec<u8> {
        let mut names = vec![0u8];
        let mut strtab = vec![0u8];
        let mut symtab = vec![0u8; 24];
        for (name, section) in symbols {
            symtab.extend((strtab.len() as u32).to_le_bytes());
            symtab.extend([0x10, 0]);
            symtab.extend(section.to_le_bytes());
            symtab.extend([0; 16]);
            strtab.extend(name.as_bytes());
            strtab.push(0);
        }
        let count = sections.len() as u32;
        let mut all: Vec<(&str, u32, u32, &[u8])> =
            sections.iter().map(|(name, data)| (*name, elf::SHT_PROGBITS, 0, *data)).collect();
        all.push((".symtab", elf::SHT_SYMTAB, count + 2, &symtab));
        all.push((".strtab", elf::SHT_STRTAB, 0, &strtab));
        let mut headers = vec![0u8; 64];
        let mut body = Vec::new();
        let mut header = |name: u32, kind: u32, link: u32, data: &[u8], body: &mut Vec<u8>| {
            headers.extend(name.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            for word in [0, 0, 64 + body.len() as u64, data.len() as u64] {
                headers.extend(word.to_le_bytes());
            }
            headers.extend(link.to_le_bytes());
            headers.extend(0u32.to_le_bytes());
            let entry = if kind == elf::SHT_SYMTAB { 24u64 } else { 0 };
            headers.extend(1u64.to_le_bytes());
            headers.extend(entry.to_le_bytes());
            body.extend(data);
        };
        for (name, kind, link, data) in all {
            header(names.len() as u32, kind, link, data, &mut body);
            names.extend(name.as_bytes());
            names.push(0);
        }
        let own = names.len() as u32;
        names.extend(b".shstrtab\0");
        header(own, elf::SHT_STRTAB, 0, &names, &mut body);
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        for half in [elf::ET_REL, 183] {
            out.extend(half.to_le_bytes());
        }
        out.extend(1u32.to_le_bytes());
        for word in [0u64, 0, 64 + body.len() as u64] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 0, 0, 64, (headers.len() / 64) as u16, (headers.len() / 64) as u16 - 1] {
            out.extend(half.to_le_bytes());
        }
        out.extend(body);
        out.extend(headers);
        out
    }

    fn version(name: &str) -> Vec<u8> {
        let mut entry = vec![1; 8];
        entry.extend(name.as_bytes());
        entry.resize(VERSION_ENTRY, 0);
        entry
    }

    const MODINFO: &[u8] = b"\0\0license=GPL\0alias=pci:v1=2*\0\0odd\0softdep=pre: a";

    fn module() -> Vec<u8> {
        let versions = [version("module_layout"), version("kfree"), version("gone")].concat();
        let sections = [(".modinfo", MODINFO), ("__versions", &versions), ("__ksymtab_strings", b"\0not_used\0")];
        object(&sections, &[("__crc_b", 1), ("kfree", 0), ("local", 1), ("", 0), ("printk", 0), ("__crc_a", 1)])
    }

    #[test]
    fn a_module_with_versions() {
        let facts = inspect("x/y.ko", &module()).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            facts.modinfo,
            [pair("license", "GPL"), pair("alias", "pci:v1=2*"), pair("odd", ""), pair("softdep", "pre: a")]
        );
        assert_eq!(facts.exports, ["b", "a"]);
        assert_eq!(facts.imports, ["kfree", "printk", "module_layout", "gone"]);
    }

    #[test]
    fn without_versions_the_string_table_counts() {
        let bytes = object(&[("__ksymtab_strings", b"one\0\0two\0three")], &[("printk", 0)]);
        let facts = inspect("y.ko", &bytes).unwrap();
        assert_eq!(
            (facts.exports, facts.imports),
            (vec!["one".into(), "two".into(), "three".into()], vec!["printk".into()])
        );
        assert_eq!(facts.modinfo, []);
    }

    #[test]
    fn names_that_share_one_long_string_are_refused() {
        // The last name is 4000 bytes long, and all others are put at its start.
        let long = "x".repeat(4000);
        let mut symbols = vec![("", 0); 200];
        symbols.push((long.as_str(), 0));
        let mut module = object(&[], &symbols);
        assert_eq!(inspect("m.ko", &module).unwrap().imports, std::slice::from_ref(&long));
        let string = module.windows(4).position(|window| window == b"xxxx").unwrap();
        let last = (1u32 + 200).to_le_bytes();
        let table = module[..string].windows(4).position(|window| window == last).unwrap();
        for symbol in 1..200 {
            module[table - 24 * symbol..][..4].copy_from_slice(&last);
        }
        assert_eq!(inspect("m.ko", &module), None);
    }

    #[test]
    fn compressed_modules_are_the_same() {
        let plain = module();
        let want = inspect("m.ko", &plain);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&plain).unwrap();
        assert_eq!(inspect("m.ko.xz", &xz.finish().unwrap()), want);
        assert_eq!(inspect("m.ko.zst", &zstd::encode_all(&plain[..], 3).unwrap()), want);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&plain).unwrap();
        assert_eq!(inspect("m.ko.gz", &gz.finish().unwrap()), want);
        for path in ["m.ko.xz", "m.ko.lz4", "m.so", "m", "systemd.ko.catalog", "m.xz"] {
            assert_eq!(inspect(path, &plain), None, "{path}");
        }
    }

    #[test]
    fn a_cut_module_is_none() {
        let module = module();
        for end in 0..module.len() {
            assert_eq!(inspect("m.ko", &module[..end]), None, "cut at {end}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]
        #[test]
        fn damage_does_not_panic(changes in proptest::collection::vec((0usize..2000, proptest::num::u8::ANY), 1..6)) {
            let mut bytes = module();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = inspect("m.ko", &bytes);
        }
    }

    /// depmod's own index of two modules names what we found.
    #[test]
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a foreign reader is the judge")]
    fn depmod_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("lib/modules/6.0/kernel");
        std::fs::create_dir_all(&modules).unwrap();
        let user = object(&[(".modinfo", b"alias=of:X\0")], &[("b", 0), ("unknown", 0), ("__crc_c", 1)]);
        std::fs::write(modules.join("owner.ko"), module()).unwrap();
        std::fs::write(modules.join("user.ko"), &user).unwrap();
        let run = std::process::Command::new("depmod").arg("-b").arg(dir.path()).arg("6.0").output();
        let Ok(output) = run else {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "depmod is missing");
            println!("skipped: no depmod");
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let index = |name: &str| std::fs::read_to_string(dir.path().join("lib/modules/6.0").join(name)).unwrap();
        let mut symbols: Vec<String> = index("modules.symbols").lines().skip(1).map(str::to_owned).collect();
        symbols.sort();
        assert_eq!(symbols, ["alias symbol:a owner", "alias symbol:b owner", "alias symbol:c user"]);
        assert_eq!(inspect("user.ko", &user).unwrap().imports, ["b", "unknown"]);
        assert!(index("modules.dep").contains("kernel/user.ko: kernel/owner.ko"), "{}", index("modules.dep"));
    }
}
