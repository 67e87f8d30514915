//! The recipes, boards and images of the repository.

use std::path::Path;

use super::*;
use crate::system::{Expiry, Password, SuiteUse, UnitState};

/// recipes/ and images/ of the repository.
pub(super) fn shipped() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Sources::new();
    for directory in ["recipes", "images"] {
        add(&mut sources, &root.join(directory), directory);
    }
    sources
}

fn add(sources: &mut Sources, directory: &Path, prefix: &str) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            add(sources, &entry.path(), &path);
        } else {
            sources.insert(&path, &path, std::fs::read(entry.path()).unwrap());
        }
    }
}

#[track_caller]
fn image(name: &str, overrides: &[&str]) -> System {
    let overrides: Vec<Override> =
        overrides.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
    load(&shipped(), name, &overrides).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

pub(super) fn file(system: &System, path: &str) -> String {
    let file = system.files.iter().find(|file| file.path.to_string() == path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(file.bytes.clone()).unwrap()
}

#[test]
fn every_image_loads() {
    let sources = shipped();
    assert!(sources.images().contains(&"lab") && sources.images().contains(&"lab-virt"));
    for name in sources.images() {
        let system = image(name, &[]);
        assert_eq!(system.image, name);
        assert_eq!(image(name, &[]), system, "loading is a function");
    }
}

#[test]
fn every_recipe_loads_alone() {
    let sources = shipped();
    for name in sources.recipes() {
        let mut alone = shipped();
        let text = format!("summary = \"x\"\nboard = \"virt\"\nrecipes = [\"base\", \"{name}\"]\n");
        let text = text.replace("\"base\", \"base\"", "\"base\"");
        alone.insert("images/alone.toml", "images/alone.toml", text);
        load(&alone, "alone", &[]).unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics}"));
    }
}

#[test]
fn every_board_loads() {
    let sources = shipped();
    assert_eq!(sources.boards(), ["pc-amd64", "rpi-arm64", "rpi-armel", "rpi5", "virt"]);
    for name in sources.boards() {
        let board = load_board(&sources, name).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert!(!board.stage1_modules.is_empty() && !board.machines.is_empty());
    }
}

#[test]
fn the_lab_is_what_the_issue_says() {
    let lab = image("lab", &[]);
    assert_eq!((lab.table, image("lab-virt", &[]).table), (Table::Mbr, Table::Gpt));
    let bullseye = lab.suites.iter().find(|suite| suite.name == "bullseye").unwrap();
    assert_eq!((bullseye.expired, bullseye.use_for), (Expiry::Allow, SuiteUse::PinOnly));
    let consul = lab.packages.iter().find(|package| package.name.as_str() == "consul").unwrap();
    assert_eq!(consul.suite.as_deref(), Some("bullseye"));
    let state = |name: &str| lab.units.iter().find(|unit| unit.name == name).map(|unit| unit.state);
    assert_eq!(state("consul.service"), Some(UnitState::Enabled));
    assert_eq!(state("prometheus.service"), Some(UnitState::Enabled), "there is no Nomad to run it");
    assert_eq!(lab.users.iter().map(|user| (user.name.as_str(), user.uid)).collect::<Vec<_>>(), [("hah", 1000)]);
    assert_eq!(lab.users[0].password, Password::Locked);
    assert_eq!(lab.persist.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/home", "/root"]);
    assert_eq!(file(&lab, "/etc/ssh/authorized_keys.d/hah"), "");
    assert!(file(&lab, "/etc/systemd/network/80-wired.network").contains("DHCP=yes\n"));
    insta::assert_snapshot!(file(&lab, "/etc/consul.d/hah.json"), @r#"
    {
      "datacenter": "dc1",
      "data_dir": "/var/lib/consul",
      "server": true,
      "bootstrap_expect": 1,
      "autopilot": { "last_contact_threshold": "1s", "min_quorum": 1 },
      "ui": true,
      "http_config": { "allow_write_http_from": ["127.0.0.0/8", "::1/128"] },
      "retry_join": [],
      "retry_interval": "10s",
      "rejoin_after_leave": true,
      "skip_leave_on_interrupt": true,
      "leave_on_terminate": false,
      "disable_host_node_id": true,
      "disable_update_check": true,
      "enable_script_checks": false,
      "dns_config": { "node_ttl": "10s", "service_ttl": { "*": "5s" } },
      "performance": { "raft_multiplier": 5 },
      "telemetry": { "disable_hostname": true, "prometheus_retention_time": "120s" }
    }
    "#);
    insta::assert_snapshot!(file(&lab, "/etc/hah/loop.json"), @r#"
    {
      "version": 1,
      "consul": { "address": "http://127.0.0.1:8500", "expect": 1 },
      "nomad": null,
      "vault": null,
      "job": null,
      "submit": false,
      "resubmit": "if-lost",
      "prometheus": { "service": "prometheus", "port": 9090 },
      "textfile": "/var/lib/prometheus/node-exporter/hah.prom"
    }
    "#);
    insta::assert_snapshot!(file(&lab, "/etc/consul.d/node-exporter.json"), @r#"
    {
      "service": {
        "name": "node-exporter",
        "port": 9100,
        "check": {
          "id": "node-exporter-http",
          "name": "node_exporter answers",
          "http": "http://127.0.0.1:9100/",
          "interval": "15s",
          "timeout": "5s"
        }
      }
    }
    "#);
    insta::assert_snapshot!(file(&lab, "/etc/motd"), @"

    lab on rpi-arm64: base, network, time, first-boot, ssh, node-exporter, consul, prometheus, telemetry
    The root is read-only and /etc is made anew on every boot; /var, /home and /root stay.
    `hah-agent status` says how this boot went, and how far the loop is.
    ");
}

/// The agent reads what the recipe writes.
#[test]
fn every_loop_is_understood() {
    let sources = shipped();
    for name in sources.images() {
        // Where there is no Consul there is no loop.
        if !image(name, &[]).units.iter().any(|unit| unit.name == "consul.service") {
            continue;
        }
        for sets in [&[][..], &["telemetry.resubmit=never", "consul.bootstrap-expect=5"]] {
            let system = image(name, sets);
            let config: hah_node::closing::Loop = serde_json::from_str(&file(&system, "/etc/hah/loop.json")).unwrap();
            assert_eq!(config.version, hah_node::closing::VERSION);
            let has = |path: &str| system.files.iter().any(|file| file.path.to_string() == path);
            assert_eq!(config.job.as_deref().is_some_and(has), config.nomad.is_some(), "{name}");
            if let Some(path) = &config.job {
                let job: serde_json::Value = serde_json::from_str(&file(&system, path)).unwrap();
                let digest = job["Job"]["Meta"]["hah_job"].as_str().unwrap();
                assert!(digest.len() == 64 && file(&system, &path.replace(".json", ".nomad.hcl")).contains(digest));
            }
        }
    }
}

/// One job, whichever server submits it; and another one when anything in it is different.
#[test]
fn the_job_is_the_cluster_s() {
    let job = |name: &str, sets: &[&str]| file(&image(name, sets), "/usr/share/hah/jobs/prometheus.json");
    let first = job("pi4-server", &[]);
    assert_eq!(job("pi3-server", &[]), first);
    assert_eq!(job("pi-client", &[]), first);
    for set in ["telemetry.memory=200 MiB", "telemetry.scrape-interval=15s", "telemetry.layers=[\"nomad\"]"] {
        let other = job("pi4-server", &[set]);
        let digest = |text: &str| text.split("hah_job").nth(1).unwrap()[..70].to_owned();
        assert_ne!(digest(&other), digest(&first), "{set}");
    }
}

/// A Zero W is a 32-bit ARMv6 board: nobody builds Nomad and Vault for it, and everything else is there.
#[test]
fn a_zero_w_gets_what_is_built_for_it() {
    let mut sources = shipped();
    let board = String::from_utf8(sources.bytes("recipes/boards/rpi-arm64.toml").unwrap().to_vec()).unwrap();
    let board = board.replace("architecture = \"arm64\"", "architecture = \"armel\"");
    sources.insert("recipes/boards/zero.toml", "recipes/boards/zero.toml", board);
    let mut check = |recipes: &str, params: &str| {
        let text = format!("summary = \"x\"\nboard = \"zero\"\nrecipes = [\"base\", {recipes}]\n[params]\n{params}\n");
        sources.insert("images/zero.toml", "images/zero.toml", text);
        load(&sources, "zero", &[]).map_err(|problems| problems.to_string())
    };
    let zero =
        check("\"node-exporter\", \"consul\", \"vault\"", "consul.source = \"hashicorp\"\nvault.flavour = \"openbao\"");
    let zero = zero.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(zero.artifacts.iter().map(|artifact| artifact.name.as_str()).collect::<Vec<_>>(), ["consul", "vault"]);
    let lab = check("\"telemetry\"", "telemetry.runner = \"systemd\"\ntelemetry.layers = []");
    assert!(lab.is_ok(), "{lab:?}");
    let refused = check("\"nomad\"", "").unwrap_err();
    assert!(refused.contains("armel") && refused.contains("no Nomad for 32-bit ARM since 1.8.3"), "{refused}");
    let refused = check("\"vault\"", "").unwrap_err();
    assert!(refused.contains("set `vault.flavour = \"openbao\"`"), "{refused}");
}

#[test]
fn consul_configuration_is_json_in_every_role() {
    for set in [
        &["consul.role=server", "consul.bootstrap-expect=3", "consul.retry-join=[\"10.0.0.1\", \"10.0.0.2\"]"][..],
        &["consul.role=client", "consul.http=local", "consul.retry-join=provider=mdns service=_consul._tcp"],
    ] {
        let lab = image("lab", set);
        let config: serde_json::Value = serde_json::from_str(&file(&lab, "/etc/consul.d/hah.json")).unwrap();
        assert_eq!(config["server"], set[0].ends_with("server"), "{config}");
        assert_eq!(config.get("bootstrap_expect").is_some(), set[0].ends_with("server"));
        // Decided on the node, and in one place for every program.
        assert_eq!(config.get("bind_addr"), None);
        let address = file(&lab, "/usr/share/hah/address/consul.service/etc/consul.d/address.json");
        let address: serde_json::Value = serde_json::from_str(&address).unwrap();
        assert_eq!(address["bind_addr"], "@ADDRESS@");
        assert_eq!(address.get("client_addr").is_some(), set[0].ends_with("server"));
    }
}

/// What an image is told of servers is checked like what a node is told.
#[test]
fn row_11_recipes_take_servers_that_are_none() {
    for (set, wanted) in [
        ("network.dns=[\"999.1.1.1\"]", "parameter `network.dns`: `999.1.1.1` is not an IP address"),
        ("network.dns=[\"9.9.9.9\", \"127.0.0.53\"]", "`127.0.0.53` is the node's own resolver"),
        ("network.ntp=[\"0.0.0.0\"]", "parameter `network.ntp`: `0.0.0.0` means every address"),
        ("time.servers=[\"192.168.1\"]", "parameter `time.servers`: `192.168.1` is not an IP address, and a host name"),
        (
            "consul.retry-join=[\"10.0.0.1\", \"10.0.0.1/24\"]",
            "parameter `consul.retry-join`: `10.0.0.1/24` is neither",
        ),
        ("consul.retry-join=224.0.0.1", "`224.0.0.1` is a multicast address"),
    ] {
        let over = Override { origin: "--set".to_owned(), text: set.to_owned() };
        let said = load(&shipped(), "lab", &[over]).expect_err(set).to_string();
        assert!(said.contains(wanted), "{set}: {said}");
    }
    image(
        "lab",
        &["network.dns=[\"9.9.9.9#dns.quad9.net\", \"fd00::1\"]", "time.servers=[\"ptbtime1.ptb.de\", \"fd00::1\"]"],
    );
}

#[test]
fn a_key_comes_by_override() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvWr0zJ9Xh0v0sPZ1n2m3v4w5x6y7z8A9B0C1D2E3F4 me@here";
    let lab = image("lab", &[&format!("ssh.authorized-keys={key}")]);
    assert_eq!(file(&lab, "/etc/ssh/authorized_keys.d/hah"), format!("{key}\n"));
}

#[test]
fn config_lines_fit_the_firmware() {
    let board = load_board(&shipped(), "rpi-arm64").unwrap();
    let config = board.config_txt.unwrap();
    assert!(config.lines().all(|line| line.len() < 98));
    assert!(config.contains("initramfs initramfs followkernel\n"));
    assert!(board.refused_tables.contains_key(&Table::Gpt));
}

/// The reference of the shipped recipes names every parameter with its default.
#[test]
fn the_reference_is_complete() {
    let text = reference(&shipped()).unwrap();
    for line in [
        "## consul",
        "Has the artifact `nomad`, signed by `hashicorp`.",
        "| `consul.role` | enum: `server`, `client` | `\"client\"` |",
        "| `ssh.port` | port | `22` |",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// What `parameters` says is the default is a value that the image may set, and changes nothing.
#[test]
fn parameters_are_spelled_as_images_spell_them() {
    let mut sources = shipped();
    let names: Vec<String> = sources.images().into_iter().map(str::to_owned).collect();
    let mut seen = 0;
    for name in names {
        let before = load(&sources, &name, &[]).unwrap();
        let own = sources
            .text(
                &format!("images/{name}.toml"),
                sources.bytes(&format!("images/{name}.toml")).unwrap(),
                &mut Report::default(),
            )
            .unwrap();
        let mut text = own.text.clone();
        for recipe in parameters(&sources, &name).unwrap() {
            for parameter in
                recipe.parameters.iter().filter(|parameter| !own.text.contains(&format!("{} =", parameter.name)))
            {
                let Some(default) = &parameter.default else { continue };
                text.push_str(&format!("{} = {default}\n", parameter.name));
                seen += 1;
            }
        }
        let path = format!("images/{name}.toml");
        sources.insert(&path, &path, text);
        let after = load(&sources, &name, &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(format!("{after:?}"), format!("{before:?}"), "{name}");
    }
    assert!(seen > 100, "{seen}");
}

/// The reference of keys names every key of the tables, and links to every section that it has.
#[test]
fn the_reference_of_keys_is_complete() {
    for (kind, wanted) in [
        (FileKind::Recipe, "| `mode` | a mode: octal digits such as `0644` |"),
        (FileKind::Image, "| `board` | a name: lower-case letters, digits and `-`, **required** |"),
        (FileKind::Board, "## `[[machine]]`"),
        (FileKind::Cluster, "## `[nodes.NAME]`"),
    ] {
        let text = keys(kind);
        assert!(text.contains(wanted), "{wanted}\n{text}");
        for (link, heading) in [("(#unitdrop-in)", "## `[[unit.drop-in]]`"), ("(#nodesname)", "## `[nodes.NAME]`")] {
            assert_eq!(text.contains(link), text.contains(heading), "{kind:?} {link}");
        }
    }
}
