//! Daemons of Debian on a read-only root: installed they also run, and what they keep outlives a reboot.
//!
//! `cargo xtask services` builds the image (`services/project`) and names it in `HAH_SERVICES_IMAGE`; without it these
//! tests are skipped. A boot of it takes some minutes without KVM, so this is a lane of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::vm::{BOOT, Image, LOGIN, Node, Random, STAGE1_DONE, Vm, flashed_from, full, public_key, variable};

/// What a boot with all of its services may take.
const SETTLED: Duration = Duration::from_secs(1800);
/// What each answers: a command on the node, and words of its output.
const ANSWERS: [(&str, &str, &str); 17] = [
    ("nginx", "curl -sS http://127.0.0.1/", "nginx"),
    ("postgresql", "pg_isready", "accepting connections"),
    ("redis", "redis-cli ping", "PONG"),
    ("mosquitto", "mosquitto_pub -t hah/now -m hello -r && mosquitto_sub -t hah/now -C 1 -W 60", "hello"),
    ("docker.io", "sudo docker version --format 'server {{.Server.Version}}'", "server 2"),
    ("samba", "timeout 60 bash -c ': < /dev/tcp/127.0.0.1/445' && echo open", "open"),
    ("samba, nmbd", "nmblookup -U 127.0.0.1 $(hostname)", "<00>"),
    ("chrony", "chronyc -n tracking", "Reference ID"),
    ("nfs-kernel-server", "timeout 60 bash -c ': < /dev/tcp/127.0.0.1/2049' && sudo exportfs -v && echo open", "open"),
    ("prometheus-blackbox-exporter", "curl -sS http://127.0.0.1:9115/metrics", "blackbox_exporter_build_info"),
    ("avahi-daemon", "avahi-resolve -4 -n $(hostname).local", "services.local"),
    ("fail2ban", "sudo fail2ban-client status sshd", "Currently banned"),
    ("python3", "python3 -c 'import ssl, sqlite3; print(6 * 7)'", "42"),
    ("git", "git --version", "git version"),
    ("vim", "vim --version", "VIM - Vi IMproved"),
    ("ssl-cert", "sudo stat -c '%a %U %G' /etc/ssl/private/ssl-cert-snakeoil.key", "640 root ssl-cert"),
    ("the certificate", "openssl x509 -noout -subject -in /etc/ssl/certs/ssl-cert-snakeoil.pem", "services"),
];
/// What is written below `/etc` while the system runs, by the beginnings of paths, and why that is right.
const WRITTEN: [(&str, &str); 8] = [
    ("machine-id", "stage 1: the node's own, kept on the data partition"),
    ("hostname", "stage 1: by the identity"),
    ("hosts", "stage 1: by the identity"),
    ("ssh/authorized_keys.d/", "stage 1: by the identity"),
    ("postgresql/17/", "first boot: the cluster's configuration, put back by stage 1"),
    ("ssl/", "first boot: this host's certificate, put back by stage 1"),
    ("apparmor.d/samba/", "smbd writes it anew on every start, by its shares"),
    ("cni/net.d", "docker makes the directory when it is not there"),
];

fn image(test: &str, card: &str) -> Option<Image> {
    let Some(image) = variable("HAH_SERVICES_IMAGE") else {
        println!("{test}: skipped, HAH_SERVICES_IMAGE names no image (`cargo xtask services` builds one)");
        return None;
    };
    let identity = json!({"version": 1, "hostname": "services", "ssh": {"authorized_keys": [public_key()]}});
    Some(flashed_from(&PathBuf::from(image), card, &identity))
}

/// Waits until every unit has started, and none has failed.
fn settled(vm: &mut Vm<'_>) {
    let deadline = Instant::now() + SETTLED;
    loop {
        let (_, state) = vm.ssh_status("systemctl is-system-running");
        if state != "starting" && state != "initializing" {
            let failed = vm.ssh_status("systemctl --failed --plain --no-legend").1;
            let journal = if state == "running" { String::new() } else { why(vm, &failed) };
            assert_eq!((state.as_str(), failed.as_str()), ("running", ""), "{journal}");
            return;
        }
        assert!(Instant::now() < deadline, "{}", vm.ssh_status("systemctl list-jobs --no-legend").1);
        std::thread::sleep(Duration::from_secs(10));
    }
}

/// The journal of the units that have failed.
fn why(vm: &mut Vm<'_>, failed: &str) -> String {
    let units = failed.lines().filter_map(|line| line.split_whitespace().next());
    let units: String = units.map(|unit| format!(" -u '{unit}'")).collect();
    vm.ssh_status(&format!("sudo journalctl -b --no-pager -n 60{units}")).1
}

fn everybody_answers(vm: &mut Vm<'_>) {
    let deadline = Instant::now() + Duration::from_secs(300);
    for (name, command, words) in ANSWERS {
        // A daemon may say that it has started a moment before it listens.
        loop {
            let (status, said) = vm.ssh_status(command);
            if status == Some(0) && said.contains(words) {
                break;
            }
            assert!(Instant::now() < deadline, "{name}: `{command}` ended with {status:?}: {said}");
            std::thread::sleep(Duration::from_secs(5));
        }
    }
    let journal = vm.ssh("sudo journalctl -b --no-pager -u avahi-daemon");
    assert!(!journal.contains("conflict"), "two answer for one name:\n{journal}");
    let journal = vm.ssh("sudo journalctl -b --no-pager _PID=1");
    assert!(!journal.contains("ordering cycle"), "{journal}");
    let read_only = vm.ssh("sudo journalctl -b --no-pager | grep -i 'read-only file system' || true");
    assert_eq!(read_only, "", "somebody writes to the root");
}

