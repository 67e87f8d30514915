#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask the machine's own debconf")]

use std::fmt::Write as _;
use std::process::{Command as Program, Stdio};

use super::answers::{Answer, AnswerProblem, AnswerValue, check, check_registered, split_list};
use super::templates::parse;
use super::*;
use crate::commands::bench::{package, read, run_as, world};
use crate::rootfs::UnpackedPackage;
use crate::scripts::closure::Scratch;
use crate::world::World;

const TEMPLATES: &str = "\
Template: thing/port
Type: string
Default: 80
Description: Port of ${PROGRAM} (\\${not}):
 The long text, folded
 over two lines.
 .
  indented
 .
 The end.
Description-de.UTF-8: Anschluss:
 Der lange Text.

Template: thing/enable
Type: boolean
Default: true
Description: Enable it?


Template: thing/kind
Type: select
Choices: small, big one, with\\, comma
Choices-de.UTF-8: klein, gross, mit\\, Komma
Default: big one
Description: Kind?

Template: thing/odd
Type: select
Choices: ${choices}
Default: nothing of them
Description: Odd?

Template: thing/many
Type: multiselect
Choices: a, b, c
Default: a, c
Description: Many?

Template: thing/secret
Type: password
Description: Secret?

Template: thing/note
Type: note
Description: A note
 with a text.

Template: thing/text
Type: text
Description: A text

Template: thing/error
Type: error
Description: An error

Template: thing/title
Type: title
Description: A title

Template: thing/english
Type: string
Default: colour
Default-en.UTF-8: color
Description: English?

Template: shared/thing
Type: string
Description: Shared
";

