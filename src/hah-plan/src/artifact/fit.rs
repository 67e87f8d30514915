//! Whether an artifact's programs can run on the image's board: the processor, the loader, the libraries.
//!
//! A package's programs are Debian's care. A release archive is downloaded by a name that somebody typed, and a binary for
//! another machine would only be noticed on the running node.

use std::fmt;

use hah_format::elf::Program;
use hah_format::path::TreePath;
use hah_format::tree::Kind;

use crate::debian::Architecture;
use crate::rootfs::Root;

/// `EM_ARM`, `EM_X86_64`, `EM_AARCH64`.
const ARM: u16 = 40;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// The boards of Debian's armel have a processor of this level of the ARM architecture (BCM2835: ARM1176JZF-S).
const ARMEL_LEVEL: u32 = 6;

/// What Go calls the least of Debian's arm64, which is all that Raspberry Pi 3 and 4 have (Cortex-A53 and -A72: ARMv8.0,
/// neither atomics nor cryptography).
const ARM64_LEVEL: &str = "v8.0";

/// Why a program cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It begins like ELF and is none.
    Damaged,
    /// It is for another processor.
    Machine {
        /// What it is for.
        found: String,
        /// Architecture of the image.
        architecture: Architecture,
    },
    /// It is for a later ARM than the board has.
    ArmLevel {
        /// The level that it needs.
        found: u32,
        /// The level that the board has.
        board: u32,
    },
    /// It is for a later 64-bit ARM than the boards have: the value of `GOARM64`.
    Arm64Level(String),
    /// The image lacks the loader that it names.
    Interpreter(String),
    /// The image lacks libraries.
    Libraries(Vec<String>),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it begins as a program does, and cannot be read as one"),
            Self::Machine { found, architecture } => write!(f, "it is for {found}, and the image is {architecture}"),
            Self::ArmLevel { found, board } => {
                write!(
                    f,
                    "it was built with GOARM={found} for ARMv{found}, and the board's processor is an ARMv{board}"
                )
            }
            Self::Arm64Level(found) => {
                write!(
                    f,
                    "it was built with GOARM64={found}, and Raspberry Pi 3 and 4 have {ARM64_LEVEL} without extensions"
                )
            }
            Self::Interpreter(path) => write!(f, "it is started by {path}, which the image does not have"),
            Self::Libraries(names) => write!(f, "it needs {}, which the image does not have", names.join(", ")),
        }
    }
}

impl Misfit {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Damaged => "check `member` in the recipe, or take another version".to_owned(),
            Self::Machine { architecture, .. } => {
                format!("correct `arch.{architecture}` of the artifact, or feed the build for {architecture}")
            }
            Self::ArmLevel { board, .. } => {
                format!(
                    "on the board it would die of an illegal instruction: take the vendor's armv{board} build, or build it with GOARM={board}"
                )
            }
            Self::Arm64Level(_) => {
                format!("on those boards it would die of an illegal instruction: build it with GOARM64={ARM64_LEVEL}")
            }
            Self::Interpreter(path) if path.contains("musl") => {
                "it is built for musl: take the vendor's glibc or static build".to_owned()
            }
            Self::Interpreter(path) if path.contains("armhf") => {
                "it is built for Debian's armhf, and the image is armel: take a static build (CGO_ENABLED=0)".to_owned()
            }
            Self::Interpreter(_) => {
                "add the package that has it (`libc6`), or take a static build (CGO_ENABLED=0)".to_owned()
            }
            Self::Libraries(_) => "add the packages that have them to the recipe's `packages`".to_owned(),
        }
    }
}

/// Everything that keeps `program` from running in `root` on a board of `architecture`.
pub fn check(program: &Program, architecture: Architecture, root: &Root) -> Vec<Misfit> {
    let facts = &program.facts;
    let wanted = match architecture {
        Architecture::Arm64 => Some((AARCH64, true)),
        Architecture::Armel => Some((ARM, false)),
        Architecture::Amd64 => Some((X86_64, true)),
        Architecture::All => None,
    };
    if wanted.is_some_and(|wanted| wanted != (facts.machine, facts.is_64)) {
        let found = machine(facts.machine, facts.is_64);
        return vec![Misfit::Machine { found, architecture }];
    }
    let mut misfits = Vec::new();
    if architecture == Architecture::Armel
        && let Some(found) = program.go.as_ref().and_then(|go| go.arm_level())
        && found > ARMEL_LEVEL
    {
        misfits.push(Misfit::ArmLevel { found, board: ARMEL_LEVEL });
    }
    if architecture == Architecture::Arm64
        && let Some(found) = program.go.as_ref().and_then(|go| go.settings.get("GOARM64"))
        && found != ARM64_LEVEL
    {
        misfits.push(Misfit::Arm64Level(found.clone()));
    }
    match &facts.interpreter {
        Some(path) if !is_file(root, path) => misfits.push(Misfit::Interpreter(path.clone())),
        Some(_) => {
            let missing: Vec<String> = facts.needed.iter().filter(|name| !has_library(root, name)).cloned().collect();
            if !missing.is_empty() {
                misfits.push(Misfit::Libraries(missing));
            }
        }
        None => {}
    }
    misfits
}

fn machine(machine: u16, is_64: bool) -> String {
    match (machine, is_64) {
        (AARCH64, _) => "64-bit ARM (arm64)".to_owned(),
        (ARM, _) => "32-bit ARM".to_owned(),
        (X86_64, _) => "x86-64 (amd64)".to_owned(),
        (3, _) => "32-bit x86 (386)".to_owned(),
        (other, _) => format!("ELF machine {other}"),
    }
}

