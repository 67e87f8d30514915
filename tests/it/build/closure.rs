//! Closures: an image can be put together from its chunks, and has most of them in common with the one before it.

use std::collections::BTreeMap;
use std::path::Path;

use hah_format::digest::Sha256;
use hah_format::disk::window::Window;
use hah_format::path::TreePath;
use hah_node::generation::closure::{self, Chunk, Closure};
use hah_node::generation::{Digest, Slot, pointer};

use super::partition;
use crate::archive::deb::Deb;
use crate::archive::noise;
use crate::archive::project::{BOARD, RECIPE, Toy, debs};
use crate::oracles;

/// A file of the image's boot partition.
pub(crate) fn boot_file(image: &Path, name: &str) -> Vec<u8> {
    let mut file = std::fs::File::open(image).unwrap();
    let extent = hah_format::disk::read(&mut file).unwrap().partitions[0].extent;
    let window = Window::new(file, extent.offset_bytes(), extent.length_bytes()).unwrap();
    hah_format::fat::read_file(window, &TreePath::parse(name).unwrap())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// An image's closure, its root file system, and its boot files.
pub(crate) struct Generation {
    pub(crate) closure: Closure,
    pub(crate) root: Vec<u8>,
    boot: Vec<(String, Vec<u8>)>,
}

impl Generation {
    pub(crate) fn of(image: &Path) -> Self {
        let closure = closure::parse(&std::fs::read(image.with_extension("closure")).unwrap()).unwrap();
        let there = tempfile::tempdir().unwrap();
        partition(image, "root", &there.path().join("root"));
        let root = std::fs::read(there.path().join("root")).unwrap();
        let name = |file: &closure::BootFile| file.name.clone();
        let boot = closure.boot.iter().map(name).map(|name| {
            let bytes = boot_file(image, &format!("g0/{name}"));
            (name, bytes)
        });
        Self { boot: boot.collect(), root, closure }
    }

    /// Every file with its chunks.
    fn files(&self) -> impl Iterator<Item = (&[u8], &[Chunk])> {
        let root = (self.root.as_slice(), self.closure.root.as_slice());
        let boot = self.boot.iter().zip(&self.closure.boot).map(|((_, bytes), file)| (&bytes[..], &file.chunks[..]));
        std::iter::once(root).chain(boot)
    }

    /// Its chunks by digest, cut out of its files.
    pub(crate) fn chunks(&self) -> BTreeMap<Digest, &[u8]> {
        let mut chunks = BTreeMap::new();
        for (bytes, described) in self.files() {
            let mut at = 0;
            for Chunk(digest, length) in described {
                let end = at + *length as usize;
                assert_eq!(Sha256::of(&bytes[at..end]).as_bytes(), &digest.0);
                chunks.insert(*digest, &bytes[at..end]);
                at = end;
            }
        }
        chunks
    }

    /// Puts this generation together of the chunks of `older` and those that have to be sent; the number of bytes of the
    /// latter.
    fn update(&self, older: &Generation) -> usize {
        let (there, here) = (older.chunks(), self.chunks());
        let sent = self.closure.distinct().into_iter().filter(|chunk| !there.contains_key(&chunk.0));
        for (bytes, described) in self.files() {
            let parts = described.iter().map(|chunk| there.get(&chunk.0).unwrap_or_else(|| &here[&chunk.0]));
            assert!(parts.copied().collect::<Vec<_>>().concat() == bytes, "a file is not the sum of its chunks");
        }
        sent.map(|chunk| chunk.1 as usize).sum()
    }
}

#[test]
fn the_closure_describes_the_image() {
    let toy = Toy::new();
    toy.build();
    let generation = Generation::of(&toy.image());
    let Closure { image, board, architecture, key, epoch, layout, loader, .. } = &generation.closure;
    let manifest: serde_json::Value = serde_json::from_slice(&toy.read("project/out/toy.json")).unwrap();
    assert_eq!((image.as_str(), board.as_str(), architecture.as_str()), ("toy", "toy", "arm64"));
    assert_eq!(manifest["key"], key.to_string());
    assert_eq!(manifest["epoch"], *epoch);
    assert_eq!((*layout, loader), (hah_node::generation::LAYOUT, &None));
    assert_eq!(generation.update(&generation), 0);
    let names: Vec<&str> = generation.boot.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cmdline.txt", "initramfs", "kernel"]);
    assert_eq!(generation.boot[0].1, b"quiet\n", "whoever stages it adds the slot");
    assert_eq!(boot_file(&toy.image(), "g0/closure"), toy.read("project/out/toy.closure"));
}

/// Every build names itself in the configuration of stage 1, in os-release and in the tables.
#[test]
fn one_changed_line_is_few_bytes() {
    let toy = Toy::new();
    // A large program that is the recipes' own, as the agent is.
    toy.write("agent", [crate::archive::elf::program(b"I am large"), noise(3_000_000, 9)].concat());
    toy.build();
    let older = Generation::of(&toy.image());
    let recipe = RECIPE.replace("default = \"hello\"", "default = \"a longer line than the one before\"");
    toy.write("project/recipes/toy.toml", recipe);
    toy.build();
    let newer = Generation::of(&toy.image());
    let sent = newer.update(&older);
    // The end of the agent, which is noise, shares a fragment with the files that changed.
    assert!((1..200_000).contains(&sent), "{sent} bytes for one line");
}

#[test]
fn one_changed_package_is_that_package() {
    let toy = Toy::new();
    toy.build();
    let older = Generation::of(&toy.image());
    let data = Deb::new("toy-data", "2.0~rc1-1").file("/usr/share/toy/data", 0o644, noise(1_000_000, 5));
    let changed = debs().into_iter().filter(|deb| deb.name != "toy-data").chain([data]).collect::<Vec<_>>();
    toy.publish(&changed);
    toy.run(&["update"]).succeeded();
    toy.build();
    let newer = Generation::of(&toy.image());
    let sent = newer.update(&older);
    assert!((1_000_000..1_050_000).contains(&sent), "{sent} bytes for a package of 1 MB");
}

#[test]
fn the_boot_partition_has_a_pointer() {
    let config = "config-txt = \"\"\"\n# Mine.\nos_prefix=g0/\nkernel=kernel\n\"\"\"\n";
    let files = "[[boot-file]]\nname = \"loader/loader.conf\"\ncontent = \"default g0.conf\\ntimeout 0\\n\"\n\
                 [[boot-file]]\nname = \"loader/entries/g0.conf\"\n\
                 content = \"linux /g0/kernel\\ninitrd /g0/initramfs\\noptions CMDLINE\\n\"\n";
    let loader = "linux /g{slot}/kernel\ninitrd /g{slot}/initramfs\noptions quiet hah.generation={slot}\n";
    for (before, after, name, text, entry) in [
        ("", "", "hah/boot.txt", "os_prefix=g0/\n# hah good=0 trial=-\n", None),
        (config, "", "config.txt", "# Mine.\nos_prefix=g0/\n# hah good=0 trial=-\nkernel=kernel\n", None),
        ("", files, "loader/loader.conf", "default g0.conf\n# hah good=0 trial=-\ntimeout 0\n", Some(loader)),
    ] {
        let toy = Toy::new();
        let board = BOARD.replace("[tables]", &format!("{before}[tables]"));
        toy.write("project/recipes/boards/toy.toml", format!("{board}{after}"));
        toy.build();
        let found = boot_file(&toy.image(), name);
        assert_eq!(String::from_utf8_lossy(&found), text);
        let (_, prefix) = pointer::FILES.into_iter().find(|(file, _)| *file == name).unwrap();
        let (found, _) = pointer::find(&found, prefix).unwrap();
        assert_eq!(found, pointer::Pointer::keeping(Slot::FLASHED));
        assert_eq!(Generation::of(&toy.image()).closure.loader.as_deref(), entry);
    }
}

/// A node of such a board would never start another generation than the one that was flashed.
#[test]
fn a_board_whose_firmware_chooses_no_generation_is_refused() {
    for config in ["kernel=kernel", "os_prefix=gen0/", &format!("{}os_prefix=g0/", "# A remark.\\n".repeat(50))] {
        let toy = Toy::new();
        let board = BOARD.replace("[tables]", &format!("config-txt = \"{config}\\n\"\n[tables]"));
        toy.write("project/recipes/boards/toy.toml", board);
        let says = ["board toy: /config.txt chooses no generation", "a line `os_prefix=g0…` within its first"];
        toy.run(&["build", "toy"]).failed(100, &says);
    }
}

/// What a fleet of `lab` takes over its network, beside what the issue allows; and the image as a whole.
#[test]
fn the_lab_image_is_the_sum_of_its_chunks() {
    let Some(lab) = oracles::lab() else { return };
    let generation = Generation::of(&lab.image);
    assert_eq!(generation.update(&generation), 0);
    let text = std::fs::metadata(lab.image.with_extension("closure")).unwrap().len();
    assert!(text < 100_000, "the description itself is sent, too: {text} bytes");
}
