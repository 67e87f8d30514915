//! Files that an editor or a checkout on Windows has been at: lines that end with CR LF, and a byte order mark.

use crate::archive::project::{IMAGE, RECIPE, Toy};

/// What a recipe may hold of text, inline and beside it.
const TEXTS: &str = r#"
[params.motto]
type = "string"
default = """
one
two"""
doc = "Two lines."

[[file]]
path = "/usr/bin/inline"
mode = "0755"
content = """
#!/bin/sh
echo inline
"""

[[file]]
path = "/usr/bin/template"
mode = "0755"
template = '''
#!/bin/sh
echo {{ motto }}
'''

[[file]]
path = "/etc/beside"
template-source = "files/beside.conf"

[[unit]]
name = "beside.service"
source = "files/beside.service"

[[unit]]
name = "toy.service"
[[unit.drop-in]]
name = "10-toy.conf"
content = """
[Service]
Nice=3
"""
"#;

const FILES: [(&str, &str); 6] = [
    ("project/images/toy.toml", IMAGE),
    ("project/recipes/files/beside.conf", "greeting = {{ greeting }}\nlevel = {{ level }}\n"),
    ("project/recipes/files/beside.service", "[Service]\nExecStart=/usr/bin/toy\n"),
    ("project/recipes/boards/toy.toml", crate::archive::project::BOARD),
    ("project/cluster.toml", "name = \"toy\"\ntimezone = \"Europe/Berlin\"\n[nodes.a]\nimage = \"toy\"\n"),
    (
        "project/recipes/debian/mine.toml",
        "[[script]]\npackage = \"mine\"\nkind = \"postinst\"\nsummary = \"\"\"\nx\ny\"\"\"\nnone = \"x\"\n",
    ),
];

fn write(toy: &Toy, changed: impl Fn(&str) -> String) {
    toy.write(
        "project/recipes/toy.toml",
        changed(&RECIPE.replace("[[unit]]\nname = \"toy.service\"\nstate = \"enabled\"\n", TEXTS)),
    );
    for (path, text) in FILES {
        toy.write(path, changed(text));
    }
    let settings = String::from_utf8(toy.read("project/hah-image.toml")).unwrap().replace("\r\n", "\n");
    toy.write("project/hah-image.toml", changed(settings.trim_start_matches('\u{feff}')));
}

/// `#!/bin/sh^M` was in the image, silently. The same project makes the same image however its lines end.
#[test]
fn crlf_in_the_files_is_not_in_the_image() {
    let toy = Toy::new();
    write(&toy, str::to_owned);
    toy.build();
    let shown = toy.run(&["identity", "show", "a"]).succeeded().stdout;
    for changed in [
        |text: &str| text.replace('\n', "\r\n"),
        |text: &str| format!("\u{feff}{text}"),
        |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n")),
    ] {
        write(&toy, changed);
        toy.run(&["lock", "--check"]).succeeded();
        // The key is the same.
        let run = toy.run(&["build", "toy", "--locked"]).succeeded();
        assert!(run.stderr.contains("up to date"), "{run}");
        assert_eq!(toy.run(&["identity", "show", "a"]).succeeded().stdout, shown);
        toy.run(&["config", "show"]).succeeded();
    }
    // The lock, too.
    let lock = String::from_utf8(toy.read("project/hah.lock")).unwrap();
    toy.write("project/hah.lock", lock.replace('\n', "\r\n"));
    toy.run(&["build", "toy", "--locked"]).succeeded();
}

/// A file that is copied as it is may be anything, so it is not changed; a script that nobody could start is refused.
#[test]
fn a_script_from_beside_with_crlf_is_refused() {
    let toy = Toy::new();
    let file = "\n[[file]]\npath = \"/usr/bin/script\"\nmode = \"0755\"\nsource = \"files/script\"\n";
    toy.write("project/recipes/toy.toml", format!("{RECIPE}{file}"));
    toy.write("project/recipes/files/script", "#!/bin/sh\r\necho\r\n");
    toy.run(&["build", "toy"]).failed(1, &["`/usr/bin/script` begins with `#!`", "CR LF", "recipes/toy.toml:", "LF"]);
    toy.write("project/recipes/files/script", "\u{feff}#!/bin/sh\necho\n");
    toy.run(&["build", "toy"]).failed(1, &["byte order mark"]);
    // Escapes are what their author says, and this is no better.
    let inline = "\n[[file]]\npath = \"/usr/bin/script\"\ncontent = \"#!/bin/sh\\r\\necho\\r\\n\"\n";
    toy.write("project/recipes/toy.toml", format!("{RECIPE}{inline}"));
    toy.run(&["build", "toy"]).failed(1, &["`/usr/bin/script` begins with `#!`"]);
    // What is no script keeps its bytes.
    toy.write("project/recipes/toy.toml", format!("{RECIPE}{file}"));
    toy.write("project/recipes/files/script", "data\r\n");
    toy.build();
}
