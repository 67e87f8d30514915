//! Archives, good and hostile, made by the writers of others and then damaged.

use std::io::{Cursor, Write as _};

use super::*;

type Seen = Vec<(String, Kind<u64>, Vec<u8>)>;

/// Small bounds, so that they are met.
const LIMITS: Limits = Limits { bytes: 1 << 20, members: 20 };

fn seen(bytes: &[u8], format: Format) -> Result<Seen, ArchiveError> {
    let mut seen = Seen::new();
    read(Cursor::new(bytes), format, &LIMITS, &mut |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        seen.push((entry.path.as_str().to_owned(), entry.kind, bytes));
        Ok(())
    })?;
    Ok(seen)
}

/// What is wrong with an archive.
#[track_caller]
fn wrong(bytes: &[u8], format: Format) -> String {
    let error = seen(bytes, format).map(|seen| format!("{seen:?}")).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

fn method(bytes: &[u8]) -> rawzip::CompressionMethod {
    if bytes.len().is_multiple_of(2) { rawzip::CompressionMethod::DEFLATE } else { rawzip::CompressionMethod::STORE }
}

/// A zip archive of these files, deflated or stored.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(files, 0o100_755)
}

fn zip_with(files: &[(&str, &[u8])], mode: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for (name, bytes) in files {
        let method = method(bytes);
        let name = rawzip::path::EntryPath::verbatim(name.as_bytes());
        let file = archive.new_file(name).compression_method(method).unix_permissions(mode);
        let (mut entry, config) = file.start().unwrap();
        if method == rawzip::CompressionMethod::STORE {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(bytes).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        } else {
            let mut writer =
                config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default()));
            writer.write_all(bytes).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
    }
    archive.finish().unwrap();
    out
}

/// Changes bytes of the directory's first record, which begins with `PK\1\2`.
fn in_directory(mut zip: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let at = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap() + offset;
    zip[at..at + bytes.len()].copy_from_slice(bytes);
    zip
}

/// The end record.
fn in_end(mut zip: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let at = zip.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap() + offset;
    zip[at..at + bytes.len()].copy_from_slice(bytes);
    zip
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar_of(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        let is_link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..bytes.len()].copy_from_slice(bytes);
        }
        header.set_size(if is_link { 0 } else { bytes.len() as u64 });
        header.set_cksum();
        archive.append(&header, if is_link { &[][..] } else { bytes }).unwrap();
    }
    archive.into_inner().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn members_of_a_zip_are_read() {
    let zip = zip(&[("LICENSE.txt", b"free"), ("bin/nomad", &[7; 70_001]), ("bin/empty", b"")]);
    let seen = seen(&zip, Format::Zip).unwrap();
    let want: [(&str, &[u8]); 3] = [("LICENSE.txt", b"free"), ("bin/nomad", &[7; 70_001]), ("bin/empty", b"")];
    assert_eq!(seen.len(), 3);
    for ((path, kind, bytes), (name, content)) in seen.iter().zip(want) {
        assert_eq!((path.as_str(), kind, &bytes[..]), (name, &Kind::File(content.len() as u64), content));
    }
}

#[test]
fn files_of_a_zip_are_found() {
    let archive = zip(&[("a/one.img", &[7; 301]), ("two.txt", b"text")]);
    let found = zip_files(io::Cursor::new(&archive), &Limits::default()).unwrap();
    let names: Vec<&str> = found.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a/one.img", "two.txt"]);
    for (file, bytes) in found.iter().zip([&[7; 301][..], b"text"]) {
        let packed = &archive[file.packed.start as usize..file.packed.end as usize];
        let mut plain = Vec::new();
        match file.is_deflated {
            true => flate2::bufread::DeflateDecoder::new(packed).read_to_end(&mut plain).map(drop).unwrap(),
            false => plain.extend(packed),
        }
        assert_eq!((plain.as_slice(), file.size), (bytes, bytes.len() as u64));
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        assert_eq!(file.crc32, crc.sum());
    }
}