/// Each is a script: lines of one `db_…` call, or with `$` a change of what is waited for.
const SCRIPTS: &[&[&str]] = &[
    &["db_version 2.0", "db_version 1.0", "db_version 3", "db_version", "db_version 2 0"],
    &["db_capb", "db_capb backup", "db_capb escape", "db_get thing/port", "db_capb multiselect"],
    &["db_get thing/port", "db_get thing/secret", "db_get thing/none", "db_get", "db_get a b"],
    &["db_input high thing/port", "db_go", "db_get thing/port", "db_fget thing/port seen"],
    &[
        "db_input low thing/enable",
        "db_input urgent thing/enable",
        "db_input high thing/none",
        "db_input high",
        "db_go x",
    ],
    &["db_set thing/port 8080", "db_get thing/port", "db_reset thing/port", "db_get thing/port", "db_set thing/none 1"],
    &["db_set thing/port a  b c", "db_get thing/port", "db_set thing/port", "db_get thing/port"],
    &[
        "db_fset thing/port seen true",
        "db_fget thing/port seen",
        "db_fget thing/port other",
        "db_fset thing/port seen",
        "db_fget thing/none seen",
    ],
    &["db_fset thing/port isdefault false", "db_fget thing/port seen", "db_fget thing/port isdefault"],
    &[
        "db_subst thing/port PROGRAM the program",
        "db_metaget thing/port description",
        "db_subst thing/none A b",
        "db_subst thing/port",
    ],
    &["db_metaget thing/port type", "db_metaget thing/port default", "db_metaget thing/port extended_description"],
    &[
        "db_metaget thing/kind choices",
        "db_metaget thing/kind Choices-C",
        "db_metaget thing/kind owners",
        "db_metaget thing/kind nothing",
        "db_metaget thing/none type",
    ],
    &[
        "db_metaget thing/kind name",
        "db_metaget thing/kind template",
        "db_metaget thing/kind value",
        "db_metaget thing/kind priority",
    ],
    &["db_input high thing/kind", "db_metaget thing/kind priority", "db_go", "db_get thing/kind"],
    &["db_set thing/kind no choice", "db_input high thing/kind", "db_go", "db_get thing/kind"],
    &["db_set thing/kind with, comma", "db_input high thing/kind", "db_go", "db_get thing/kind"],
    &["db_input high thing/odd", "db_go", "db_get thing/odd"],
    &["db_subst thing/odd choices one, two", "db_input high thing/odd", "db_go", "db_get thing/odd"],
    &["db_input medium thing/many", "db_go", "db_get thing/many", "db_set thing/many b", "db_get thing/many"],
    // INPUT of a title is left out: the real frontend dies of it.
    &[
        "db_input high thing/note",
        "db_input high thing/text",
        "db_go",
        "db_get thing/note",
        "db_get thing/text",
        "db_get thing/title",
    ],
    &["db_set thing/text words", "db_input high thing/text", "db_go", "db_get thing/text"],
    &[
        "db_register thing/port thing/other",
        "db_get thing/other",
        "db_set thing/other 9",
        "db_get thing/other",
        "db_get thing/port",
        "db_metaget thing/other template",
    ],
    &[
        "db_register thing/none thing/x",
        "db_register thing/port",
        "db_unregister thing/x",
        "db_register thing/port thing/x",
        "db_unregister thing/x",
        "db_get thing/x",
    ],
    &["db_input high thing/port", "db_unregister thing/port", "db_go", "db_unregister thing/port", "db_get thing/port"],
    &[
        "db_title A title",
        "db_settitle thing/title",
        "db_settitle thing/none",
        "db_settitle",
        "db_info thing/note",
        "db_info",
        "db_info thing/none",
        "db_info a b",
    ],
    &["db_beginblock", "db_input high thing/port", "db_endblock", "db_go", "db_clear", "db_clear x"],
    &[
        "db_progress START 0 5 thing/title",
        "db_progress STEP 1",
        "db_progress INFO thing/note",
        "db_progress SET 4",
        "db_progress STOP",
        "db_progress START 5 0 thing/title",
        "db_progress START 0 1 thing/none",
        "db_progress",
        "db_progress JUMP",
    ],
    &[
        "db_data thing/new type string",
        "db_data thing/new default a\\\\nb",
        "db_get thing/new",
        "db_data thing/port type string",
        "db_data thing/newer default x",
        "db_data thing/new description New one",
        "db_metaget thing/new description",
    ],
    &[
        "db_capb escape",
        "db_set thing/port a\\\\nb",
        "db_get thing/port",
        "db_subst thing/port PROGRAM two\\ words",
        "db_metaget thing/port description",
    ],
    &["db_purge", "db_get thing/port", "db_get shared/thing"],
    &["db_text high thing/port", "db_go", "db_get thing/english"],
    &[
        "db_set thing/enable false",
        "db_input high thing/enable",
        "db_go",
        "db_get thing/enable",
        "db_reset thing/enable",
        "db_get thing/enable",
    ],
    &[
        "db_input high thing/secret",
        "db_go",
        "db_get thing/secret",
        "db_set thing/secret hidden",
        "db_get thing/secret",
    ],
    &["db_x_loadtemplatefile", "db_x_loadtemplatefile a b c", "db_reset thing/none", "db_purge x", "db_unregister"],
];

fn packages() -> &'static [UnpackedPackage] {
    let control = "Package: thing\nVersion: 1\nArchitecture: all\nDescription: x\n";
    let mut package = package(control, &[]);
    package.control.insert("templates".to_owned(), TEMPLATES.as_bytes().to_vec());
    Box::leak(Box::new([package]))
}

fn started() -> World<'static> {
    let mut world = world(&[("etc/.keep", "")]);
    world.packages = packages();
    world
}

/// What a script sees: after each call the status and `RET`.
fn ours(script: &[&str]) -> String {
    let mut world = started();
    let (mut log, mut ret) = (String::new(), String::new());
    for line in script {
        let line = line.replace("\\\\", "\\").replace("\\ ", "\\\u{1}");
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\u{1}', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = run_as(&mut world, Some("thing"), &words, "").unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        for (name, value) in ran.assign {
            assert_eq!(name, "RET");
            ret = value;
        }
        let _ = writeln!(log, "{} <{ret}>", ran.status);
    }
    log
}

