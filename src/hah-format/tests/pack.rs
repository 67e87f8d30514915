//! Packs: what goes in comes out, damage is noticed, and real packages give the root that dpkg-deb gives.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "foreign oracles are programs on files")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "all of this file is tests")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use hah_format::deb::Entry;
use hah_format::digest::Sha256;
use hah_format::pack::keep::Documents;
use hah_format::pack::{self, Builder, Keep, Manifest, OpenError, PackError, PackOptions, PackReader, Packer};
use hah_format::path::TreePath;
use hah_format::squashfs::{self, DataArea, FileData, Options, Reader};
use hah_format::tree::{Kind, Meta, Node, Owner, Tree};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn entry(at: &str, kind: Kind<u64>) -> Entry {
    Entry { path: path(at), meta: Meta::root(0o644), kind }
}

/// A pack with one of everything that is told apart, and its manifest.
fn sample(options: &PackOptions) -> (Manifest, Vec<u8>) {
    let mut builder = Builder::new(Vec::new(), options).unwrap();
    let mut file = |at: &str, bytes: &[u8]| {
        builder.entry(entry(at, Kind::File(bytes.len() as u64)), &mut &*bytes).unwrap();
    };
    file("etc/hostname", b"hah\n");
    file("etc/hostname.dpkg-new", b"hah\n");
    file("usr/share/doc/hah/copyright", b"Apache-2.0 OR MIT");
    file("usr/share/doc/hah/changelog", b"none");
    file("usr/share/zeros", &[0; 9000]);
    file(
        "usr/share/blob",
        &(0..9000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>(),
    );
    builder.entry(entry("bin", Kind::Symlink("usr/bin".into())), &mut io::empty()).unwrap();
    builder.entry(entry("usr/share/again", Kind::HardLink(path("usr/share/blob"))), &mut io::empty()).unwrap();
    builder.control("control", b"Package: hah\n".to_vec());
    builder.finish().unwrap()
}

fn small() -> PackOptions {
    PackOptions { block_size: 4096, ..PackOptions::default() }
}

fn data<'a>(manifest: &'a Manifest, at: &str) -> &'a FileData {
    match &manifest.tree.get(&path(at)).unwrap().kind {
        Kind::File(file) => &file.data,
        other => panic!("{at} is a {}", other.noun()),
    }
}

#[test]
fn a_pack_round_trips() {
    for options in [small(), PackOptions::default()] {
        let (manifest, bytes) = sample(&options);
        let mut reader = PackReader::open(Cursor::new(&bytes)).unwrap();
        assert_eq!(*reader.manifest(), manifest);
        reader.verify().unwrap();
        assert_eq!(reader.read(data(&manifest, "etc/hostname"), 100).unwrap(), b"hah\n");
        assert_eq!(reader.read(data(&manifest, "usr/share/zeros"), 9000).unwrap(), [0; 9000]);
        assert!(reader.read(data(&manifest, "usr/share/zeros"), 8999).is_err());
        for (at, node) in manifest.tree.iter() {
            if let Kind::File(file) = &node.kind {
                assert_eq!(Sha256::of(&reader.read(&file.data, 1 << 20).unwrap()), file.sha256, "{at}");
            }
        }
    }
}

/// A `.deb` of one control file and these entries of `data.tar`: name, type, what the name links to, content.
fn deb(entries: &[(&str, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let archive = |entries: &[(&str, tar::EntryType, &str, &[u8])]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, target, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
            header.set_mtime(1_700_000_000);
            header.set_username("root").unwrap();
            header.set_groupname("mail").unwrap();
            header.set_size(bytes.len() as u64);
            if target.is_empty() {
                tar.append_data(&mut header, name, *bytes).unwrap();
            } else {
                tar.append_link(&mut header, name, target).unwrap();
            }
        }
        tar.into_inner().unwrap()
    };
    let control = archive(&[("./control", tar::EntryType::Regular, "", b"Package: hah\n")]);
    let mut out = b"!<arch>\n".to_vec();
    let members = [("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", archive(entries))];
    for (name, bytes) in members {
        let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", bytes.len());
        out.extend(head.as_bytes());
        out.extend(&bytes);
        out.extend(vec![b'\n'; bytes.len() % 2]);
    }
    out
}

