//! Power that goes during the first boot: whenever that is, the next boot is good.

use std::time::Duration;

use super::machine::{BOOT, LOGIN, Node, STAGE1_DONE, STAGE1_STARTS, Vm};
use super::{full, image, variable};

/// Random numbers from a seed (SplitMix64), so that a failure can be tried again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A part of a time.
    pub(crate) fn part(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.fraction())
    }

    /// A part of a whole.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

#[test]
fn a_first_boot_survives_power_cuts() {
    const TEST: &str = "a_first_boot_survives_power_cuts";
    let Some(image) = image::with_key(TEST, "lab") else { return };
    let seed = variable("HAH_TEST_SEED").and_then(|text| text.parse().ok()).unwrap_or(0x6861_6821);
    let rounds = if full() { 30 } else { 4 };
    println!("{TEST}: {rounds} rounds from seed {seed} (HAH_TEST_SEED)");

    // How long stage 1 takes to make the data partition, here and now; the seed decides fractions of it.
    let node = Node::new(&image, "virt", "power-cut", 4);
    let vm = node.boot();
    let mut stage1 = stage1_time(&vm);
    vm.pull_the_plug();
    println!("stage 1 takes {stage1:.1?} of a first boot");

    let mut random = Random(seed);
    for round in 1..=rounds {
        let node = Node::new(&image, "virt", "power-cut", 4);
        // Every fourth cut is somewhere in systemd's first boot; every third round has a second cut, in the repair.
        let window = if round % 4 == 0 { stage1 * 12 } else { stage1 };
        let cuts = if round % 3 == 0 { 2 } else { 1 };
        let mut named = None;
        for _ in 0..cuts {
            let console = cut(&node, random.part(window), round);
            named = name(&console).or(named);
        }
        let mut vm = node.boot();
        let time = stage1_time(&vm);
        vm.wait_for(LOGIN, BOOT);
        let console = vm.console();
        assert!(!console.contains("hah: cannot"), "{console}");
        if console.contains(": making the data partition") {
            // The machine may be busier or calmer than a while ago.
            stage1 = time;
        }
        let now = name(&console);
        assert!(now.is_some(), "{console}");
        assert!(named.is_none() || named == now, "a node that has said its name keeps it: {named:?}, then {now:?}");
        if round == rounds {
            assert_eq!(vm.ssh_status("systemctl is-system-running --wait").1, "running");
            assert_eq!(vm.ssh("systemctl list-units --failed --plain --no-legend"), "");
        }
        println!("round {round}: good, stage 1 took {time:.1?}: {}", stage1_words(&console));
    }
}

/// How long stage 1 takes in this boot.
fn stage1_time(vm: &Vm<'_>) -> Duration {
    let starts = vm.wait_for(STAGE1_STARTS, BOOT);
    vm.wait_for(STAGE1_DONE, BOOT) - starts
}

/// Boots and pulls the plug when stage 1 has run for `delay`.
fn cut(node: &Node, delay: Duration, round: u32) -> String {
    let vm = node.boot();
    vm.wait_for(STAGE1_STARTS, BOOT);
    std::thread::sleep(delay);
    let console = vm.pull_the_plug();
    println!("round {round}: cut {delay:.3?} into stage 1, after: {}", stage1_words(&console));
    console
}

/// The name by which a node introduces itself at the end of stage 1.
fn name(console: &str) -> Option<String> {
    let (_, rest) = console.split_once("hah: this is ")?;
    rest.split_once(STAGE1_DONE).map(|(name, _)| name.to_owned())
}

/// The last thing that stage 1 said before its farewell.
fn stage1_words(console: &str) -> String {
    let words = console.lines().filter_map(|line| line.split_once("hah: ")).map(|(_, words)| words.trim());
    words.rev().find(|words| !words.starts_with("this is ")).unwrap_or("nothing").to_owned()
}
