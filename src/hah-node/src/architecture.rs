//! The architectures of nodes, as one table: what Debian, Rust, Go, ELF and QEMU call each of them.
//!
//! Nothing else of the tree names an architecture, so another one is another row.

/// One architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Debian's name, which is the one that people write: `arm64`.
    pub debian: &'static str,
    /// For messages: `64-bit ARM`.
    pub description: &'static str,
    /// What `uname -m` says on a machine of it.
    pub machine: &'static str,
    /// `e_machine` of its ELF files (elf(5)).
    pub elf_machine: u16,
    /// Whether its ELF files are of class 64.
    pub is_64: bool,
    /// How Go names the processors that programs may be built for.
    pub go: Go,
    /// Debian's multiarch triplet, after which its library directories are named.
    pub multiarch: &'static str,
    /// What dpkg-architecture(1) prints.
    pub dpkg: Dpkg,
    /// What ldconfig of Debian's glibc for it appends to `/lib` and `/usr/lib`, in its order.
    pub library_suffixes: &'static [&'static str],
    /// Rust's targets for the agent's static binary, best first.
    pub rust_targets: &'static [&'static str],
    /// What zig calls the least processor of its boards.
    pub zig_cpu: &'static str,
    /// The emulator, and the Debian package that has it.
    pub qemu: (&'static str, &'static str),
    /// What Raspberry Pi Imager calls it; `None` when no Pi has it.
    pub imager: Option<&'static str>,
}

/// Go's build setting that chooses the least processor: `GOARM=6`.
#[derive(Debug, PartialEq, Eq)]
pub struct Go {
    /// `GOARCH`.
    pub arch: &'static str,
    /// The variable: `GOARM`.
    pub variable: &'static str,
    /// Its values that the least of our boards runs, the best first.
    pub runs: &'static [&'static str],
    /// Whose processor that is, for messages.
    pub boards: &'static str,
}

/// The parts of an architecture's name (dpkg-architecture(1)).
#[derive(Debug, PartialEq, Eq)]
pub struct Dpkg {
    /// `DEB_HOST_ARCH_CPU`.
    pub cpu: &'static str,
    /// `DEB_HOST_ARCH_BITS`.
    pub bits: &'static str,
    /// `DEB_HOST_ARCH_ABI`.
    pub abi: &'static str,
    /// `DEB_HOST_GNU_CPU`.
    pub gnu_cpu: &'static str,
    /// `DEB_HOST_GNU_SYSTEM`.
    pub gnu_system: &'static str,
}

/// All of them.
///
/// Sources: Debian's architecture table (dpkg's `cputable`, `tupletable`), elf.h, `go help environment`, rustc's platform
/// support, and for `library_suffixes` the binaries of Debian's ldconfig.
pub static ARCHITECTURES: [Architecture; 3] = [
    Architecture {
        debian: "arm64",
        description: "64-bit ARM",
        machine: "aarch64",
        elf_machine: 183,
        is_64: true,
        // Cortex-A53 and -A72: ARMv8.0, neither atomics nor cryptography.
        go: Go { arch: "arm64", variable: "GOARM64", runs: &["v8.0"], boards: "Raspberry Pi 3 and 4" },
        multiarch: "aarch64-linux-gnu",
        dpkg: Dpkg { cpu: "arm64", bits: "64", abi: "base", gnu_cpu: "aarch64", gnu_system: "linux-gnu" },
        library_suffixes: &["", "64", "ilp32"],
        rust_targets: &["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"],
        zig_cpu: "cortex_a53",
        qemu: ("qemu-system-aarch64", "qemu-system-arm"),
        imager: Some("armv8"),
    },
    Architecture {
        debian: "armel",
        description: "32-bit ARM",
        machine: "armv6l",
        elf_machine: 40,
        is_64: false,
        // ARM1176JZF-S of the BCM2835: ARMv6.
        go: Go { arch: "arm", variable: "GOARM", runs: &["6", "5"], boards: "Raspberry Pi Zero and 1" },
        multiarch: "arm-linux-gnueabi",
        dpkg: Dpkg { cpu: "arm", bits: "32", abi: "eabi", gnu_cpu: "arm", gnu_system: "linux-gnueabi" },
        library_suffixes: &["", "64", "ilp32"],
        rust_targets: &["arm-unknown-linux-musleabi"],
        zig_cpu: "arm1176jzf_s",
        qemu: ("qemu-system-arm", "qemu-system-arm"),
        imager: Some("armel"),
    },
    Architecture {
        debian: "amd64",
        description: "x86-64",
        machine: "x86_64",
        elf_machine: 62,
        is_64: true,
        // Every x86-64; what a newer one has is a choice of the board that nobody made yet.
        go: Go { arch: "amd64", variable: "GOAMD64", runs: &["v1"], boards: "the oldest of these machines" },
        multiarch: "x86_64-linux-gnu",
        dpkg: Dpkg { cpu: "amd64", bits: "64", abi: "base", gnu_cpu: "x86_64", gnu_system: "linux-gnu" },
        // Debian's libraries are in multiarch directories only; `/lib64` has the loader and nothing else.
        library_suffixes: &[""],
        rust_targets: &["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"],
        zig_cpu: "x86_64",
        qemu: ("qemu-system-x86_64", "qemu-system-x86"),
        imager: None,
    },
];

/// Debian's names of all of them, for lists of choices.
pub const DEBIAN_NAMES: [&str; 3] = [ARCHITECTURES[0].debian, ARCHITECTURES[1].debian, ARCHITECTURES[2].debian];

impl Architecture {
    /// The one that Debian calls so.
    pub fn of_debian(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|architecture| architecture.debian == name)
    }

    /// The one whose programs have this ELF header.
    pub fn of_elf(elf_machine: u16, is_64: bool) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|row| row.elf_machine == elf_machine && row.is_64 == is_64)
    }

    /// Whether a program that says `variable=value` of itself runs on the least of its boards. Go adds options to a
    /// level after a comma: those of GOARM say how floating point is done, and count for nothing (`7,softfloat`), those of
    /// GOARM64 are instructions that the board may lack (`v8.1,crypto`). A GOARM that is no number says nothing.
    pub fn runs_go(&self, value: &str) -> bool {
        if self.is_64 {
            return self.go.runs.contains(&value);
        }
        let level = value.split(',').next().unwrap_or(value);
        level.parse::<u32>().is_err() || self.go.runs.contains(&level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_every_name() {
        for row in &ARCHITECTURES {
            assert_eq!(Architecture::of_debian(row.debian), Some(row));
            assert_eq!(Architecture::of_elf(row.elf_machine, row.is_64), Some(row));
            assert!(row.runs_go(row.go.runs[0]));
            assert_eq!(row.is_64, row.dpkg.bits == "64");
        }
        assert_eq!(Architecture::of_debian("all"), None);
        assert_eq!(Architecture::of_elf(40, true), None);
    }

    #[test]
    fn levels_of_go() {
        let runs = |name: &str, value: &str| Architecture::of_debian(name).unwrap().runs_go(value);
        for (name, value, right) in [
            ("arm64", "v8.0", true),
            ("arm64", "v8.0,lse", false),
            ("arm64", "v8.1,crypto", false),
            ("armel", "6", true),
            ("armel", "6,softfloat", true),
            ("armel", "5", true),
            ("armel", "odd", true),
            ("armel", "7,hardfloat", false),
            ("amd64", "v1", true),
            ("amd64", "v3", false),
        ] {
            assert_eq!(runs(name, value), right, "{name} {value}");
        }
    }
}
