//! Files with the line ends of another system mean the same, and complaints about them name the same lines.

use super::*;

const BOARD: &str = r#"
summary = "A board"
architecture = "arm64"
packages = ["linux-image-arm64"]
tables = { default = "gpt" }
kernel = { image = "/boot/vmlinuz-VERSION", modules = "/usr/lib/modules/VERSION" }
stage1 = { modules = ["ext4"] }
"#;
const IMAGE: &str = "summary = \"An image\"\nboard = \"b\"\nrecipes = [\"r\"]\n";
const RECIPE: &str = r#"
summary = "R"
packages = ["systemd"]
[[suite]]
name = "trixie"
[[file]]
path = "/usr/bin/inline"
content = """
#!/bin/sh
echo \
    one
"""
[[file]]
path = "/usr/bin/literal"
template = '''
#!/bin/sh
echo {{ image.name }}
'''
[[file]]
path = "/etc/template"
template-source = "files/t"
[[file]]
path = "/etc/verbatim"
source = "files/v"
[[unit]]
name = "x.service"
source = "files/u"
[[file]]
path = "/etc/escaped"
content = "a\r\nb"
"#;

/// The system of these texts, each changed.
fn system(changed: impl Fn(&str) -> String) -> System {
    let mut sources = Sources::new();
    for (path, text) in [
        ("recipes/boards/b.toml", BOARD),
        ("images/i.toml", IMAGE),
        ("recipes/r.toml", RECIPE),
        ("recipes/files/t", "name {{ image.name }}\nend\n"),
        ("recipes/files/u", "[Service]\nExecStart=/bin/x\n"),
    ] {
        sources.insert(path, path, changed(text));
    }
    sources.insert("recipes/files/v", "recipes/files/v", b"as it is\r\n\xff".to_vec());
    load(&sources, "i", &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[test]
fn crlf_and_a_mark_reach_no_file() {
    let wanted = system(str::to_owned);
    let file = |system: &System, path: &str| {
        let found = system.files.iter().find(|file| file.path.to_string() == path).unwrap();
        String::from_utf8_lossy(&found.bytes).into_owned()
    };
    assert_eq!(file(&wanted, "/usr/bin/inline"), "#!/bin/sh\necho one\n");
    for changed in [
        |text: &str| text.replace('\n', "\r\n"),
        |text: &str| format!("\u{feff}{text}"),
        |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n")),
    ] {
        let found = system(changed);
        for path in ["/usr/bin/inline", "/usr/bin/literal", "/etc/template", "/etc/systemd/system/x.service"] {
            assert_eq!(file(&found, path), file(&wanted, path), "{path}");
        }
        assert_eq!(file(&found, "/etc/verbatim"), "as it is\r\n\u{fffd}", "bytes from beside stay");
        assert_eq!(file(&found, "/etc/escaped"), "a\r\nb", "an escape is what its author says");
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_complaint_names_the_same_line() {
    let wrong = |text: &str| {
        let mut sources = Sources::new();
        sources.insert("images/i.toml", "images/i.toml", text);
        load(&sources, "i", &[]).unwrap_err().to_string()
    };
    let text = format!("{IMAGE}bord = 1\n");
    let said = wrong(&text);
    assert!(said.contains("images/i.toml:4:1"), "{said}");
    assert_eq!(wrong(&format!("\u{feff}{}", text.replace('\n', "\r\n"))), said);
}