/// The same of the machine's debconf; `None` when it has none.
fn theirs(scratch: &Scratch, script: &[&str]) -> Option<String> {
    let at = scratch.path();
    let mut text = String::from("#!/bin/sh\n. /usr/share/debconf/confmodule\ndb_capb\n");
    let _ = writeln!(text, "db_x_loadtemplatefile {at}/templates thing\nRET=");
    for line in script {
        let words: Vec<String> = line
            .replace("\\\\", "\\")
            .replace("\\ ", "\\\u{1}")
            .split(' ')
            .map(|word| format!("'{}'", word.replace('\u{1}', " ")))
            .collect();
        let _ = writeln!(text, "{}\necho \"$? <$RET>\" >> {at}/log", words.join(" "));
    }
    scratch.write("script", text);
    scratch.write("log", "");
    scratch.write("config.dat", "");
    scratch.write("templates.dat", "");
    scratch.write(
        "debconf.conf",
        format!(
            "Config: c\nTemplates: t\n\nName: c\nDriver: File\nFilename: {at}/config.dat\n\n\
             Name: t\nDriver: File\nFilename: {at}/templates.dat\n"
        ),
    );
    let ran = Program::new("/usr/share/debconf/frontend")
        .args(["sh", &format!("{at}/script")])
        .env("DEBCONF_SYSTEMRC", format!("{at}/debconf.conf"))
        .env("DEBCONF_PACKAGE", "thing")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("LANGUAGE")
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(output) => {
            let log = scratch.read("log");
            assert!(!log.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(log)
        }
        Err(_) => {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").is_err(), "debconf is not installed");
            println!("skipped: debconf is not installed");
            None
        }
    }
}