/// Whether `path`, links followed, is a file.
fn is_file(root: &Root, path: &str) -> bool {
    let found = TreePath::parse(path).ok().and_then(|path| root.resolve(&path));
    let node = found.and_then(|path| root.get(&path));
    node.is_some_and(|node| matches!(node.kind, Kind::File(_) | Kind::HardLink(_)))
}

/// Whether the image has a library of this name. Where does not count: a program may bring its own directory (`RUNPATH`).
fn has_library(root: &Root, name: &str) -> bool {
    name.contains('/') || root.iter().any(|(path, node)| path.name() == name && !node.is_dir())
}

#[cfg(test)]
mod tests {
    use hah_format::elf::{ElfFacts, GoBuild};
    use hah_format::tree::Node;

    use super::*;
    use crate::rootfs::Content;

    fn program(machine: u16, interpreter: Option<&str>, needed: &[&str]) -> Program {
        let facts = ElfFacts {
            is_64: machine != ARM,
            elf_type: 2,
            machine,
            flags: 0,
            soname: None,
            needed: needed.iter().map(|name| (*name).to_owned()).collect(),
            interpreter: interpreter.map(str::to_owned),
        };
        Program { facts, go: None }
    }

    fn go(level: &str) -> Program {
        built_with(("GOARM", level), program(ARM, None, &[]))
    }

    fn built_with((key, value): (&str, &str), program: Program) -> Program {
        let settings = [(key.to_owned(), value.to_owned())].into();
        Program { go: Some(GoBuild { settings, ..GoBuild::default() }), ..program }
    }

    fn root() -> Root {
        let mut root = Root::new();
        let mut put = |path: &str, node| drop(root.insert(TreePath::parse(path).unwrap(), node).unwrap());
        put("lib", Node::symlink("usr/lib"));
        put("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", Node::file(0o755, Content::inline(*b"x")));
        put("usr/lib/ld-linux-aarch64.so.1", Node::symlink("aarch64-linux-gnu/ld-linux-aarch64.so.1"));
        put("usr/lib/aarch64-linux-gnu/libc.so.6", Node::file(0o755, Content::inline(*b"x")));
        root
    }

    #[track_caller]
    fn says(program: &Program, architecture: Architecture) -> String {
        let misfits = check(program, architecture, &root());
        misfits.iter().map(|misfit| format!("{misfit}\n  {}\n", misfit.hint())).collect()
    }

    #[test]
    fn what_fits_is_let_through() {
        let loader = Some("/lib/ld-linux-aarch64.so.1");
        assert_eq!(says(&program(AARCH64, loader, &["libc.so.6"]), Architecture::Arm64), "");
        assert_eq!(says(&program(AARCH64, None, &[]), Architecture::Arm64), "");
        assert_eq!(says(&built_with(("GOARM64", "v8.0"), program(AARCH64, None, &[])), Architecture::Arm64), "");
        for level in ["5", "6", "6,softfloat", "odd"] {
            assert_eq!(says(&go(level), Architecture::Armel), "", "{level}");
        }
    }

    #[test]
    fn messages() {
        insta::assert_snapshot!(says(&program(X86_64, None, &[]), Architecture::Arm64), @"
        it is for x86-64 (amd64), and the image is arm64
          correct `arch.arm64` of the artifact, or feed the build for arm64
        ");
        insta::assert_snapshot!(says(&program(AARCH64, None, &[]), Architecture::Armel), @"
        it is for 64-bit ARM (arm64), and the image is armel
          correct `arch.armel` of the artifact, or feed the build for armel
        ");
        insta::assert_snapshot!(says(&go("7"), Architecture::Armel), @"
        it was built with GOARM=7 for ARMv7, and the board's processor is an ARMv6
          on the board it would die of an illegal instruction: take the vendor's armv6 build, or build it with GOARM=6
        ");
        let newer = built_with(("GOARM64", "v8.1,crypto"), program(AARCH64, None, &[]));
        insta::assert_snapshot!(says(&newer, Architecture::Arm64), @"
        it was built with GOARM64=v8.1,crypto, and Raspberry Pi 3 and 4 have v8.0 without extensions
          on those boards it would die of an illegal instruction: build it with GOARM64=v8.0
        ");
        insta::assert_snapshot!(says(&go("7,hardfloat"), Architecture::Armel), @"
        it was built with GOARM=7 for ARMv7, and the board's processor is an ARMv6
          on the board it would die of an illegal instruction: take the vendor's armv6 build, or build it with GOARM=6
        ");
        insta::assert_snapshot!(says(&program(ARM, Some("/lib/ld-linux-armhf.so.3"), &["libc.so.6"]), Architecture::Armel), @"
        it is started by /lib/ld-linux-armhf.so.3, which the image does not have
          it is built for Debian's armhf, and the image is armel: take a static build (CGO_ENABLED=0)
        ");
        insta::assert_snapshot!(says(&program(AARCH64, Some("/lib/ld-musl-aarch64.so.1"), &[]), Architecture::Arm64), @"
        it is started by /lib/ld-musl-aarch64.so.1, which the image does not have
          it is built for musl: take the vendor's glibc or static build
        ");
        insta::assert_snapshot!(
            says(&program(AARCH64, Some("/lib/ld-linux-aarch64.so.1"), &["libc.so.6", "libpcap.so.1"]), Architecture::Arm64),
            @"
        it needs libpcap.so.1, which the image does not have
          add the packages that have them to the recipe's `packages`
        "
        );
    }
}
