//! Images of a closed fleet: one word in cluster.toml decides them.

use serde_json::{Value, json};

use super::shipped::{file, shipped};
use super::*;

const CLOSED: &str = "name = \"home\"\nsecurity = \"closed\"\n[nodes.a]\nimage = \"x\"\naddress = \"10.0.0.1/24\"\n";

fn load_closed(image: &str, overrides: &[&str]) -> Result<System, String> {
    let overrides: Vec<Override> =
        overrides.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
    let closed = closed("cluster.toml", CLOSED).unwrap().unwrap();
    load_for(&shipped(), image, &overrides, Some(&closed)).map_err(|problems| problems.to_string())
}

fn json(system: &System, path: &str) -> Value {
    let text = file(system, path);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
}

fn unit<'s>(system: &'s System, name: &str) -> &'s str {
    let unit = system.files.iter().find(|file| file.path.to_string().ends_with(&format!("/{name}")));
    std::str::from_utf8(&unit.unwrap_or_else(|| panic!("no {name}")).bytes).unwrap()
}

#[test]
fn every_image_can_be_closed() {
    for image in shipped().images() {
        let system = load_closed(image, &[]).unwrap_or_else(|problems| panic!("{image}: {problems}"));
        assert!(system.packages.iter().any(|package| package.name.to_string() == "nftables"), "{image}");
        assert!(unit(&system, "hah-firewall.service").contains("nft --file /etc/hah/firewall.nft"));
        // A board that is too small for Consul has a firewall all the same, and no loop.
        if system.units.iter().any(|unit| unit.name == "consul.service") {
            assert_eq!(json(&system, "/etc/hah/loop.json")["closed"], true, "{image}");
            assert!(unit(&system, "consul.service").contains("\nRequires=hah-firewall.service\n"), "{image}");
            let consul = json(&system, "/etc/consul.d/hah.json");
            assert_eq!(consul["acl"]["default_policy"], "deny", "{image}");
            assert_eq!(consul["addresses"]["http"], "127.0.0.1", "the plain API is for the node itself");
            assert_eq!(consul["ports"]["https"], 8501);
        }
        let open = load(&shipped(), image, &[]).unwrap();
        assert!(!open.packages.iter().any(|package| package.name.to_string() == "nftables"), "{image}");
        if open.units.iter().any(|unit| unit.name == "consul.service") {
            assert_eq!(json(&open, "/etc/hah/loop.json").get("closed"), None, "{image}");
        }
    }
}

#[test]
fn a_server_asks_for_tokens_everywhere() {
    let system = load_closed("pi4-server", &[]).unwrap();
    let nomad = json(&system, "/etc/nomad.d/hah.json");
    assert_eq!(nomad["acl"], json!({"enabled": true}));
    assert_eq!(nomad["tls"]["rpc"], true);
    assert_eq!(nomad["consul"]["task_identity"]["aud"], json!(["consul.io"]));
    assert_eq!(nomad["plugin"]["exec"]["config"]["denied_host_uids"], "0-109,111-1000");
    assert!(nomad["client"]["options"]["user.denylist"].as_str().unwrap().contains("hah"));
    let job = json(&system, "/usr/share/hah/jobs/prometheus.json");
    let task = &job["Job"]["TaskGroups"][0]["Tasks"][0];
    assert!(task["Consul"].is_object(), "a token of the task's own: {task}");
    assert!(!task.to_string().contains("nomadVar"), "and none that somebody types");
    let prometheus = file(&system, "/usr/share/hah/prometheus/prometheus.yml");
    let (_, consul) = prometheus.split_once("job_name: consul").unwrap();
    let (consul, _) = consul.split_once("job_name: nomad").unwrap();
    for line in [
        "scheme: https",
        "tls_config: { ca_file: /hah-ca/consul.pem }",
        "credentials_file: ../secrets/consul_token",
        "target_label: __address__, replacement: '$1.node.dc1.consul:8501'",
    ] {
        assert!(consul.contains(line), "{line} in {consul}");
    }
}

#[test]
fn a_client_without_a_token_of_nomad_follows_what_the_job_leads_to() {
    let system = load_closed("pi-client", &[]).unwrap();
    assert_eq!(json(&system, "/etc/hah/loop.json")["job"], Value::Null);
}

#[test]
fn a_parameter_that_contradicts_the_fleet() {
    let said = load_closed("pi4-server", &["consul.acl=off", "nomad.tls=false"]).unwrap_err();
    for part in [
        "`consul.acl` is not \"deny\", and the cluster is closed",
        "`nomad.tls` is not true, and the cluster is closed",
        "cluster.toml:2",
        "--set",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(load_closed("pi4-server", &["consul.acl=deny", "nomad.tls=true"]).is_ok(), "what agrees may be said");
    let twice = load_closed("pi4-server", &["consul.acl=off", "consul.acl=deny"]);
    assert!(twice.is_ok(), "what was said last counts");
}

#[test]
fn a_recipe_of_the_project_that_is_too_old() {
    let mut sources = shipped();
    let old =
        "summary = \"x\"\n[params.role]\ntype = \"enum\"\nchoices = [\"server\"]\ndefault = \"server\"\ndoc = \"x\"\n";
    sources.insert("recipes/vault.toml", "recipes/vault.toml", old);
    let image = "summary = \"x\"\nboard = \"virt\"\nrecipes = [\"base\", \"vault\"]\n";
    sources.insert("images/own.toml", "images/own.toml", image);
    let closed = closed("cluster.toml", CLOSED).unwrap().unwrap();
    let said = load_for(&sources, "own", &[], Some(&closed)).unwrap_err().to_string();
    assert!(said.contains("the recipe `vault` cannot be closed: `vault.tls` cannot be true"), "{said}");
}

#[test]
fn a_fleet_that_is_open_decides_nothing() {
    for text in [CLOSED.replace("closed", "open"), CLOSED.replace("security = \"closed\"\n", "")] {
        assert!(closed("cluster.toml", &text).unwrap().is_none());
    }
}