#[test]
fn a_deb_becomes_a_pack() {
    use tar::EntryType;
    let deb = deb(&[
        ("./usr/", EntryType::Directory, "", b""),
        ("./usr/bin/", EntryType::Directory, "", b""),
        ("./usr/bin/hah", EntryType::Regular, "", b"\x7fELF, it says"),
        ("./usr/bin/hah-too", EntryType::Link, "./usr/bin/hah", b""),
        ("./usr/bin/sh", EntryType::Symlink, "hah", b""),
        ("./usr/share/doc/hah/copyright", EntryType::Regular, "", b"mine"),
        ("./usr/share/doc/hah/README", EntryType::Regular, "", b"read me"),
    ]);
    let mut bytes = Vec::new();
    let manifest = pack::pack_deb(&deb[..], &mut bytes, &PackOptions::default()).unwrap();
    let mut reader = PackReader::open(Cursor::new(&bytes)).unwrap();
    assert_eq!(*reader.manifest(), manifest);
    assert_eq!(manifest.control["control"], b"Package: hah\n");
    assert_eq!(reader.read(data(&manifest, "usr/bin/hah"), 100).unwrap(), b"\x7fELF, it says");
    assert_eq!(manifest.tree.get(&path("usr/bin/hah-too")).unwrap().kind, Kind::HardLink(path("usr/bin/hah")));
    let meta = &manifest.tree.get(&path("usr/bin/hah")).unwrap().meta;
    assert_eq!((meta.mode, meta.mtime, &meta.group), (0o644, 1_700_000_000, &Owner::parse("mail")));
    assert!(!manifest.tree.contains(&path("usr/share/doc/hah/README")));
    assert!(manifest.elf.is_empty(), "it only begins like ELF");
    for len in 0..deb.len() {
        assert!(pack::pack_deb(&deb[..len], io::sink(), &PackOptions::default()).is_err(), "{len}");
    }
}

#[test]
fn documentation_is_left_out_and_licences_are_not() {
    let (manifest, _) = sample(&small());
    assert!(manifest.tree.contains(&path("usr/share/doc/hah/copyright")));
    assert!(!manifest.tree.contains(&path("usr/share/doc/hah/changelog")));
    let (manifest, _) = sample(&PackOptions { keep: Keep::everything(), ..small() });
    assert!(manifest.tree.contains(&path("usr/share/doc/hah/changelog")));
}

#[test]
fn equal_files_are_stored_once() {
    let (manifest, _) = sample(&small());
    assert_eq!(data(&manifest, "etc/hostname"), data(&manifest, "etc/hostname.dpkg-new"));
}

#[test]
fn a_kept_link_to_dropped_documentation_is_an_error() {
    let mut builder = Builder::new(Vec::new(), &small()).unwrap();
    builder.entry(entry("usr/share/man/a", Kind::File(0)), &mut io::empty()).unwrap();
    let link = entry("etc/a", Kind::HardLink(path("usr/share/man/a")));
    let error = builder.entry(link, &mut io::empty()).unwrap_err();
    assert_eq!(error.to_string(), "/etc/a is a hard link to /usr/share/man/a, which is left out as documentation");
}

#[test]
fn a_file_shorter_than_announced_is_an_error() {
    for announced in [5, 5000, 5 << 20] {
        let mut packer = Packer::new(Vec::new(), &small()).unwrap();
        let error = packer.file(&mut &b"four"[..], announced).unwrap_err();
        assert!(matches!(error, PackError::Size { found: 4, .. }), "{error}");
    }
}

#[test]
fn the_id_names_every_option() {
    let ids = [
        PackOptions::default(),
        small(),
        PackOptions { level: 3, ..PackOptions::default() },
        PackOptions { keep: Keep::everything(), ..PackOptions::default() },
        PackOptions { keep: Keep { man: Documents::Keep, ..Keep::default() }, ..PackOptions::default() },
    ]
    .map(|options| options.id());
    assert_eq!(ids[0], "pack=2 block=131072 zstd=6 docs=drop man=drop locales=none");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
}

/// When this changes, raise `pack::FORMAT_VERSION`.
#[test]
fn the_bytes_are_pinned() {
    insta::assert_snapshot!(Sha256::of(&sample(&small()).1), @"cc838d375736c5434875fca4842d8d3fae16ac1283d284a83ea7b99ac105c8c7");
}

