//! What `ldconfig` and the architecture check want to know of an ELF file.
//!
//! Only what a loader would read is read: the file header, the program headers, and through `PT_DYNAMIC` the string table.
//! Section headers do not count, since they may be stripped; but [`program`] looks for Go's build information by section
//! first ([`go`]). Format: the System V ABI, chapters 4 and 5.

use std::cell::Cell;
use std::io::{Read, Seek};
use std::ops::Range;

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::read::{FileKind, ReadCache, ReadRef, StringTable};
use serde::{Deserialize, Serialize};

pub mod go;

pub use go::GoBuild;

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

/// A program: its header's facts, and how it was built if Go says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What a loader wants to know.
    pub facts: ElfFacts,
    /// What `go version -m` prints; none when another compiler made it.
    pub go: Option<GoBuild>,
}

/// Most `DT_NEEDED` entries that are believed; real programs have a few hundred.
const NEEDED_MAX: usize = 4096;
/// Longest string, in bytes.
const STRING_MAX: usize = 4096;
/// Most bytes of a file that [`program`] holds; a program's headers, names and build information have less than one.
const HELD_MAX: u64 = 32 << 20;
/// Longest section of build information, in bytes.
const BUILD_INFO_MAX: u64 = 4 << 20;
/// How far into the data segment build information is looked for when there are no sections, in bytes.
const SEARCHED: u64 = 64 << 10;

/// The facts of an ELF file; `None` when `bytes` is something else or is damaged where a loader would look.
pub fn inspect(bytes: &[u8]) -> Option<ElfFacts> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => Image::<elf::FileHeader32<Endianness>, _>::open(bytes)?.facts(),
        FileKind::Elf64 => Image::<elf::FileHeader64<Endianness>, _>::open(bytes)?.facts(),
        _ => None,
    }
}

/// A program that may be too large for memory, of which a few places are read; `None` as in [`inspect`], or when it wants
/// more than 32 MiB to be held.
pub fn program<R: Read + Seek>(source: R) -> Option<Program> {
    let cache = ReadCache::new(source);
    let left = Cell::new(HELD_MAX);
    let data = Sparing { cache: &cache, left: &left };
    match FileKind::parse(data).ok()? {
        FileKind::Elf32 => Image::<elf::FileHeader32<Endianness>, _>::open(data)?.program(),
        FileKind::Elf64 => Image::<elf::FileHeader64<Endianness>, _>::open(data)?.program(),
        _ => None,
    }
}

/// A cache that does not grow without end, whatever a file claims.
struct Sparing<'a, R: Read + Seek> {
    cache: &'a ReadCache<R>,
    left: &'a Cell<u64>,
}

impl<R: Read + Seek> Clone for Sparing<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Read + Seek> Copy for Sparing<'_, R> {}

impl<R: Read + Seek> Sparing<'_, R> {
    fn spend(self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'a, R: Read + Seek> ReadRef<'a> for Sparing<'a, R> {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.spend(size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.spend(range.end.saturating_sub(range.start).min(STRING_MAX as u64))?;
        self.cache.read_bytes_at_until(range, delimiter)
    }
}

/// A file as the loader sees it.
struct Image<'a, E: FileHeader, R> {
    header: &'a E,
    segments: &'a [E::ProgramHeader],
    endian: E::Endian,
    data: R,
}

