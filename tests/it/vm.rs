//! The lab image, booted in QEMU, judged from outside: by its console, by ssh and by HTTP.
//!
//! `HAH_LAB_IMAGE` names the image that `cargo xtask image` has built, which also says that the download cache is warm.
//! Without it these tests are skipped. No key is in that image, so where ssh is needed a variant with the test's own key
//! is built from the cache; see [`image`].
//!
//! QEMU without KVM takes a minute or two for a boot and both of a small machine's cores, so one machine runs at a time.
//! What a machine said stays in `target/tmp/vm/NAME/console.log`.

mod image;
mod machine;
mod lab;
mod generation;
mod raspi3b;
mod power_cut;
mod identity;
mod quickstart;

pub(crate) use image::{Image, directory, flashed_from, key, public_key};
pub(crate) use machine::{BOOT, LOGIN, Node, Place, STAGE1_DONE, Vm};
pub(crate) use power_cut::Random;

/// An environment variable that configures the tests.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the lane that takes hours was asked for.
pub(crate) fn full() -> bool {
    variable("HAH_TEST_FULL").is_some_and(|value| value == "1")
}
