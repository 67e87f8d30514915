//! What becomes of a job, and what is said about one that is not understood.

use super::*;

fn check(text: &str) -> Value {
    to_json(text, &|path| (path == "/etc/motd").then(|| "cost: ${5} and {{ this }}\n".to_owned())).unwrap()
}

fn refused(text: &str) -> String {
    let error = to_json(text, &|_| None).unwrap_err();
    format!("{error}{}", error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())
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
fn messages() {
    let check = |text: &str, expected: &str| assert_eq!(refused(text), expected);
    check("job \"a\" {", "line 1 of the job: not HCL: invalid block body; expected `}`, newline or identifier");
    check("a = 1", "line 1 of the job: the file must hold one `job` block and nothing else");
    check(
        "job \"a\" {\n  update {\n    max_paralel = 1\n  }\n}",
        "line 3 of the job: `max_paralel` is not understood in update (did you mean `max_parallel`?)",
    );
    check("job \"a\" {\n  priority = \"high\"\n}", "line 2 of the job: `priority` is not a whole number");
    check(
        "job \"a\" {\n  group \"g\" {\n    shutdown_delay = \"5\"\n  }\n}",
        "line 3 of the job: `shutdown_delay` is not a duration such as \"90s\"",
    );
    check("job \"a\" {\n  update = 1\n}", "line 2 of the job: `update` is not an attribute; it is written as a block");
    check("job \"a\" {\n  type {}\n}", "line 2 of the job: `type` is an attribute: write `type = …`");
    check("job \"a\" {\n  group {}\n}", "line 2 of the job: `group` needs one name");
    check("job \"a\" {\n  update {}\n  update {}\n}", "line 3 of the job: there is more than one `update`");
    check(
        "job \"a\" {\n  type = var.kind\n}",
        "line 2 of the job: `var.kind` is an expression, which is not understood (the recipe's template can compute it)",
    );
    check(
        "job \"a\" {\n  type = file(\"x\")\n}",
        "line 2 of the job: the image has no text file `x` (write it with [[file]], and name it by its whole path)",
    );
}

#[test]
fn durations_are_go_s() {
    for (text, expected) in
        [("90s", Some(90_000_000_000)), ("1h30m", Some(5_400_000_000_000)), ("250ms", Some(250_000_000))]
    {
        assert_eq!(nanoseconds(text), expected);
    }
    for text in ["", "5", "s", "1d", "-1s", "1.5h", "99999999999999h"] {
        assert_eq!(nanoseconds(text), None, "{text}");
    }
}