impl<'a, E: FileHeader<Endian = Endianness>, R: ReadRef<'a>> Image<'a, E, R> {
    fn open(data: R) -> Option<Self> {
        let header = E::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, data).ok()?;
        Some(Self { header, segments, endian, data })
    }

    fn program(&self) -> Option<Program> {
        Some(Program { facts: self.facts()?, go: self.build_info().and_then(go::parse) })
    }

    fn facts(&self) -> Option<ElfFacts> {
        let Self { header, segments, endian, data } = *self;
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
            if let Some(path) = segment.interpreter(endian, data).ok()? {
                facts.interpreter = Some(text(path)?);
            }
            if let Some(dynamic) = segment.dynamic(endian, data).ok()? {
                self.read_dynamic(&mut facts, dynamic)?;
            }
        }
        Some(facts)
    }

    fn read_dynamic(&self, facts: &mut ElfFacts, dynamic: &[E::Dyn]) -> Option<()> {
        let endian = self.endian;
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
        let strings = self.mapped(address, size)?;
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

    /// The bytes of the file that are at `address` when it is loaded. Of the segment only they are read.
    fn mapped(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        let endian = self.endian;
        self.segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
            let (start, length) = segment.file_range(endian);
            let offset = address.checked_sub(segment.p_vaddr(endian).into())?;
            let fits = offset.checked_add(size).is_some_and(|end| end <= length);
            fits.then(|| self.data.read_bytes_at(start.checked_add(offset)?, size).ok())?
        })
    }

    /// Where Go's linker puts build information: a section of its own, at the start of the data segment.
    fn build_info(&self) -> Option<&'a [u8]> {
        let Self { header, segments, endian, data } = *self;
        let section = header.sections(endian, data).ok().and_then(|sections| {
            let (_, section) = sections.section_by_name(endian, b".go.buildinfo")?;
            section.file_range(endian)
        });
        let (offset, size) = section.or_else(|| {
            let writable = |segment: &&E::ProgramHeader| {
                segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian) & (elf::PF_X | elf::PF_W) == elf::PF_W
            };
            let (offset, size) = segments.iter().find(writable)?.file_range(endian);
            Some((offset, size.min(SEARCHED)))
        })?;
        data.read_bytes_at(offset, size.min(BUILD_INFO_MAX)).ok()
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= STRING_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRINGS: &[u8] = b"\0libx.so.1\0libc.so.6\0libm.so.6\0";

    /// A 64-bit little-endian AArch64 library: header, three program headers, interpreter, strings, dynamic section.
    fn library() -> Vec<u8> {
        let (interpreter, strings) = (64 + 3 * 56, 64 + 3 * 56 + 16);
        let dynamic = strings + 48;
        let table: [(u64, u64); 7] = [
            (elf::DT_NEEDED.into(), 11),
            (elf::DT_NEEDED.into(), 21),
            (elf::DT_SONAME.into(), 1),
            (elf::DT_STRTAB.into(), 0x10000 + strings as u64),
            (elf::DT_STRSZ.into(), STRINGS.len() as u64),
            (elf::DT_NULL.into(), 0),
            (elf::DT_NEEDED.into(), 999),
        ];
        let end = dynamic + table.len() * 16;
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        for half in [3u16, 183] {
            out.extend(half.to_le_bytes());
        }
        out.extend(1u32.to_le_bytes());
        for word in [0u64, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0x42u32.to_le_bytes());
        for half in [64u16, 56, 3, 64, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        for (kind, offset, size) in
            [(elf::PT_LOAD, 0, end), (elf::PT_INTERP, interpreter, 11), (elf::PT_DYNAMIC, dynamic, table.len() * 16)]
        {
            out.extend(kind.to_le_bytes());
            out.extend(4u32.to_le_bytes());
            for word in [offset as u64, 0x10000 + offset as u64, 0, size as u64, size as u64, 8] {
                out.extend(word.to_le_bytes());
            }
        }
        out.extend(b"/lib/ld.so\0");
        out.resize(strings, 0);
        out.extend(STRINGS);
        out.resize(dynamic, 0);
        for (tag, value) in table {
            out.extend(tag.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out
    }

    #[test]
    fn a_library_is_read() {
        let want = ElfFacts {
            is_64: true,
            elf_type: 3,
            machine: 183,
            flags: 0x42,
            soname: Some("libx.so.1".to_owned()),
            needed: vec!["libc.so.6".to_owned(), "libm.so.6".to_owned()],
            interpreter: Some("/lib/ld.so".to_owned()),
        };
        assert_eq!(inspect(&library()), Some(want.clone()));
        // The bytes may lie at any address.
        let shifted = [b"x".to_vec(), library()].concat();
        assert_eq!(inspect(&shifted[1..]), Some(want));
    }

    /// A 64-bit AArch64 program: build information at the start of its data segment, found by section or by segment.
    fn go_program(sections: Sections) -> Vec<u8> {
        let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
        info.resize(32, 0);
        // Go's own marks: `go version` wants any 16 bytes there.
        let module =
            format!("{0}path\tacme\nmod\tacme\tv1.2.3\t\nbuild\tGOARCH=arm\nbuild\tGOARM=7\n{0}", "#".repeat(16));
        for text in ["go1.25.1", &module] {
            assert!(text.len() < 128 * 128);
            info.extend([(text.len() & 0x7f) as u8 | 0x80, (text.len() >> 7) as u8]);
            info.extend(text.as_bytes());
        }
        let names = b"\0.go.buildinfo\0.shstrtab\0";
        let at = 4096usize;
        let names_at = at + info.len();
        let headers = (names_at + names.len()).next_multiple_of(8);
        let count = if sections == Sections::Kept { 3u16 } else { 0 };
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend([2u16.to_le_bytes(), 183u16.to_le_bytes()].concat());
        out.extend(1u32.to_le_bytes());
        for word in [0x10000u64, 64, if count > 0 { headers as u64 } else { 0 }] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 56, 2, 64, count, count.saturating_sub(1)] {
            out.extend(half.to_le_bytes());
        }
        for (flags, offset, size) in [(5u32, 0usize, at), (6, at, info.len())] {
            out.extend([elf::PT_LOAD.to_le_bytes(), flags.to_le_bytes()].concat());
            for word in [offset as u64, 0x10000 + offset as u64, 0, size as u64, size as u64, 4096] {
                out.extend(word.to_le_bytes());
            }
        }
        out.resize(at, 0);
        out.extend(&info);
        out.extend(names);
        out.resize(headers, 0);
        if count > 0 {
            out.extend([0; 64]);
            for (name, kind, address, offset, size) in
                [(1u32, 1u32, 0x10000 + at, at, info.len()), (15, 3, 0, names_at, names.len())]
            {
                out.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
                for word in [0, address as u64, offset as u64, size as u64, 0, 1, 0] {
                    out.extend(word.to_le_bytes());
                }
            }
        }
        out
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Sections {
        Kept,
        Stripped,
    }

    #[test]
    fn build_information_is_found() {
        for sections in [Sections::Kept, Sections::Stripped] {
            let program = program(std::io::Cursor::new(go_program(sections))).unwrap();
            assert_eq!((program.facts.machine, program.facts.is_64), (183, true));
            let go = program.go.unwrap();
            assert_eq!((go.compiler.as_str(), go.version.as_deref()), ("go1.25.1", Some("v1.2.3")));
            assert_eq!(go.settings["GOARM"], "7");
        }
        let plain = program(std::io::Cursor::new(library())).unwrap();
        assert_eq!((Some(plain.facts), plain.go), (inspect(&library()), None));
    }

    /// A file that claims a huge name is not read into memory.
    #[test]
    fn claims_do_not_fill_memory() {
        let mut bytes = library();
        // The size of PT_INTERP.
        bytes[64 + 56 + 32..64 + 56 + 40].copy_from_slice(&(1u64 << 40).to_le_bytes());
        assert!(program(std::io::Cursor::new(&bytes)).is_none());
        bytes.resize(64 << 20, 0);
        bytes[64 + 56 + 32..64 + 56 + 40].copy_from_slice(&(48u64 << 20).to_le_bytes());
        assert!(program(std::io::Cursor::new(&bytes)).is_none());
    }

    /// `go version -m` reads the same.
    #[test]
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a foreign reader is the judge")]
    fn go_version_agrees() {
        let directory = tempfile::tempdir().unwrap();
        for (name, sections) in [("kept", Sections::Kept), ("stripped", Sections::Stripped)] {
            let path = directory.path().join(name);
            std::fs::write(&path, go_program(sections)).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let Ok(output) = std::process::Command::new("go").args(["version", "-m"]).arg(&path).output() else {
                println!("skipped: no go");
                return;
            };
            let said = String::from_utf8(output.stdout).unwrap();
            for line in ["go1.25.1", "\tmod\tacme\tv1.2.3", "\tbuild\tGOARM=7"] {
                assert!(said.contains(line), "{name}: {line}: {said}");
            }
        }
    }

    #[test]
    fn other_files_are_not_elf() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01\x01", &[0; 64], &[0xff; 256]] {
            assert_eq!(inspect(bytes), None);
        }
    }

    #[test]
    fn a_cut_library_is_none() {
        let library = library();
        for end in 0..library.len() {
            assert_eq!(inspect(&library[..end]), None, "cut at {end}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]
        #[test]
        fn damage_does_not_panic(changes in proptest::collection::vec((0usize..600, proptest::num::u8::ANY), 1..6)) {
            let mut bytes = library();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = inspect(&bytes);
        }
    }

    /// Our own test binary, judged by readelf.
    #[test]
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a foreign reader is the judge")]
    #[cfg(target_os = "linux")]
    fn readelf_agrees() {
        let exe = std::env::current_exe().unwrap();
        let output = std::process::Command::new("readelf").args(["-dW"]).arg(&exe).env("LC_ALL", "C").output();
        let Ok(output) = output else {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "readelf is missing");
            println!("skipped: no readelf");
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let needed: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .filter_map(|line| line.split_once('[')?.1.strip_suffix(']'))
            .collect();
        let facts = inspect(&std::fs::read(&exe).unwrap()).unwrap();
        assert_eq!(facts.needed, needed);
        assert_eq!(facts.soname, None);
    }
}
