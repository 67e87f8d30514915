//! What `init` makes is what the other verbs take.

use std::collections::BTreeMap;

use hah_plan::recipe::{self, Sources};
use hah_plan::system::System;

use super::keys::tests::ED25519;
use super::*;

fn answers(nodes: &str) -> Answers {
    let nodes = parse_nodes(nodes.split_whitespace(), Bare::Lab, Vec::new()).unwrap();
    let security = Answers::security_of(&nodes);
    let name = "kitchen".to_owned();
    Answers { name, key: Some(ED25519.to_owned()), nodes, security, trusted: Vec::new(), gateway: None }
}

fn made(answers: &Answers) -> BTreeMap<String, String> {
    files(answers).unwrap().into_iter().map(|file| (file.path, file.text)).collect()
}

/// The images of a project of these files.
fn systems(files: &BTreeMap<String, String>) -> BTreeMap<String, System> {
    let mut sources: Sources = Project::shipped().sources().clone();
    for (path, text) in files {
        sources.insert(path, path, text.as_str());
    }
    let images = files.keys().filter_map(|path| path.strip_prefix("images/")?.strip_suffix(".toml"));
    let load = |name: &str| recipe::load(&sources, name, &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    images.map(|name| (name.to_owned(), load(name))).collect()
}

const FLEETS: [&str; 6] = [
    "pi-1",
    "pi-1 pi-2 pi-3",
    "a=lab b=lab c=lab",
    "pi4-1=pi4-server pi3-1=pi3-server pi3-2=pi3-server zero-1=pi-client zero-2=pi-client",
    "a=pi4-server=192.168.7.10/24 b=pi4-server=192.168.7.11/24 c=pi3-server=192.168.7.12/24",
    "a=lab=10.0.0.5/24 b=10.0.0.6/24 c",
];

#[test]
fn every_image_loads_and_waits_for_the_servers_there_are() {
    for fleet in FLEETS {
        let answers = answers(fleet);
        let servers = answers.nodes.iter().filter(|node| node.kind.is_server()).count();
        let files = made(&answers);
        assert_eq!(files, made(&answers));
        for (name, system) in systems(&files) {
            let text = |path: &str| {
                let file = system.files.iter().find(|file| file.path.to_string() == path).unwrap();
                String::from_utf8(file.bytes.clone()).unwrap()
            };
            let config: hah_node::closing::Loop = serde_json::from_str(&text("/etc/hah/loop.json")).unwrap();
            assert_eq!(usize::try_from(config.consul.expect).unwrap(), servers, "{fleet}: {name}");
            assert_eq!(text("/etc/ssh/authorized_keys.d/hah"), format!("{ED25519}\n"));
        }
        let cluster = recipe::load_cluster("cluster.toml", &files["cluster.toml"])
            .unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(cluster.nodes.len(), answers.nodes.len());
        assert_eq!(cluster.wants_secrets(), answers.nodes.len() > 1);
        assert_eq!(cluster.is_closed(), answers.nodes.len() > 1);
        for node in &answers.nodes {
            assert_eq!(cluster.nodes[&node.name].image, node.kind.image());
            assert_eq!(cluster.authorized_keys, [ED25519]);
        }
    }
}

/// A person who takes away the `#` of everything gets a project that still loads, with every parameter at its default.
#[test]
fn comments_are_what_the_files_may_say() {
    for fleet in FLEETS {
        let files = made(&answers(fleet));
        let uncommented: BTreeMap<String, String> = files
            .iter()
            .map(|(path, text)| {
                let line = |line: &str| match line.strip_prefix('#') {
                    Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => {
                        rest.to_owned()
                    }
                    _ => line.to_owned(),
                };
                (path.clone(), text.lines().map(line).collect::<Vec<_>>().join("\n"))
            })
            .collect();
        let (plain, full) = (systems(&files), systems(&uncommented));
        for (name, mut system) in full {
            assert!(system.packages.iter().any(|package| package.name.as_str() == "htop"), "{name}");
            assert!(system.files.iter().any(|file| file.path.to_string() == "/etc/profile.d/mine.sh"), "{name}");
            system.packages.retain(|package| package.name.as_str() != "htop");
            system.files.retain(|file| file.path.to_string() != "/etc/profile.d/mine.sh");
            assert_eq!(format!("{system:?}"), format!("{:?}", plain[&name]), "{name}");
        }
        let cluster = recipe::load_cluster("cluster.toml", &uncommented["cluster.toml"])
            .unwrap_or_else(|problems| panic!("{problems}"));
        assert!(cluster.tls && cluster.wifi.is_some() && cluster.gateway.is_some() && cluster.acl.is_some());
        assert!(cluster.nodes.values().all(|node| node.address.is_some()));
    }
}

/// What `init DIR --servers …` makes is closed, and every server of it knows the others.
#[test]
fn a_closed_cluster_of_three_servers() {
    let files = made(&answers(FLEETS[4]));
    let cluster = recipe::load_cluster("cluster.toml", &files["cluster.toml"]).unwrap();
    assert!(cluster.is_closed() && cluster.trusted.is_empty(), "addresses are enough");
    assert_eq!((cluster.gateway.as_deref(), cluster.dns.len()), (Some("192.168.7.1"), 1));
    let identity = cluster.identity("b", &hah_plan::cluster::Secrets::default()).unwrap();
    assert_eq!(identity.consul.unwrap().retry_join, ["192.168.7.10", "192.168.7.11", "192.168.7.12"]);
    assert_eq!(identity.firewall.unwrap().trusted.len(), 3);
    // A node without an address is let in by its network.
    let cluster = recipe::load_cluster("cluster.toml", &made(&answers(FLEETS[5]))["cluster.toml"]).unwrap();
    assert_eq!((&*cluster.trusted, cluster.gateway.as_deref()), (&["10.0.0.0/24".to_owned()][..], Some("10.0.0.1")));
    // A node stands where the router usually does.
    assert_eq!(answers("a=lab=10.0.0.1/24 b=10.0.0.2/24 c=10.0.0.3/24").router(), None);
    assert_eq!(answers("a=lab=10.0.0.5/24 b=10.0.1.5/24").router(), None, "two networks, and no router of both");
    let cluster = recipe::load_cluster("cluster.toml", &made(&answers(FLEETS[3]))["cluster.toml"]).unwrap();
    assert_eq!(cluster.trusted, [NETWORK]);
}

#[test]
fn networks_that_are_none() {
    let check = |change: fn(&mut Answers), wanted: &str| {
        let mut answers = answers(FLEETS[4]);
        change(&mut answers);
        let said = answers.check().unwrap_err();
        assert!(said.contains(wanted), "{wanted}: {said}");
    };
    assert_eq!(answers(FLEETS[4]).check(), Ok(()));
    check(|answers| answers.trusted = vec!["home".to_owned()], "`home` is neither");
    check(|answers| answers.gateway = Some("192.168.8.1".to_owned()), "the gateway `192.168.8.1`");
    check(|answers| answers.nodes.truncate(2), "2 nodes are servers");
    let mut dhcp = answers(FLEETS[0]);
    dhcp.gateway = Some("192.168.1.1".to_owned());
    assert!(dhcp.check().unwrap_err().contains("for nodes with addresses"));
}

#[test]
fn without_a_key_there_is_a_place_for_one() {
    let files = made(&Answers { key: None, ..answers("pi-1") });
    assert!(files["cluster.toml"].contains("\nauthorized-keys = []\n"));
    assert!(files["images/lab.toml"].contains("\n#ssh.authorized-keys = [\"ssh-ed25519 AAAA… you@laptop\"]\n"));
    assert_eq!(systems(&files).len(), 1);
}

/// Editors find the schema of a file beside it, and it is what the program's own parser has.
#[test]
fn schemas_are_where_the_files_say() {
    let files = made(&answers(FLEETS[3]));
    for (path, text) in files.iter().filter(|(path, _)| path.as_str() == "cluster.toml" || path.starts_with("images/"))
    {
        let reference = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        let directory = std::path::Path::new(path).parent().unwrap();
        let mut place = std::path::PathBuf::new();
        for part in directory.join(reference).components() {
            match part {
                std::path::Component::ParentDir => assert!(place.pop()),
                std::path::Component::CurDir => {}
                part => place.push(part),
            }
        }
        let schema: serde_json::Value = serde_json::from_str(&files[place.to_str().unwrap()]).unwrap();
        let table: toml::Table = text.parse().unwrap();
        for key in table.keys() {
            assert!(schema["properties"].get(key).is_some(), "{path}: {key}");
        }
    }
}

#[test]
fn what_a_person_reads() {
    let files = made(&answers("pi-1 pi-2"));
    insta::assert_snapshot!("cluster", files["cluster.toml"]);
    let image = &files["images/lab.toml"];
    let end = image.find("\n# ssh: ").unwrap();
    insta::assert_snapshot!("image", image[..end]);
    insta::assert_snapshot!("settings", files["hah-image.toml"]);
    let image = &made(&answers(FLEETS[3]))["images/pi4-server.toml"];
    let end = image.find("\n# All else").unwrap();
    insta::assert_snapshot!("server", image[..end]);
    let files = made(&answers(FLEETS[3]));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let wanted = ".gitignore cluster.toml hah-image.toml images/pi-client.toml images/pi3-server.toml images/pi4-server.toml \
                  schema/cluster.schema.json schema/image.schema.json schema/recipe.schema.json";
    assert_eq!(names.join(" "), wanted);
}
