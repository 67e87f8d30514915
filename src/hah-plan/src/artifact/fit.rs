//! Whether an artifact's programs can run on the image's board: the processor, the loader, the libraries.
//!
//! A package's programs are Debian's care. A release archive is downloaded by a name that somebody typed, and a binary for
//! another machine would only be noticed on the running node.

use std::fmt;

use hah_format::elf::Program;
use hah_format::path::TreePath;
use hah_format::tree::Kind;
use hah_node::architecture::Architecture as Facts;

use crate::debian::Architecture;
use crate::rootfs::Root;

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
    /// It was built for a newer processor than the boards have.
    Level {
        /// What it says of itself: `7,hardfloat`.
        found: String,
        /// The boards' architecture.
        facts: &'static Facts,
    },
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
            Self::Level { found, facts: Facts { go, .. } } => {
                let (variable, least) = (go.variable, go.runs.first().unwrap_or(&""));
                write!(f, "it was built with {variable}={found}, and {} need {variable}={least}", go.boards)
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
            Self::Level { facts: Facts { go, .. }, .. } => format!(
                "on the board it would die of an illegal instruction: take a build for an older processor, or build it with {}={}",
                go.variable,
                go.runs.first().unwrap_or(&"")
            ),
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
    let Some(wanted) = architecture.facts() else { return Vec::new() };
    if (wanted.elf_machine, wanted.is_64) != (facts.machine, facts.is_64) {
        let found = machine(facts.machine, facts.is_64);
        return vec![Misfit::Machine { found, architecture }];
    }
    let mut misfits = Vec::new();
    if let Some(found) = program.go.as_ref().and_then(|go| go.settings.get(wanted.go.variable))
        && !wanted.runs_go(found)
    {
        misfits.push(Misfit::Level { found: found.clone(), facts: wanted });
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
    match Facts::of_elf(machine, is_64) {
        Some(facts) => format!("{} ({})", facts.description, facts.debian),
        None => format!("ELF machine {machine}"),
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

    const ARM: u16 = 40;
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;

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
        it was built with GOARM=7, and Raspberry Pi Zero and 1 need GOARM=6
          on the board it would die of an illegal instruction: take a build for an older processor, or build it with GOARM=6
        ");
        let newer = built_with(("GOARM64", "v8.1,crypto"), program(AARCH64, None, &[]));
        insta::assert_snapshot!(says(&newer, Architecture::Arm64), @"
        it was built with GOARM64=v8.1,crypto, and Raspberry Pi 3 and 4 need GOARM64=v8.0
          on the board it would die of an illegal instruction: take a build for an older processor, or build it with GOARM64=v8.0
        ");
        insta::assert_snapshot!(says(&go("7,hardfloat"), Architecture::Armel), @"
        it was built with GOARM=7,hardfloat, and Raspberry Pi Zero and 1 need GOARM=6
          on the board it would die of an illegal instruction: take a build for an older processor, or build it with GOARM=6
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
