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
    for (index, symbol) in symbols.enumerate() {
        let name = symbols.symbol_name(endian, symbol).ok()?;
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
