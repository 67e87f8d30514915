//! What stage 1 reads beside partition tables (`disk`) and identities (`identity`): `stage1.json` and its own report, the
//! kernel command line, and the superblock of the data partition. The first two are written and read back.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "stage 1's modules are made for another crate")]

#[path = "../../../src/hah-agent/src/stage1"]
mod stage1 {
    pub(crate) mod cmdline;
    pub(crate) mod ext4;
}

/// What the command line is read into, in the agent's `console`.
mod console {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum OnFailure {
        RebootAfter(u64),
        Stop,
    }
}

use console::OnFailure;
use hah_node::stage1::{Report, Stage1};
use stage1::cmdline::Cmdline;
use stage1::ext4::{SUPERBLOCK, Superblock};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = serde_json::from_slice::<Stage1>(bytes) {
        let written = serde_json::to_vec(&config).unwrap();
        assert_eq!(serde_json::from_slice::<Stage1>(&written).unwrap(), config);
        for number in 1..=3 {
            assert!(!config.disk.partuuid(number).is_empty());
        }
    }
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        let written = serde_json::to_vec(&report).unwrap();
        assert_eq!(serde_json::from_slice::<Report>(&written).unwrap(), report);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let asked = Cmdline::parse(text);
        assert!(!matches!(asked.on_failure, OnFailure::RebootAfter(seconds) if seconds > 86_400));
        assert!(asked.init.is_none_or(|program| program.starts_with('/')));
    }
    if let Some(superblock) = bytes.first_chunk::<SUPERBLOCK>().and_then(Superblock::parse) {
        assert!(superblock.block_size.is_power_of_two() && (1024..=65_536).contains(&superblock.block_size));
    }
});