#[test]
fn scripts_get_the_answers_and_statuses_of_the_real_debconf() {
    let scratch = Scratch::new("debconf");
    scratch.write("templates", TEMPLATES);
    let mut wrong = Vec::new();
    // With debconf-i18n, debconf converts between character sets, and then DATA and `Default-en.UTF-8` mean something.
    let i18n = Program::new("perl").args(["-MText::Iconv", "-e", "1"]).output().is_ok_and(|ran| ran.status.success());
    let converted = |script: &&&[&str]| {
        i18n && script.iter().any(|line| line.starts_with("db_data") || line.ends_with("thing/english"))
    };
    for script in SCRIPTS.iter().filter(|script| !converted(script)) {
        let Some(theirs) = theirs(&scratch, script) else { return };
        let ours = ours(script);
        if ours != theirs {
            wrong.push(format!("{script:#?}\nours:\n{ours}theirs:\n{theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn templates_that_are_malformed_are_errors_with_their_stanza() {
    for (text, stanza) in [
        ("Template: a/b\nType: string\n\nType: string\n", 2),
        ("Template: a/b\n", 1),
        ("Template: a/b\nType: string\nType: string\n", 1),
        ("Template: a/b\nType: string\nnonsense\n", 1),
    ] {
        assert_eq!(parse(text).unwrap_err().stanza, stanza, "{text}");
    }
    assert!(parse(&"#".repeat(9 << 20)).is_err());
    assert_eq!(parse("").unwrap().len(), 0);
    let all = parse(TEMPLATES).unwrap();
    assert_eq!(all.len(), 12);
    assert_eq!(all[0]["extended_description"], "The long text, folded over two lines.\n\n indented\n\n\nThe end.");
}

fn answer(question: &str, value: AnswerValue) -> Answer {
    Answer { question: question.to_owned(), value, recipe: "r".to_owned() }
}

fn text(text: &str) -> AnswerValue {
    AnswerValue::Text(text.to_owned())
}

#[test]
fn a_recipes_answer_is_what_scripts_get() {
    let answers = check(
        &[
            answer("thing/port", text("8080")),
            answer("thing/enable", AnswerValue::Boolean(false)),
            answer("thing/kind", text("with, comma")),
            answer("thing/many", AnswerValue::List(vec!["b".to_owned(), "c".to_owned()])),
            answer("thing/odd", text("known when the script runs")),
        ],
        packages(),
    )
    .unwrap();
    let mut world = started();
    world.debconf = Debconf::new(answers);
    let mut get = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = run_as(&mut world, Some("thing"), &words, "").unwrap();
        ran.assign.last().map(|(_, ret)| ret.clone()).unwrap_or_default()
    };
    for (question, value) in [
        ("port", "8080"),
        ("enable", "false"),
        ("kind", "with, comma"),
        ("many", "b, c"),
        ("odd", "known when the script runs"),
    ] {
        get(&format!("db_input high thing/{question}"));
        if question != "odd" {
            get("db_go");
        }
        assert_eq!(get(&format!("db_get thing/{question}")), value);
        assert_eq!(get(&format!("db_fget thing/{question} seen")), "true");
    }
    get("db_reset thing/port");
    assert_eq!(get("db_get thing/port"), "8080");
}

#[test]
fn answers_that_do_not_fit_are_all_reported() {
    let errors = check(
        &[
            answer("thing/prot", text("1")),
            answer("else/where", text("1")),
            answer("thing/port", AnswerValue::Boolean(true)),
            answer("thing/enable", text("true")),
            answer("thing/kind", text("klein")),
            answer("thing/many", AnswerValue::List(vec!["d".to_owned()])),
            answer("thing/secret", text("x")),
            answer("thing/note", text("x")),
        ],
        packages(),
    )
    .unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 8, "{said:#?}");
    assert_eq!(said[0], "r: [debconf] \"thing/prot\": no package of the image asks this; did you mean `thing/port`?");
    assert_eq!(said[1], "r: [debconf] \"else/where\": no package of the image asks this");
    assert_eq!(said[2], "r: [debconf] \"thing/port\": the template wants one line of text, not true or false");
    assert_eq!(said[4], "r: [debconf] \"thing/kind\": `klein` is not among the choices: small, big one, with, comma");
    assert_eq!(errors[6].problem, AnswerProblem::Password);
    assert_eq!(errors[7].problem, AnswerProblem::Nothing("note".to_owned()));
}

/// dbconfig-common's questions are asked under the name of the package that wants a database.
#[test]
fn a_question_that_a_script_registers_can_be_answered() {
    let given = [answer("mine/enable", AnswerValue::Boolean(false))];
    let found = check(&given, packages()).unwrap();
    assert_eq!(found["mine/enable"], "false");
    let wrong = check(&[answer("mine/enable", text("no"))], packages()).unwrap_err();
    assert_eq!(wrong[0].to_string(), "r: [debconf] \"mine/enable\": the template wants true or false, not a text");
    // Nobody has registered it.
    let errors = check_registered(&given, &Debconf::new(found)).unwrap_err();
    assert_eq!(errors[0].to_string(), "r: [debconf] \"mine/enable\": no package of the image asks this");
}

#[test]
fn lists_are_split_as_debconf_splits_them() {
    assert_eq!(split_list("a, b,c,  d\\, e\\ f"), ["a", "b,c", "d, e f"]);
    assert_eq!(split_list(""), Vec::<String>::new());
}

#[test]
fn the_tools_of_debconf_know_the_same_questions() {
    let mut world = started();
    let mut ran = |words: &[&str], stdin: &str| run_as(&mut world, Some("thing"), words, stdin).unwrap();
    let set = "# comment\nthing thing/port string 81\nthing thing/enable boolean true\nthing thing/enable seen false\n\
        thing x/y string a b\\\n c\nthing\n";
    assert_eq!(ran(&["db_get", "thing/port"], "").assign[0].1, "80");
    assert_eq!(ran(&["debconf-set-selections"], set).status, 1);
    assert_eq!(ran(&["db_get", "thing/port"], "").assign[0].1, "81");
    assert_eq!(ran(&["db_get", "x/y"], "").assign[0].1, "a b c");
    assert_eq!(
        ran(&["debconf-communicate", "thing"], "GET thing/port\nFGET thing/port seen\nNOPE\nSTOP\nGET x/y\n").out,
        "0 81\n0 true\n20 Unsupported command \"nope\" (full line was \"NOPE\") received from confmodule.\n"
    );
    let shown = ran(&["debconf-show", "thing"], "").out;
    assert!(shown.contains("* thing/port: 81\n") && shown.contains("  thing/secret: (password omitted)\n"), "{shown}");
    assert_eq!(ran(&["debconf-escape", "-e"], "a\\\nb").out, "a\\\\\\nb");
    assert_eq!(ran(&["debconf-escape", "-u"], "a\\\\\\nb").out, "a\\\nb");
    let refusal = run_as(&mut world, Some("thing"), &["db_subst", "thing/port", "A", "x\ny"], "").unwrap_err();
    assert!(refusal.what.contains("breaks debconf's protocol"), "{refusal}");
    assert_eq!(read(&mut world, "/etc/.keep"), "");
}
