//! Unit files with drop-ins, and presets (sections): the links that come of them lie below `/etc/systemd`.

#![no_main]

use hah_format::tree::Kind;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let before = hah_fuzz::configure::package(input).map(|package| package.tree);
    let (Some(before), Some(after)) = (before, hah_fuzz::configure::run(input, &["units"])) else { return };
    for (path, node) in after.iter().filter(|(path, node)| before.get(path) != Some(node)) {
        assert!(node.is_dir() || path.as_str().starts_with("etc/systemd/"), "{path}");
        assert!(matches!(&node.kind, Kind::Dir | Kind::Symlink(_)), "{path}");
    }
});
