//! A cluster's secrets: from `secrets init` to the card, and nowhere else.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::ExposeSecret as _;
use hah_node::identity::Identity;

use super::{built, partition};
use crate::archive::project::{PROGRAM, Run, Toy};
use crate::build::judge;
use crate::oracles::is_missing;

const CLUSTER: &str = r#"
name = "home"
tls = true
[ssh]
authorized-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here"]
[wifi]
ssid = "Kitchen"
country = "DE"
[consul]
acl = "allow"
[nodes.pi4-a]
image = "toy"
address = "192.168.1.10/24"
consul = "server"
nomad = "server"
[nodes.zero-a]
image = "toy"
link = "wlan"
consul = "client"
"#;

/// What a person types; whatever is made by chance is looked for by its own text.
const CANARY: &str = "CANARY-passphrase";

/// A built toy with a cluster and its secrets; the passphrase is in `phrase`.
fn cluster() -> Toy {
    let toy = built();
    toy.write("project/cluster.toml", CLUSTER);
    toy.write("phrase", format!("{CANARY}-of-age\n"));
    toy.run(&["secrets", "init", "--passphrase-file", "../phrase"]).succeeded();
    toy
}

fn set(toy: &Toy, words: &[&str], value: &str) -> Run {
    given(toy, &[words, &["--passphrase-file", "../phrase"]].concat(), value)
}

/// `secrets set`, which reads the value from its standard input.
fn given(toy: &Toy, words: &[&str], value: &str) -> Run {
    let mut command = toy.command(&["secrets", "set"]);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    Run::from(child.wait_with_output().unwrap())
}

/// Every file below a directory that holds one of these texts.
fn holding(directory: &Path, secrets: &[String], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, secrets, found);
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let hit = secrets.iter().find(|secret| memchr::memmem::find(&bytes, secret.as_bytes()).is_some());
        found.extend(hit.map(|_| path.display().to_string()));
    }
}

/// Everything in an identity that nobody else may know; for a key the first line of its base64.
fn secrets_of(identity: &Identity) -> Vec<String> {
    let keys = [
        identity.consul.as_ref().and_then(|consul| consul.tls.as_ref()),
        identity.nomad.as_ref().and_then(|nomad| nomad.tls.as_ref()),
    ];
    let keys = keys.into_iter().flatten().map(|tls| tls.key.reveal().lines().nth(1).unwrap().to_owned());
    let consul = identity.consul.as_ref().unwrap();
    let others = [&consul.encrypt, &consul.tokens.initial_management].into_iter().flatten();
    let wifi = identity.wifi.as_ref().and_then(|wifi| wifi.psk.as_ref());
    keys.chain(others.chain(wifi).map(|secret| secret.reveal().to_owned())).collect()
}

/// The arguments of every process of this machine, again and again until `is_over`.
fn arguments(is_over: &AtomicBool) -> Vec<u8> {
    let mut seen = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            // Processes come and go.
            seen.extend(std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
        }
        seen.truncate(seen.len().min(64 << 20));
    }
    seen
}

