//! ELF files with nothing in them: an agent, a library, kernel modules. All for AArch64.

const MACHINE: u16 = 183;

/// A program header: type, offset and size.
type Segment = (u32, u64, u64);

fn header(kind: u16, segments: usize, sections: (u64, u16)) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(MACHINE.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for word in [0x10078, if segments > 0 { 64u64 } else { 0 }, sections.0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0u32.to_le_bytes());
    for half in [64u16, 56, segments as u16, 64, sections.1, sections.1.saturating_sub(1)] {
        out.extend(half.to_le_bytes());
    }
    out
}

fn segments(out: &mut Vec<u8>, segments: &[Segment]) {
    for (kind, offset, size) in segments {
        out.extend(kind.to_le_bytes());
        out.extend(5u32.to_le_bytes());
        for word in [*offset, 0x10000 + offset, 0, *size, *size, 8] {
            out.extend(word.to_le_bytes());
        }
    }
}

/// A static program with `body` as its text.
pub(crate) fn program(body: &[u8]) -> Vec<u8> {
    let mut out = header(2, 1, (0, 0));
    segments(&mut out, &[(1, 0, 64 + 56 + body.len() as u64)]);
    out.extend(body);
    out
}

/// A program that this loader starts.
pub(crate) fn started_by(loader: &str) -> Vec<u8> {
    let path = [loader.as_bytes(), b"\0"].concat();
    let at = 64 + 2 * 56;
    let mut out = header(2, 2, (0, 0));
    segments(&mut out, &[(1, 0, at + path.len() as u64), (3, at, path.len() as u64)]);
    out.extend(path);
    out
}

/// A shared library of this soname.
pub(crate) fn library(soname: &str) -> Vec<u8> {
    let strings = [b"\0", soname.as_bytes(), b"\0"].concat();
    let at = 64 + 2 * 56;
    let dynamic = (at + strings.len()).next_multiple_of(8);
    let table: [(u64, u64); 4] = [(14, 1), (5, 0x10000 + at as u64), (10, strings.len() as u64), (0, 0)];
    let mut out = header(3, 2, (0, 0));
    let size = table.len() * 16;
    segments(&mut out, &[(1, 0, (dynamic + size) as u64), (2, dynamic as u64, size as u64)]);
    out.extend(strings);
    out.resize(dynamic, 0);
    for (tag, value) in table {
        out.extend(tag.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out
}

/// A kernel module: NUL-terminated `key=value` strings, exported and imported symbols.
pub(crate) fn module(modinfo: &str, exports: &[&str], imports: &[&str]) -> Vec<u8> {
    let (mut strtab, mut symtab) = (vec![0u8], vec![0u8; 24]);
    let exports = exports.iter().map(|name| (format!("__crc_{name}"), 1u16));
    for (name, section) in exports.chain(imports.iter().map(|name| ((*name).to_owned(), 0))) {
        symtab.extend((strtab.len() as u32).to_le_bytes());
        symtab.extend([0x10, 0]);
        symtab.extend(section.to_le_bytes());
        symtab.extend([0; 16]);
        strtab.extend(name.as_bytes());
        strtab.push(0);
    }
    let names = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0";
    // Name, type, link, entry size, data.
    let sections: [(u32, u32, u32, u64, &[u8]); 4] =
        [(1, 1, 0, 0, modinfo.as_bytes()), (10, 2, 3, 24, &symtab), (18, 3, 0, 0, &strtab), (26, 3, 0, 0, names)];
    let (mut headers, mut body) = (vec![0u8; 64], Vec::<u8>::new());
    for (name, kind, link, entry, data) in sections {
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for word in [0, 0, 64 + body.len() as u64, data.len() as u64] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(1u32.to_le_bytes());
        headers.extend(8u64.to_le_bytes());
        headers.extend(entry.to_le_bytes());
        body.extend(data);
    }
    let mut out = header(1, 0, (64 + body.len() as u64, (headers.len() / 64) as u16));
    out.extend(body);
    out.extend(headers);
    out
}
