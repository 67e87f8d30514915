//! A card that was flashed for a node boots as that node.

use serde_json::json;

use super::image;
use super::machine::{BOOT, Node, STAGE1_DONE, Vm};

/// In every secret of the identity below.
const CANARY: &str = "CANARY";
/// "CANARYCANARYCANARYCANARYCANARY!!" in base64.
const GOSSIP: &str = "Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZISE=";

#[test]
fn a_flashed_card_boots_as_its_node() {
    // The address is the one that QEMU's own network forwards to; DHCP would give the same, and is switched off.
    let identity = json!({
        "version": 1,
        "hostname": "pi4-a",
        "timezone": "Europe/Berlin",
        "ssh": {"authorized_keys": [image::public_key()]},
        "wifi": {"ssid": "no such network", "psk": "CANARY-psk", "country": "DE"},
        "network": {"ethernet": {"addresses": ["10.0.2.15/24"], "gateway": "10.0.2.2", "dns": ["10.0.2.3"]}},
        "consul": {
            "retry_join": ["10.0.2.15"],
            "encrypt": GOSSIP,
            "acl": "allow",
            "tokens": {"initial_management": "CANARY-first", "hah": "CANARY-hah"},
        },
        "nomad": {"meta": {"an-image-without-nomad": "takes no notice"}},
    });
    let Some(image) = image::flashed("a_flashed_card_boots_as_its_node", "identity", &identity) else { return };
    let node = Node::new(&image, "virt", "identity", 4);
    let mut vm = node.boot();
    vm.wait_for("hah: this is pi4-a; starting the system", BOOT);
    settled(&mut vm);
    assert_eq!(vm.ssh("hostname; cat /etc/hostname; grep -c pi4-a /etc/hosts"), "pi4-a\npi4-a\n1");
    assert_eq!(vm.ssh("readlink /etc/localtime"), "/usr/share/zoneinfo/Europe/Berlin");
    let address = vm.ssh("ip -4 -o addr show scope global");
    assert!(address.contains("10.0.2.15/24") && !address.contains("dynamic"), "{address}");
    assert!(vm.ssh("ip -4 route show default").contains("via 10.0.2.2 "));

    // Consul: the name, the join list, the key and the first token are the identity's.
    let token = "http://127.0.0.1:8500/v1/acl/token/self -H 'X-Consul-Token: CANARY-first'";
    vm.get_until("consul", "/v1/status/leader", |text| text.trim().len() > 2);
    let members = vm.get_until("consul", "/v1/agent/members", |text| text.contains("pi4-a"));
    assert!(members.contains("\"Name\":\"pi4-a\""), "{members}");
    // Consul 1.8 calls it "Master Token".
    let first = vm.ssh(&format!("curl -sS {token}"));
    assert!(first.contains("global-management"), "{first}");
    assert!(vm.ssh("sudo cat /etc/consul.d/identity.json").contains("10.0.2.15"));
    assert_eq!(
        vm.ssh("sudo stat -c '%a %U' /etc/consul.d/identity.json /run/hah/secrets/consul.token"),
        "400 consul\n400 consul"
    );
    assert_eq!(vm.ssh_status("ls /etc/nomad.d").0, Some(2), "no program, no fragment");

    // The card forgot, and the data partition keeps it to root.
    assert_eq!(vm.ssh("sudo ls /boot/firmware/hah"), "README.txt");
    assert_eq!(
        vm.ssh("sudo stat -c '%a %U' /var/lib/hah/identity /var/lib/hah/identity/node.json"),
        "700 root\n600 root"
    );
    assert_eq!(
        vm.ssh_status(&format!("sudo grep -q {CANARY} /dev/vda1 || sudo grep -q {GOSSIP} /dev/vda1")).0,
        Some(1)
    );
    assert_eq!(vm.ssh_status(&format!("sudo journalctl -b | grep -v sudo | grep {CANARY}")).0, Some(1));
    assert_eq!(stage1(&mut vm)["identity"], "node");
    if !super::full() {
        return;
    }

    // Another card's worth: what Imager would write, put there by hand.
    let preseed = format!(
        "config_version = \"1.1\"\n[system]\nhostname = \"Kitchen\"\n[user]\nname = \"pi\"\npassword = \"CANARY word\"\n\
         [ssh]\nenabled = true\nauthorized_keys = [\"{}\"]\n",
        image::public_key()
    );
    vm.ssh(&format!("sudo tee /boot/firmware/rpi-preseed.toml > /dev/null <<'END'\n{preseed}END\nsync"));
    vm.power_off();
    let mut vm = node.boot();
    vm.wait_for(STAGE1_DONE, BOOT);
    settled(&mut vm);
    assert_eq!(vm.ssh("hostname; sudo ls /boot/firmware | grep -c toml || true"), "kitchen\n0");
    assert_eq!(stage1(&mut vm)["identity"], "preseed");
    assert!(vm.ssh("sudo getent shadow hah; sudo getent shadow pi").lines().all(|line| line.contains(":$")));
    assert_eq!(vm.ssh("id -u pi; sudo cat /etc/ssh/authorized_keys.d/pi | wc -l"), "1000\n1");
    assert_eq!(
        vm.ssh_status(&format!("sudo grep -q '{CANARY} word' /dev/vda1 /var/lib/hah/identity/node.json")).0,
        Some(1)
    );
}

/// Waits for the end of the boot, and that all of it went well: Wi-Fi for a radio that is not there included.
fn settled(vm: &mut Vm<'_>) {
    let (_, state) = vm.ssh_status("systemctl is-system-running --wait");
    let failed = vm.ssh("systemctl list-units --failed --plain --no-legend");
    assert!(state == "running" && failed.is_empty(), "{state}: {failed}");
    assert_eq!(stage1(vm)["warnings"], json!([]));
}

fn stage1(vm: &mut Vm<'_>) -> serde_json::Value {
    serde_json::from_str(&vm.ssh("hah-agent status --json")).unwrap()
}
