//! The data archive of a `.deb` that is sound otherwise, with its checksums made right; see [`hah_fuzz::archive::check`].

#![no_main]

use hah_fuzz::archive;

libfuzzer_sys::fuzz_target!(|tar: &[u8]| {
    let mut tar = tar.to_vec();
    archive::seal_all(&mut tar);
    archive::check(&archive::with_data(&tar));
});
