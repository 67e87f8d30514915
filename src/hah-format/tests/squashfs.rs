//! The squashfs writer against unsquashfs and backhand, and its reader against hostile images.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "foreign oracles are programs on files")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "all of this file is tests")]

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use hah_format::digest::Sha256;
use hah_format::pack::{PackOptions, Packer};
use hah_format::path::TreePath;
use hah_format::squashfs::{self, DataArea, FileData, Options, Reader, SquashfsError, Tail};
use hah_format::tree::{Kind, Meta, Node, Owner, Tree};

const EPOCH: u32 = 1_750_000_000;
const BLOCK: usize = squashfs::BLOCK_SIZE as usize;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// Bytes that do not compress.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(len)
    .collect()
}

/// Bytes that compress.
fn words(len: usize, seed: u64) -> Vec<u8> {
    noise(len / 8 + 1, seed)
        .into_iter()
        .flat_map(|byte| format!("word{:02x}, ", byte & 15).into_bytes())
        .take(len)
        .collect()
}

fn owners(owner: &Owner, _: squashfs::OwnerKind) -> Option<u32> {
    match owner {
        Owner::Id(id) => Some(*id),
        Owner::Name(name) => (&**name == "messagebus").then_some(101),
    }
}

struct Sample {
    tree: Tree<Vec<u8>>,
}

impl Sample {
    fn put(&mut self, at: &str, node: Node<Vec<u8>>) -> &mut Meta {
        self.tree.insert(path(at), node).unwrap();
        &mut self.tree.get_mut(&path(at)).unwrap().meta
    }

    fn file(&mut self, at: &str, bytes: Vec<u8>) -> &mut Meta {
        self.put(at, Node::file(0o644, bytes))
    }

    fn kind(&mut self, at: &str, kind: Kind<Vec<u8>>) -> &mut Meta {
        self.put(at, Node { meta: Meta::root(0o600), kind })
    }

    /// One of everything.
    fn rich() -> Self {
        let mut sample = Self { tree: Tree::new() };
        let zeros = |len: usize| vec![0; len];
        sample.file("files/empty", Vec::new());
        sample.file("files/small", b"hello\n".to_vec()).mtime = 1_000_000_000;
        sample.file("files/future", b"later\n".to_vec()).mtime = u32::MAX;
        sample.file("files/one-block", words(BLOCK, 1));
        sample.file("files/blocks-and-tail", words(3 * BLOCK + 777, 2));
        sample.file("files/noise", noise(2 * BLOCK + 5, 3));
        sample.file("files/all-holes", zeros(3 * BLOCK));
        sample.file("files/hole-first", [zeros(2 * BLOCK), words(BLOCK + 9, 4)].concat());
        sample.file("files/hole-middle", [words(BLOCK, 5), zeros(BLOCK), noise(BLOCK, 6), zeros(100)].concat());
        sample.file("files/same-as-noise", noise(2 * BLOCK + 5, 3));
        for index in 0..40 {
            sample.file(&format!("tails/{index}"), words(9_999, 100 + index));
        }
        sample.file("usr/bin/sudo", words(5000, 7)).mode = 0o4755;
        sample.put("tmp", Node::dir(0o1777));
        sample.put("empty", Node::dir(0o700));
        let bus = Meta { user: Owner::parse("messagebus"), group: Owner::parse("messagebus"), ..Meta::root(0o2750) };
        sample.put("run/dbus", Node { meta: bus, kind: Kind::Dir }).mtime = 77;
        sample.file("many-owners/a", b"a".to_vec()).user = Owner::Id(70_000);
        sample.file("many-owners/b", b"b".to_vec()).group = Owner::Id(65_534);
        sample.put("link", Node::symlink("usr/bin/sudo"));
        sample.put("long-link", Node::symlink(&"x/".repeat(1500)));
        sample.kind("a-first-name", Kind::HardLink(path("usr/bin/sudo")));
        sample.kind("zz/last-name", Kind::HardLink(path("usr/bin/sudo")));
        sample.kind("dev/null", Kind::CharDevice(1, 3)).mode = 0o666;
        sample.kind("dev/big", Kind::CharDevice(4000, 1_000_000));
        sample.kind("dev/sda1", Kind::BlockDevice(8, 1));
        sample.kind("dev/pipe", Kind::Fifo);
        for (at, name) in [("usr/bin/ping", "security.capability"), ("usr/bin/ping6", "security.capability")] {
            let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            sample.file(at, at.as_bytes().to_vec()).xattrs.insert(name.into(), capability.to_vec());
        }
        sample.file("usr/bin/tagged", b"x".to_vec()).xattrs =
            BTreeMap::from([("user.empty".into(), Vec::new()), ("user.long".into(), noise(3000, 8))]);
        sample.put("tagged", Node::dir(0o755)).xattrs.insert("user.on".into(), b"dir".to_vec());
        for index in 0..3000 {
            sample.file(&format!("large/entry-{index:04}-with-a-name-of-some-length"), format!("{index}").into_bytes());
        }
        let long = "n".repeat(255);
        sample.file(&format!("names/{long}"), b"long".to_vec());
        sample.file("names/sp ace\ttab", b"odd".to_vec());
        sample.file("names/ünïcödé", b"odd".to_vec());
        let mut deep = "deep".to_owned();
        (0..60).for_each(|level| deep.push_str(&format!("/{level}")));
        sample.file(&format!("{deep}/bottom"), b"deep".to_vec());
        sample
    }

