//! The job's two forms, before a real Nomad.

use std::path::{Path, PathBuf};

use hah_plan::nomad_job::{Api, Forms, JobError, forms};
use serde_json::{Value, json};

use super::host::{Host, Switch, possible, until};
use super::{foreign, system, version};

/// Every leaf of `ours` is in `theirs`; what is missing is added to `missing`.
fn within(ours: &Value, theirs: &Value, path: &str, missing: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                within(value, theirs.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), missing);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                within(ours, theirs, &format!("{path}[{index}]"), missing);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => missing.push(format!("{path}: {ours} here, {theirs} there")),
    }
}

#[test]
fn both_forms_of_the_job_are_the_same_to_nomad() {
    if !possible() {
        return;
    }
    let Some(nomad) = foreign("nomad") else { return };
    println!("{}", version(&nomad));
    let directory = tempfile::Builder::new().prefix("hah-job").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let switch = Switch::new();
    let programs: [(&str, &Path); 1] = [("nomad", &nomad)];
    let host = Host::new(("dev", 1), &switch, (&system("pi4-server", &[]), &programs), directory.path());
    let denied = "client { options = { \"fingerprint.denylist\" = \"env_aws,env_gce,env_azure,env_digitalocean,env_openstack\" } }\n";
    super::write(&directory.path().join("dev.hcl"), denied.as_bytes());
    let config = format!("-config={}", directory.path().join("dev.hcl").display());
    host.spawn("nomad", &["nomad", "agent", "-dev", &config]);
    until(
        "the development agent leads",
        90,
        || (host.http("GET", "http://127.0.0.1:4646/v1/agent/health", None).0 == 200).then_some(()),
        || host.tail("nomad"),
    );
    for sets in [
        &[][..],
        &["telemetry.driver=raw_exec"],
        &["telemetry.layers=[]", "telemetry.retention-time=36h", "telemetry.memory=1 GiB"],
        &[
            "telemetry.layers=[\"nomad\", \"vault\", \"alertmanager\"]",
            "consul.acl=deny",
            "telemetry.vault-tls=true",
            "telemetry.vault-token=true",
        ],
        &["prometheus.source=upstream"],
    ] {
        let files = directory.path().join("files");
        let _ = std::fs::remove_dir_all(&files);
        super::render(&system("pi4-server", sets), &files);
        let shared = files.join("usr/share/hah");
        // Where the job looks for what it holds.
        host.run(&["cp", "-rT", shared.to_str().unwrap(), "/usr/share/hah"]);
        let jobs = shared.join("jobs");
        let (hcl, json) = (jobs.join("prometheus.nomad.hcl"), jobs.join("prometheus.json"));
        let hcl = hcl.to_str().unwrap();
        println!("{sets:?}: {}", host.run(&["nomad", "job", "validate", hcl]).trim());
        // What the command makes of the HCL has all that is in our JSON.
        let theirs: Value = serde_json::from_str(&host.run(&["nomad", "job", "run", "-output", hcl])).unwrap();
        let text = std::fs::read_to_string(&json).unwrap();
        let ours: Value = serde_json::from_str(&text).unwrap();
        let mut missing = Vec::new();
        within(&ours, &theirs, "", &mut missing);
        assert!(missing.is_empty(), "{sets:?}: {missing:#?}");
        // And when ours runs, the HCL has nothing to change.
        let (status, said) = host.http("PUT", "http://127.0.0.1:4646/v1/jobs", Some(&text));
        assert_eq!(status, 200, "{said}");
        let plan = super::output(host.command("nomad").args(["job", "plan", "-no-color", hcl]));
        let said = String::from_utf8_lossy(&plan.stdout);
        let Some((diff, _)) = said.split_once("Scheduler dry-run:") else {
            panic!("{sets:?}: {said}{}", String::from_utf8_lossy(&plan.stderr))
        };
        let is_change = |line: &str| line.trim_start().starts_with(['+', '-']);
        assert!(diff.contains("Job: \"prometheus\"") && !diff.lines().any(is_change), "{sets:?}: {diff}");
    }
}