#[test]
fn members_of_a_tarball_are_read() {
    let tar = tar_of(&[
        ("prometheus-3/", tar::EntryType::Directory, b""),
        ("prometheus-3/promtool", FILE, b"tool"),
        ("prometheus-3/link", tar::EntryType::Symlink, b"promtool"),
        ("prometheus-3/again", tar::EntryType::Link, b"prometheus-3/promtool"),
    ]);
    let seen = seen(&gzip(&tar), Format::TarGz).unwrap();
    let shown: Vec<String> =
        seen.iter().map(|(path, kind, bytes)| format!("{path} {kind:?} {}", bytes.len())).collect();
    assert_eq!(
        shown,
        [
            "prometheus-3 Dir 0",
            "prometheus-3/promtool File(4) 4",
            "prometheus-3/link Symlink(\"promtool\") 0",
            "prometheus-3/again HardLink(/prometheus-3/promtool) 0",
        ]
    );
}

#[test]
fn a_file_is_its_own_member() {
    assert_eq!(seen(b"\x7fELF", Format::File).unwrap(), [("file".to_owned(), Kind::File(4), b"\x7fELF".to_vec())]);
    assert!(wrong(&vec![0; (1 << 20) + 1], Format::File).contains("limit"));
}

#[test]
fn hostile_zips() {
    let one = || zip(&[("nomad", b"program")]);
    let big = || zip(&[("nomad", &[0; 100_000])]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a page", b"<html>403</html>".to_vec(), "not a zip archive"),
        ("nothing", Vec::new(), "not a zip archive"),
        ("climbs", zip(&[("../../etc/passwd", b"x")]), "climbs out of the tree"),
        ("absolute", zip(&[("/etc/passwd", b"x")]), "absolute path"),
        ("twice", zip(&[("nomad", b"one"), ("./nomad", b"two")]), "occurs twice"),
        ("below a file", zip(&[("nomad", b"one"), ("nomad/x", b"two")]), "is not a directory"),
        ("device", zip_with(&[("nomad", b"")], 0o060_644), "special file"),
        ("link without target", zip_with(&[("nomad", b"")], 0o120_777), "a link without a target"),
        ("encrypted", in_directory(one(), 8, &[9, 0]), "it is encrypted"),
        ("bzip2", in_directory(one(), 10, &[12, 0]), "method"),
        ("claims much", in_directory(big(), 24, &[0, 0, 0, 0x7f]), "limit of 1048576"),
        ("claims less", in_directory(big(), 24, &[5, 0, 0, 0]), "damaged"),
        ("claims more", in_directory(big(), 24, &[0, 0, 8, 0]), "damaged"),
        ("wrong checksum", in_directory(one(), 16, &[1, 2, 3, 4]), "damaged"),
        ("other name inside", in_directory(one(), 46, b"vault"), "its own header calls it `nomad`"),
        ("offset nowhere", in_directory(one(), 42, &[0xff, 0xff, 0xff, 0x7f]), "ends in the middle"),
        ("offset elsewhere", in_directory(one(), 42, &[9, 0, 0, 0]), "damaged"),
        ("end counts more", in_end(one(), 10, &[9, 0]), "has 1 members, and its end record says 9"),
        ("zip64 without its record", in_directory(one(), 24, &[0xff; 4]), "limit of 1048576"),
        ("cut", one()[..40].to_vec(), "not a zip archive"),
        ("without its middle", [&big()[..60], &big()[90..]].concat(), "damaged"),
        (
            "many",
            zip(&[
                "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
            ]
            .map(|name| (name, &b"x"[..]))),
            "limit of 20",
        ),
    ];
    for (name, bytes, says) in cases {
        let said = wrong(&bytes, Format::Zip);
        assert!(said.contains(says), "{name}: {said}");
    }
}

/// Two names for one range of bytes, as bombs have.
#[test]
fn members_that_share_bytes() {
    let mut bytes = zip(&[("aa", &[0; 1000]), ("ab", &[0; 1000])]);
    let directory: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, window)| *window == b"PK\x01\x02").map(|(at, _)| at).collect();
    // The second record gets the first's name, sizes and place.
    let first = bytes[directory[0] + 16..directory[0] + 46].to_vec();
    bytes[directory[1] + 16..directory[1] + 46].copy_from_slice(&first);
    bytes[directory[1] + 46..directory[1] + 48].copy_from_slice(b"aa");
    assert!(wrong(&bytes, Format::Zip).contains("shares bytes"));
}