    fn tiny() -> Self {
        let mut sample = Self { tree: Tree::new() };
        sample.file("etc/hostname", b"hah\n".to_vec()).xattrs.insert("user.a".into(), b"b".to_vec());
        sample.file("usr/blob", noise(5000, 1));
        sample.put("bin", Node::symlink("usr/bin"));
        sample.kind("usr/again", Kind::HardLink(path("usr/blob")));
        sample
    }

    fn image(&self, block_size: u32) -> Vec<u8> {
        let options = PackOptions { block_size, ..PackOptions::default() };
        let mut packer = Packer::new(Vec::new(), &options).unwrap();
        let placed = self.tree.clone().map(|_, bytes| packer.file(&mut &bytes[..], bytes.len() as u64).unwrap());
        let packed = packer.finish().unwrap();
        let tree = placed.map(|_, id| packed.file(id).unwrap().data.clone());
        let data = DataArea { len: packed.data_len, fragments: packed.fragments };
        image(&tree, &data, &packed.out, block_size).unwrap()
    }
}

fn image(tree: &Tree<FileData>, data: &DataArea, bytes: &[u8], block_size: u32) -> Result<Vec<u8>, SquashfsError> {
    let options = Options { block_size, ..Options::new(EPOCH) };
    let metadata = squashfs::metadata(tree, data, &owners, &options)?;
    let image = [&metadata.superblock[..], bytes, &metadata.tables].concat();
    assert_eq!(image.len() % 4096, 0);
    Ok(image)
}

/// The program's output, or `None` when it is not installed and need not be.
fn unsquashfs(args: &[&str]) -> Option<String> {
    let output = match Command::new("unsquashfs").args(args).output() {
        Ok(output) => output,
        Err(_) if std::env::var_os("HAH_REQUIRE_ORACLES").is_none() => {
            println!("skipped: unsquashfs is not installed");
            return None;
        }
        Err(error) => panic!("unsquashfs: {error}"),
    };
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && talk.trim().is_empty(), "unsquashfs {args:?}: {talk}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes `image` to disk, extracts it with unsquashfs, and compares everything.
fn check_extracted(sample: &Sample, image: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    std::fs::write(&file, image).unwrap();
    let root = directory.path().join("root");
    let root_user = std::fs::metadata(directory.path()).unwrap().uid() == 0;
    if !root_user {
        println!("partly skipped: owners, devices and privileged xattrs need root");
        return;
    }
    if unsquashfs(&["-q", "-n", "-d", root.to_str().unwrap(), file.to_str().unwrap()]).is_some() {
        check_root(sample, &root);
    }
}

/// Compares what is at `root` with the sample.
fn check_root(sample: &Sample, root: &Path) {
    let mut found = 0;
    let mut inodes: BTreeMap<TreePath, u64> = BTreeMap::new();
    for (at, node) in sample.tree.iter() {
        let (target, node) = match &node.kind {
            Kind::HardLink(target) => (target, sample.tree.get(target).unwrap()),
            _ => (at, node),
        };
        let place = root.join(at.as_str());
        let stat = std::fs::symlink_metadata(&place).unwrap_or_else(|error| panic!("{at}: {error}"));
        check_node(at, node, &place, &stat);
        let ino = *inodes.entry(target.clone()).or_insert(stat.ino());
        assert_eq!(stat.ino(), ino, "{at}");
        found += 1;
    }
    assert_eq!(found, count(root), "there is something else too");
}

/// A mount that goes when the test goes, however it ends.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0).status());
    }
}

