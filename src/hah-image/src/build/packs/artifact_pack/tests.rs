//! Artifacts from their bytes to what the image is told of them.

use std::io::Write as _;

use hah_plan::artifact::Verify;
use hah_plan::artifact::fit::{self, Misfit};
use hah_plan::debian::Architecture;
use hah_plan::lock::Trust;

use super::*;
use crate::printer::{Detail, Mode, Printer};
use crate::store::Access;

/// A 32-bit ARM program with nothing in it but Go's build information, at the start of its data segment.
fn go_program(settings: &str) -> Vec<u8> {
    let mut info = b"\xff Go buildinf:\x04\x02".to_vec();
    info.resize(32, 0);
    let marks = [0x30u8; 16];
    let module = [&marks[..], format!("path\tacme\n{settings}").as_bytes(), &marks[..]].concat();
    for text in [&b"go1.25.1"[..], &module] {
        info.extend([(text.len() & 0x7f) as u8 | 0x80, (text.len() >> 7) as u8]);
        info.extend(text);
    }
    // Behind more than two blocks, so that reading in place is put to the test.
    let at = 300_000u32;
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2u16, 40] {
        out.extend(half.to_le_bytes());
    }
    for word in [1u32, 0x10000, 52, 0, 0x0500_0200] {
        out.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 40, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    for word in [1, at, 0x10000 + at, 0, info.len() as u32, info.len() as u32, 6, 4096] {
        out.extend(word.to_le_bytes());
    }
    out.resize(at as usize, 0x55);
    out.extend(info);
    out
}

fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&archive.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

/// The pack of an artifact that installs `members` of `bytes`.
fn packed(bytes: &[u8], format: Format, members: &[&str]) -> Result<(tempfile::TempDir, ArtifactPack), Failure> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Access::Shared).unwrap();
    let sha256 = Sha256::of(bytes);
    std::fs::write(store.path(Bucket::Downloads, &sha256), bytes).unwrap();
    let install = members.iter().map(|member| Install {
        member: (format != Format::File).then(|| member.parse().unwrap()),
        path: format!("/usr/bin/{}", member.replace('/', "-")).parse().unwrap(),
        mode: 0o750,
        user: "root".to_owned(),
        group: "adm".to_owned(),
    });
    let artifact = Artifact {
        name: "acme".to_owned(),
        version: "1".to_owned(),
        url: None,
        mirror: None,
        verify: Verify::Sha256(sha256),
        format,
        install: install.collect(),
        recipe: "acme".to_owned(),
    };
    let locked = LockedArtifact {
        name: "acme".to_owned(),
        version: "1".to_owned(),
        url: None,
        size: bytes.len() as u64,
        sha256,
        trust: Trust::Unsigned(hah_plan::artifact::Method::Sha256),
        images: Default::default(),
        why: Default::default(),
    };
    let printer = Printer::new(Mode::Quiet, Detail::Normal, false);
    let file = |sha256: &Sha256| store.path(Bucket::Downloads, sha256);
    let mut packs = realise(&store, &printer, &[(artifact, locked)], &file)?;
    Ok((directory, packs.remove(0)))
}

#[test]
fn members_go_where_the_recipe_says() {
    let bytes = tar_gz(&[("acme-1/acme", b"#!/bin/sh\n"), ("acme-1/LICENSE", b"free")]);
    let (_directory, pack) = packed(&bytes, Format::TarGz, &["acme-1/acme"]).unwrap();
    let unpacked = pack.unpacked().unwrap();
    let files: Vec<_> = unpacked.tree.iter().filter(|(_, node)| !node.is_dir()).collect();
    assert_eq!(files.len(), 1, "what no recipe names stays out");
    let (path, node) = files[0];
    assert_eq!((path.to_string().as_str(), node.meta.mode), ("/usr/bin/acme-1-acme", 0o750));
    assert_eq!(node.meta.group, Owner::Name("adm".into()));
    assert_eq!(pack.programs().unwrap(), [], "a script is no program to check");
}

/// A Go program for a later ARM than the board has, found through the pack's blocks.
#[test]
fn a_program_for_armv7_on_armel() {
    let program = go_program("build\tGOARCH=arm\nbuild\tGOARM=7\n");
    for (bytes, format, member) in
        [(tar_gz(&[("acme", &program)]), Format::TarGz, "acme"), (program.clone(), Format::File, "acme")]
    {
        let (_directory, pack) = packed(&bytes, format, &[member]).unwrap();
        let programs = pack.programs().unwrap();
        let found = programs[0].1.as_ref().unwrap();
        assert_eq!(found.go.as_ref().unwrap().settings["GOARM"], "7");
        let root = Root::new();
        let misfits = fit::check(found, Architecture::Armel, &root);
        assert_eq!(misfits, [Misfit::ArmLevel { found: 7, board: 6 }]);
        assert!(matches!(fit::check(found, Architecture::Arm64, &root)[..], [Misfit::Machine { .. }]));
    }
    let (_directory, pack) = packed(&go_program("build\tGOARM=6\n"), Format::File, &["acme"]).unwrap();
    let programs = pack.programs().unwrap();
    assert_eq!(fit::check(programs[0].1.as_ref().unwrap(), Architecture::Armel, &Root::new()), []);
}

#[test]
fn what_begins_like_a_program_and_is_none() {
    let (_directory, pack) = packed(b"\x7fELF and more", Format::File, &["acme"]).unwrap();
    assert_eq!(pack.programs().unwrap().len(), 1);
    assert!(pack.programs().unwrap()[0].1.is_none());
}

#[test]
fn members_that_are_not_there() {
    let bytes = tar_gz(&[("acme-1/acme", b"x"), ("acme-1/LICENSE", b"free")]);
    let wrong = |member: &str| {
        let (_directory, pack) = packed(&bytes, Format::TarGz, &[member]).unwrap();
        let failure = pack.unpacked().unwrap_err();
        format!("{}\n{}", failure.message(), failure.hint().unwrap_or_default())
    };
    insta::assert_snapshot!(wrong("acme"), @"
    artifact acme 1: member `acme` is not there
    did you mean `acme-1/acme`?
    ");
    insta::assert_snapshot!(wrong("acme-1/acmo"), @"
    artifact acme 1: member `acme-1/acmo` is not there
    did you mean `acme-1/acme`?
    ");
    insta::assert_snapshot!(wrong("something/else"), @"
    artifact acme 1: member `something/else` is not there
    its files: `acme-1/LICENSE`, `acme-1/acme`
    ");
    insta::assert_snapshot!(wrong("acme-1"), @"
    artifact acme 1: member `acme-1` is a directory
    its files: `acme-1/LICENSE`, `acme-1/acme`
    ");
}

#[test]
fn an_archive_that_is_none() {
    let failure = packed(b"<html>", Format::Zip, &["acme"]).err().unwrap();
    insta::assert_snapshot!(failure.message(), @"
    cannot unpack artifact acme 1: this is not a zip archive: it has no directory at its end
     hint: check `format` and `url` of the artifact in its recipe
    ");
}
