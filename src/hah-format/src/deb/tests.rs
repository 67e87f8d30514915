//! Hostile packages one by one, and real ones made by dpkg-deb when it is there.

use std::io::Write;

use tar::{EntryType, Header};

use super::*;
use crate::tree::Owner;

/// Collects what a package holds.
#[derive(Default)]
struct Collect {
    control: Vec<(String, Vec<u8>)>,
    entries: Vec<(Entry, Vec<u8>)>,
}

impl Visitor for Collect {
    fn control(&mut self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.control.push((name.to_owned(), bytes));
        Ok(())
    }

    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        self.entries.push((entry, bytes));
        Ok(())
    }
}

fn small() -> Limits {
    Limits { data_bytes: 1 << 20, control_bytes: 1 << 16, entries: 20, ..Limits::default() }
}

fn collect(deb: &[u8]) -> Result<Collect, DebError> {
    let mut seen = Collect::default();
    read(deb, &small(), &mut seen).map(|()| seen)
}

/// One ar member.
fn member(name: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", data.len()).into_bytes();
    out.extend(data);
    if data.len() % 2 == 1 {
        out.push(b'\n');
    }
    out
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    members.iter().for_each(|(name, data)| out.extend(member(name, data)));
    out
}

/// A tar archive in the making; headers are written as given, however odd.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(size);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_cksum();
        header
    }

    fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn entry(self, name: &str, kind: EntryType, data: &[u8]) -> Self {
        self.raw(Self::header(name.as_bytes(), kind, data.len() as u64), data)
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, data)
    }

    fn dir(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, b"")
    }

    fn link(self, name: &str, kind: EntryType, target: &str) -> Self {
        let mut header = Self::header(name.as_bytes(), kind, 0);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, b"")
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
            write!(data, "{length} {key}=").unwrap();
            data.extend(*value);
            data.push(b'\n');
        }
        self.entry("./pax", EntryType::XHeader, &data)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn control_tar() -> Vec<u8> {
    Tar::default().dir("./").file("./control", b"Package: x\n").file("./postinst", b"#!/bin/sh\n").end()
}

fn deb_with(data: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar", data)])
}

fn good_data() -> Vec<u8> {
    Tar::default().dir("./").dir("./usr/").file("./usr/x", b"hello").link("./usr/y", EntryType::Link, "./usr/x").end()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_compression_reads_the_same() {
    let (control, data) = (control_tar(), good_data());
    let plain = collect(&deb_with(&data)).unwrap();
    assert_eq!(plain.control.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["control", "postinst"]);
    assert_eq!(plain.entries.len(), 4);
    assert_eq!(plain.entries[2].1, b"hello");
    let link = Kind::HardLink(TreePath::parse("usr/x").unwrap());
    assert_eq!(plain.entries[3].0.kind, link);
    type Pack = fn(&[u8]) -> Vec<u8>;
    for (extension, pack) in [("gz", gz as Pack), ("xz", xz), ("zst", zst)] {
        let (control_name, data_name) = (format!("control.tar.{extension}"), format!("data.tar.{extension}"));
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("_before", b"odd"),
            (&control_name, &pack(&control)),
            ("_between", b"x"),
            (&data_name, &pack(&data)),
            ("_gpgorigin", b"sig"),
        ]);
        let seen = collect(&deb).unwrap();
        assert_eq!((seen.control, seen.entries), (plain.control.clone(), plain.entries.clone()), "{extension}");
    }
}