/// The reader that counts: the kernel's, which looks names up through the directory index.
fn check_mounted(sample: &Sample, image: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let (file, root) = (directory.path().join("image"), directory.path().join("root"));
    std::fs::write(&file, image).unwrap();
    std::fs::create_dir(&root).unwrap();
    if std::fs::metadata(&file).unwrap().uid() != 0 {
        println!("skipped: only root can mount");
        return;
    }
    let mounted =
        Command::new("mount").args(["-t", "squashfs", "-o", "loop,ro"]).arg(&file).arg(&root).output().unwrap();
    if mounted.status.success() {
        let mount = Mount(&root);
        check_root(sample, mount.0);
    } else {
        let talk = String::from_utf8_lossy(&mounted.stderr);
        assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "mount: {talk}");
        println!("skipped: {talk}");
    }
}

fn count(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    1 + entries.map(|entry| if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 }).sum::<usize>()
}

fn check_node(at: &TreePath, node: &Node<Vec<u8>>, place: &Path, stat: &std::fs::Metadata) {
    let meta = &node.meta;
    let uid = owners(&meta.user, squashfs::OwnerKind::User).unwrap();
    let gid = owners(&meta.group, squashfs::OwnerKind::Group).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (uid, gid), "{at}");
    assert_eq!(stat.mtime(), i64::from(meta.mtime.min(EPOCH)), "{at}");
    let kind = stat.file_type();
    match &node.kind {
        Kind::Symlink(target) => {
            assert!(kind.is_symlink(), "{at}");
            assert_eq!(std::fs::read_link(place).unwrap().as_os_str().as_bytes(), target.as_bytes(), "{at}");
            return;
        }
        Kind::Dir => assert!(kind.is_dir(), "{at}"),
        Kind::File(bytes) => assert_eq!(Sha256::of(&std::fs::read(place).unwrap()), Sha256::of(bytes), "{at}"),
        Kind::Fifo => assert!(kind.is_fifo(), "{at}"),
        Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
            assert_eq!(kind.is_char_device(), matches!(node.kind, Kind::CharDevice(..)), "{at}");
            let device = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
            assert_eq!(device, (*major, *minor), "{at}");
        }
        Kind::HardLink(_) => panic!("{at} is resolved"),
    }
    assert_eq!(stat.mode() & 0o7777, u32::from(meta.mode), "{at}");
    for (name, value) in &meta.xattrs {
        let mut found = vec![0; 65_536];
        let len = rustix::fs::lgetxattr(place, &**name, &mut found[..]).unwrap_or_else(|e| panic!("{at} {name}: {e}"));
        assert_eq!(&found[..len], &value[..], "{at} {name}");
    }
}

#[test]
fn unsquashfs_extracts_what_went_in() {
    let sample = Sample::rich();
    check_extracted(&sample, &sample.image(squashfs::BLOCK_SIZE));
}

#[test]
fn the_kernel_mounts_it() {
    let sample = Sample::rich();
    for block_size in [4096, squashfs::BLOCK_SIZE, 1 << 20] {
        check_mounted(&sample, &sample.image(block_size));
    }
}

#[test]
fn other_block_sizes() {
    let sample = Sample::rich();
    for block_size in [4096, 1 << 20] {
        check_extracted(&sample, &sample.image(block_size));
    }
}

#[test]
fn an_empty_image() {
    let sample = Sample { tree: Tree::new() };
    let image = sample.image(squashfs::BLOCK_SIZE);
    check_extracted(&sample, &image);
    check_mounted(&sample, &image);
    assert_eq!(image.len(), 4096);
    let mut sample = Sample { tree: Tree::new() };
    sample.file("only", Vec::new());
    check_extracted(&sample, &sample.image(squashfs::BLOCK_SIZE));
}

