//! QEMU, which `hah-image run` starts, as Debian packages it.

use anyhow::Result;
use hah_node::architecture::Architecture;
use xshell::Shell;

use crate::apt;

/// The package of the program that makes and compares disks.
const IMAGES: &str = "qemu-utils";

/// Debian's packages of the programs that `hah-image run` starts for images of an architecture. No firmware is among them:
/// kernel and device tree are handed over, and the network card is told to have no boot ROM.
fn packages(architecture: &Architecture) -> [&'static str; 2] {
    [architecture.qemu.1, IMAGES]
}

/// Installs what is missing.
pub(crate) fn install(shell: &Shell, architecture: &Architecture) -> Result<()> {
    apt::install(shell, &packages(architecture))
}

#[cfg(test)]
mod tests {
    use hah_node::architecture::ARCHITECTURES;

    use super::*;

    /// README's third line failed on a fresh machine: cannot run qemu-img.
    #[test]
    fn xtask_image_installs_what_run_starts() {
        let shell = Shell::new().unwrap();
        shell.change_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut machines = 0;
        for board in shell.read_dir("recipes/boards").unwrap() {
            let text = shell.read_file(&board).unwrap();
            let row = ARCHITECTURES.iter().find(|row| text.contains(&format!("\narchitecture = \"{}\"\n", row.debian)));
            let row = row.unwrap_or_else(|| panic!("{}", board.display()));
            for program in text.lines().filter_map(|line| line.strip_prefix("program = ")) {
                machines += 1;
                assert_eq!(program.trim_matches('"'), row.qemu.0, "{}", board.display());
            }
        }
        assert!(machines >= 3, "the boards have machines");
        // What the program itself starts, and a network card's ROM, which would come from another package.
        let run = shell.read_file("src/hah-image/src/qemu.rs").unwrap();
        for (at, _) in run.match_indices("Command::new(\"") {
            assert_eq!(run[at..].split('"').nth(1).unwrap(), "qemu-img", "it is in {IMAGES}");
        }
        assert!(run.contains("virtio-net-pci,netdev=net,mac={mac},romfile="), "see ipxe-qemu");
        let chore = shell.read_file("xtask/src/image.rs").unwrap();
        assert!(chore.contains("qemu::install(shell"), "`cargo xtask image` does it");
    }
}