#[test]
fn long_names_pax_records_and_owners() {
    let long = format!("./usr/{}", "n".repeat(150));
    let mut owned = Tar::header(b"./usr/owned", EntryType::Regular, 0);
    owned.set_username("root").unwrap();
    owned.set_groupname("shadow").unwrap();
    owned.set_mode(0o102_755);
    let mut numbered = Tar::header(b"./usr/numbered", EntryType::Regular, 0);
    numbered.set_uid(7);
    let data = Tar::default()
        .entry("././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes())
        .file("./usr/cut", b"1")
        .entry("././@LongLink", EntryType::GNULongLink, format!("{}\0", "t".repeat(200)).as_bytes())
        .link("./usr/link", EntryType::Symlink, "cut")
        .pax(&[("SCHILY.xattr.security.capability", b"\x01\0\n\x02"), ("path", b"./usr/pax"), ("mtime", b"12.5")])
        .file("./usr/other", b"2")
        .raw(owned, b"")
        .raw(numbered, b"")
        .end();
    let seen = collect(&deb_with(&data)).unwrap().entries;
    let paths: Vec<String> = seen.iter().map(|(entry, _)| entry.path.to_string()).collect();
    assert_eq!(paths, [&long[1..], "/usr/link", "/usr/pax", "/usr/owned", "/usr/numbered"]);
    assert_eq!(seen[1].0.kind, Kind::Symlink("t".repeat(200).into()));
    let pax = &seen[2].0.meta;
    assert_eq!((pax.xattrs["security.capability"].as_slice(), pax.mtime), (&b"\x01\0\n\x02"[..], 12));
    let owned = &seen[3].0.meta;
    assert_eq!((owned.mode, &owned.user, &owned.group), (0o2755, &Owner::ROOT, &Owner::Name("shadow".into())));
    assert_eq!((&seen[4].0.meta.user, seen[4].0.meta.mtime), (&Owner::Id(7), 1_700_000_000));
}

/// The error of `deb` as people see it.
fn complaint(deb: &[u8]) -> String {
    let error = collect(deb).err().expect("hostile package was accepted");
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn hostile_entries_are_refused() {
    let huge = Tar::header(b"./huge", EntryType::Regular, 10 << 30);
    let bomb: Vec<u8> = vec![0; 2 << 20];
    let tar = Tar::default;
    let file = |name: &str| tar().file(name, b"x").end();
    let mut many = tar();
    for index in 0..30 {
        many = many.file(&format!("./{index}"), b"");
    }
    let mut checksum = file("./x");
    checksum[0] ^= 1;
    let table: Vec<(Vec<u8>, &str)> = vec![
        (file("./usr/../../etc/passwd"), "climbs out"),
        (file("../etc/passwd"), "climbs out"),
        (tar().raw(Tar::header(b"./caf\xe9", EntryType::Regular, 0), b"").end(), "not UTF-8"),
        (
            tar().entry("././@LongLink", EntryType::GNULongName, "y".repeat(300).as_bytes()).file("./short", b"").end(),
            "too long",
        ),
        (
            tar().file("./x", b"1").file("./x", b"2").end(),
            "`./x` at byte 1024 of the unpacked archive: the path occurs twice",
        ),
        (tar().file("./x", b"1").file("/x", b"2").end(), "occurs twice"),
        (tar().dir("./x").dir("./x/").end(), "occurs twice"),
        (
            tar().link("./lib", EntryType::Symlink, "/etc").file("./lib/x", b"").end(),
            "`/lib` above it is not a directory",
        ),
        (tar().file("./a/b", b"").file("./a", b"").end(), "not a directory"),
        (tar().file("./", b"").end(), "slash"),
        (tar().link(".", EntryType::Symlink, "/etc").end(), "not a directory"),
        (tar().entry("./null", EntryType::Char, b"").end(), "it is a character device"),
        (tar().entry("./sda", EntryType::Block, b"").end(), "it is a block device"),
        (tar().entry("./pipe", EntryType::Fifo, b"").end(), "it is a named pipe"),
        (tar().entry("./sparse", EntryType::GNUSparse, b"").end(), "sparse"),
        (tar().entry("./odd", EntryType::new(b'Z'), b"").end(), "unknown type"),
        (tar().entry("./g", EntryType::XGlobalHeader, b"").end(), "global pax header"),
        (tar().entry("./dir", EntryType::Directory, b"data").end(), "with 4 bytes of data"),
        (tar().link("./x", EntryType::Symlink, "").end(), "its target is empty"),
        (tar().link("./x", EntryType::Link, "./missing").end(), "hard link to `missing`"),
        (tar().link("./x", EntryType::Link, "../../etc/shadow").end(), "hard link to `../../etc/shadow`"),
        (tar().dir("./d").link("./x", EntryType::Link, "./d").end(), "hard link to `d`"),
        (tar().link("./x", EntryType::Link, "./x").end(), "hard link to `x`"),
        (tar().raw(huge, b"").end(), "`./huge` at byte 0 of the unpacked archive: its size in bytes passes the limit"),
        (tar().file("./zeros", &bomb).end(), "passes the limit of 1048576"),
        (many.end(), "the number of entries passes the limit of 20"),
        (tar().entry("./L", EntryType::GNULongName, &bomb[..1 << 19]).end(), "extension header without"),
        (
            tar().entry("./L", EntryType::GNULongName, b"a").entry("./L", EntryType::GNULongName, b"b").end(),
            "two extension headers",
        ),
        (tar().pax(&[("size", b"9")]).file("./x", b"1").end(), "pax size differs"),
        (tar().pax(&[("GNU.sparse.major", b"1")]).file("./x", b"1").end(), "not supported"),
        (tar().entry("./x", EntryType::XHeader, b"999 a=b\n").end(), "malformed pax"),
        (tar().entry("./x", EntryType::XHeader, b"0 =\n").end(), "malformed pax"),
        (tar().file("./x", b"1").0, "ends in the middle"),
        (tar().raw(Tar::header(b"./x", EntryType::Regular, 4096), b"short").0, "ends in the middle"),
        ([file("./x"), b"garbage".to_vec()].concat(), "data after the end"),
        (checksum, "checksum"),
        (Vec::new(), "ends in the middle"),
    ];
    for (data, want) in &table {
        let plain = complaint(&deb_with(data));
        assert!(plain.contains(want) && plain.starts_with("data.tar"), "wanted `{want}`: {plain}");
        let packed = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar.xz", &xz(data))]);
        let packed = complaint(&packed);
        assert!(packed.contains(want), "wanted `{want}`: {packed}");
    }
}

#[test]
fn hostile_containers_are_refused() {
    let (control, data) = (control_tar(), good_data());
    let (version, c, d) = (("debian-binary", &b"2.0\n"[..]), ("control.tar", &control[..]), ("data.tar", &data[..]));
    let good = ar(&[version, c, d]);
    let mut bad_size = good.clone();
    bad_size[8 + 48..8 + 58].copy_from_slice(b"-1        ");
    let mut bad_end = good.clone();
    bad_end[8 + 58] = b'x';
    let twice = Tar::default().file("./control", b"").file("control", b"").end();
    let nested = Tar::default().file("./control", b"").file("./sub/file", b"").end();
    let no_control = Tar::default().file("./postinst", b"").end();
    let device = Tar::default().entry("./control", EntryType::Char, b"").end();
    let large = Tar::default().file("./control", &[0; 70_000]).end();
    let xz_tail = [xz(&data), b"tail".to_vec()].concat();
    let gz_tail = [gz(&data), b"tail".to_vec()].concat();
    let zst_tail = [zst(&data), b"tail".to_vec()].concat();
    let mut flipped = xz(&data);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"<html>404</html>".to_vec(), "not a Debian package"),
        (Vec::new(), "ends in the middle"),
        (ar(&[]), "has no debian-binary"),
        (ar(&[c, d]), "found the member `control.tar` where debian-binary was expected"),
        (ar(&[("_x", b""), version, c, d]), "found the member `_x`"),
        (ar(&[version, d, c]), "found the member `data.tar` where control.tar was expected"),
        (ar(&[version, c]), "has no data.tar"),
        (ar(&[version]), "has no control.tar"),
        (ar(&[version, version, c, d]), "found the member `debian-binary`"),
        (ar(&[version, c, c, d]), "where data.tar was expected"),
        (ar(&[version, c, d, d]), "where the end of the package was expected"),
        (ar(&[version, c, d, ("extra", b"")]), "where the end of the package was expected"),
        (ar(&[("debian-binary", b"3.0\n"), c, d]), "format `3.0` is not 2.x"),
        (ar(&[("debian-binary", b"2.0"), c, d]), "is not 2.x"),
        (ar(&[("debian-binary", &[b'2'; 100]), c, d]), "is not 2.x"),
        (ar(&[version, ("control.tar.lzma", b""), d]), "compression `.lzma` is not known"),
        (ar(&[version, ("control.tarx", b""), d]), "where control.tar was expected"),
        (ar(&[version, c, ("data.tar.xz", b"not xz at all")]), "cannot decompress"),
        (ar(&[version, c, ("data.tar.xz", &flipped)]), "cannot decompress"),
        (ar(&[version, c, ("data.tar.xz", &xz_tail)]), "data after the end"),
        (ar(&[version, c, ("data.tar.gz", &gz_tail)]), "data after the end"),
        (ar(&[version, c, ("data.tar.zst", &zst_tail)]), "data.tar.zst"),
        (ar(&[version, ("control.tar", &twice), d]), "occurs twice"),
        (ar(&[version, ("control.tar", &nested), d]), "only plain files"),
        (ar(&[version, ("control.tar", &device), d]), "only plain files"),
        (ar(&[version, ("control.tar", &no_control), d]), "has no file `control`"),
        (ar(&[version, ("control.tar", &large), d]), "passes the limit of 65536"),
        (ar(&[version, c, d, ("#1/20", b"")]), "bad name"),
        (bad_size, "bad size"),
        (bad_end, "bad end mark"),
        ([good.clone(), b"trailing".to_vec()].concat(), "ends in the middle"),
        ([good.clone(), vec![b'x'; 60]].concat(), "bad end mark"),
    ];
    for (deb, want) in &table {
        let got = complaint(deb);
        assert!(got.contains(want), "wanted `{want}`: {got}");
    }
    assert!(collect(&good).is_ok());
}