#[test]
fn backhand_reads_the_same() {
    let mut sample = Sample::rich();
    // It reads targets of at most 255 bytes.
    sample.tree.remove(&path("long-link"));
    let image = sample.image(squashfs::BLOCK_SIZE);
    let reader = backhand::FilesystemReader::from_reader(std::io::BufReader::new(Cursor::new(&image))).unwrap();
    let mut found = 0;
    for node in reader.files() {
        let at = TreePath::from_bytes(node.fullpath.as_os_str().as_bytes()).unwrap();
        let mut expected = sample.tree.get(&at).unwrap_or_else(|| panic!("{at} is not in the sample"));
        if let Kind::HardLink(target) = &expected.kind {
            expected = sample.tree.get(target).unwrap();
        }
        found += 1;
        assert_eq!(node.header.permissions, expected.meta.mode, "{at}");
        assert_eq!(node.header.mtime, expected.meta.mtime.min(EPOCH), "{at}");
        let uid = owners(&expected.meta.user, squashfs::OwnerKind::User).unwrap();
        assert_eq!(node.header.uid, uid, "{at}");
        match (&node.inner, &expected.kind) {
            (backhand::InnerNode::File(file), Kind::File(bytes)) => {
                let mut found = Vec::new();
                reader.file(file).reader().read_to_end(&mut found).unwrap();
                assert_eq!(Sha256::of(&found), Sha256::of(bytes), "{at}");
            }
            (backhand::InnerNode::Symlink(link), Kind::Symlink(target)) => {
                assert_eq!(link.link.as_os_str().as_bytes(), target.as_bytes(), "{at}");
            }
            (backhand::InnerNode::Dir(_), Kind::Dir)
            | (backhand::InnerNode::NamedPipe, Kind::Fifo)
            | (backhand::InnerNode::CharacterDevice(_), Kind::CharDevice(..))
            | (backhand::InnerNode::BlockDevice(_), Kind::BlockDevice(..)) => {}
            (found, expected) => panic!("{at}: {found:?} is not a {}", expected.noun()),
        }
    }
    assert_eq!(found, sample.tree.len());
}

/// The sample as the reader tells it: ids for owners, times clamped, the first name of an inode is the file.
fn told(sample: &Sample) -> Tree<Vec<u8>> {
    let resolved = |at: &TreePath| match &sample.tree.get(at).unwrap().kind {
        Kind::HardLink(target) => target.clone(),
        _ => at.clone(),
    };
    let mut tree = Tree::new();
    let mut first: BTreeMap<TreePath, TreePath> = BTreeMap::new();
    for (at, _) in sample.tree.iter() {
        let Node { mut meta, mut kind } = sample.tree.get(&resolved(at)).unwrap().clone();
        meta.user = Owner::Id(owners(&meta.user, squashfs::OwnerKind::User).unwrap());
        meta.group = Owner::Id(owners(&meta.group, squashfs::OwnerKind::Group).unwrap());
        meta.mtime = meta.mtime.min(EPOCH);
        match first.get(&resolved(at)) {
            Some(first) => kind = Kind::HardLink(first.clone()),
            None => drop(first.insert(resolved(at), at.clone())),
        }
        tree.insert(at.clone(), Node { meta, kind }).unwrap();
    }
    tree
}

fn read_back(image: &[u8]) -> Tree<Vec<u8>> {
    let mut reader = Reader::open(Cursor::new(image)).unwrap();
    let tree = reader.tree().unwrap();
    tree.map(|_, data| reader.read(&data, 1 << 30).unwrap())
}