#[test]
fn secrets_reach_the_card_and_nothing_else() {
    if ["mtype", "sfdisk", "strace"].into_iter().any(is_missing) {
        return;
    }
    let toy = cluster();
    set(&toy, &["wifi-psk"], &format!("{CANARY}\n")).succeeded();
    let mut secrets = vec![format!("{CANARY}-of-age")];
    for (node, kinds) in [("pi4-a", 4), ("zero-a", 3)] {
        let card = toy.path(&format!("{node}.img"));
        // Every process that is started, every file that is opened, and every write but those to an offset, which are the
        // card's, as the kernel sees them.
        let trace = toy.path(&format!("{node}.trace"));
        let mut flash = toy.around("strace");
        flash.args(["-f", "-s", "100000", "-e", "trace=execve,openat,creat,memfd_create,write,writev,sendto,sendmsg"]);
        flash.arg("-o").arg(&trace).arg(PROGRAM).args(["flash", "toy"]).arg(&card);
        flash.args(["--yes", "--verbose", "--node", node, "--passphrase-file", "../phrase"]);
        let is_over = AtomicBool::new(false);
        let (run, seen) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| arguments(&is_over));
            let run = Run::of(&mut flash);
            is_over.store(true, Ordering::SeqCst);
            (run, watching.join().unwrap())
        });
        let run = run.succeeded();

        // What says where the partitions are, as beside every image.
        std::fs::copy(toy.image().with_extension("json"), card.with_extension("json")).unwrap();
        let boot = toy.path("boot.fat");
        partition(&card, "boot", &boot);
        let text = judge(Command::new("mtype").arg("-i").arg(&boot).arg("::/hah/node.json"));
        let identity: Identity = serde_json::from_str(&text).unwrap();
        assert_eq!(identity.flaw(), None);
        let own = secrets_of(&identity);
        assert_eq!((own.len(), identity.wifi.is_some()), (kinds, node == "zero-a"), "what each card is given");
        let is_server = node == "pi4-a";
        assert_eq!(identity.consul.unwrap().tokens.initial_management.is_some(), is_server);
        secrets.extend(own);
        for secret in &secrets {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run}");
            assert!(memchr::memmem::find(&seen, secret.as_bytes()).is_none(), "in the arguments of a process");
        }
        assert!(memchr::memmem::find(&seen, b"--passphrase-file").is_some(), "the watch has seen the flash");
        // Nothing but the card and the record of flashed cards is opened for writing: no temporary file of any kind.
        let trace = String::from_utf8_lossy(&toy.read(&format!("{node}.trace"))).into_owned();
        assert!(!trace.contains("memfd_create(") && !trace.contains("O_TMPFILE"));
        let opened: BTreeSet<&str> = trace
            .lines()
            .filter(|line| ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag)))
            .filter_map(|line| line.split('"').nth(1))
            .filter(|path| !path.starts_with("/dev/") && !path.starts_with("/proc/"))
            .collect();
        let record = std::fs::canonicalize(toy.path("project/flashed.jsonl")).unwrap();
        assert_eq!(opened, [card.to_str().unwrap(), record.to_str().unwrap()].into());
        for file in [&card, &boot] {
            std::fs::remove_file(file).unwrap();
        }
    }
    // The traces stay: no argument of a program and no write may hold one either.
    std::fs::remove_file(toy.path("phrase")).unwrap();
    let mut found = Vec::new();
    holding(toy.root(), &secrets, &mut found);
    assert_eq!(found, [""; 0], "project, image, manifest, store, drafts and logs hold no secret");
}

#[test]
fn secrets_are_made_anew_and_read_one_by_one() {
    // For a key, since passphrases are made to take their time.
    let toy = built();
    let key = age::x25519::Identity::generate();
    toy.write("key", format!("# of a test\n{}\n", key.to_string().expose_secret()));
    let recipients = format!("[secrets]\nrecipients = [\"{}\"]\n", key.to_public());
    toy.write("project/cluster.toml", CLUSTER.replace("[consul]", &format!("{recipients}[consul]")));
    toy.run(&["secrets", "init"]).succeeded();
    let with = ["--age-identity", "../key"];
    let set = |words: &[&str], value: &str| given(&toy, &[words, &with].concat(), value);
    let run = |words: &[&str]| toy.run(&[&["secrets"], words, &with].concat());
    let get = |name: &str| run(&["get", name]).succeeded().stdout;
    let (consul, nomad, token) = (get("consul-encrypt"), get("nomad-encrypt"), get("consul-management"));
    let rotated = run(&["rotate", "gossip"]).succeeded();
    assert!(rotated.stderr.contains("now has Consul's gossip key") && rotated.stderr.contains("consul keyring"));
    assert!(get("consul-encrypt") != consul && get("nomad-encrypt") != nomad && get("consul-management") == token);
    run(&["rotate", "tokens"]).succeeded();
    assert_ne!(get("consul-management"), token);
    let authority = |node: &str| {
        let shown = toy.run(&[&["identity", "show", node], &with[..]].concat()).succeeded().stdout;
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()["consul"]["tls"]["ca"].clone()
    };
    set(&["wifi-psk"], CANARY).succeeded();
    let before = authority("pi4-a");
    run(&["rotate", "certificates"]).succeeded();
    assert_eq!(authority("zero-a"), before);
    run(&["rotate", "ca"]).succeeded();
    assert!(authority("zero-a") != before && authority("zero-a") == authority("pi4-a"));
    // Adopting what a running cluster has.
    set(&["consul-encrypt"], consul.trim()).succeeded();
    assert_eq!(get("consul-encrypt"), consul);
    set(&["consul-encrypt"], "short").failed(1, &["consul.encrypt", "nothing was changed"]);
    run(&["get", "password-hash"]).failed(1, &["secrets.age has no password-hash"]);
    run(&["get", "vault-role-id"]).failed(2, &["say whose with --node NAME"]);
    run(&["get", "wifi-psk", "--node", "pi4-a"]).failed(2, &["the same for all nodes"]);
    run(&["update"]).succeeded();
}