/// Compressed zeros within the limit on the claim, over it in sum.
#[test]
fn a_bomb_stops_at_the_limit() {
    let half = vec![0; 700 << 10];
    let data = Tar::default().file("./a", &half).file("./b", &half).end();
    let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar.zst", &zst(&data))]);
    assert!(deb.len() < 8000);
    let got = complaint(&deb);
    assert!(got.contains("the unpacked size in bytes passes the limit of 1048576"), "{got}");
}

/// A few kilobytes of deep paths would imply gigabytes of directories above them.
#[test]
fn paths_of_many_levels_stop_at_the_limit() {
    let deep = |count: usize| {
        let mut tar = Tar::default();
        for number in 0..count {
            let name = format!("./{number}/{}\0", "a/".repeat(2000));
            tar = tar.entry("././@LongLink", EntryType::GNULongName, name.as_bytes()).dir("./x");
        }
        deb_with(&tar.end())
    };
    assert!(collect(&deep(15)).is_ok());
    let got = complaint(&deep(19));
    assert!(got.contains("the length of all its paths"), "{got}");
}

#[test]
fn a_window_over_the_memory_limit_is_refused() {
    let data = good_data();
    let limits = Limits { decoder_memory: 1 << 16, ..small() };
    let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control_tar()), ("data.tar.xz", &xz(&data))]);
    let error = read(&deb[..], &limits, &mut Collect::default()).unwrap_err();
    assert!(matches!(*error.problem, Problem::Decompress(_)), "{error}");
}

