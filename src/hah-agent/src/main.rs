//! The node's agent: one static binary, `/init` of the initramfs and the `hah-agent` command of the running system.
//!
//! - [`stage1`]: from the kernel to systemd: modules, disk, data partition, root, hand-over;
//! - [`identity`]: who this node is: machine id and hostname;
//! - [`durable`]: files that are whole or absent, whenever the power goes;
//! - [`address`]: which of its addresses the node gives to the programs;
//! - [`closing`]: the loop: the cluster gets the job that monitors it, and the node watches;
//! - [`generations`], [`mod@pointer`]: the node's next system, and which one starts;
//! - [`rollout`]: the node goes to its next generation when the cluster can spare it;
//! - [`host_keys`], [`first_boot`], [`status`]: the verbs;
//! - [`console`]: what a person sees, before and after systemd;
//! - [`systemd`]: what is asked of it; `breaks` and `schedules`: what the model tests of both machines share;
//! - [`sys`]: the only `unsafe` code.
//!
//! Nothing here may panic: a PID 1 that ends takes the kernel with it.

mod stage1;
mod breaks;
#[cfg(test)]
mod schedules;
mod systemd;
mod identity;
mod durable;
mod entry;
mod address;
mod closing;
mod rollout;
mod host_keys;
mod first_boot;
mod pointer;
mod generations;
mod status;
mod console;
mod sys;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
hah-agent: the agent of a hah-image node

  hah-agent address          decide the node's address, and follow what changes (hah-address.service)
  hah-agent host-keys        make the SSH host keys that are missing
  hah-agent first-boot TASK  do what the build left to this node (hah-first-boot-TASK.service)
  hah-agent generations [--json]
                             list the generations on this card
  hah-agent generations try ID [--reboot]
                             have the next boot try a generation that was received
  hah-agent commit           keep the generation that is on trial
  hah-agent rollback [ID] [--reboot]
                             make the generation before, or this one, the next boot's
  hah-agent receive          take a generation from standard input (hah-image deploy)
  hah-agent loop             make the cluster monitor itself, and watch (hah-agent.service)
  hah-agent status [--json]  say what stage 1 did, the node's address, and how far the loop is
  hah-agent version          print the version

As /init of an initramfs it is stage 1.
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if called.is_some_and(|name| name == "init") {
        if std::process::id() == 1 {
            stage1::run(arguments.get(1..).unwrap_or_default());
        }
        console::complain("as init it is stage 1 of the boot, which only the kernel can start");
        return ExitCode::from(2);
    }
    let words: Vec<&str> = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or("\u{fffd}")).collect();
    let done = match words.as_slice() {
        ["host-keys"] => host_keys::make_missing().map_err(|error| error.to_string()),
        ["first-boot", task] => match first_boot::run(&first_boot::Places::below(Path::new("/")), task) {
            Ok(first_boot::Outcome::EtcChanged) => {
                first_boot::tell_systemd();
                Ok(())
            }
            Ok(first_boot::Outcome::Same) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        ["receive" | "generations" | "commit" | "rollback", ..] => match generations::parse(&words) {
            Some((verb, root)) => generations::run(&verb, &root).map_err(|error| error.to_string()),
            None => return usage(&words),
        },
        ["address", rest @ ..] => match address::Options::parse(rest) {
            Some(options) => address::run(&options).map_err(|error| error.to_string()),
            None => return usage(&words),
        },
        ["loop", rest @ ..] => match closing::Options::parse(rest) {
            Some(options) => {
                rollout::start(&options);
                closing::run(&options).map_err(|error| error.to_string())
            }
            None => return usage(&words),
        },
        ["status", rest @ ..] => match status::parse(rest) {
            Some((form, root)) => status::print(form, &root).map_err(|error| error.to_string()),
            None => return usage(&words),
        },
        ["version" | "--version" | "-V"] => {
            console::print(concat!("hah-agent ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(())
        }
        ["help" | "--help" | "-h"] => {
            console::print(USAGE);
            Ok(())
        }
        _ => return usage(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::complain(&error);
            ExitCode::from(1)
        }
    }
}

fn usage(words: &[&str]) -> ExitCode {
    console::complain(&format!("unknown arguments: {}\n\n{USAGE}", words.join(" ")));
    ExitCode::from(2)
}