/// Everything below `/etc` that is not the image's is known.
fn etc_is_explained(vm: &mut Vm<'_>) {
    let written =
        vm.ssh("cd /run/hah/etc/upper && sudo find . -mindepth 1 \\( -type d -empty -o ! -type d \\) -printf '%P\\n'");
    let is_known = |path: &&str| WRITTEN.iter().any(|(known, _)| path.starts_with(known));
    let unknown: BTreeSet<&str> = written.lines().filter(|path| !is_known(path)).collect();
    assert!(unknown.is_empty(), "written below /etc, and gone with the next boot: {unknown:?}");
}

fn tasks_are_done(vm: &mut Vm<'_>) {
    let status = vm.ssh("sudo hah-agent status");
    let tasks: Vec<&str> = status.lines().filter(|line| line.starts_with("first boot ")).collect();
    assert!(tasks.len() >= 2 && tasks.iter().all(|line| line.contains(": done ")), "{status}");
}

#[test]
fn daemons_run_on_a_read_only_root_and_keep_their_data() {
    let Some(image) = image("daemons_run_on_a_read_only_root_and_keep_their_data", "services") else { return };
    let node = Node::new(&image, "virt", "services", 8);

    let mut vm = node.boot();
    vm.wait_for(LOGIN, BOOT);
    settled(&mut vm);
    everybody_answers(&mut vm);
    tasks_are_done(&mut vm);
    etc_is_explained(&mut vm);
    let psql = |vm: &mut Vm<'_>, query: &str| vm.ssh(&format!("sudo -u postgres psql -tAc '{query}'"));
    psql(&mut vm, "create table kept (answer int); insert into kept values (42)");
    vm.ssh("redis-cli set kept 42 && redis-cli save");
    vm.ssh("mosquitto_pub -t hah/kept -m 42 -r");
    let key = vm.ssh("sudo sha256sum /etc/ssl/private/ssl-cert-snakeoil.key");
    println!("the first boot is good after {:.0?}", vm.uptime());
    vm.power_off();

    let mut vm = node.boot();
    vm.wait_for(LOGIN, BOOT);
    settled(&mut vm);
    everybody_answers(&mut vm);
    tasks_are_done(&mut vm);
    etc_is_explained(&mut vm);
    assert_eq!(psql(&mut vm, "select answer from kept"), "42");
    assert_eq!(vm.ssh("redis-cli get kept"), "42");
    assert_eq!(vm.ssh("mosquitto_sub -t hah/kept -C 1 -W 60"), "42");
    assert_eq!(vm.ssh("sudo sha256sum /etc/ssl/private/ssl-cert-snakeoil.key"), key, "once in a card's life");
    println!("the second boot is good after {:.0?}", vm.uptime());
    // The log of a crash-safe database says whether it was stopped in order.
    vm.power_off();
}

#[test]
fn first_boot_tasks_survive_power_cuts() {
    const TEST: &str = "first_boot_tasks_survive_power_cuts";
    let Some(image) = image(TEST, "services-cut") else { return };
    let seed = variable("HAH_TEST_SEED").and_then(|text| text.parse().ok()).unwrap_or(0x6861_6821);
    let rounds = if full() { 6 } else { 1 };
    println!("{TEST}: {rounds} rounds from seed {seed} (HAH_TEST_SEED)");
    let mut random = Random(seed);
    let mut window = None;
    for round in 1..=rounds {
        let node = Node::new(&image, "virt", "services-cut", 8);
        // The time from stage 1 to the end of the tasks, here and now, of which the seed decides a fraction.
        let vm = node.boot();
        let from = vm.wait_for(STAGE1_DONE, BOOT);
        if let Some(window) = window {
            let delay: Duration = random.part(window);
            std::thread::sleep(delay);
            println!("round {round}: cut {delay:.1?} into systemd's first boot");
        } else {
            // Its start is on the console, with a name cut short, and the cluster takes longer than this.
            vm.wait_for("hah-first-boot-postgr", SETTLED);
            std::thread::sleep(Duration::from_secs(5));
            println!("round {round}: cut 5 s into the making of the database");
        }
        drop(vm);

        let mut vm = node.boot();
        vm.wait_for(LOGIN, BOOT);
        settled(&mut vm);
        tasks_are_done(&mut vm);
        assert!(vm.ssh("pg_isready").contains("accepting connections"));
        assert_eq!(vm.ssh("sudo -u postgres psql -tAc 'select 6 * 7'"), "42");
        let clusters = vm.ssh("pg_lsclusters -h");
        assert_eq!(clusters.lines().count(), 1, "{clusters}");
        window.get_or_insert(vm.uptime().saturating_sub(from));
    }
}
