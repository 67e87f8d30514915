//! What recipes say together: requirements, conflicts, agreement.

use super::*;

#[test]
fn requires() {
    let files = [
        ("recipes/r.toml", "summary = \"R\"\nrequires = [\"s\"]"),
        ("recipes/s.toml", "summary = \"S\"\nrequires = [\"t\"]"),
        ("recipes/t.toml", "summary = \"T\"\nrequires = [\"r\"]"),
    ];
    insta::assert_snapshot!(wrong(&files), @r#"
    error: recipes require each other: r → s → t → r
      --> recipes/t.toml:2:13
       |
     2 | requires = ["r"]
       |             ^^^
       = hint: take one of these out of `requires`
    "#);
    insta::assert_snapshot!(recipe("requires = [\"r\"]"), @r#"
    error: recipes require each other: r → r
      --> recipes/r.toml:2:13
       |
     2 | requires = ["r"]
       |             ^^^
       = hint: take one of these out of `requires`
    "#);
    insta::assert_snapshot!(wrong(&[("images/i.toml", "summary = \"I\"\nboard = \"b\"\nrecipes = [\"base\", \"r\", \"base\"]\n")]), @r#"
    error: recipe `base` is listed twice
      --> images/i.toml:3:25
       |
     3 | recipes = ["base", "r", "base"]
       |                         ^^^^^^
       = hint: list it once; `requires` may name it as often as it likes
    "#);
}

#[test]
fn conflicts() {
    let twice = |one: &str, other: &str| {
        wrong(&[
            ("recipes/base.toml", &format!("{BASE}{one}\n")),
            ("recipes/r.toml", &format!("summary = \"R\"\n{other}\n")),
        ])
    };
    let file = "[[file]]\npath = \"/etc/motd\"\ncontent = \"\"";
    insta::assert_snapshot!(twice(file, file), @r#"
    error: file `/etc/motd` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/etc/motd"
       |        ^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/etc/motd"
       |        ----------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[directory]]\npath = \"/srv\"", "[[directory]]\npath = \"/srv\"\nmode = \"0700\""), @r#"
    error: directory `/srv` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[symlink]]\npath = \"/srv\"\ntarget = \"b\""), @r#"
    error: symbolic link `/srv` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[directory]]\npath = \"/srv\""), @r#"
    error: `/srv` is a symbolic link and also a directory
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv"
       |        ^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ first declared here
       = hint: drop one of them
    "#);
    insta::assert_snapshot!(twice("[[symlink]]\npath = \"/srv\"\ntarget = \"a\"", "[[directory]]\npath = \"/srv/x/y\""), @r#"
    error: `/srv/x/y` lies below `/srv`, which is a symbolic link
      --> recipes/r.toml:3:8
       |
     3 | path = "/srv/x/y"
       |        ^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | path = "/srv"
       |        ------ declared here
       = hint: drop one of them
    "#);
    let unit = |state: &str| format!("[[unit]]\nname = \"x.service\"\nstate = \"{state}\"");
    insta::assert_snapshot!(twice(&unit("enabled"), &unit("masked")), @r#"
    error: the state of unit `x.service` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "x.service"
       |        ^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "x.service"
       |        ----------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    let user = |name: &str| format!("[[user]]\nname = \"{name}\"\nuid = 1000\ngroup = \"users\"");
    insta::assert_snapshot!(twice(&user("a"), &user("a")), @r#"
    error: user `a` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "a"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice(&user("a"), &user("b")), @r#"
    error: user `a` and user `b` have the same id 1000
      --> recipes/r.toml:3:8
       |
     3 | name = "b"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first used here
       = hint: give one of them another id
    "#);
    let group = |name: &str, gid: u32| format!("[[group]]\nname = \"{name}\"\ngid = {gid}");
    insta::assert_snapshot!(twice(&group("a", 5), &group("a", 6)), @r#"
    error: group `a` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "a"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice(&group("a", 5), &group("b", 5)), @r#"
    error: group `a` and group `b` have the same id 5
      --> recipes/r.toml:3:8
       |
     3 | name = "b"
       |        ^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "a"
       |        --- first used here
       = hint: give one of them another id
    "#);
    let sysctl = |value: u32| format!("[[sysctl]]\nname = \"vm.swappiness\"\nvalue = \"{value}\"");
    insta::assert_snapshot!(twice(&sysctl(1), &sysctl(2)), @r#"
    error: kernel variable `vm.swappiness` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "vm.swappiness"
       |        ^^^^^^^^^^^^^^^
      ::: recipes/base.toml:7:8
       |
     7 | name = "vm.swappiness"
       |        --------------- first declared here
       = hint: drop one of them, or let the later one say `replace = true`
    "#);
    insta::assert_snapshot!(twice("", "[[suite]]\nname = \"trixie\"\nuse = \"pin-only\""), @r#"
    error: suite `trixie` is declared by base and by r
      --> recipes/r.toml:3:8
       |
     3 | name = "trixie"
       |        ^^^^^^^^
      ::: recipes/base.toml:5:8
       |
     5 | name = "trixie"
       |        -------- first declared here
       = hint: drop one of them
    "#);
    insta::assert_snapshot!(twice("os-release = { A = \"1\" }".replace("os", "[os-release]\nA = \"1\"\n#").as_str(), "os-release = { A = \"2\" }"), @r#"
    error: os-release field `A` is declared by base and by r
      --> recipes/r.toml:2:16
       |
     2 | os-release = { A = "2" }
       |                ^
      ::: recipes/base.toml:7:1
       |
     7 | A = "1"
       | - first declared here
       = hint: drop one of them
    "#);
}

/// Answers and ids are agreed on by all recipes; there is no `replace` for them.
#[test]
fn answers_and_ids_that_contradict() {
    let twice = |one: &str, other: &str| {
        wrong(&[
            ("recipes/base.toml", &format!("{BASE}{one}\n")),
            ("recipes/r.toml", &format!("summary = \"R\"\n{other}\n")),
        ])
    };
    insta::assert_snapshot!(twice("[debconf]\n\"p/q\" = true", "[debconf]\n\"p/q\" = false"), @r#"
    error: the answer to `p/q` is declared by base and by r
      --> recipes/r.toml:3:1
       |
     3 | "p/q" = false
       | ^^^^^
      ::: recipes/base.toml:7:1
       |
     7 | "p/q" = true
       | ----- first declared here
       = hint: drop one of them
    "#);
    insta::assert_snapshot!(twice("[ids.users]\na = 150", "[ids.users]\nb = 150"), @r#"
    error: user `a` and user `b` have the same id 150
      --> recipes/r.toml:3:1
       |
     3 | b = 150
       | ^
      ::: recipes/base.toml:7:1
       |
     7 | a = 150
       | - first used here
       = hint: give one of them another id
    "#);
    insta::assert_snapshot!(recipe("[debconf]\nq = true"), @r#"
    error: `q` is not a question such as `postfix/mailname`
      --> recipes/r.toml:3:1
       |
     3 | q = true
       | ^
    "#);
    insta::assert_snapshot!(recipe("[ids.users]\na = 5"), @r#"
    error: `a` is 5, expected 100 to 59999
      --> recipes/r.toml:3:5
       |
     3 | a = 5
       |     ^
    "#);
}

/// Texts of answers are templates; numbers and lists keep their shape until the package's template types them.
#[test]
fn answers_and_ids_reach_the_system() {
    use crate::debconf::answers::AnswerValue;
    let mut sources = project(&[("recipes/boards/b.toml", BOARD), ("images/i.toml", IMAGE)]);
    sources.insert("recipes/base.toml", "b", format!("{BASE}[debconf]\n\"p/port\" = 80\n\"p/on\" = true\n"));
    let r = "summary = \"R\"\n[params.name]\ntype = \"string\"\ndoc = \"N\"\ndefault = \"me\"\n\
        [debconf]\n\"p/name\" = \"{{ name }}.lab\"\n\"p/many\" = [\"a\", \"b\"]\n\"p/on\" = true\n\
        [ids]\nusers = { a = 150 }\ngroups = { g = 151 }\n";
    sources.insert("recipes/r.toml", "r", r);
    let system = load(&sources, "i", &[]).unwrap();
    let values: Vec<(&str, AnswerValue)> =
        system.debconf.iter().map(|answer| (answer.question.as_str(), answer.value.clone())).collect();
    let text = |text: &str| AnswerValue::Text(text.to_owned());
    let many = AnswerValue::List(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(
        values,
        [("p/many", many), ("p/name", text("me.lab")), ("p/on", AnswerValue::Boolean(true)), ("p/port", text("80"))]
    );
    let ids = system.declared_ids(&crate::scripts::Ids::default());
    assert_eq!((ids.users["a"], ids.groups["g"]), (150, 151));
}

/// `replace = true` is the way out of a conflict, and saying the same twice is none.
#[test]
fn replacing_and_agreeing() {
    let mut sources = project(&[("recipes/boards/b.toml", BOARD), ("images/i.toml", IMAGE)]);
    let body = "[[file]]\npath = \"/etc/motd\"\ncontent = \"ONE\"\nreplace = true\n[[directory]]\npath = \"/srv\"\n[[group]]\nname = \"a\"\ngid = 5\n";
    sources.insert("recipes/base.toml", "b", format!("{BASE}{body}"));
    sources.insert("recipes/r.toml", "r", format!("summary = \"R\"\n{}", body.replace("ONE", "TWO")));
    let system = load(&sources, "i", &[]).unwrap();
    assert_eq!((system.files[0].bytes.as_slice(), system.files[0].recipe.as_str()), (&b"TWO"[..], "r"));
    assert_eq!((system.directories.len(), system.groups.len(), system.recipes.join(" ").as_str()), (1, 1, "base r"));
}
