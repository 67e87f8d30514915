//! Nomad jobs of recipes, as files of the image.

use super::shipped::{file, shipped};
use super::*;

/// The image of a Nomad server with these files more; `jobs` is what its image adds.
fn server(jobs: &str, files: &[(&str, &str)]) -> System {
    let mut sources = shipped();
    let text = String::from_utf8(sources.bytes("images/pi4-server.toml").unwrap().to_vec()).unwrap();
    sources.insert("images/i.toml", "images/i.toml", format!("{text}\n{jobs}"));
    for (path, text) in files {
        sources.insert(path, path, *text);
    }
    load(&sources, "i", &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn has(system: &System, path: &str) -> bool {
    system.files.iter().any(|file| file.path.to_string() == path)
}

const HCL: &str = "/usr/share/hah/jobs/prometheus.nomad.hcl";
const JSON: &str = "/usr/share/hah/jobs/prometheus.json";

#[test]
fn a_person_s_own_prometheus_takes_the_shipped_one_s_place() {
    let entry = "[[nomad-job]]\nname = \"prometheus\"\nreplace = true\nsource = \"jobs/own.nomad\"\n";
    let own = "job \"prometheus\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"docker\"\n    }\n  }\n}\n";
    let system = server(entry, &[("images/jobs/own.nomad", own)]);
    assert_eq!(file(&system, HCL), own);
    assert!(file(&system, JSON).contains("\"Driver\": \"docker\""));
    let [job] = &system.nomad_jobs[..] else { panic!("{:?}", system.nomad_jobs) };
    assert_eq!((&*job.name, &job.on_node, &*job.recipe), ("prometheus", &None, "image i"));

    // One that the build does not read: the HCL alone, and why.
    let own = format!("variable \"x\" {{\n  default = 1\n}}\n{own}");
    let system = server(entry, &[("images/jobs/own.nomad", &own)]);
    assert_eq!(file(&system, HCL), own);
    assert!(!has(&system, JSON));
    let reason = system.nomad_jobs[0].on_node.as_ref().unwrap();
    assert_eq!(reason.to_string(), "line 1 of the job: a block `variable`");
}

#[test]
fn files_that_a_job_names_are_beside_it_or_in_the_image() {
    let entry = "[[nomad-job]]\nname = \"web\"\nsource = \"jobs/web.nomad\"\n\
                 [[file]]\npath = \"/etc/web.conf\"\ncontent = \"whole\"\n";
    let own = "job \"web\" {\n  meta = {\n    a = file(\"./templates/a.tpl\")\n    b = file(\"../shared.tpl\")\n    \
               c = file(\"/etc/web.conf\")\n  }\n}\n";
    let files =
        [("images/jobs/web.nomad", own), ("images/jobs/templates/a.tpl", "below"), ("images/shared.tpl", "above")];
    let system = server(entry, &files);
    let json: serde_json::Value = serde_json::from_str(&file(&system, "/usr/share/hah/jobs/web.json")).unwrap();
    assert_eq!(json["Job"]["Meta"], serde_json::json!({ "a": "below", "b": "above", "c": "whole" }));
    // The node has no `templates/a.tpl`, and has `/etc/web.conf`.
    let hcl = file(&system, "/usr/share/hah/jobs/web.nomad.hcl");
    assert!(hcl.contains("a = \"below\"") && hcl.contains("b = \"above\"") && hcl.contains("file(\"/etc/web.conf\")"));
}