#[test]
fn an_identity_is_shown_without_secrets() {
    let toy = cluster();
    toy.run(&["identity", "show", "zero-a", "--passphrase-file", "../phrase"])
        .failed(1, &["secrets.age lacks the passphrase of the wireless network"]);
    set(&toy, &["wifi-psk"], "short").failed(1, &["wifi.psk", "nothing was changed"]);
    set(&toy, &["wifi-psk"], CANARY).succeeded();
    let shown = toy.run(&["identity", "show", "zero-a", "--passphrase-file", "../phrase"]).succeeded().stdout;
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&value["hostname"], &value["wifi"]["psk"]), (&"zero-a".into(), &"…".into()));
    assert_eq!(value["consul"]["retry_join"], serde_json::json!(["192.168.1.10"]));
    assert!(!shown.contains(CANARY) && !shown.contains("PRIVATE KEY"), "{shown}");
    toy.run(&["identity", "show", "zero-b"]).failed(1, &["no node `zero-b`", "did you mean `zero-a`?"]);
}

#[test]
fn secrets_that_cannot_be_opened() {
    let toy = cluster();
    let before = toy.read("project/secrets.age");
    toy.write("wrong", "something else\n");
    toy.run(&["identity", "show", "pi4-a", "--passphrase-file", "../wrong"])
        .failed(1, &["secrets.age cannot be opened"]);
    toy.run(&["identity", "show", "pi4-a"]).failed(2, &["the passphrase cannot be asked for", "--passphrase-file"]);
    toy.run(&["secrets", "init", "--passphrase-file", "../phrase"]).failed(1, &["is there already", "secrets update"]);
    // The passphrase may come from the environment.
    let mut command = toy.command(&["secrets", "get", "nomad-encrypt"]);
    Run::of(command.env("HAH_IMAGE_PASSPHRASE", format!("{CANARY}-of-age"))).succeeded();
    set(&toy, &["vault-role-id"], "x").failed(2, &["say whose with --node NAME"]);
    set(&toy, &["vault-role-id", "--node", "pi4-b"], "x").failed(1, &["did you mean `pi4-a`?"]);
    assert_eq!(toy.read("project/secrets.age"), before);
    std::fs::remove_file(toy.path("project/secrets.age")).unwrap();
    toy.run(&["flash", "toy", "x.img", "--yes", "--node", "pi4-a"])
        .failed(1, &["there is no secrets.age", "secrets init"]);
    std::fs::remove_file(toy.path("project/cluster.toml")).unwrap();
    toy.run(&["identity", "show", "pi4-a"]).failed(1, &["cluster.toml", "hah-image init"]);
}

#[test]
fn recipients_instead_of_a_passphrase() {
    if is_missing("age-keygen") {
        return;
    }
    let toy = built();
    let key = toy.path("key");
    judge(Command::new("age-keygen").arg("-o").arg(&key));
    let public = judge(Command::new("age-keygen").arg("-y").arg(&key));
    let recipients = format!("[secrets]\nrecipients = [\"{}\"]\n", public.trim());
    toy.write("project/cluster.toml", CLUSTER.replace("[consul]", &format!("{recipients}[consul]")));
    toy.run(&["secrets", "init"]).succeeded();
    toy.run(&["identity", "show", "pi4-a"]).failed(2, &["is encrypted for keys", "--age-identity"]);
    let shown = toy.run(&["identity", "show", "pi4-a", "--age-identity", "../key"]).succeeded().stdout;
    assert!(shown.contains("\"initial_management\": \"…\""), "{shown}");
    let mut command = toy.command(&["identity", "show", "pi4-a"]);
    Run::of(command.env("HAH_IMAGE_AGE_IDENTITY", &key)).succeeded();
    // age's own tool reads it.
    if !is_missing("age") {
        let plain = judge(Command::new("age").arg("-d").arg("-i").arg(&key).arg(toy.path("project/secrets.age")));
        assert!(plain.contains("consul_encrypt"));
    }
}

