//! Parameters: their declarations, and what images and the command line say of them.

use super::*;

/// A recipe with one parameter of every type.
const PARAMS: &str = r#"
summary = "R"
[params]
role = { type = "enum", choices = ["server", "client"], default = "client", doc = "A role." }
count = { type = "integer", default = 1, min = 1, max = 9, doc = "A count." }
port = { type = "port", default = 22, doc = "A port." }
keys = { type = "list", default = [], pattern = "ssh-.*", max = 2, doc = "Keys." }
home = { type = "path", default = "/home", doc = "A path." }
space = { type = "size", default = "1 GiB", min = "1 MiB", doc = "A size." }
wait = { type = "duration", default = "15m", max = "1h", doc = "A duration." }
name = { type = "string", pattern = "[a-z]+", doc = "What it is called." }
loud = { type = "boolean", default = false, doc = "Whether it is loud." }
"#;

#[track_caller]
fn set(lines: &str) -> String {
    wrong(&[("recipes/r.toml", PARAMS), ("images/i.toml", &format!("{IMAGE}[params]\nr.name = \"x\"\n{lines}\n"))])
}

#[test]
fn parameters_of_images() {
    insta::assert_snapshot!(wrong(&[("recipes/r.toml", PARAMS)]), @r#"
    error: parameter `r.name` has no value
       --> recipes/r.toml:11:1
        |
     11 | name = { type = "string", pattern = "[a-z]+", doc = "What it is called." }
        | ^^^^
        = hint: What it is called.
                set it in the image: `[params]` with `r.name = …`
    "#);
    insta::assert_snapshot!(set("r.rolle = \"server\""), @r#"
    error: recipe `r` has no parameter `rolle`
      --> images/i.toml:6:3
       |
     6 | r.rolle = "server"
       |   ^^^^^
       = hint: did you mean `role`?
    "#);
    insta::assert_snapshot!(set("base.x = 1"), @"
    error: recipe `base` has no parameter `x`
      --> images/i.toml:6:6
       |
     6 | base.x = 1
       |      ^
       = hint: `base` has no parameters
    ");
    insta::assert_snapshot!(set("nomad.x = 1"), @"
    error: recipe `nomad` is not part of image `i`, so `nomad.x` sets nothing
      --> images/i.toml:6:1
       |
     6 | nomad.x = 1
       | ^^^^^
       = hint: add `nomad` to `recipes`, or drop the line
    ");
    insta::assert_snapshot!(set("r.role = \"sever\""), @r#"
    error: parameter `r.role` cannot be `sever`
      --> images/i.toml:6:10
       |
     6 | r.role = "sever"
       |          ^^^^^^^
       = hint: did you mean `server`?
    "#);
    insta::assert_snapshot!(set("r.count = 10\nr.wait = \"2h\"\nr.space = 5\nr.keys = [\"ssh-a\", \"ssh-b\", \"ssh-c\"]"), @r#"
    error: parameter `r.count` is 10, expected 1 to 9
      --> images/i.toml:6:11
       |
     6 | r.count = 10
       |           ^^

    error: parameter `r.wait` is 2h, expected at most 1h
      --> images/i.toml:7:10
       |
     7 | r.wait = "2h"
       |          ^^^^

    error: parameter `r.space` is 5 B, expected at least 1 MiB
      --> images/i.toml:8:11
       |
     8 | r.space = 5
       |           ^

    error: parameter `r.keys` is 3 items, expected at most 2 items
      --> images/i.toml:9:10
       |
     9 | r.keys = ["ssh-a", "ssh-b", "ssh-c"]
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(set("r.count = \"3\"\nr.port = 0\nr.home = \"home\"\nr.wait = 5\nr.loud = \"yes\""), @r#"
    error: parameter `r.count` is `3`, expected an integer
      --> images/i.toml:6:11
       |
     6 | r.count = "3"
       |           ^^^

    error: parameter `r.port` is `0`, expected a port from 1 to 65535
      --> images/i.toml:7:10
       |
     7 | r.port = 0
       |          ^

    error: parameter `r.home` is `home`, expected an absolute path
      --> images/i.toml:8:10
       |
     8 | r.home = "home"
       |          ^^^^^^

    error: parameter `r.wait` is `5`, expected a duration such as "15m"
      --> images/i.toml:9:10
       |
     9 | r.wait = 5
       |          ^

    error: parameter `r.loud` is `yes`, expected true or false
       --> images/i.toml:10:10
        |
     10 | r.loud = "yes"
        |          ^^^^^
    "#);
    insta::assert_snapshot!(set("r.keys = [\"rsa\"]"), @r#"
    error: parameter `r.keys`: `rsa` does not match `ssh-.*`
      --> images/i.toml:6:10
       |
     6 | r.keys = ["rsa"]
       |          ^^^^^^^
    "#);
    insta::assert_snapshot!(set("r.keys = [1]\nr.space = \"5 GB\""), @r#"
    error: parameter `r.keys` is an array with an integer in it, expected an array of strings
      --> images/i.toml:6:10
       |
     6 | r.keys = [1]
       |          ^^^

    error: parameter `r.space` is `5 GB`, expected a size such as "64 MiB"
      --> images/i.toml:7:11
       |
     7 | r.space = "5 GB"
       |           ^^^^^^
    "#);
    insta::assert_snapshot!(image("[params]\nr = 1"), @"
    error: `r` is an integer, expected a table
      --> images/i.toml:5:5
       |
     5 | r = 1
       |     ^
    ");
}

#[test]
fn parameters_of_overrides() {
    let files = [("recipes/r.toml", PARAMS)];
    insta::assert_snapshot!(wrong_with(&files, &["r.name=x", "r.role=boss", "r.count=many", "r.kount=1", "role=x"]), @"
    error: `role=x` is not `RECIPE.PARAMETER=VALUE`
      --> --set:1:1
       |
     1 | role=x
       | ^^^^^^
       = hint: for example `consul.role=client`

    error: recipe `r` has no parameter `kount`
      --> --set:1:3
       |
     1 | r.kount=1
       |   ^^^^^
       = hint: did you mean `count`?

    error: parameter `r.role` cannot be `boss`
      --> --set:1:8
       |
     1 | r.role=boss
       |        ^^^^
       = hint: expected one of: server, client

    error: parameter `r.count` is `many`, expected an integer
      --> --set:1:9
       |
     1 | r.count=many
       |         ^^^^
    ");
    insta::assert_snapshot!(wrong_with(&files, &["r.name=X", "r.keys=[\"ssh-a\", 5]", "s.x=1"]), @r#"
    error: recipe `s` is not part of image `i`, so `s.x` sets nothing
      --> --set:1:1
       |
     1 | s.x=1
       | ^
       = hint: add `s` to `recipes`, or drop the line

    error: parameter `r.name`: `X` does not match `[a-z]+`
      --> --set:1:8
       |
     1 | r.name=X
       |        ^

    error: parameter `r.keys` is an array with an integer in it, expected an array of strings
      --> --set:1:8
       |
     1 | r.keys=["ssh-a", 5]
       |        ^^^^^^^^^^^^
    "#);
}

#[test]
fn declarations_of_parameters() {
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"int\", doc = \"d\" }"), @r#"
    error: `type` cannot be `int`
      --> recipes/r.toml:3:14
       |
     3 | x = { type = "int", doc = "d" }
       |              ^^^^^
       = hint: expected one of: string, integer, boolean, enum, list, port, path, size, duration
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"integer\", doc = \"d\", default = \"a\", min = \"a\" }"), @r#"
    error: parameter `x` is `a`, expected an integer
      --> recipes/r.toml:3:46
       |
     3 | x = { type = "integer", doc = "d", default = "a", min = "a" }
       |                                              ^^^

    error: parameter `min` is `a`, expected an integer
      --> recipes/r.toml:3:57
       |
     3 | x = { type = "integer", doc = "d", default = "a", min = "a" }
       |                                                         ^^^
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"boolean\", doc = \"d\", default = true, max = 1, choices = [\"a\"] }"), @r#"
    error: `max` has no meaning for a parameter of type boolean
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "boolean", doc = "d", default = true, max = 1, choices = ["a"] }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: drop it

    error: `choices` has no meaning for a parameter of type boolean
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "boolean", doc = "d", default = true, max = 1, choices = ["a"] }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: drop it
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"enum\", doc = \"d\", default = \"a\" }"), @r#"
    error: a parameter of type enum needs `choices`
      --> recipes/r.toml:3:5
       |
     3 | x = { type = "enum", doc = "d", default = "a" }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: add `choices`: The values of an `enum`.
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"string\", doc = \"d\", default = \"a\", pattern = \"(\" }"), @r#"
    error: not a regular expression: found open group without closing ')'
      --> recipes/r.toml:3:60
       |
     3 | x = { type = "string", doc = "d", default = "a", pattern = "(" }
       |                                                            ^^^
    "#);
    insta::assert_snapshot!(recipe("[params]\nboard = { type = \"string\", default = \"\", doc = \"d\" }"), @r#"
    error: `board` is the board in templates, so no parameter of that name can be seen
      --> recipes/r.toml:3:1
       |
     3 | board = { type = "string", default = "", doc = "d" }
       | ^^^^^
       = hint: rename the parameter
    "#);
    insta::assert_snapshot!(recipe("[params]\nx = { type = \"port\", default = 80, max = 79, doc = \"d\" }"), @r#"
    error: parameter `x` is 80, expected at most 79
      --> recipes/r.toml:3:32
       |
     3 | x = { type = "port", default = 80, max = 79, doc = "d" }
       |                                ^^
    "#);
}