#[test]
fn special_files_pass_when_allowed() {
    let mut null = Tar::header(b"./null", EntryType::Char, 0);
    null.set_device_major(1).unwrap();
    null.set_device_minor(3).unwrap();
    let deb = deb_with(&Tar::default().raw(null, b"").end());
    let limits = Limits { special_files: SpecialFiles::Allow, ..small() };
    let mut seen = Collect::default();
    read(&deb[..], &limits, &mut seen).unwrap();
    assert_eq!(seen.entries[0].0.kind, Kind::CharDevice(1, 3));
}

#[test]
fn truncation_at_every_offset_is_an_error() {
    let (control, data) = (control_tar(), good_data());
    type Pack = fn(&[u8]) -> Vec<u8>;
    for (extension, pack) in [("", (|bytes| bytes.to_vec()) as Pack), (".gz", gz), (".xz", xz), (".zst", zst)] {
        let (control_name, data_name) = (format!("control.tar{extension}"), format!("data.tar{extension}"));
        let deb = ar(&[("debian-binary", b"2.0\n"), (&control_name, &pack(&control)), (&data_name, &pack(&data))]);
        for end in 0..deb.len() {
            assert!(collect(&deb[..end]).is_err(), "cut at {end} of {} passed with `{extension}`", deb.len());
        }
        // Cut inside the compressed stream, with an ar header that fits.
        let packed = pack(&data);
        for end in 0..packed.len() {
            // Plain tar may lose padding behind the end mark.
            if extension.is_empty() && end + 512 >= packed.len() {
                break;
            }
            let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (&data_name, &packed[..end])]);
            assert!(collect(&deb).is_err(), "stream cut at {end} of {} passed with `{extension}`", packed.len());
        }
    }
}

