//! What becomes of a job: JSON, HCL for Nomad, or a message.

mod conversions;
mod left_to_nomad;

use serde_json::{Value, json};

use super::reader::nanoseconds;
use super::*;

fn files(path: &str) -> Option<String> {
    match path {
        "/etc/motd" => Some("cost: ${5} and {{ this }}\n".to_owned()),
        "./web.conf" => Some("a \"b\"\\".to_owned()),
        _ => None,
    }
}

#[track_caller]
fn check(text: &str) -> Value {
    match forms(text, &files).unwrap().api {
        Api::Json(json) => serde_json::from_str(&json).unwrap(),
        Api::OnNode(reason) => panic!("left to Nomad: {reason}"),
    }
}

/// What is inside of `Job`, for a job of this text.
#[track_caller]
fn job(body: &str) -> Value {
    check(&format!("job \"a\" {{\n{body}\n}}"))["Job"].take()
}

/// The task `t`, of this text, in group `g`.
#[track_caller]
fn task(body: &str) -> Value {
    let group = job(&format!("group \"g\" {{\ntask \"t\" {{\n{body}\n}}\n}}"))["TaskGroups"][0].take();
    group["Tasks"][0].clone()
}

fn said(error: &JobError) -> String {
    format!("{error}{}", error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())
}

#[track_caller]
fn refused(text: &str) -> String {
    said(&forms(text, &files).unwrap_err())
}

/// The HCL that goes to Nomad, and why.
#[track_caller]
fn left(text: &str) -> (String, String) {
    let forms = forms(text, &files).unwrap();
    match forms.api {
        Api::Json(json) => panic!("not left to Nomad: {json}"),
        Api::OnNode(reason) => (forms.hcl, said(&reason)),
    }
}

#[test]
fn names_durations_and_lists_are_the_api_s() {
    let job = check(
        r#"
        job "web" {
          datacenters = ["*"]
          meta { owner = "anna" }
          update { healthy_deadline = "1h30m" }
          group "g" {
            network {
              port "http" { static = 80 }
              port "admin" {}
            }
            volume "data" {
              type = "host"
              source = "disk"
            }
            task "t" {
              driver = "exec"
              env = { A = "b" }
              config {
                command = "/usr/bin/web"
                args    = ["--port=${NOMAD_PORT_http}", "$${literal}"]
              }
              template {
                data        = file("/etc/motd")
                destination = "local/motd"
              }
              template {
                data = <<-EOH
                  one
                    two
                  EOH
                destination = "local/two"
              }
            }
          }
        }
        "#,
    );
    let expected = json!({ "Job": {
        "ID": "web", "Name": "web", "Datacenters": ["*"], "Meta": { "owner": "anna" },
        "Update": { "HealthyDeadline": 5_400_000_000_000_i64 },
        "TaskGroups": [{
            "Name": "g",
            "Networks": [{
                "ReservedPorts": [{ "Label": "http", "Value": 80 }], "DynamicPorts": [{ "Label": "admin" }]
            }],
            "Volumes": { "data": { "Name": "data", "Type": "host", "Source": "disk" } },
            "Tasks": [{
                "Name": "t", "Driver": "exec", "Env": { "A": "b" },
                "Config": { "command": "/usr/bin/web", "args": ["--port=${NOMAD_PORT_http}", "${literal}"] },
                "Templates": [
                    { "EmbeddedTmpl": "cost: ${5} and {{ this }}\n", "DestPath": "local/motd" },
                    { "EmbeddedTmpl": "one\n  two\n", "DestPath": "local/two" },
                ],
            }],
        }],
    }});
    assert_eq!(job, expected);
}

#[test]
fn files_beside_the_job_are_in_both_forms() {
    let text = "job \"a\" {\n  meta = { a = file(\"./web.conf\"), b = file(\"/etc/motd\") }\n}";
    let forms = forms(text, &files).unwrap();
    let expected = r#""a \"b\"\\""#;
    assert_eq!(forms.hcl, format!("job \"a\" {{\n  meta = {{ a = {expected}, b = file(\"/etc/motd\") }}\n}}"));
    assert_eq!(check(text)["Job"]["Meta"]["a"], "a \"b\"\\");
}

#[test]
fn messages() {
    let check = |text: &str, expected: &str| assert_eq!(refused(text), expected);
    check("job \"a\" {", "line 1 of the job: not HCL: invalid block body; expected `}`, newline or identifier");
    let one = "line 1 of the job: the file must hold one `job` block, with variables and locals at most";
    check("a = 1", one);
    check("", one);
    check("locals {}", one);
    check("job \"a\" {}\njob \"b\" {}", &one.replace('1', "2"));
    check("jobs \"a\" {}", "line 1 of the job: `jobs` is no block of a job file (did you mean `job`?)");
    check("job \"a\" {\n  priority = \"high\"\n}", "line 2 of the job: `priority` is not a whole number");
    check(
        "job \"a\" {\n  group \"g\" {\n    shutdown_delay = \"5\"\n  }\n}",
        "line 3 of the job: `shutdown_delay` is not a duration such as \"90s\"",
    );
    check("job \"a\" {\n  update = 1\n}", "line 2 of the job: `update` is not an attribute; it is written as a block");
    check("job \"a\" {\n  type {}\n}", "line 2 of the job: `type` is an attribute: write `type = …`");
    check("job \"a\" {\n  group {}\n}", "line 2 of the job: `group` needs one name");
    check("job \"a\" {\n  update {}\n  update {}\n}", "line 3 of the job: there is more than one `update`");
    check("job \"a\" {\n  datacenters = \"dc1\"\n}", "line 2 of the job: `datacenters` is not a list of strings");
    check(
        "job \"a\" {\n  type = file(\"x\")\n}",
        "line 2 of the job: beside the job is no text file `x` (a file of the image is written with [[file]] and named \
         by its whole path)",
    );
}

#[test]
fn durations_are_go_s() {
    for (text, expected) in [
        ("90s", Some(90_000_000_000)),
        ("1h30m", Some(5_400_000_000_000)),
        ("250ms", Some(250_000_000)),
        ("1.5h", Some(5_400_000_000_000)),
        (".5s", Some(500_000_000)),
        ("-1s", Some(-1_000_000_000)),
        ("10µs", Some(10_000)),
        ("0", Some(0)),
    ] {
        assert_eq!(nanoseconds(text), expected, "{text}");
    }
    for text in ["", "5", "s", "1d", "1.2.3s", ".s", "-", "99999999999999h", "1s ", "1 s", "1sm"] {
        assert_eq!(nanoseconds(text), None, "{text}");
    }
}
