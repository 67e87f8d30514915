//! The other verbs, and how the program talks.

use crate::archive::deb::Deb;
use crate::archive::project::{RECIPE, Run, Toy, debs};
use crate::terminal::Terminal;

#[test]
fn why_and_tree() {
    let toy = Toy::new();
    toy.run(&["why", "libtoy1"]).failed(1, &["no hah.lock yet", "hah-image lock"]);
    toy.run(&["tree", "toy"]).failed(1, &["no hah.lock yet"]);
    toy.run(&["lock", "toy"]).succeeded();
    let why = toy.run(&["why", "libtoy1"]).succeeded().stdout;
    for word in ["toy", "toy-tool", "libtoy1 (>= 1:1.1)"] {
        assert!(why.contains(word), "{why}");
    }
    let tree = toy.run(&["tree", "toy"]).succeeded().stdout;
    for name in ["base-files", "toy-tool", "libtoy1", "toy-daemon", "toy-data", "linux-image-toy"] {
        assert!(tree.contains(name), "{tree}");
    }
    let shallow = toy.run(&["tree", "toy", "--depth", "0"]).succeeded().stdout;
    assert!(shallow.contains("toy-tool") && !shallow.contains("libtoy1"), "{shallow}");
    toy.run(&["why", "perl"]).failed(1, &["perl is in no locked image", "hah-image tree"]);
    toy.run(&["why", "Perl!"]).failed(2, &["a path begins with `/`"]);
    toy.run(&["tree", "lab"]).failed(1, &["lab is not locked", "toy"]);
}

#[test]
fn why_a_path() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    let cases: [(&str, &[&str]); 5] = [
        ("/usr/bin/toy", &["/usr/bin/toy is from", "toy-tool"]),
        ("/bin/toy", &["/usr/bin/toy is from", "toy-tool"]),
        ("/usr/lib/libtoy.so.1.2", &["libtoy1", "libtoy1 (>= 1:1.1)"]),
        ("/etc/greeting", &["recipe toy"]),
        ("/etc/passwd", &["users"]),
    ];
    for (path, says) in cases {
        let said = toy.run(&["why", path, "--image", "toy"]).succeeded().stdout;
        assert!(says.iter().all(|word| said.contains(word)), "{path}: {said}");
    }
    toy.run(&["why", "/no/where", "--image", "toy"]).failed(1, &["image toy has no /no/where"]);
}

#[test]
fn update_moves_what_it_is_told_to() {
    let toy = Toy::new();
    toy.run(&["lock", "toy"]).succeeded();
    let version = |name: &str| {
        let lock = String::from_utf8(toy.read("project/hah.lock")).unwrap();
        let lock: toml::Table = lock.parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let found = packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap();
        found["version"].as_str().unwrap().to_owned()
    };
    let newer: Vec<Deb> = debs()
        .into_iter()
        .map(|mut deb| {
            deb.version = match deb.name.as_str() {
                "libtoy1" => "1:1.3-1".to_owned(),
                "base-files" => "13.1".to_owned(),
                _ => deb.version,
            };
            deb
        })
        .collect();
    toy.publish(&newer);
    // The archive's old packages are still there, but it does not name them: the lock keeps them all the same.
    toy.build();
    assert_eq!((version("libtoy1").as_str(), version("base-files").as_str()), ("1:1.2-1", "13"));
    let lock = toy.read("project/hah.lock");
    let said = toy.run(&["update", "--dry-run"]).succeeded().stderr;
    assert!(said.contains("libtoy1") && said.contains("1:1.3-1"), "{said}");
    assert_eq!(toy.read("project/hah.lock"), lock);
    toy.run(&["update", "perl"]).failed(1, &["perl is not locked"]);
    toy.run(&["update"]).succeeded();
    assert_eq!((version("libtoy1").as_str(), version("base-files").as_str()), ("1:1.3-1", "13.1"));
    let said = toy.run(&["update"]).succeeded().stderr;
    assert!(said.contains("up to date"), "{said}");
}

#[test]
fn locking_twice_gives_the_same_bytes() {
    let (toy, other) = (Toy::new(), Toy::new());
    toy.run(&["lock", "toy"]).succeeded();
    other.run(&["lock", "toy"]).succeeded();
    let lock = toy.read("project/hah.lock");
    assert_eq!(lock, other.read("project/hah.lock"));
    toy.run(&["lock", "toy"]).succeeded();
    assert_eq!(lock, toy.read("project/hah.lock"));
}

