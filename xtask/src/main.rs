//! The project's chores, as a program: `cargo xtask VERB`.
//!
//! Of our crates it depends on the one that is only data, so it works when the others do not compile, and it needs nothing but cargo to start; what
//! else a chore needs it installs with apt, saying so.

mod agent;
mod apt;
mod bench;
mod boot;
mod coverage;
mod e2e;
mod fuzz;
mod generate;
mod image;
mod oracle;
mod programs;
mod qemu;
mod release;
mod repro;
mod say;
mod services;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use xshell::Shell;

const USAGE: &str = "\
cargo xtask VERB

  agent [ARCHITECTURE] [--toolchain musl|glibc|debian|zig]
                     build the node's agent, target/agent/ARCHITECTURE/hah-agent: arm64, armel or amd64 (arm64)
  image [NAME]       install what is missing, QEMU too, build the agent and out/NAME.img (lab)
  test [--full]      everything that continuous integration runs; --full adds the slow lanes
  bench [--foreign]  hah-image beside its rivals; --foreign adds emulation, a quarter hour
  bench --flash      of that, only the writing of cards
  bench --scripts    of that, only the maintainer scripts of a large image
  boot [IMAGE]       boot out/IMAGE.img (lab) in QEMU, building it if it is missing
  e2e                three nodes close the loop in QEMU; HAH_E2E_BIN names Nomad and OpenBao
  services           Debian's daemons in one image, booted twice in QEMU
  oracle [GROUP | --full]
                     dpkg installs the packages of one group (usual) or all, and the trees are compared; needs root
  coverage [LIST]    an image for each package that people ask for; writes docs/coverage.md
  repro              build the image under other circumstances, and compare
  fuzz [TARGET] [--seconds N]
                     the parsers of outside input, one target or all, 600 s each
  fuzz --seeds       all of them, on the committed seeds only
  release [--checksums | --publish TAG]
                     the program as people download it, in target/dist; its checksums; the forge's release of a tag
  tidy               the house rules that rustc and clippy do not know
  generate [--check] the committed files that hah-image prints: schemas, manual page
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["agent"] => run(|shell| agent::build(shell, "arm64", None).map(drop)),
        ["agent", "--toolchain", key] => run(|shell| agent::build(shell, "arm64", Some(key)).map(drop)),
        ["agent", name] => run(|shell| agent::build(shell, name, None).map(drop)),
        ["agent", name, "--toolchain", key] => run(|shell| agent::build(shell, name, Some(key)).map(drop)),
        ["image"] => run(|shell| image::build(shell, "lab")),
        ["image", name] => run(|shell| image::build(shell, name)),
        ["test"] => run(|shell| test::run(shell, test::Lanes::Usual)),
        ["test", "--full"] => run(|shell| test::run(shell, test::Lanes::Slow)),
        ["bench"] => run(|shell| bench::run(shell, bench::Rivals::Native)),
        ["bench", "--foreign"] => run(|shell| bench::run(shell, bench::Rivals::Foreign)),
        ["bench", "--flash"] => run(bench::run_flash),
        ["bench", "--scripts"] => run(bench::run_scripts),
        ["boot"] => run(|shell| boot::run(shell, "lab")),
        ["boot", image] => run(|shell| boot::run(shell, image)),
        ["e2e"] => run(e2e::run),
        ["services"] => run(services::run),
        ["oracle"] => run(|shell| oracle::run(shell, oracle::Groups::Usual)),
        ["oracle", "--full"] => run(|shell| oracle::run(shell, oracle::Groups::All)),
        ["oracle", group] => run(|shell| oracle::run(shell, oracle::Groups::One(group))),
        ["coverage"] => run(|shell| coverage::run(shell, None)),
        ["coverage", list] => run(|shell| coverage::run(shell, Some(list))),
        ["repro"] => run(repro::run),
        ["fuzz", rest @ ..] => match fuzz::parse(rest) {
            Some(task) => run(|shell| fuzz::run(shell, task)),
            None => return usage(),
        },
        ["release"] => run(release::build),
        ["release", "--checksums"] => run(release::checksums),
        ["release", "--publish", tag] => run(|shell| release::publish(shell, tag)),
        ["tidy"] => run(tidy::check),
        ["generate"] => run(|shell| generate::run(shell, generate::Mode::Write)),
        ["generate", "--check"] => run(|shell| generate::run(shell, generate::Mode::Check)),
        ["help" | "--help" | "-h"] => {
            say::data(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::problem(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    say::problem(USAGE);
    ExitCode::from(2)
}

/// Runs a chore at the top of the workspace.
fn run(chore: impl FnOnce(&Shell) -> Result<()>) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(workspace::root()?);
    chore(&shell)
}