#[test]
fn a_failing_visitor_is_not_the_packages_fault() {
    struct Full;
    impl Visitor for Full {
        fn control(&mut self, _: &str, _: Vec<u8>) -> io::Result<()> {
            Ok(())
        }
        fn entry(&mut self, _: Entry, _: &mut dyn Read) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let error = read(&deb_with(&good_data())[..], &small(), &mut Full).unwrap_err();
    assert!(matches!(*error.problem, Problem::Visitor(_)), "{error}");
}

#[test]
fn unread_content_is_skipped() {
    struct Lazy(u32);
    impl Visitor for Lazy {
        fn control(&mut self, _: &str, _: Vec<u8>) -> io::Result<()> {
            Ok(())
        }
        fn entry(&mut self, _: Entry, _: &mut dyn Read) -> io::Result<()> {
            self.0 += 1;
            Ok(())
        }
    }
    let mut lazy = Lazy(0);
    read(&deb_with(&good_data())[..], &small(), &mut lazy).unwrap();
    assert_eq!(lazy.0, 4);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Damage anywhere is an error or a package, never a panic.
    #[test]
    fn flipped_bytes_do_not_panic(changes in proptest::collection::vec((0usize..6000, proptest::num::u8::ANY), 1..8)) {
        let mut deb = deb_with(&good_data());
        for (at, byte) in changes {
            let at = at % deb.len();
            deb[at] = byte;
        }
        let _ = collect(&deb);
    }
}

/// Packages that dpkg-deb made: our reading and `dpkg-deb -x` agree.
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a foreign writer is the judge")]
mod oracle {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_dpkg_deb_builds_is_read_back() {
        if Command::new("dpkg-deb").arg("--version").output().is_err() {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "dpkg-deb is missing");
            println!("skipped: no dpkg-deb");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
        let long = format!("usr/share/{}/{}", "d".repeat(120), "f".repeat(120));
        std::fs::create_dir_all(root.join(&long).parent().unwrap()).unwrap();
        let control = "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: x\n";
        std::fs::write(root.join("DEBIAN/control"), control).unwrap();
        std::fs::write(root.join(&long), vec![7; 100_000]).unwrap();
        std::fs::write(root.join("usr/empty"), "").unwrap();
        std::fs::hard_link(root.join(&long), root.join("usr/zz-hard")).unwrap();
        symlink("../etc/passwd", root.join("usr/link")).unwrap();
        for compression in ["none", "gzip", "xz", "zstd"] {
            let deb = dir.path().join(format!("{compression}.deb"));
            let mut build = Command::new("dpkg-deb");
            build.args(["--root-owner-group", &format!("-Z{compression}"), "-b"]).arg(&root).arg(&deb);
            let output = build.output().unwrap();
            if !output.status.success() && compression == "zstd" {
                continue; // dpkg before 1.21.18 knows no zstd.
            }
            assert!(output.status.success(), "{output:?}");
            let bytes = std::fs::read(&deb).unwrap();
            let seen = collect(&bytes).unwrap();
            assert_eq!(seen.control, [("control".to_owned(), control.as_bytes().to_vec())]);
            let found: BTreeMap<String, Kind<u64>> =
                seen.entries.iter().map(|(entry, _)| (entry.path.to_string(), entry.kind.clone())).collect();
            let files = found.values().filter(|kind| matches!(kind, Kind::File(100_000))).count();
            let links = found.values().filter(|kind| matches!(kind, Kind::HardLink(_))).count();
            assert_eq!((files, links, found.len()), (1, 1, 8), "{found:?}");
            assert_eq!(found["/usr/link"], Kind::Symlink("../etc/passwd".into()));
            let empty = seen.entries.iter().find(|(entry, _)| entry.path.as_str() == "usr/empty").unwrap();
            let real = std::fs::metadata(root.join("usr/empty")).unwrap();
            assert_eq!(i64::from(empty.0.meta.mtime), real.mtime());
            assert_eq!(u32::from(empty.0.meta.mode), real.mode() & 0o7777);
        }
    }
}
