//! What `ldconfig` and the architecture check want to know of an ELF file.
//!
//! Only what a loader would read is read: the file header, the program headers, and through `PT_DYNAMIC` the string table.
//! Section headers do not count; they may be stripped. Format: the System V ABI, chapters 4 and 5.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{FileKind, StringTable};
use serde::{Deserialize, Serialize};

/// Facts read from an ELF header and its dynamic section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// `EI_CLASS`: 64-bit or 32-bit.
    pub is_64: bool,
    /// `e_type`: 2 executable, 3 shared object.
    pub elf_type: u16,
    /// `e_machine`: 183 AArch64, 40 ARM, 62 x86-64.
    pub machine: u16,
    /// `e_flags` (on ARM, bit 0x400 is hard float).
    pub flags: u32,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `PT_INTERP`.
    pub interpreter: Option<String>,
}

/// Most `DT_NEEDED` entries that are believed; real programs have a few hundred.
const NEEDED_MAX: usize = 4096;
/// Longest string, in bytes.
const STRING_MAX: usize = 4096;

/// The facts of an ELF file; `None` when `bytes` is something else or is damaged where a loader would look.
pub fn inspect(bytes: &[u8]) -> Option<ElfFacts> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => facts::<elf::FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => facts::<elf::FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn facts<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<ElfFacts> {
    let header = E::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let mut facts = ElfFacts {
        is_64: header.is_type_64(),
        elf_type: header.e_type(endian),
        machine: header.e_machine(endian),
        flags: header.e_flags(endian),
        soname: None,
        needed: Vec::new(),
        interpreter: None,
    };
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, bytes).ok()? {
            facts.interpreter = Some(text(path)?);
        }
        if let Some(dynamic) = segment.dynamic(endian, bytes).ok()? {
            read_dynamic::<E>(&mut facts, dynamic, &Image { segments, endian, bytes })?;
        }
    }
    Some(facts)
}

/// A file as the loader maps it.
struct Image<'a, E: FileHeader> {
    segments: &'a [E::ProgramHeader],
    endian: E::Endian,
    bytes: &'a [u8],
}

fn read_dynamic<E: FileHeader<Endian = Endianness>>(
    facts: &mut ElfFacts,
    dynamic: &[E::Dyn],
    image: &Image<'_, E>,
) -> Option<()> {
    let endian = image.endian;
    // DT_NULL ends the table, whatever stands behind it.
    let entries: Vec<(u64, u64)> = dynamic
        .iter()
        .map(|entry| (entry.d_tag(endian).into(), entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != elf::DT_NULL.into())
        .collect();
    let value = |wanted: u32| entries.iter().find(|(tag, _)| *tag == wanted.into()).map(|(_, value)| *value);
    let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else {
        // Without a string table there can be no names; a file that has none is whole (static-pie).
        let named = value(elf::DT_SONAME).is_some() || value(elf::DT_NEEDED).is_some();
        return (!named).then_some(());
    };
    let strings = image
        .segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .find_map(|segment| segment.data_range(endian, image.bytes, address, size).ok().flatten())?;
    let table = StringTable::new(strings, 0, strings.len() as u64);
    let string = |offset: u64| text(table.get(u32::try_from(offset).ok()?).ok()?);
    if let Some(offset) = value(elf::DT_SONAME) {
        facts.soname = Some(string(offset)?);
    }
    for (_, offset) in entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED.into()) {
        if facts.needed.len() == NEEDED_MAX {
            return None;
        }
        facts.needed.push(string(*offset)?);
    }
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= STRING_MAX).then(|| text.to_owned())
}
