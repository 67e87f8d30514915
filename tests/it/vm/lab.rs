//! A lab node from its first boot to its second.

use std::collections::BTreeMap;

use super::image;
use super::machine::{BOOT, Node, Vm};

/// What must be the same in every boot of a node, by the command that shows it.
const LASTS: [&str; 5] = [
    "cat /etc/machine-id",
    "cat /etc/hostname",
    "for key in /var/lib/hah/ssh/*.pub; do ssh-keygen -lf $key; done",
    "cat /var/tmp/mine",
    "cat /home/hah/mine",
];

#[test]
fn a_lab_node_runs_and_comes_back() {
    let Some(image) = image::with_key("a_lab_node_runs_and_comes_back", "lab") else { return };
    let node = Node::new(&image, "virt", "lab", 4);

    let mut vm = node.boot();
    settle(&mut vm);
    check_disk(&mut vm, Table::Mbr);
    check_services(&mut vm);
    assert_eq!(stage1(&mut vm)["data_action"], "created");
    vm.ssh("echo kept in var | sudo tee /var/tmp/mine; echo kept at home > /home/hah/mine; sudo touch /etc/drift");
    let before = lasting(&mut vm);
    println!("{}", vm.ssh("free -m; df -h / /var /boot/firmware; systemd-analyze; hah-agent status"));
    vm.power_off();

    // ssh itself checks the host key against the one of the first boot.
    let mut vm = node.boot();
    settle(&mut vm);
    assert_eq!(lasting(&mut vm), before);
    assert_eq!(stage1(&mut vm)["data_action"], "kept");
    assert_eq!(vm.ssh_status("test -e /etc/drift").0, Some(1), "/etc is made anew on every boot");
    assert_eq!(vm.ssh("journalctl -q --list-boots | wc -l"), "2", "the journal outlives a reboot");
    check_services(&mut vm);
    vm.power_off();
}

/// Waits until the boot has ended, and checks that all of it went well.
pub(super) fn settle(vm: &mut Vm<'_>) {
    vm.wait_for(super::machine::STAGE1_DONE, BOOT);
    let (_, state) = vm.ssh_status("systemctl is-system-running --wait");
    println!("{state} after {:.0?} (without KVM)", vm.uptime());
    let failed = vm.ssh("systemctl list-units --failed --plain --no-legend");
    assert!(
        state == "running" && failed.is_empty(),
        "{state}: {failed}\n{}",
        vm.ssh("journalctl -b -p warning --no-pager | tail -n 60")
    );
    assert_eq!(vm.ssh("sudo /usr/sbin/sshd -t"), "", "sshd's own word on its configuration");
    assert!(!vm.ssh("journalctl -b -q -o cat -t hah").is_empty(), "stage 1's words are in the journal");
    assert_eq!(vm.ssh("journalctl -b -q -o cat -t hah -p warning"), "");
    assert_eq!(stage1(vm)["warnings"], serde_json::json!([]));
    let hostname = vm.ssh("hostname");
    assert!(hostname.starts_with("hah-") && hostname.len() == "hah-".len() + 8, "{hostname}");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Mbr,
    Gpt,
}

/// What is mounted where, and how large.
pub(super) fn check_disk(vm: &mut Vm<'_>, table: Table) {
    let mut mount = |place: &str| {
        let text = vm.ssh(&format!("findmnt -nro SOURCE,FSTYPE,OPTIONS {place}"));
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let [source, kind, options] = <[String; 3]>::try_from(words).unwrap();
        let has = options.split(',').map(str::to_owned).collect::<Vec<_>>();
        (source, kind, has)
    };
    let (source, kind, options) = mount("/");
    assert_eq!((source.as_str(), kind.as_str(), options.contains(&"ro".to_owned())), ("/dev/vda2", "squashfs", true));
    let (_, kind, options) = mount("/etc");
    assert_eq!((kind.as_str(), options.contains(&"rw".to_owned())), ("overlay", true));
    let (source, kind, options) = mount("/var");
    assert_eq!((source.as_str(), kind.as_str(), options.contains(&"rw".to_owned())), ("/dev/vda3", "ext4", true));
    let (source, kind, _) = mount("/boot/firmware");
    assert_eq!((source.as_str(), kind.as_str()), ("/dev/vda1", "vfat"));
    assert_ne!(vm.ssh_status("sudo touch /usr/x").0, Some(0), "the root cannot be written");

    let sectors = |text: String| text.trim().parse::<u64>().unwrap();
    let disk = sectors(vm.ssh("cat /sys/class/block/vda/size"));
    let start = sectors(vm.ssh("cat /sys/class/block/vda3/start"));
    let size = sectors(vm.ssh("cat /sys/class/block/vda3/size"));
    // 33 sectors at the end are the backup of a GPT; a MiB is what alignment may cost.
    assert!(start + size <= disk && disk - (start + size) < 2048 + 34, "{start} + {size} of {disk} sectors");
    let bytes = sectors(vm.ssh("findmnt -bnro SIZE /var"));
    assert!(bytes > size * 512 / 100 * 95, "the file system has {bytes} of {} bytes", size * 512);
    let label = vm.ssh("sudo blkid -p -o value -s PTTYPE /dev/vda");
    assert_eq!(label, if table == Table::Gpt { "gpt" } else { "dos" });
}

/// node_exporter, Consul, and the one in the other's catalog.
pub(super) fn check_services(vm: &mut Vm<'_>) {
    vm.ssh("echo 'hah_it 1' | sudo tee /var/lib/prometheus/node-exporter/it.prom");
    let metrics = vm.get_until("node_exporter", "/metrics", |text| text.contains("\nhah_it 1\n"));
    for wanted in [
        "node_load1 ",
        "node_textfile_scrape_error 0",
        r#"node_filesystem_size_bytes{device="/dev/vda3""#,
        r#"node_systemd_unit_state{name="consul.service",state="active",type="exec"} 1"#,
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(wanted)), "no {wanted} in the metrics");
    }
    let leader = vm.get_until("consul", "/v1/status/leader", |text| text.trim().len() > 2);
    assert!(leader.contains(":8300"), "{leader}");
    let hostname = vm.ssh("hostname");
    let path = "/v1/health/service/node-exporter?passing";
    let catalog = vm.get_until("consul", path, |text| text.contains("node-exporter"));
    let catalog: serde_json::Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!(catalog[0]["Node"]["Node"], hostname.as_str());
    assert_eq!(catalog[0]["Service"]["Port"], 9100);
}

/// Stage 1's report of this boot.
pub(super) fn stage1(vm: &mut Vm<'_>) -> serde_json::Value {
    serde_json::from_str(&vm.ssh("hah-agent status --json")).unwrap()
}

pub(super) fn lasting(vm: &mut Vm<'_>) -> BTreeMap<&'static str, String> {
    let mut all: BTreeMap<_, _> = LASTS.into_iter().map(|command| (command, vm.ssh(command))).collect();
    // Consul's own identity: made on the first start, and a new one is a new voter.
    let id = vm.ssh("sudo cat /var/lib/consul/node-id");
    all.insert("node-id", id);
    for (command, text) in &all {
        assert!(!text.is_empty(), "`{command}` shows nothing");
    }
    all
}
