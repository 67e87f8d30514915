//! `stage1.json` and the report of stage 1: what is read is written and read back.

#![no_main]

use hah_node::stage1::{Report, Stage1};

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
});