#[test]
fn a_pack_cut_short_is_not_opened() {
    let (_, bytes) = sample(&small());
    for len in 0..bytes.len() {
        assert!(PackReader::open(Cursor::new(&bytes[..len])).is_err(), "{len}");
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (manifest, bytes) = sample(&small());
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        match PackReader::open(Cursor::new(&bytes)) {
            Ok(mut reader) => {
                assert!((at as u64) < manifest.data_len, "{at}");
                let error = reader.verify().unwrap_err();
                assert!(matches!(error, OpenError::Digest { part: "data area", .. }), "{error}");
            }
            Err(error) => assert!((at as u64) >= manifest.data_len && !error.hint().is_empty(), "{at}: {error}"),
        }
    }
}

/// A manifest with a right digest can still be wrong in itself.
#[test]
fn hostile_manifests_are_errors() {
    let (manifest, bytes) = sample(&small());
    let encoded = postcard::to_stdvec(&manifest).unwrap();
    let seal = |manifest: &[u8]| {
        let data = &bytes[..bytes.len() - encoded.len() - 128];
        let mut footer = b"hah-pack".to_vec();
        footer.extend(pack::FORMAT_VERSION.to_le_bytes());
        footer.extend([0; 4]);
        footer.extend((data.len() as u64).to_le_bytes());
        footer.extend((manifest.len() as u64).to_le_bytes());
        footer.extend(Sha256::of(data).as_bytes());
        footer.extend(Sha256::of(manifest).as_bytes());
        let digest = Sha256::of(&footer);
        [data, manifest, &footer, digest.as_bytes()].concat()
    };
    assert_eq!(seal(&encoded), bytes);
    for at in 0..encoded.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut encoded = encoded.clone();
            encoded[at] ^= flip;
            let Ok(mut reader) = PackReader::open(Cursor::new(seal(&encoded))) else { continue };
            for (_, node) in reader.manifest().clone().tree.iter() {
                if let Kind::File(file) = &node.kind {
                    drop(reader.read(&file.data, 1 << 20));
                }
            }
        }
    }
}

/// Real packages, when HAH_DEBS names a directory of them: the root that their packs make is the one that dpkg-deb makes,
/// and no larger than mksquashfs makes it. Prints where the time goes.
#[test]
fn real_packages() {
    let Some(debs) = std::env::var_os("HAH_DEBS") else {
        println!("skipped: HAH_DEBS names no directory of .debs");
        return;
    };
    let work = tempfile::tempdir_in(std::env::var_os("HAH_WORK").unwrap_or_else(|| "/tmp".into())).unwrap();
    let mut debs: Vec<PathBuf> = std::fs::read_dir(debs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    // The links of a merged /usr have to be there before anything is put through them.
    debs.sort_by_key(|deb| (!deb.file_name().unwrap().to_string_lossy().starts_with("base-files_"), deb.clone()));
    let begun = Instant::now();
    let packs = pack_all(&debs, work.path());
    println!("{:>8.2?} packed {} packages", begun.elapsed(), packs.len());
    println!("{:>8.2} s of processors", processor_time());
    println!("{:>8} kB peak memory", peak_memory());

    let begun = Instant::now();
    let image = work.path().join("image");
    let tree = merge(&packs, &image);
    println!("{:>8.2?} merged into {} bytes", begun.elapsed(), std::fs::metadata(&image).unwrap().len());

    let begun = Instant::now();
    let read = Reader::open(File::open(&image).unwrap()).unwrap().tree().unwrap();
    println!("{:>8.2?} read back", begun.elapsed());
    assert_eq!(read.len(), tree.len());
    compare_with_rivals(&debs, work.path(), &image, &tree);
}

/// Seconds of user and system time of this process.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().trim_end_matches(" kB").to_owned()
}

/// As the store does it: largest first, on as many threads as there are cores.
fn pack_all(debs: &[PathBuf], work: &Path) -> Vec<PathBuf> {
    let mut queue: Vec<&PathBuf> = debs.iter().collect();
    queue.sort_by_key(|deb| std::fs::metadata(deb).unwrap().len());
    let queue = Mutex::new(queue);
    let pack = |deb: &Path| work.join(deb.file_name().unwrap()).with_extension("pack");
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                loop {
                    let Some(deb) = queue.lock().unwrap().pop() else { break };
                    let out = BufWriter::new(File::create(pack(deb)).unwrap());
                    let made = pack::pack_deb(File::open(deb).unwrap(), out, &PackOptions::default());
                    made.unwrap_or_else(|error| panic!("{}: {error}", deb.display()));
                }
            });
        }
    });
    debs.iter().map(|deb| pack(deb)).collect()
}

