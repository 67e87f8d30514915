//! apt's configuration: what it says has a place, values are there, and a proxy is an address, a program or none.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the builder's module is made for another crate")]

#[path = "../../../src/hah-image/src/fetch/apt_conf.rs"]
mod apt_conf;

use std::path::Path;

use apt_conf::{AptConf, Statement, Told};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines = text.matches('\n').count() + 1;
    let mut conf = AptConf::default();
    for statement in apt_conf::parse(text) {
        if let Statement::Set { name, line, .. } = &statement {
            assert!((1..=lines).contains(line));
            assert_eq!(*name, name.to_lowercase());
        }
        conf.apply(statement, Path::new("apt.conf"));
    }
    for scheme in ["http", "https"] {
        let Some((told, place)) = conf.proxy(scheme, "m.example") else {
            // http has an answer wherever https does, unless it is https's own.
            assert!(scheme == "https" || conf.general_proxy("http").is_none());
            continue;
        };
        assert!(!place.value.is_empty() && place.to_string().contains("Acquire::"));
        match told {
            Told::Direct => assert!(matches!(place.value.as_str(), "DIRECT" | "false")),
            Told::Proxy(address) => assert_eq!(address, place.value),
            Told::Ask(program) => assert_eq!(program.to_str(), Some(place.value.as_str())),
        }
    }
});
