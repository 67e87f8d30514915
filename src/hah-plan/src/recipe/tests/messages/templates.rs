//! Templates and conditions.

use super::*;

#[test]
fn templates() {
    let param = "[params]\nx = { type = \"string\", default = \"v\", doc = \"d\" }\n";
    let file =
        |text: &str| recipe(&format!("{param}[[file]]\npath = \"/etc/x\"\ntemplate = '''\nfirst\n{text}\n'''\n"));
    insta::assert_snapshot!(file("a {{ y }} b"), @"
    error: `y` is not defined here
      --> recipes/r.toml:8:6
       |
     8 | a {{ y }} b
       |      ^
       = hint: defined here: base, board, image, r, recipes, x
    ");
    insta::assert_snapshot!(file("{% if x %}"), @"
    error: in a template: syntax error: unexpected end of input, expected end of block
      --> recipes/r.toml:8:9
       |
     8 | {% if x %}
       |         ^^
    ");
    insta::assert_snapshot!(file("{{ x | nope }}"), @"
    error: in a template: unknown filter: filter nope is unknown
      --> recipes/r.toml:8:8
       |
     8 | {{ x | nope }}
       |        ^^^^
    ");
    insta::assert_snapshot!(file("{{ now() }}"), @"
    error: in a template: unknown function: now is unknown
      --> recipes/r.toml:8:4
       |
     8 | {{ now() }}
       |    ^^^^^
    ");
    insta::assert_snapshot!(file("{% include 'other' %}"), @"
    error: in a template: syntax error: unknown statement include
      --> recipes/r.toml:8:4
       |
     8 | {% include 'other' %}
       |    ^^^^^^^
    ");
    insta::assert_snapshot!(file("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}"), @"
    error: in a template: engine ran out of fuel
      --> recipes/r.toml:8:53
       |
     8 | {% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}
       |                                                     ^
    ");
    insta::assert_snapshot!(file("{% set y = x * 1000 %}{{ y * 100000 }}"), @"
    error: in a template: engine ran out of fuel
      --> recipes/r.toml:8:26
       |
     8 | {% set y = x * 1000 %}{{ y * 100000 }}
       |                          ^^^^^^^^^^
    ");
    insta::assert_snapshot!(recipe("[[file]]\npath = \"/etc/x\"\ntemplate = \"a\\tb {{ y }}\""), @r#"
    error: `y` is not defined here
      --> recipes/r.toml:4:12
       |
     4 | template = "a\tb {{ y }}"
       |            ^^^^^^^^^^^^^^
       = hint: defined here: base, board, image, r, recipes
    "#);
    let beside = [
        ("recipes/files/t", "one\ntwo {{ three }}\n"),
        ("recipes/r.toml", "summary = \"R\"\n[[file]]\npath = \"/etc/x\"\ntemplate-source = \"files/t\"\n"),
    ];
    insta::assert_snapshot!(wrong(&beside), @"
    error: `three` is not defined here
      --> recipes/files/t:2:8
       |
     2 | two {{ three }}
       |        ^^^^^
       = hint: defined here: base, board, image, r, recipes
    ");
    insta::assert_snapshot!(recipe("[[symlink]]\npath = \"/etc/x\"\ntarget = \"{{ '\\n' }}\"\n"), @r#"
    error: `{{ '\n' }}` is not one line of text
      --> recipes/r.toml:4:10
       |
     4 | target = "{{ '\n' }}"
       |          ^^^^^^^^^^^^
    "#);
}

#[test]
fn conditions() {
    let when = |text: &str| recipe(&format!("[[directory]]\npath = \"/etc/x\"\nwhen = \"{text}\"\n"));
    insta::assert_snapshot!(when("rolle == 'server'"), @r#"
    error: `rolle` is not defined here
      --> recipes/r.toml:4:9
       |
     4 | when = "rolle == 'server'"
       |         ^^^^^^^^^^^^^^^^^
       = hint: defined here: base, board, image, r, recipes
    "#);
    insta::assert_snapshot!(when("'server'"), @r#"
    error: `when` gives a value of type string, expected true or false
      --> recipes/r.toml:4:8
       |
     4 | when = "'server'"
       |        ^^^^^^^^^^
       = hint: compare it, for example `role == 'server'`
    "#);
    insta::assert_snapshot!(when("1 +"), @r#"
    error: in a template: syntax error: unexpected end of input, expected expression
      --> recipes/r.toml:4:11
       |
     4 | when = "1 +"
       |           ^
    "#);
}
