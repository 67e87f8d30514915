//! QEMU, which `hah-image run` starts, as Debian packages it.

use anyhow::Result;
use xshell::Shell;

use crate::apt;

/// Debian's packages of the programs that `hah-image run` starts. No firmware is among them: kernel and device tree are
/// handed over, and the network card is told to have no boot ROM.
pub(crate) const PACKAGES: [&str; 2] = ["qemu-system-arm", "qemu-utils"];

/// Installs what is missing.
pub(crate) fn install(shell: &Shell) -> Result<()> {
    apt::install(shell, &PACKAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The package of each program, by packages.debian.org.
    const PROGRAMS: [(&str, &str); 3] = [
        ("qemu-system-aarch64", "qemu-system-arm"),
        ("qemu-system-arm", "qemu-system-arm"),
        ("qemu-img", "qemu-utils"),
    ];

    fn installed(program: &str) -> bool {
        PROGRAMS.iter().any(|(name, package)| *name == program && PACKAGES.contains(package))
    }

    /// README's third line failed on a fresh machine: cannot run qemu-img.
    #[test]
    fn xtask_image_installs_what_run_starts() {
        let shell = Shell::new().unwrap();
        shell.change_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut machines = 0;
        for board in shell.read_dir("recipes/boards").unwrap() {
            for line in shell.read_file(board).unwrap().lines() {
                if let Some(program) = line.strip_prefix("program = ") {
                    machines += 1;
                    assert!(installed(program.trim_matches('"')), "{line}");
                }
            }
        }
        assert!(machines >= 3, "the boards have machines");
        // What the program itself starts, and a network card's ROM, which would come from another package.
        let run = shell.read_file("src/hah-image/src/qemu.rs").unwrap();
        for (at, _) in run.match_indices("Command::new(\"") {
            let program = run[at..].split('"').nth(1).unwrap();
            assert!(installed(program), "{program}");
        }
        assert!(run.contains("virtio-net-pci,netdev=net,mac={mac},romfile="), "see ipxe-qemu");
        let chore = shell.read_file("xtask/src/image.rs").unwrap();
        assert!(chore.contains("qemu::install(shell)"), "`cargo xtask image` does it");
    }
}
