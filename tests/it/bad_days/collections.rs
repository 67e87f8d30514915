//! What `gc` keeps: exactly what the images of the roots need, in every combination of what their recipes remove.

use crate::archive::deb::Deb;
use crate::archive::elf;
use crate::archive::project::{IMAGE, RECIPE, Toy, debs, digest};

const PACKS: &str = "home/.cache/hah-image/packs/v1";
const DERIVED: &str = "home/.cache/hah-image/derived/v1";
const DOWNLOADS: &str = "home/.cache/hah-image/downloads/sha256";

/// The recipe with parameters and removals as the shipped `base` has them.
fn recipe() -> String {
    let params = r#"
[params.keep-docs]
type = "boolean"
default = false
doc = "Documentation."
[params.keep-man]
type = "boolean"
default = false
doc = "Manual pages."
[params.keep-locales]
type = "boolean"
default = false
doc = "Translations."
"#;
    let removes = r#"
remove = [
    { pattern = "/usr/share/doc/*", except = ["/usr/share/doc/*/copyright"], when = "not keep_docs" },
    { pattern = "/usr/share/man", when = "not keep_man" },
    { pattern = "/usr/share/locale/*", when = "not keep_locales" },
]
"#;
    RECIPE
        .replace("\"toy-tool\"", "\"toy-tool\", \"talky\"")
        .replace("\n[params.greeting]", &format!("{removes}{params}\n[params.greeting]"))
}

fn image(docs: bool, man: bool, locales: bool) -> String {
    format!("{IMAGE}\n[params.toy]\nkeep-docs = {docs}\nkeep-man = {man}\nkeep-locales = {locales}\n")
}

/// A package that has documentation of every kind.
fn deb() -> Deb {
    Deb::new("talky", "1")
        .file("/usr/share/doc/talky/README", 0o644, "read")
        .file("/usr/share/doc/talky/copyright", 0o644, "free")
        .file("/usr/share/man/man1/talky.1", 0o644, "manual")
        .file("/usr/share/locale/de/LC_MESSAGES/talky.mo", 0o644, "Deutsch")
}

/// A toy with that package.
fn talky() -> Toy {
    let toy = Toy::and(&[deb()]);
    toy.write("project/recipes/toy.toml", recipe());
    toy
}

/// With `base.keep-locales = true` all packs of the image were deleted, and the hardware database and the kernel always.
#[test]
fn gc_keeps_the_packs_of_an_image_that_keeps_locales() {
    let toy = talky();
    let (mut images, mut packs) = (Vec::new(), Vec::new());
    for bits in 0..8u8 {
        let [docs, man, locales] = [1, 2, 4].map(|bit| bits & bit != 0);
        toy.write("project/images/toy.toml", image(docs, man, locales));
        toy.build();
        let derived = toy.names(DERIVED);
        // The kernel's key follows its package's pack, so that of the combination before is there, too.
        assert!((2..4).contains(&derived.len()), "a module index and at most two gzipped kernels: {derived:?}");
        toy.run(&["gc"]).succeeded();
        // Those of the combination before are gone, and no other.
        let kept = toy.names(PACKS);
        assert_eq!(kept.len(), debs().len() + 1, "docs {docs}, man {man}, locales {locales}");
        let left = toy.names(DERIVED);
        assert!(left.len() == 2 && left.iter().all(|name| derived.contains(name)), "{derived:?} {left:?}");
        assert_eq!(toy.names(DOWNLOADS).iter().filter(|name| name.len() == 64).count(), debs().len() + 1);
        let again = toy.run(&["gc"]).succeeded();
        assert!(again.stderr.contains("removed 0 files"), "{again}");
        packs.push(kept);
        images.push(digest(&toy.image()));
    }
    images.sort();
    images.dedup();
    assert_eq!(images.len(), 8, "every combination is an image of its own");
    packs.sort();
    packs.dedup();
    assert_eq!(packs.len(), 8, "and has packs of its own");
    // What was kept is enough: with neither archive nor downloads, nothing is fetched or packed.
    std::fs::remove_dir_all(toy.path("archive/pool")).unwrap();
    std::fs::remove_dir_all(toy.path(DOWNLOADS)).unwrap();
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    let run = toy.run(&["build", "toy"]).succeeded();
    assert!(!run.stderr.contains("Packed") && !run.stderr.contains("Fetched"), "{run}");
}

/// Two images of one project that want the same packages in two forms, and another project.
#[test]
fn gc_keeps_what_every_image_of_every_root_needs() {
    let toy = talky();
    toy.write("project/images/toy.toml", image(false, false, true));
    toy.write("project/images/doc.toml", image(true, true, false));
    toy.build();
    toy.run(&["build", "doc"]).succeeded();
    for file in ["hah-image.toml", "recipes/toy.toml", "recipes/boards/toy.toml"] {
        toy.write(&format!("second/{file}"), toy.read(&format!("project/{file}")));
    }
    toy.write("second/images/toy.toml", image(false, true, true));
    toy.run(&["-C", "../second", "build", "toy"]).succeeded();
    let before = [PACKS, DERIVED].map(|directory| toy.names(directory));
    assert_eq!(before[0].len(), 3 * (debs().len() + 1));
    toy.run(&["gc"]).succeeded();
    assert_eq!([PACKS, DERIVED].map(|directory| toy.names(directory)), before);
    // A project that is gone needs nothing.
    std::fs::remove_dir_all(toy.path("second")).unwrap();
    toy.run(&["gc", "--dry-run"]).succeeded();
    assert_eq!(toy.names(PACKS), before[0]);
    toy.run(&["gc"]).succeeded();
    assert_eq!(toy.names(PACKS).len(), 2 * (debs().len() + 1));
    std::fs::remove_file(toy.path("project/hah.lock")).unwrap();
    toy.run(&["gc"]).succeeded();
    assert_eq!([PACKS, DERIVED, DOWNLOADS].map(|directory| toy.names(directory).len()), [0, 0, 0]);
    assert_eq!(toy.names("home/.cache/hah-image/outputs"), [""; 0]);
}

