//! Kernel modules, plain and compressed: the first byte chooses the suffix.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, module)) = bytes.split_first() else { return };
    let path = ["x.ko", "x.ko.xz", "x.ko.zst", "x.ko.gz"][usize::from(first % 4)];
    let facts = hah_format::kmod::inspect(path, module);
    assert_eq!(facts, hah_format::kmod::inspect(path, module));
});