#[test]
fn the_reader_reads_it_back() {
    for block_size in [4096, squashfs::BLOCK_SIZE] {
        let sample = Sample::rich();
        let (found, expected) = (read_back(&sample.image(block_size)), told(&sample));
        for ((at, found), (wanted, expected)) in found.iter().zip(expected.iter()) {
            assert_eq!((at, found == expected), (wanted, true), "{:?} {:?}", found.meta, expected.meta);
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn the_reader_reads_mksquashfs() {
    let sample = Sample::rich();
    let directory = tempfile::tempdir().unwrap();
    let (file, root, again) = (directory.path().join("a"), directory.path().join("root"), directory.path().join("b"));
    std::fs::write(&file, sample.image(squashfs::BLOCK_SIZE)).unwrap();
    if std::fs::metadata(&file).unwrap().uid() != 0
        || unsquashfs(&["-q", "-n", "-d", root.to_str().unwrap(), file.to_str().unwrap()]).is_none()
    {
        return;
    }
    let mut mksquashfs = Command::new("mksquashfs");
    mksquashfs.arg(&root).arg(&again).args(["-comp", "zstd", "-Xcompression-level", "9", "-quiet", "-no-progress"]);
    assert!(mksquashfs.status().unwrap().success());
    assert!(read_back(&std::fs::read(&again).unwrap()) == told(&sample));
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let images: Vec<Sha256> = [1, 4]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Sha256::of(&Sample::rich().image(squashfs::BLOCK_SIZE)))
        })
        .collect();
    assert_eq!(images[0], images[1]);
}

/// When this changes, so do the packs in every store: raise `pack::FORMAT_VERSION`, unless a default that is part of
/// `PackOptions::id` did it.
#[test]
fn the_bytes_are_pinned() {
    insta::assert_snapshot!(Sha256::of(&Sample::rich().image(squashfs::BLOCK_SIZE)), @"704b78889357890ecff8e35dae89a64863c6d623fd4224f4577e06bbe5747f25");
}

type Change<'a> = &'a dyn Fn(&mut Node<Vec<u8>>);

#[test]
fn every_field_reaches_the_image() {
    let at = path("etc/hostname");
    let changes: [Change<'_>; 7] = [
        &|node| node.meta.mode = 0o600,
        &|node| node.meta.mtime = 5,
        &|node| node.meta.user = Owner::Id(7),
        &|node| node.meta.group = Owner::Id(7),
        &|node| node.meta.xattrs.clear(),
        &|node| node.meta.xattrs = BTreeMap::from([("user.a".into(), b"c".to_vec())]),
        &|node| node.kind = Kind::File(b"hag\n".to_vec()),
    ];
    let mut images = vec![Sample::tiny().image(squashfs::BLOCK_SIZE)];
    for change in changes {
        let mut sample = Sample::tiny();
        change(sample.tree.get_mut(&at).unwrap());
        images.push(sample.image(squashfs::BLOCK_SIZE));
    }
    let all = images.len();
    images.sort();
    images.dedup();
    assert_eq!(images.len(), all);
}

#[test]
fn files_over_4_gib() {
    let mut tree = Tree::new();
    let size = (5 << 30) + 3;
    let data = DataArea { len: 3, fragments: vec![squashfs::Fragment { start: 0, size_word: 3 | squashfs::STORED }] };
    let huge = FileData {
        size,
        start: 0,
        blocks: vec![0; (size / BLOCK as u64) as usize],
        tail: Some(Tail { fragment: 0, offset: 0 }),
    };
    tree.insert(path("huge"), Node::file(0o644, huge.clone())).unwrap();
    let image = image(&tree, &data, b"end", squashfs::BLOCK_SIZE).unwrap();
    let mut reader = Reader::open(Cursor::new(&image)).unwrap();
    assert_eq!(reader.tree().unwrap(), tree);
    assert!(reader.read(&huge, 1 << 30).is_err());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    std::fs::write(&file, &image).unwrap();
    if let Some(listing) = unsquashfs(&["-lls", file.to_str().unwrap()]) {
        assert!(listing.contains(&size.to_string()), "{listing}");
    }
}

