//! Block maps. A text whose only fault is its checksum is read with the right one; what is read writes and reads back.

#![no_main]

use hah_format::bmap::{BmapError, parse, write};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let map = match parse(text) {
        Ok(map) => map,
        Err(BmapError::Checksum { found, computed }) => {
            match parse(&text.replace(&found.to_string(), &computed.to_string())) {
                Ok(map) => map,
                Err(error) => return hah_fuzz::says_something(&error, error.hint()),
            }
        }
        Err(error) => return hah_fuzz::says_something(&error, error.hint()),
    };
    for range in &map.ranges {
        let bytes = range.bytes(map.image_size);
        assert!(bytes.start < bytes.end && bytes.end <= map.image_size);
    }
    assert_eq!(parse(&write(map.image_size, &map.ranges)).unwrap(), map);
});
