//! deb822: a stanza's owned form, written, reads back as the same fields; line numbers lie within the text.

#![no_main]

use hah_plan::debian::control::{Paragraph, only_stanza, stanzas, unfold};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines = text.lines().count() + 1;
    for stanza in stanzas(text) {
        let stanza = match stanza {
            Ok(stanza) => stanza,
            Err(error) => {
                hah_fuzz::says_something(&error, error.hint());
                assert!((1..=lines).contains(&error.line));
                break;
            }
        };
        for field in stanza.fields() {
            assert!((1..=lines).contains(&field.line));
            assert_eq!(stanza.get(&field.name.to_ascii_uppercase()), Some(field.value));
            unfold(field.value);
        }
        let owned = Paragraph::from(stanza);
        let written = owned.to_string();
        let again = only_stanza(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
        assert_eq!(Paragraph::from(again), owned);
        // Fields set one by one are either refused or written as they were set.
        let mut made = Paragraph::new();
        if owned.fields().all(|(name, value)| made.set(name, value).is_ok()) {
            assert_eq!(made, owned);
        }
    }
});
