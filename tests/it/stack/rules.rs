//! Alerts and recording rules: tests/rules/LAYER.yml has a firing and a quiet case for every alert of
//! recipes/telemetry/rules/LAYER.yml, and the message as a person gets it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{content, debian, repository};

const LAYERS: [&str; 7] = ["alertmanager", "consul", "hosts", "loop", "nomad", "prometheus", "vault"];

/// Names after `key` in a YAML file of ours, in which each stands on a line of its own.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(": "))
}

/// Alerts of a test file, by whether the case expects them to fire.
fn cases(text: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    let mut name = "";
    for line in text.lines().map(str::trim) {
        if let Some(found) = line.strip_prefix("alertname: ") {
            name = found;
        } else if line == "exp_alerts: []" {
            quiet.insert(name);
        } else if line == "exp_alerts:" {
            firing.insert(name);
        }
    }
    (firing, quiet)
}

#[test]
fn every_alert_has_a_firing_and_a_quiet_case() {
    let mut layers: Vec<String> = std::fs::read_dir(repository().join("recipes/telemetry/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    layers.sort();
    assert_eq!(layers, LAYERS);
    for layer in LAYERS {
        let rules = std::fs::read_to_string(repository().join(format!("recipes/telemetry/rules/{layer}.yml"))).unwrap();
        let tests = std::fs::read_to_string(repository().join(format!("tests/rules/{layer}.yml"))).unwrap();
        let alerts: BTreeSet<&str> = values(&rules, "alert").collect();
        let (firing, mut quiet) = cases(&tests);
        // It always fires: there is no quiet case of the Watchdog.
        quiet.extend(alerts.get("Watchdog"));
        assert_eq!(firing, alerts, "{layer}");
        assert_eq!(quiet, alerts, "{layer}");
        assert!(!alerts.is_empty(), "{layer}");
    }
}

/// What an alert says is read on a telephone, in the night: it ends in what to do.
#[test]
fn every_alert_says_what_is_the_matter_and_what_to_do() {
    for layer in LAYERS {
        let rules = std::fs::read_to_string(repository().join(format!("recipes/telemetry/rules/{layer}.yml"))).unwrap();
        for alert in rules.split("- alert: ").skip(1) {
            let name = alert.lines().next().unwrap();
            let summary = alert.split_once("summary: >-").unwrap_or_else(|| panic!("{name} has no summary")).1;
            let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(summary.contains(": ") && summary.ends_with('.'), "{name}: {summary}");
            assert!(alert.contains("severity: "), "{name} has no severity");
        }
    }
}

#[test]
fn promtool_tests_the_rules() {
    let Some(promtool) = debian("promtool") else { return };
    for layer in LAYERS {
        let rules = repository().join("recipes/telemetry/rules").join(format!("{layer}.yml"));
        content(Command::new(&promtool).args(["check", "rules", "--lint-fatal"]).arg(&rules), layer);
        let tests = repository().join("tests/rules").join(format!("{layer}.yml"));
        content(Command::new(&promtool).args(["test", "rules"]).arg(&tests), layer);
    }
}

/// A rule that does something else fails its test.
#[test]
fn a_changed_threshold_is_noticed() {
    let Some(promtool) = debian("promtool") else { return };
    let directory = tempfile::tempdir().unwrap();
    for (from, to) in [("> 78", "> 99"), ("for: 3m", "for: 9m"), ("does not answer on", "ignores")] {
        let rules = repository().join("recipes/telemetry/rules/hosts.yml");
        let rules = std::fs::read_to_string(rules).unwrap().replace(from, to);
        std::fs::write(directory.path().join("hosts.yml"), rules).unwrap();
        let tests = std::fs::read_to_string(repository().join("tests/rules/hosts.yml")).unwrap();
        let tests = tests.replace("../../recipes/telemetry/rules/hosts.yml", "hosts.yml");
        let path: &Path = &directory.path().join("tests.yml");
        std::fs::write(path, tests).unwrap();
        let output = Command::new(&promtool).args(["test", "rules"]).arg(path).output().unwrap();
        assert!(!output.status.success(), "{from} became {to} and nobody noticed");
    }
}