#[test]
fn what_squashfs_cannot_hold_is_refused() {
    let block = squashfs::BLOCK_SIZE;
    let check = |change: &dyn Fn(&mut Tree<FileData>), message: &str| {
        let mut tree = Tree::new();
        tree.insert(path("f"), Node::file(0o644, FileData::default())).unwrap();
        change(&mut tree);
        let error = image(&tree, &DataArea::default(), &[], block).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.hint().is_empty());
    };
    let f = path("f");
    let meta = |tree: &mut Tree<FileData>, change: &dyn Fn(&mut Meta)| change(&mut tree.get_mut(&f).unwrap().meta);
    check(
        &|tree| meta(tree, &|meta| meta.user = Owner::parse("nobody-knows")),
        "/f belongs to the user `nobody-knows`, which the image does not have",
    );
    check(
        &|tree| meta(tree, &|meta| drop(meta.xattrs.insert("system.posix_acl_access".into(), vec![0]))),
        "/f: squashfs cannot hold the extended attribute `system.posix_acl_access`: its name begins with none of user., \
         trusted., security.",
    );
    let link = |to: &str| Node { meta: Meta::root(0), kind: Kind::HardLink(path(to)) };
    check(&|tree| drop(tree.insert(path("l"), link("none"))), "/l is a hard link to /none, which is not there");
    check(&|tree| drop(tree.insert(path("l"), link(""))), "/l is a hard link to /, which is a directory");
    check(&|tree| drop(tree.insert(path("l"), link("l"))), "/l is a hard link to /l, which is a hard link back to it");
    let file = |data: FileData| {
        move |tree: &mut Tree<FileData>| {
            tree.get_mut(&path("f")).unwrap().kind = Kind::File(data.clone());
        }
    };
    check(&file(FileData { size: 9, ..FileData::default() }), "/f: its blocks do not fit its size");
    let outside = FileData { size: 9, blocks: vec![9], ..FileData::default() };
    check(&file(outside), "/f: its blocks do not fit the data area");
    let tail = FileData { size: 9, tail: Some(Tail { fragment: 0, offset: 0 }), ..FileData::default() };
    check(&file(tail), "/f: its blocks do not fit its fragment");
}

/// Reads everything that can be read.
fn devour(image: &[u8]) {
    let Ok(mut reader) = Reader::open(Cursor::new(image)) else { return };
    let Ok(tree) = reader.tree() else { return };
    for (_, node) in tree.iter() {
        if let Kind::File(data) = &node.kind {
            drop(reader.read(data, 1 << 20));
        }
    }
}

#[test]
fn damaged_images_are_errors() {
    let image = Sample::tiny().image(squashfs::BLOCK_SIZE);
    for len in 0..image.len() {
        devour(&image[..len]);
    }
    for at in 0..image.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut image = image.clone();
            image[at] ^= flip;
            devour(&image);
        }
    }
}

/// Damage inside compressed tables only reaches zstd; mksquashfs can leave them uncompressed.
#[test]
fn damaged_records_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (root, file) = (directory.path().join("root"), directory.path().join("image"));
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    for index in 0..30 {
        std::fs::write(root.join(format!("usr/file-{index}")), noise(400 * index, 1)).unwrap();
    }
    std::fs::hard_link(root.join("usr/file-3"), root.join("usr/bin/again")).unwrap();
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    for (at, name) in [("usr", "user.a"), ("usr/file-1", "user.a"), ("usr/file-2", "user.b")] {
        let set = rustix::fs::lsetxattr(root.join(at), name, &[7; 50], rustix::fs::XattrFlags::empty());
        set.unwrap_or_else(|error| println!("no xattrs here: {error}"));
    }
    let mut mksquashfs = Command::new("mksquashfs");
    mksquashfs.args([&root, &file]).args(["-comp", "zstd", "-noI", "-noX", "-noF", "-nopad", "-quiet", "-no-progress"]);
    mksquashfs.args(["-b", "4096"]);
    match mksquashfs.status() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "mksquashfs: {error}");
            println!("skipped: mksquashfs is not installed");
            return;
        }
    }
    let image = std::fs::read(&file).unwrap();
    assert!(read_back(&image).len() > 30);
    let tables = u64::from_le_bytes(image[64..72].try_into().unwrap()) as usize;
    let places: Vec<usize> = (0..96).chain(tables..image.len()).collect();
    for at in &places {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut image = image.clone();
            image[*at] ^= flip;
            devour(&image);
        }
    }
    let mut random = noise(60_000, 9).into_iter();
    let mut next =
        |limit: usize| usize::from(u16::from_le_bytes([random.next().unwrap(), random.next().unwrap()])) % limit;
    for _ in 0..3000 {
        let mut image = image.clone();
        for _ in 0..=next(4) {
            image[places[next(places.len())]] = next(256) as u8;
        }
        devour(&image);
    }
}