#[test]
fn config_show_names_origins() {
    let toy = Toy::new();
    toy.write("home/.config/hah-image/config.toml", "jobs = 3\n");
    let shown = |extra: &[&str]| {
        let args = [&["config", "show"], extra].concat();
        toy.run(&args).succeeded().stdout
    };
    let said = shown(&[]);
    let row =
        |said: &str, setting: &str| said.lines().find(|line| line.starts_with(setting)).unwrap_or_default().to_owned();
    for (setting, origin) in [
        ("jobs = 3", "config.toml"),
        ("offline = true", "environment HAH_IMAGE_OFFLINE"),
        ("cache-dir = ", "default"),
        ("mirrors.debian = file://", "hah-image.toml"),
        ("archives.keyrings = ", "hah-image.toml"),
        ("agent = ", "hah-image.toml"),
    ] {
        assert!(row(&said, setting).ends_with(origin), "{setting}: {said}");
    }
    assert!(row(&shown(&["--jobs", "5"]), "jobs = 5").ends_with("flag --jobs"));
    toy.write("project/hah-image.toml", "jbos = 5\n");
    toy.run(&["config", "show"]).failed(1, &["hah-image.toml", "jbos", "jobs"]);
}

#[test]
fn texts_for_other_programs() {
    let toy = Toy::new();
    for kind in ["recipe", "image"] {
        let schema: serde_json::Value = serde_json::from_str(&toy.run(&["schema", kind]).succeeded().stdout).unwrap();
        assert_eq!(schema["type"], "object", "{schema:#}");
    }
    let bash = toy.run(&["completions", "bash"]).succeeded().stdout;
    assert!(bash.contains("_hah__image") && bash.contains("complete -F"), "{bash}");
    for shell in ["zsh", "fish"] {
        assert!(toy.run(&["completions", shell]).succeeded().stdout.contains("keyring"));
    }
    let man = toy.run(&["man"]).succeeded().stdout;
    assert!(man.contains(".TH hah-image") && man.contains(".SH OPTIONS"), "{man}");
    let help = toy.run(&["--help"]).succeeded().stdout;
    assert!(help.contains("Exit codes: 0 done"), "{help}");
    assert!(toy.run(&["--version"]).succeeded().stdout.starts_with("hah-image "));
    assert_eq!(toy.run(&["biuld"]).code, Some(2));
    assert_eq!(toy.run(&["build", "toy", "--mirror", "nonsense"]).code, Some(2));
}

#[test]
fn shells_accept_the_completions() {
    if crate::oracles::is_missing("bash") {
        return;
    }
    let toy = Toy::new();
    toy.write("completions", toy.run(&["completions", "bash"]).succeeded().stdout);
    let output = std::process::Command::new("bash").arg("-n").arg(toy.path("completions")).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// Every line of `--json` is an object with an `event`, whatever happens, and stderr is silent.
#[test]
fn json_lines() {
    let toy = Toy::new();
    let events = |run: &Run| -> Vec<serde_json::Value> {
        assert_eq!(run.stderr, "");
        let values: Vec<serde_json::Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
        assert!(values.iter().all(|value| value["event"].is_string()), "{run}");
        values
    };
    let all: [&[&str]; 9] = [
        &["lock", "toy"],
        &["build", "toy", "--dry-run"],
        &["build", "toy", "--check", "--compress", "zst"],
        &["build", "toy"],
        &["why", "libtoy1"],
        &["why", "/etc/passwd", "--image", "toy"],
        &["gc"],
        &["store", "verify"],
        &["config", "show"],
    ];
    for args in all {
        let run = toy.run(&[&["--json"], args].concat());
        assert_eq!(run.code, Some(0), "{args:?}: {run}");
        assert!(events(&run).iter().any(|value| value["event"] == "result"), "{args:?}: {run}");
    }
    let run = toy.run(&["--json", "build", "toy"]);
    let result = events(&run).pop().unwrap();
    assert_eq!(result["sha256"], crate::archive::project::digest(&toy.image()));
    assert_eq!((&result["fresh"], &result["image"]), (&false.into(), &toy.image().to_string_lossy().as_ref().into()));
    let failed = toy.run(&["--json", "build", "tay"]);
    assert_eq!(failed.code, Some(1));
    assert_eq!(events(&failed).pop().unwrap()["event"], "error");
}

#[test]
fn quiet_and_plain() {
    let toy = Toy::new();
    let run = toy.run(&["-q", "build", "toy"]).succeeded();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (format!("{}\n", toy.image().display()).as_str(), ""));
    let run = toy.run(&["-q", "build", "tay"]);
    assert!(run.code == Some(1) && run.stderr.contains("error: "), "{run}");
    std::fs::remove_dir_all(toy.path("project/out")).unwrap();
    let run = toy.run(&["build", "toy"]).succeeded();
    assert!(run.stdout.is_empty() && run.stderr.contains("Built"), "{run}");
    assert!(!run.stderr.contains('\x1b'), "{run}");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let toy = Toy::new();
    assert!(toy.run(&["--color", "always", "build", "tay"]).stderr.contains("\x1b[1;31merror"));
    assert!(!toy.run(&["--color", "never", "build", "tay"]).stderr.contains('\x1b'));
    // On a terminal there is colour, unless NO_COLOR is set.
    for (no_color, is_colored) in [(None, true), (Some("1"), false), (Some(""), true)] {
        let mut command = toy.command(&["build", "tay"]);
        command.env("TERM", "xterm");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let (_, said) = Terminal::start(command).end();
        assert!(said.contains("error"), "{said}");
        assert_eq!(said.contains("\x1b[1;31m"), is_colored, "NO_COLOR={no_color:?}: {said:?}");
    }
}

