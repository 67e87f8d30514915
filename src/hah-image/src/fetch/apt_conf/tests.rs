use super::*;

fn conf(text: &str) -> AptConf {
    let mut conf = AptConf::default();
    parse(text).into_iter().for_each(|statement| conf.apply(statement, Path::new("apt.conf")));
    conf
}

#[track_caller]
fn check(text: &str, scheme: &str, want: Option<Told>) {
    let conf = conf(text);
    assert_eq!(conf.proxy(scheme, "m.example").map(|(told, _)| told), want, "{text}");
}

fn proxy(url: &str) -> Option<Told> {
    Some(Told::Proxy(url.to_owned()))
}

#[test]
fn every_way_to_write_a_proxy_is_read() {
    let p = "http://p:3128";
    for text in [
        "Acquire::http::Proxy \"http://p:3128\";",
        "acquire::HTTP::proxy \"http://p:3128\";",
        "Acquire::http::Proxy \"http://p:3128\"",
        "Acquire { http { Proxy \"http://p:3128\"; }; };",
        "Acquire{http{Proxy \"http://p:3128\";}}",
        "Acquire { http::Proxy \"http://p:3128\" };",
        "Acquire::http\n{\n  // Proxy \"http://no\";\n  Proxy\n   \"http://p:3128\"; # said\n};",
        "/* Acquire::http::Proxy \"http://no\"; */ Acquire::http::Proxy \"http://p:3128\"; // x",
        "# Acquire::http::Proxy \"http://no\";\nAPT::NeverAutoRemove { \"^linux-.*;{\"; \"x\"; };\nAcquire::http::Proxy \"http://p:3128\";",
        "Acquire::http::Proxy \"http://no\";\nAcquire::http::Proxy \"http://p:3128\";",
        "Acquire::http::Proxy \"http://no\";\n#clear Acquire::http;\nAcquire::http::Proxy \"http://p:3128\";",
        "Acquire \"x\" { http \"y\" { Proxy \"http://p:3128\"; }; };",
        "DPkg::Options:: \"--x\";\nAcquire::http::Proxy \"http://p:3128\";",
        "#notclear x\nAcquire::http::Proxy \"http://p:3128\";",
    ] {
        if text.ends_with("3128\"") {
            // apt wants the semicolon, and so do we.
            check(text, "http", None);
        } else {
            check(text, "http", proxy(p));
            check(text, "https", proxy(p));
        }
    }
}

#[test]
fn who_comes_first() {
    let table = [
        ("", "http", None),
        ("Acquire::http::Proxy \"\";", "http", None),
        ("Acquire::http::Proxy \"http://p\";\n#clear Acquire::http::Proxy;", "http", None),
        ("Acquire::http::Proxy \"http://p\";\n#clear Acquire;", "http", None),
        ("Acquire::http::Proxy \"DIRECT\";", "http", Some(Told::Direct)),
        ("Acquire::http::Proxy \"false\";", "http", Some(Told::Direct)),
        ("Acquire::http::Proxy \"http://p\"; Acquire::http::Proxy::m.example \"DIRECT\";", "http", Some(Told::Direct)),
        ("Acquire::http::Proxy \"http://p\"; Acquire::http::Proxy::M.Example \"http://q\";", "http", proxy("http://q")),
        ("Acquire::http::Proxy \"http://p\"; Acquire::http::Proxy::n.example \"DIRECT\";", "http", proxy("http://p")),
        ("Acquire::http { Proxy \"http://p\"; Proxy { m.example \"http://q\"; }; };", "http", proxy("http://q")),
        ("Acquire::http::Proxy \"http://p\"; Acquire::https::Proxy \"http://s\";", "https", proxy("http://s")),
        ("Acquire::http::Proxy \"http://p\"; Acquire::https::Proxy \"http://s\";", "http", proxy("http://p")),
        ("Acquire::http::Proxy \"http://p\"; Acquire::https::Proxy \"DIRECT\";", "https", Some(Told::Direct)),
        ("Acquire::https::Proxy \"http://s\";", "http", None),
        (
            "Acquire::http::Proxy::m.example \"http://q\"; Acquire::https::Proxy \"http://s\";",
            "https",
            proxy("http://q"),
        ),
        (
            "Acquire::http::Proxy \"http://p\"; Acquire::http::Proxy-Auto-Detect \"/bin/d\";",
            "http",
            Some(Told::Ask("/bin/d".into())),
        ),
        (
            "Acquire::http::Proxy \"http://p\"; Acquire::http::ProxyAutoDetect \"/bin/d\";",
            "http",
            Some(Told::Ask("/bin/d".into())),
        ),
        (
            "Acquire::http::Proxy::m.example \"http://q\"; Acquire::http::ProxyAutoDetect \"/bin/d\";",
            "http",
            proxy("http://q"),
        ),
        ("Acquire::http::Proxy \"http://p\"; Acquire::http::ProxyAutoDetect \"/bin/d\";", "https", proxy("http://p")),
    ];
    for (text, scheme, want) in table {
        check(text, scheme, want);
    }
}