/// Whoever gets the repository guesses for as long as he likes.
#[test]
fn a_weak_passphrase_is_refused_and_may_be_insisted_on() {
    let toy = Toy::new();
    toy.write("project/cluster.toml", "name = \"home\"\n[nodes.a]\nimage = \"toy\"\nconsul = \"server\"\n");
    toy.write("phrase", "correct horse\n");
    let init = |more: &[&str]| toy.run(&[&["secrets", "init", "--passphrase-file", "../phrase"], more].concat());
    let run = init(&[]).failed(1, &["the passphrase is weak", "--weak-passphrase", "`recipients`"]);
    assert!(!run.stderr.contains("correct horse"), "{run}");
    assert!(!toy.path("project/secrets.age").exists());
    let weak = Run::of(toy.command(&["secrets", "init"]).env("HAH_IMAGE_PASSPHRASE", "home"));
    weak.failed(1, &["the passphrase is weak"]);
    init(&["--weak-passphrase"]).succeeded();
    toy.run(&["secrets", "update", "--passphrase-file", "../phrase"]).succeeded();
    std::fs::remove_file(toy.path("project/secrets.age")).unwrap();
    toy.write("phrase", "\n");
    init(&["--weak-passphrase"]).failed(1, &["its first line is empty"]);
}

/// A card in a file, and the disk that a node gets in QEMU, are read by nobody else.
#[test]
fn files_that_stand_for_cards_are_their_owner_s() {
    use std::os::unix::fs::PermissionsExt as _;
    let toy = built();
    let mode = |name: &str| std::fs::metadata(toy.path(name)).unwrap().permissions().mode() & 0o7777;
    toy.write("node.json", r#"{"version": 1, "hostname": "a"}"#);
    let flash = |name: &str, more: &[&str]| {
        toy.run(&[&["flash", "toy", &format!("../{name}"), "--yes"], more].concat()).succeeded();
    };
    flash("new.img", &[]);
    assert_eq!(mode("new.img"), 0o600);
    // One that was there, and that everybody may read, becomes private when secrets come onto it.
    super::old_card(&toy.path("old.img"), super::size(&toy.image()) + super::ROOM, 0);
    std::fs::set_permissions(toy.path("old.img"), std::fs::Permissions::from_mode(0o644)).unwrap();
    flash("old.img", &[]);
    assert_eq!(mode("old.img"), 0o644, "it holds no secret, and whose it is decides who made it");
    flash("old.img", &["--identity", "../node.json"]);
    assert_eq!(mode("old.img"), 0o600);
}

/// The error of a broken node.json says where, and repeats no value.
#[test]
fn flash_identity_repeats_no_value() {
    let toy = built();
    for text in [
        r#"{"version": 1, "hostname": ["CANARY"]}"#,
        r#"{"version": 1, "wifi": {"ssid": "x", "psk": 7, "country": "CANARY-land"}}"#,
        r#"{"version": 1, "consul": {"acl": "CANARY"}}"#,
        r#"{"version": "CANARY"}"#,
        r#"{"version": 1, "consul": {"encrypt": "x", "CANARY/key+of=base64": 1}}"#,
        "{\"version\": 1, \"user\": {\"password_hash\": \"CANARY",
        r#"{"version": 1, "user": {"password_hash": "CANARY:1"}}"#,
    ] {
        toy.write("node.json", text);
        let run = toy.run(&["flash", "toy", "../x.img", "--yes", "--identity", "../node.json"]);
        let run = run.failed(1, &["node.json: "]);
        assert!(!run.stderr.contains("CANARY"), "{text}: {run}");
        assert!(!toy.path("x.img").exists());
    }
}

/// The URL of a webhook is a password: it is one node's own, and no command shows it but `get`.
#[test]
fn a_webhook_is_a_node_s_own() {
    let toy = cluster();
    given(&toy, &["alertmanager-webhook", "--passphrase-file", "../phrase"], "https://example.org/CANARY\n")
        .failed(2, &["say whose with --node NAME"]);
    set(&toy, &["alertmanager-webhook", "--node", "zero-a"], "no URL\n")
        .failed(1, &["alertmanager.webhook is not a URL"]);
    set(&toy, &["alertmanager-webhook", "--node", "zero-a"], "https://example.org/CANARY\n").succeeded();
    set(&toy, &["wifi-psk"], "correct horse\n").succeeded();
    let show = |node: &str| toy.run(&["identity", "show", node, "--passphrase-file", "../phrase"]).succeeded().stdout;
    let (with, without) = (show("zero-a"), show("pi4-a"));
    assert!(with.contains("\"webhook\": \"…\"") && !with.contains("CANARY"), "{with}");
    assert!(!without.contains("alertmanager"), "{without}");
}