fn merge(packs: &[PathBuf], image: &Path) -> Tree<FileData> {
    let mut out = File::create(image).unwrap();
    out.write_all(&[0; squashfs::DATA_START as usize]).unwrap();
    let (mut area, mut tree) = (DataArea::default(), Tree::new());
    for pack in packs {
        let (manifest, mut source) = PackReader::open(File::open(pack).unwrap()).unwrap().into_parts();
        let placement = area.append(manifest.data_len, &manifest.fragments);
        source.rewind().unwrap();
        io::copy(&mut source.take(manifest.data_len), &mut out).unwrap();
        for (path, node) in manifest.tree.map(|_, file| file.data.placed(placement)).iter() {
            // Directories are shared, and base-files ships links in place of some.
            let parent = path.parent().and_then(|parent| tree.resolve(&parent)).map(|parent| parent.join(path.name()));
            let at = parent.map_or_else(|| path.clone(), Result::unwrap);
            if !(node.is_dir() && tree.resolve(&at).is_some()) {
                tree.insert(at, node.clone()).unwrap();
            }
        }
    }
    let owners = |owner: &Owner, _: squashfs::OwnerKind| Some(if *owner == Owner::ROOT { 0 } else { 42 });
    let begun = Instant::now();
    let metadata = squashfs::metadata(&tree, &area, &owners, &Options::new(1_750_000_000)).unwrap();
    println!("{:>8.2?} tables of {} bytes for {} paths", begun.elapsed(), metadata.tables.len(), tree.len());
    out.write_all(&metadata.tables).unwrap();
    out.rewind().unwrap();
    out.write_all(&metadata.superblock).unwrap();
    tree
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn digests(root: &Path) -> BTreeMap<String, Sha256> {
    let mut out = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                out.insert(name, Sha256::of(target.as_os_str().as_encoded_bytes()));
            } else {
                out.insert(name, Sha256::of(&std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    out
}

fn compare_with_rivals(debs: &[PathBuf], work: &Path, image: &Path, tree: &Tree<FileData>) {
    let text = |name: &str| work.join(name).to_str().unwrap().to_owned();
    let (ours, theirs, rival) = (text("ours"), text("theirs"), text("rival"));
    run("unsquashfs", &["-q", "-n", "-d", &ours, image.to_str().unwrap()]);
    let begun = Instant::now();
    std::fs::create_dir(&theirs).unwrap();
    for deb in debs {
        // Not `dpkg-deb -x`, which replaces the links of a merged /usr by directories.
        let script = "dpkg-deb --fsys-tarfile \"$0\" | tar -xpf - -C \"$1\" --keep-directory-symlink";
        run("sh", &["-c", script, deb.to_str().unwrap(), &theirs]);
    }
    println!("{:>8.2?} dpkg-deb and tar of all", begun.elapsed());
    let keep = Keep::default();
    let (found, mut expected) = (digests(Path::new(&ours)), digests(Path::new(&theirs)));
    expected.retain(|name, _| {
        let kind = if Path::new(&theirs).join(name).is_symlink() {
            pack::keep::EntryKind::Symlink
        } else {
            pack::keep::EntryKind::Other
        };
        keep.keeps(&path(name), kind)
    });
    for (name, digest) in &expected {
        assert_eq!(found.get(name), Some(digest), "{name}");
    }
    assert_eq!(found.len(), expected.len());
    assert!(tree.iter().all(|(_, node): (_, &Node<FileData>)| node.meta.mode <= 0o7777));

    let begun = Instant::now();
    run("mksquashfs", &[&ours, &rival, "-comp", "zstd", "-Xcompression-level", "9", "-quiet", "-no-progress"]);
    let len = |path: &Path| std::fs::metadata(path).unwrap().len() as f64;
    let ratio = len(image) / len(Path::new(&rival));
    println!("{:>8.2?} mksquashfs of the same tree; ours has {:.2} % of its size", begun.elapsed(), 100.0 * ratio);
    assert!(ratio <= 1.02, "the image is larger than mksquashfs makes it by more than 2 %");
}
