//! Every combination of roles, TLS, access control and flavours, each given to the program that is to read it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{content, debian, foreign, found, render, system, version, write};

/// Every choice of one value from each list.
fn product(choices: &[&[&'static str]]) -> Vec<Vec<&'static str>> {
    choices.iter().fold(vec![Vec::new()], |rows, values| {
        rows.iter().flat_map(|row| values.iter().map(move |value| [row.as_slice(), &[*value]].concat())).collect()
    })
}

fn images() -> Vec<String> {
    super::sources().images().into_iter().map(str::to_owned).collect()
}

/// Rendered, in a directory of its own.
fn rendered(image: &str, sets: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    render(&system(image, sets), directory.path());
    directory
}

/// The Consul that reads what is rendered for Debian's 1.8, or the one for a later version.
fn consul(is_later: bool) -> Option<PathBuf> {
    let late = |program: &Path| {
        let said = version(program);
        let mut numbers = said.trim_start_matches("Consul v").split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(1), Some(15))
    };
    let found = found("consul").into_iter().find(|program| late(program) == is_later);
    if found.is_none() && !is_later {
        return debian("consul");
    }
    if found.is_none() {
        println!("skipped: no consul of 1.15 or later in HAH_E2E_BIN or PATH");
    }
    found
}

#[test]
fn consul_accepts_its_configuration() {
    for (source, is_later) in [("consul.source=debian", false), ("consul.source=hashicorp", true)] {
        let Some(consul) = consul(is_later) else { continue };
        println!("{}", version(&consul));
        let combinations = product(&[
            &["consul.role=server", "consul.role=client"],
            &["consul.tls=false", "consul.tls=true"],
            &["consul.acl=off", "consul.acl=allow", "consul.acl=deny"],
            &["consul.http=network", "consul.http=local"],
            &["vault.flavour=vault", "vault.flavour=openbao"],
            &["vault.tls=false", "vault.tls=true"],
        ]);
        for mut sets in combinations {
            sets.extend([source, "consul.bootstrap-expect=3", "consul.retry-join=[\"192.0.2.1\", \"192.0.2.2\"]"]);
            let directory = rendered("whole", &sets);
            let said = content(
                Command::new(&consul).arg("validate").arg(directory.path().join("etc/consul.d")),
                &sets.join(" "),
            );
            assert!(said.contains("Configuration is valid"), "{said}");
        }
        for image in images() {
            let directory = rendered(&image, &[source]);
            content(Command::new(&consul).arg("validate").arg(directory.path().join("etc/consul.d")), &image);
        }
    }
}

#[test]
fn nomad_accepts_its_configuration() {
    let Some(nomad) = foreign("nomad") else { return };
    println!("{}", version(&nomad));
    let combinations = product(&[
        &["nomad.role=server", "nomad.role=client", "nomad.role=both"],
        &["nomad.tls=false", "nomad.tls=true"],
        &["nomad.acl=false", "nomad.acl=true"],
        &["consul.acl=off", "consul.acl=deny"],
        &["telemetry.driver=exec", "telemetry.driver=raw_exec"],
    ]);
    for sets in combinations {
        let directory = rendered("whole", &sets);
        content(
            Command::new(&nomad).args(["config", "validate"]).arg(directory.path().join("etc/nomad.d")),
            &sets.join(" "),
        );
    }
    for image in images() {
        let directory = rendered(&image, &[]);
        let path = directory.path().join("etc/nomad.d");
        if path.exists() {
            content(Command::new(&nomad).args(["config", "validate"]).arg(path), &image);
        }
    }
}

/// With credentials in place, as the job's templates or identity would put them.
#[test]
fn prometheus_accepts_its_configuration() {
    let Some(promtool) = debian("promtool") else { return };
    let check = |image: &str, sets: &[&str]| {
        let directory = rendered(image, sets);
        let prometheus = directory.path().join("usr/share/hah/prometheus");
        if !prometheus.exists() {
            return;
        }
        for secret in ["consul_token", "vault_token", "ca.pem"] {
            write(&prometheus.join("../secrets").join(secret), b"");
        }
        write(&prometheus.join("targets/consul.json"), b"[]");
        let path = prometheus.join("prometheus.yml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("/run/hah/secrets/prometheus", "../secrets");
        std::fs::write(&path, text).unwrap();
        let said = content(Command::new(&promtool).args(["check", "config"]).arg(&path), &format!("{image} {sets:?}"));
        assert!(!said.contains("WARNING"), "{said}");
    };
    let combinations = product(&[
        &["telemetry.runner=nomad", "telemetry.runner=systemd"],
        &["telemetry.layers=[]", "telemetry.layers=[\"nomad\", \"vault\", \"alertmanager\"]"],
        &["consul.acl=off", "consul.acl=deny"],
        &["telemetry.vault-tls=false", "telemetry.vault-tls=true"],
        &["telemetry.vault-token=false", "telemetry.vault-token=true"],
        &["telemetry.scrape-interval=5s", "telemetry.scrape-interval=60s"],
    ]);
    for sets in combinations {
        check("whole", &sets);
    }
    for image in images() {
        check(&image, &[]);
    }
}

#[test]
fn alertmanager_accepts_its_configuration() {
    let Some(amtool) = debian("amtool") else { return };
    for sets in product(&[
        &[
            "alertmanager.webhook=",
            "alertmanager.webhook=http://192.0.2.1/hook?key=\u{e4}",
            "alertmanager.webhook=identity",
        ],
        &[
            "alertmanager.heartbeat=",
            "alertmanager.heartbeat=https://example.org/beat",
            "alertmanager.heartbeat=identity",
        ],
    ]) {
        let directory = rendered("whole", &sets);
        let path = directory.path().join("etc/prometheus/alertmanager.yml");
        content(Command::new(&amtool).arg("check-config").arg(path), &sets.join(" "));
    }
}

/// Where there is an sshd; the virtual machines ask theirs in any case. `sshd -t` wants host keys and the directory of its
/// privilege separation.
#[test]
fn sshd_accepts_its_configuration() {
    let Some(sshd) = foreign("sshd") else { return };
    let Some(keygen) = debian("ssh-keygen") else { return };
    for image in images() {
        let directory = rendered(&image, &["ssh.authorized-keys=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== you@laptop"]);
        let path = directory.path().join("etc/ssh/sshd_config.d/10-hah.conf");
        let keys = directory.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let key = keys.join(format!("ssh_host_{kind}_key"));
            content(Command::new(&keygen).args(["-q", "-N", "", "-t", kind, "-f"]).arg(key), kind);
        }
        let text = std::fs::read_to_string(&path).unwrap().replace("/var/lib/hah/ssh", keys.to_str().unwrap());
        std::fs::write(&path, text).unwrap();
        let output = super::output(Command::new(&sshd).arg("-t").arg("-f").arg(&path));
        let said = String::from_utf8_lossy(&output.stderr);
        // Only where sshd runs as a service is there a /run/sshd; the check has read the file by then.
        assert!(output.status.success() || said.contains("Missing privilege separation directory"), "{image}: {said}");
    }
}

/// Every unit that a recipe writes, and every one that it amends as far as that can be told without the package.
#[test]
fn systemd_accepts_the_units() {
    let Some(analyze) = debian("systemd-analyze") else { return };
    let mut checks: Vec<(String, Vec<&str>)> = images().into_iter().map(|image| (image, Vec::new())).collect();
    checks.extend(
        product(&[&["vault.role=server", "vault.role=agent"], &["vault.flavour=vault", "vault.flavour=openbao"]])
            .into_iter()
            .map(|sets| ("whole".to_owned(), sets)),
    );
    for (image, sets) in checks {
        let directory = rendered(&image, &sets);
        let root = directory.path();
        for program in [
            "usr/bin/consul",
            "usr/bin/nomad",
            "usr/bin/vault",
            "usr/bin/bao",
            "usr/bin/test",
            "usr/lib/hah/hah-agent",
            "bin/kill",
        ] {
            write(&root.join(program), b"#!/bin/sh\n");
            content(Command::new("chmod").arg("0755").arg(root.join(program)), program);
        }
        let units = std::fs::read_dir(root.join("etc/systemd/system")).unwrap();
        let units: Vec<String> = units
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        assert!(units.iter().any(|unit| unit == "consul.service"), "{units:?}");
        let mut command = Command::new(&analyze);
        command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(format!("--root={}", root.display()));
        content(command.args(&units), &format!("{image} {sets:?}"));
    }
}

/// Ends when dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something listens there.
#[track_caller]
fn listens(address: &str, child: &mut Running, log: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_err() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(child.0.try_wait().unwrap().is_none(), "it ended:\n{}", said());
        assert!(Instant::now() < end, "nothing listens on {address}:\n{}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// There is no `validate`: the servers are started until they listen, with addresses and directories of this test.
#[test]
fn vault_and_openbao_start() {
    for (flavour, program) in [("vault", "vault"), ("openbao", "bao")] {
        let Some(program) = foreign(program) else { continue };
        println!("{}", version(&program));
        for (number, sets) in product(&[
            &["vault.tls=false", "vault.tls=true"],
            &["vault.metrics=unauthenticated", "vault.metrics=token"],
            &["vault.retry-join=[]", "vault.retry-join=[\"http://192.0.2.1:1\", \"http://192.0.2.2:1\"]"],
        ])
        .into_iter()
        .enumerate()
        {
            let flavour_set = format!("vault.flavour={flavour}");
            let bind = format!("127.7.{}.1", number + 1);
            let bind_set = format!("vault.bind-address={bind}");
            let mut all = sets.clone();
            all.extend([flavour_set.as_str(), bind_set.as_str()]);
            let directory = rendered("whole", &all);
            let root = directory.path();
            let own = format!("127.7.{}.2", number + 1);
            let config = root.join("etc/vault.d/hah.json");
            let text = std::fs::read_to_string(&config).unwrap();
            let text = text
                .replace("127.0.0.1:820", &format!("{own}:820"))
                .replace("/var/lib/vault", root.join("data").to_str().unwrap())
                .replace("/run/hah/secrets/vault", root.to_str().unwrap());
            std::fs::write(&config, text).unwrap();
            std::fs::create_dir(root.join("data")).unwrap();
            certificate(root, &[&bind, &own]);
            let log = root.join("log");
            let out = std::fs::File::create(&log).unwrap();
            let mut command = Command::new(&program);
            command.args(["server", "-config"]).arg(root.join("etc/vault.d"));
            command.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null());
            let mut child = Running(command.env_remove("AWS_CA_BUNDLE").spawn().unwrap());
            for address in [&bind, &own] {
                listens(&format!("{address}:8200"), &mut child, &log);
            }
        }
    }
}

/// `ca.pem`, `cert.pem` and `key.pem`, as identity would put them.
fn certificate(directory: &Path, addresses: &[&str]) {
    let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=vault", "-addext", &format!("subjectAltName={}", names.join(","))]);
    command.arg("-keyout").arg(directory.join("key.pem")).arg("-out").arg(directory.join("cert.pem"));
    content(&mut command, "openssl");
    std::fs::copy(directory.join("cert.pem"), directory.join("ca.pem")).unwrap();
}