#[test]
fn a_project_is_found_from_below() {
    let toy = Toy::new();
    std::fs::create_dir_all(toy.path("project/recipes/files")).unwrap();
    let mut command = toy.command(&["lock", "toy"]);
    Run::of(command.current_dir(toy.path("project/recipes/files"))).succeeded();
    assert!(toy.path("project/hah.lock").exists());
    let mut command = toy.command(&["-C", "../project", "lock", "toy", "--check"]);
    Run::of(command.current_dir(toy.path("home"))).succeeded();
    toy.run(&["-C", "/no/where", "lock", "toy"]).failed(2, &["/no/where", "-C"]);
}

#[test]
fn the_store_has_a_path() {
    let toy = Toy::new();
    assert_eq!(toy.run(&["store", "path"]).succeeded().stdout, format!("{}\n", toy.cache().display()));
}

#[test]
fn doctor_tells_what_is_there() {
    let toy = Toy::new();
    let run = toy.run(&["doctor"]).succeeded();
    assert!(run.stdout.contains("ok  the cache") && run.stdout.contains("ok  an agent"), "{run}");
    assert!(run.stdout.contains("--  qemu-system-aarch64 is not installed\n      on Debian: apt install"), "{run}");
    assert!(run.stdout.contains("--  there is no SSH key in an agent or in ~/.ssh\n      make one:"), "{run}");
    let groups: Vec<&str> = run.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(groups, ["build", "build faster and safer", "run", "flash", "log in, and keep secrets"]);

    // A fleet that wants secrets and has none; then one whose file is there.
    toy.write("project/cluster.toml", "name = \"toy\"\ntls = true\n[nodes.a]\nimage = \"toy\"\n");
    let wants = "--  cluster.toml wants secrets, and there is no secrets.age\n      make them: hah-image secrets init";
    let run = toy.run(&["doctor"]).succeeded();
    assert!(run.stdout.contains(wants), "{run}");
    toy.write("project/secrets.age", "");
    let run = toy.run(&["doctor"]).succeeded();
    assert!(run.stdout.contains("ok  secrets.age is there"), "{run}");
    toy.write("project/cluster.toml", "name = 1\n");
    assert!(toy.run(&["doctor"]).succeeded().stdout.contains("--  cluster.toml has mistakes"));
}

#[test]
fn doctor_fails_where_nothing_can_be_built() {
    let toy = Toy::new();
    toy.write("agent", "no program");
    toy.run(&["doctor"]).failed(1, &["nothing can be built here: there is no agent: ", "is not an ELF program"]);
    let run = toy.run(&["doctor", "--json"]);
    assert_eq!(run.code, Some(1), "{run}");
    let checks: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let agent = checks.iter().find(|check| check["check"].as_str().is_some_and(|text| text.contains("agent"))).unwrap();
    assert_eq!((&agent["for"], &agent["good"]), (&"build".into(), &false.into()));
}

/// A parameter from the command line is for one build; the project is as it was.
#[test]
fn set_is_for_one_build() {
    let toy = Toy::new();
    let usual = toy.build();
    let lock = toy.read("project/hah.lock");
    toy.run(&["build", "toy", "--set", "toy.level=5", "-o", "other.img"]).succeeded();
    assert_ne!(crate::archive::project::digest(&toy.path("project/other.img")), usual);
    assert_eq!(toy.read("project/hah.lock"), lock);
    assert_eq!(String::from_utf8(toy.read("project/recipes/toy.toml")).unwrap(), RECIPE);
    assert_eq!(toy.build(), usual);
}