/// Derived files of a former build that no image needs any more go.
#[test]
fn gc_removes_derived_files_that_nothing_needs() {
    let toy = talky();
    toy.build();
    let before = toy.names(DERIVED);
    // Another kernel has another module index, and is gzipped anew.
    let module = || elf::module("license=GPL\0name=toy_disk\0alias=toy:other*\0", &[], &[]);
    let newer: Vec<Deb> = debs()
        .into_iter()
        .map(|deb| match deb.name.as_str() {
            "linux-image-toy" => Deb::new("linux-image-toy", "6.0-2")
                .file("/boot/vmlinuz-6.0-toy", 0o644, crate::archive::noise(300_000, 9))
                .file("/usr/lib/modules/6.0-toy/kernel/toy_disk.ko", 0o644, module())
                .file("/usr/lib/modules/6.0-toy/modules.order", 0o644, "kernel/toy_disk.ko\n")
                .file("/usr/lib/modules/6.0-toy/modules.builtin", 0o644, "kernel/fs/ext4/ext4.ko\n"),
            _ => deb,
        })
        .chain([deb()])
        .collect();
    toy.publish(&newer);
    toy.run(&["update"]).succeeded();
    toy.build();
    let all = toy.names(DERIVED);
    assert!(all.len() > before.len(), "{all:?}");
    toy.run(&["gc"]).succeeded();
    let kept = toy.names(DERIVED);
    assert!(kept.iter().all(|name| !before.contains(name)) && !kept.is_empty(), "{before:?} {kept:?}");
}

/// Recipes in the middle of an edit: everything is kept that the lock may lead to, and a warning says so.
#[test]
fn gc_while_recipes_cannot_be_read() {
    let toy = talky();
    toy.write("project/images/toy.toml", image(false, true, true));
    toy.build();
    let before = [PACKS, DERIVED, DOWNLOADS].map(|directory| toy.names(directory));
    toy.write("project/images/toy.toml", "board =");
    let run = toy.run(&["gc"]).succeeded();
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("image toy cannot be read"), "{run}");
    let after = [PACKS, DERIVED].map(|directory| toy.names(directory));
    assert_eq!(after, [before[0].clone(), before[1].clone()]);
}

/// A build with a parameter of the command line is not the project's, and takes nothing from it.
#[test]
fn a_build_with_another_parameter_changes_no_record() {
    let toy = talky();
    toy.build();
    let records = toy.read(&format!("home/.cache/hah-image/outputs/{}", toy.names("home/.cache/hah-image/outputs")[0]));
    let before = [PACKS, DERIVED].map(|directory| toy.names(directory));
    toy.run(&["build", "toy", "--set", "toy.keep-locales=true", "-o", "other.img"]).succeeded();
    assert!(toy.names(PACKS).len() > before[0].len());
    toy.run(&["gc"]).succeeded();
    assert_eq!([PACKS, DERIVED].map(|directory| toy.names(directory)), before);
    let names = toy.names("home/.cache/hah-image/outputs");
    assert_eq!(toy.read(&format!("home/.cache/hah-image/outputs/{}", names[0])), records);
}

/// Between an edit and the next build nothing goes that the next build needs: no package is fetched or packed again, and
/// neither kernel nor module index is made again.
#[test]
fn gc_between_two_builds() {
    let toy = talky();
    toy.build();
    toy.write("project/recipes/toy.toml", recipe().replace("{{ level }}", "{{ level }}!"));
    toy.run(&["gc"]).succeeded();
    std::fs::remove_dir_all(toy.path("archive/pool")).unwrap();
    let run = toy.run(&["--json", "build", "toy"]).succeeded();
    let kinds: Vec<String> = (run.stdout.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "derivation")
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["image"], "{run}");
}

/// A kernel that the board does not compress any more is not kept.
#[test]
fn gc_removes_a_kernel_that_no_plan_has() {
    let toy = talky();
    toy.build();
    let before = toy.names(DERIVED);
    let board = crate::archive::project::BOARD;
    toy.write("project/recipes/boards/toy.toml", board.replace("\"gzip\"", "\"none\""));
    toy.run(&["gc"]).succeeded();
    let after = toy.names(DERIVED);
    assert_eq!((before.len(), after.len()), (2, 1), "{before:?} {after:?}");
    // Of an image that cannot be read the kernel is kept, too.
    toy.build();
    toy.write("project/recipes/boards/toy.toml", board);
    toy.build();
    assert_eq!(toy.names(DERIVED), before);
    toy.write("project/images/toy.toml", "board =");
    toy.run(&["gc"]).succeeded();
    assert_eq!(toy.names(DERIVED), before);
}

/// While several images are built a collection waits, and takes nothing of them afterwards.
#[test]
fn gc_while_several_images_are_built() {
    let toy = Toy::new();
    crate::build::several::fleet(&toy, &["a", "b", "c"]);
    let mut build = toy.command(&["build", "a", "b", "c"]);
    let build = build.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // From its first pack on the store is held.
    while toy.names(PACKS).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let collected = toy.run(&["gc"]).succeeded();
    crate::archive::project::Run::from(build.wait_with_output().unwrap()).succeeded();
    assert_eq!(toy.names(PACKS).len(), debs().len(), "{collected}");
    let run = toy.run(&["build", "a", "b", "c"]).succeeded();
    assert_eq!(run.stderr.matches("Fresh").count(), 3, "{run}");
}
