//! A `templates` member, and lines of debconf's protocol behind a line of `---`: templates are read twice alike, a reply
//! is one line that begins with its status, and what a script has set it gets.

#![no_main]

use hah_fuzz::says_something;
use hah_plan::debconf::{Debconf, escape, protocol, templates, unescape};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (text, lines) = text.split_once("\n---\n").unwrap_or((text, ""));
    assert_eq!(unescape(&escape(text)), text);
    let mut debconf = Debconf::default();
    match templates::parse(text) {
        Ok(all) => {
            assert!(all.iter().all(|fields| fields.contains_key("template") && fields.contains_key("type")));
            debconf.load(text, "owner").unwrap();
            assert!(all.iter().all(|fields| debconf.question(&fields["template"]).is_some()));
        }
        Err(error) => says_something(&error, "a package is malformed"),
    }
    debconf.begin("owner", "postinst");
    for line in lines.lines().take(200) {
        let Some(reply) = debconf.communicate(line) else { continue };
        let line = reply.line();
        assert!(!line.contains('\n') && line.starts_with(&reply.status.to_string()));
        let (status, _) = protocol::returned(&line);
        assert_eq!(status, if reply.status == protocol::ESCAPED { 0 } else { reply.status });
    }
});