/// What `nomad job run -output` makes of a file; what it says instead, when it takes none of it.
fn of_nomad(nomad: &Path, path: &Path) -> Result<Value, String> {
    let mut command = std::process::Command::new(nomad);
    command.args(["job", "run", "-output"]).arg(path).current_dir(path.parent().unwrap());
    let output = super::output(&mut command);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// The forms of a file, with what stands beside it; the image has no files.
fn forms_of(path: &Path) -> Result<Forms, JobError> {
    let beside = |name: &str| {
        let file = path.parent().unwrap().join(name);
        (!name.starts_with('/')).then(|| std::fs::read_to_string(file).ok()).flatten()
    };
    forms(&std::fs::read_to_string(path).unwrap(), &beside)
}

/// Every construct of the fixtures is taken, as JSON or as HCL; the JSON says what `nomad job run -output` says, and what is
/// left to Nomad is what Nomad takes.
#[test]
fn every_construct_is_taken_and_as_what() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/stack/jobs");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let nomad = foreign("nomad");
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let made = forms_of(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let theirs = nomad.as_ref().map(|nomad| of_nomad(nomad, path).unwrap_or_else(|said| panic!("{name}: {said}")));
        match made.api {
            Api::Json(json) => {
                assert!(name.starts_with("json-"), "{name}");
                let mut missing = Vec::new();
                if let Some(theirs) = &theirs {
                    within(&serde_json::from_str(&json).unwrap(), theirs, "", &mut missing);
                }
                assert!(missing.is_empty(), "{name}: {missing:#?}");
            }
            Api::OnNode(reason) => assert!(name.starts_with("hcl-"), "{name}: {reason}"),
        }
    }
    assert!(files.len() >= 20, "{}", files.len());
}

/// `HAH_TEST_JOBS` names a directory with other people's jobs: whatever a Nomad takes is taken, the JSON says the same, and
/// what is left to Nomad still says what the file said.
#[test]
fn jobs_of_other_homes_are_taken() {
    let Some(directory) = std::env::var_os("HAH_TEST_JOBS").filter(|directory| !directory.is_empty()) else {
        return println!("skipped: HAH_TEST_JOBS names no directory of job files");
    };
    let Some(nomad) = foreign("nomad") else { return };
    let mut files = Vec::new();
    collect(Path::new(&directory), &mut files);
    let (mut taken, mut as_json, mut wrong) = (0, 0, Vec::new());
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for path in &files {
        let Ok(theirs) = of_nomad(&nomad, path) else { continue };
        taken += 1;
        let ours = match forms_of(path) {
            Err(error) => {
                wrong.push(format!("{}: {error}", path.display()));
                continue;
            }
            Ok(Forms { api: Api::Json(json), .. }) => {
                as_json += 1;
                serde_json::from_str(&json).unwrap()
            }
            // Read without the files beside it, as on a node.
            Ok(Forms { api: Api::OnNode(_), hcl }) => {
                let shipped = scratch.path().join("job.nomad.hcl");
                std::fs::write(&shipped, hcl).unwrap();
                of_nomad(&nomad, &shipped).unwrap_or_else(|said| json!(said))
            }
        };
        let mut missing = Vec::new();
        within(&ours, &theirs, "", &mut missing);
        // With `uuidv4()` and the like two answers of Nomad differ as well.
        if !missing.is_empty() && of_nomad(&nomad, path).as_ref() != Ok(&theirs) {
            continue;
        }
        wrong.extend(missing.into_iter().map(|leaf| format!("{}{leaf}", path.display())));
    }
    println!("{taken} of {} files are Nomad's, {as_json} of them became JSON", files.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(taken > 0);
}

/// The job files below a directory: in HCL, or its JSON syntax.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|kind| ["hcl", "nomad", "job", "json"].iter().any(|known| kind == *known))
        {
            files.push(path);
        }
    }
}