#[test]
fn hostile_tarballs() {
    let one = tar_of(&[("nomad", FILE, b"program")]);
    let mut claims = one.clone();
    claims[124..135].copy_from_slice(b"77777777777");
    claims[148..156].fill(b' ');
    let sum: u32 = claims[..512].iter().map(|byte| u32::from(*byte)).sum();
    claims[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a page", b"<html>403</html>".to_vec(), "not a gzipped tar"),
        ("not tar", gzip(b"hello, this is no tar archive"), "ends in the middle"),
        ("climbs", gzip(&tar_of(&[("../etc/passwd", FILE, b"x")])), "climbs out"),
        ("twice", gzip(&tar_of(&[("a", FILE, b"1"), ("a", FILE, b"2")])), "occurs twice"),
        ("device", gzip(&tar_of(&[("mem", tar::EntryType::Char, b"")])), "character device"),
        (
            "below a link",
            gzip(&tar_of(&[("a", tar::EntryType::Symlink, b"/etc"), ("a/x", FILE, b"2")])),
            "not a directory",
        ),
        ("claims much", gzip(&claims), "limit"),
        ("bomb", gzip(&vec![0; 8 << 20]), "limit"),
        ("cut", gzip(&one)[..30].to_vec(), "ends in the middle"),
        ("cut tar", gzip(&one[..600]), "ends in the middle"),
        ("more behind", [gzip(&one), b"more".to_vec()].concat(), "after the end"),
    ];
    for (name, bytes, says) in cases {
        let said = wrong(&bytes, Format::TarGz);
        assert!(said.contains(says), "{name}: {said}");
    }
}

#[test]
fn the_visitor_s_failure_is_its_own() {
    let bytes = zip(&[("nomad", b"program")]);
    let error = read(Cursor::new(&bytes), Format::Zip, &LIMITS, &mut |_, _| Err(io::ErrorKind::StorageFull.into()));
    assert!(matches!(*error.unwrap_err().problem, Problem::Visitor(_)));
}

/// Foreign writers: what `zip` and `tar` make is read.
#[test]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a foreign writer is the judge")]
fn what_zip_and_tar_make() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("nomad"), [7; 100_000]).unwrap();
    std::os::unix::fs::symlink("nomad", directory.path().join("link")).unwrap();
    let run = |program: &str, args: &[&str]| {
        std::process::Command::new(program).args(args).current_dir(directory.path()).output().ok()
    };
    for (program, args, name, format) in [
        ("zip", &["-q", "-y", "out.zip", "nomad", "link"][..], "out.zip", Format::Zip),
        ("tar", &["-czf", "out.tar.gz", "nomad", "link"], "out.tar.gz", Format::TarGz),
    ] {
        let Some(output) = run(program, args) else {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "{program} is missing");
            println!("skipped: no {program}");
            continue;
        };
        assert!(output.status.success(), "{program}");
        let seen = seen(&std::fs::read(directory.path().join(name)).unwrap(), format).unwrap();
        assert_eq!((seen[0].0.as_str(), &seen[0].2), ("nomad", &vec![7; 100_000]));
        assert_eq!((seen[1].0.as_str(), &seen[1].1), ("link", &Kind::Symlink("nomad".into())));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]
    #[test]
    fn damage_does_not_panic(
        changes in proptest::collection::vec((0usize..2000, proptest::num::u8::ANY), 1..8),
        is_zip in proptest::bool::ANY,
    ) {
        let mut bytes = if is_zip {
            zip(&[("LICENSE.txt", b"free"), ("bin/nomad", &[7; 301])])
        } else {
            tar_of(&[("a", FILE, b"1"), ("b", FILE, b"2")])
        };
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = if is_zip { seen(&bytes, Format::Zip) } else { seen(&gzip(&bytes), Format::TarGz) };
    }
}