#[test]
fn what_cannot_be_read_ends_the_file_and_keeps_what_came_before() {
    let good = "Acquire::http::Proxy \"http://p\";\n";
    for bad in ["};", "x \"y", "/* x", "a b c d;", "a { #clear b; };", "a \"\"\"\";", "{"] {
        check(
            &format!("{good}{bad}\nAcquire::http::Proxy \"http://q\";"),
            "http",
            proxy(if bad == "{" { "http://q" } else { "http://p" }),
        );
    }
    let deep = format!("{good}{}", "a{".repeat(100));
    check(&deep, "http", proxy("http://p"));
}

#[test]
fn files_are_read_in_apts_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("apt.conf.d")).unwrap();
    let says = || {
        let conf = AptConf::read(dir.path(), Some(&dir.path().join("own")));
        conf.proxy("http", "m.example").map(|(told, place)| (told, place.to_string()))
    };
    assert_eq!(says(), None);
    let line = |host: &str| format!("\nAcquire::http::Proxy \"http://{host}\";\n");
    let mut steps = vec![("own", "a"), ("apt.conf.d/10a", "b"), ("apt.conf.d/20b.conf", "c"), ("apt.conf", "d")];
    // None of these is read.
    for name in ["apt.conf.d/90x.save", "apt.conf.d/90x~", "apt.conf.d/.90x", "apt.conf.d/90x.conf.dpkg-old"] {
        write(name, &line("no"));
    }
    for (name, host) in steps.drain(..) {
        write(name, &line(host));
        let place = format!("{}:2 Acquire::http::Proxy", dir.path().join(name).display());
        assert_eq!(says(), Some((Told::Proxy(format!("http://{host}")), place)));
    }
    write("more", &line("e"));
    write("apt.conf", &format!("#include \"{}\";\n#include \"/nonexistent\";", dir.path().join("more").display()));
    assert_eq!(says().unwrap().0, Told::Proxy("http://e".to_owned()));
    // A file that includes itself ends.
    write("apt.conf", &format!("#include \"{}\";\n{}", dir.path().join("apt.conf").display(), line("f")));
    assert_eq!(says().unwrap().0, Told::Proxy("http://f".to_owned()));
}

/// apt's own reading, where apt is.
#[test]
fn apt_config_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [
        "Acquire { http { Proxy \"http://p:3128\"; }; };",
        "Acquire::http::Proxy \"http://no\";\n#clear Acquire::http;\nAcquire::http::Proxy \"http://p:3128\"; // x",
        "/* Acquire::http::Proxy \"http://no\"; */\nACQUIRE::http::PROXY \"http://p:3128\"; # x",
        "APT::NeverAutoRemove { \"^linux-.*;{\"; \"x\"; };\nAcquire::http { Proxy \"http://p\"; Proxy { m.example \"DIRECT\"; }; };",
        "Acquire \"x\" { http \"y\" { Proxy \"http://p:3128\"; }; };",
        "Acquire::http::Proxy \"http://p\";\n#clear Acquire::http::Proxy;",
        "Acquire{http{Proxy \"http://p:3128\";};};",
    ];
    for text in texts {
        let file = dir.path().join("conf");
        std::fs::write(&file, text).unwrap();
        let mut apt = std::process::Command::new("apt-config");
        apt.args(["-o", "Dir::Etc::parts=/nonexistent", "-o", "Dir::Etc::main=/nonexistent"]).env("APT_CONFIG", &file);
        apt.args(["shell", "p", "Acquire::http::Proxy", "h", "Acquire::http::Proxy::m.example"]);
        let Ok(output) = apt.output() else {
            println!("skipped: no apt-config");
            return;
        };
        // What was cleared is empty to apt.
        let theirs = String::from_utf8(output.stdout).unwrap().replace("p=''\n", "");
        let ours = conf(text);
        let mut want = String::new();
        for (letter, name) in [("p", "acquire::http::proxy"), ("h", "acquire::http::proxy::m.example")] {
            if let Some(found) = ours.get(name) {
                want.push_str(&format!("{letter}='{}'\n", found.value));
            }
        }
        assert_eq!(theirs, want, "{text}");
    }
}
