//! A node from its card to its next generation, and back from one that does not start.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::image::{self, workspace};
use super::lab::{Table, check_disk, check_services, lasting, settle, stage1};
use super::machine::{BOOT, Node, Vm};

/// The image, with a GUID partition table.
const IMAGE: &str = "lab-virt";

/// A project with the one image, locked like the workspace's, so that nothing is fetched.
struct Project(PathBuf);

impl Project {
    /// The image with `more` at the end of its file, which ends with its parameters.
    fn with(more: &str) -> Self {
        let directory = image::directory().join("generation-project");
        fs::create_dir_all(directory.join("images")).unwrap();
        let file = format!("images/{IMAGE}.toml");
        let text = fs::read_to_string(workspace().join(&file)).unwrap();
        let keys = format!("[params]\nssh.authorized-keys = [\"{}\"]\n", image::public_key());
        fs::write(directory.join(&file), text.replace("[params]\n", &keys) + more).unwrap();
        fs::copy(workspace().join("hah.lock"), directory.join("hah.lock")).unwrap();
        Self(directory)
    }

    /// Starts `hah-image deploy` to the machine.
    fn deploy(&self, vm: &Vm<'_>) -> std::process::Child {
        let (options, destination) = vm.ssh_options();
        let mut deploy = Command::new(env!("CARGO_BIN_EXE_hah-image"));
        deploy.arg("-C").arg(&self.0).args(["--offline", "deploy", &destination]);
        deploy.args(options.iter().flat_map(|option| ["--ssh-option", option]));
        let agent = workspace().join("target/agent/arm64/hah-agent");
        if super::variable("HAH_IMAGE_AGENT").is_none() && agent.exists() {
            deploy.env("HAH_IMAGE_AGENT", agent);
        }
        deploy.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// What the node says of its generations: what runs, what is good, whether it is on trial, and how many are bad.
fn generations(vm: &mut Vm<'_>) -> (String, String, bool, usize) {
    let told: serde_json::Value = serde_json::from_str(&vm.ssh("sudo hah-agent generations --json")).unwrap();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    (text("running"), text("good"), told["on_trial"].as_bool().unwrap(), told["bad"].as_array().unwrap().len())
}

#[test]
fn a_node_is_updated_over_the_network_and_goes_back_from_what_does_not_start() {
    const TEST: &str = "a_node_is_updated_over_the_network_and_goes_back_from_what_does_not_start";
    let Some(image) = image::with_key(TEST, IMAGE) else { return };
    let node = Node::new(&image, "virt", IMAGE, 4);

    let mut vm = node.boot();
    settle(&mut vm);
    check_disk(&mut vm, Table::Gpt);
    check_services(&mut vm);
    vm.ssh("echo kept in var | sudo tee /var/tmp/mine; echo kept at home > /home/hah/mine");
    let before = lasting(&mut vm);
    assert_eq!(generations(&mut vm), ("0".into(), "0".into(), false, 0));

    // A changed line of configuration: tried, found to be as good as before, and kept.
    let deploy = Project::with("base.journal-size = \"150M\"\n").deploy(&vm);
    vm.wait_until_off(BOOT);
    let mut vm = node.boot();
    let output = deploy.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{}", said(&output), vm.console());
    println!("{}", said(&output));
    assert!(vm.console().contains("hah: generation 1 is on trial"), "{}", vm.console());
    assert_eq!(generations(&mut vm), ("1".into(), "1".into(), false, 0));
    settle(&mut vm);
    assert_eq!(lasting(&mut vm), before);
    assert_eq!(vm.ssh("findmnt -nro SOURCE,FSTYPE /"), "/dev/loop0 squashfs");
    assert_eq!(vm.ssh("grep -rh SystemMaxUse= /etc/systemd/journald.conf.d"), "SystemMaxUse=157286400");

    // One that cannot start: stage 1 gives up, and the next boot is the good one's, with nobody's hand.
    let deploy = Project::with("\n[kernel]\ncmdline = [\"init=/nonexistent\"]\n").deploy(&vm);
    vm.wait_until_off(BOOT);
    let trial = node.boot().wait_until_off(BOOT);
    assert!(trial.contains("hah: cannot boot: the root file system has no /nonexistent"), "{trial}");
    let mut vm = node.boot();
    let output = deploy.wait_with_output().unwrap();
    println!("{}", said(&output));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("went back"), "{}", said(&output));
    assert_eq!(generations(&mut vm), ("1".into(), "1".into(), false, 1));
    settle(&mut vm);
    assert_eq!(stage1(&mut vm)["generation"], "1");
    assert_eq!(lasting(&mut vm), before);
    check_services(&mut vm);
}
