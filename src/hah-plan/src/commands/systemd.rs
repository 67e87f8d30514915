//! systemd and init, where nothing is running: which units are enabled, and nothing is started.
//!
//! Links below `/etc/systemd` change at once, as `systemctl enable` and deb-systemd-helper make them, by what
//! [`crate::configure::units`] knows of unit files and presets. What a package wanted is also booked in
//! [`Effects::units`](crate::effects::Effects), its last word on each unit, so that the pass `units` comes to the same
//! links after the recipes have placed theirs.
//!
//! A node boots with nothing of this running before, so starting, stopping and reloading are left to its first boot:
//!
//! | command | here |
//! |---|---|
//! | `systemctl start`, `daemon-reload`, … | "Running in chroot, ignoring command", status 0, as systemctl itself does in a chroot |
//! | `deb-systemd-invoke`, `invoke-rc.d`, `service` | status 0, as with a `policy-rc.d` that forbids it |
//! | `start-stop-daemon` | nothing is started; there is nothing to stop |
//! | `init`, `telinit`, `runlevel` | there is no init to talk to |

mod enablement;
mod escape;
mod helper;
mod systemctl;
mod sysv;
mod tmpfiles;

use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("deb-systemd-helper", helper::deb_systemd_helper),
    Command::always("deb-systemd-invoke", deb_systemd_invoke),
    Command::in_tree("systemctl", systemctl::systemctl),
    Command::in_tree("systemd-escape", escape::systemd_escape),
    Command::in_tree("systemd-tmpfiles", tmpfiles::systemd_tmpfiles),
    Command::always("update-rc.d", sysv::update_rc_d),
    Command::in_tree("update-rc.d-insserv", sysv::update_rc_d),
    Command::always("invoke-rc.d", sysv::invoke_rc_d),
    Command::always("service", sysv::service),
    Command::always("start-stop-daemon", start_stop_daemon),
    Command::in_tree("runlevel", runlevel),
    Command::in_tree("init", no_init),
    Command::in_tree("telinit", no_init),
    Command::in_tree("shutdown", no_init),
    Command::in_tree("reboot", no_init),
    Command::in_tree("systemd-notify", nothing),
    Command::in_tree("systemd-machine-id-setup", nothing),
    Command::in_tree("systemd-detect-virt", systemd_detect_virt),
    Command::in_tree("systemd-hwdb", nothing),
    Command::in_tree("journalctl", journalctl),
    Command::in_tree("udevadm", udevadm),
    Command::in_tree("loginctl", no_bus),
    Command::in_tree("busctl", no_bus),
    Command::in_tree("networkctl", no_bus),
    Command::in_tree("resolvectl", no_bus),
    Command::in_tree("timedatectl", no_bus),
    Command::in_tree("hostnamectl", no_bus),
    Command::in_tree("localectl", no_bus),
    Command::in_tree("dbus-send", no_bus),
    Command::in_tree("gdbus", no_bus),
];

/// deb-systemd-invoke(1p): without `/run/systemd/system` it does nothing.
fn deb_systemd_invoke(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

/// `systemd-machine-id-setup`: no image has a machine id; the pass `machine_id` writes the word for "none yet".
/// `systemd-hwdb update`: the pass `hwdb` makes the database when all packages' files are there.
/// `systemd-notify`: nobody listens.
fn nothing(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

/// start-stop-daemon(8) where no process runs: nothing is started, stopping finds nothing, and the status of a program
/// is 3, "not running".
fn start_stop_daemon(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let has = |long: &str, short: char| {
        let is_short = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.contains(short);
        // What comes behind `--` is the program's.
        arguments.iter().take_while(|word| *word != "--").any(|word| word == long || is_short(word))
    };
    if has("--status", 'T') {
        Ok(3)
    } else if has("--stop", 'K') {
        if !has("--quiet", 'q') {
            process.print_line("No process found running; none killed.");
        }
        Ok(u8::from(!has("--oknodo", 'o')))
    } else if has("--start", 'S') {
        Ok(0)
    } else {
        process.unknown("without --start, --stop or --status")
    }
}

/// runlevel(8) without an init.
fn runlevel(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.print_line("unknown");
    Ok(1)
}

/// telinit(8), shutdown(8): nobody is there to be told. As in a chroot, where only status and complaint come back.
fn no_init(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.stderr.extend_from_slice(b"Couldn't find an alternative telinit implementation to spawn.\n");
    Ok(1)
}

/// systemd-detect-virt(1): what scripts ask is `--chroot`, and in one they are.
fn systemd_detect_virt(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_quiet, mut is_chroot) = (false, false);
    for word in arguments {
        match word.as_str() {
            "-q" | "--quiet" => is_quiet = true,
            "-r" | "--chroot" => is_chroot = true,
            "-v" | "--vm" | "-c" | "--container" => {}
            other => return process.unknown(other),
        }
    }
    if is_chroot {
        return Ok(0);
    }
    if !is_quiet {
        process.print_line("none");
    }
    Ok(1)
}

/// `journalctl --update-catalog`: the pass `catalog` does it. Everything else asks a journal, and there is none.
fn journalctl(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    if !arguments.iter().any(|word| word == "--update-catalog") {
        process.stderr.extend_from_slice(b"No journal files were found.\n");
    }
    Ok(0)
}

/// udevadm(8): the pass `hwdb` does `udevadm hwdb`, udev reads its rules when it starts, and there are no devices to
/// trigger, to settle or to ask for.
fn udevadm(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    match arguments.iter().find(|word| !word.starts_with('-')).map(String::as_str) {
        Some("control" | "hwdb" | "settle" | "trigger" | "wait" | "lock" | "verify") => Ok(0),
        Some("info" | "test" | "test-builtin" | "monitor") => {
            process.stderr.extend_from_slice(b"Unknown device: No such device\n");
            Ok(1)
        }
        Some(other) => process.unknown(other),
        None => process.unknown("without a command"),
    }
}

/// Clients of D-Bus, which is not there.
fn no_bus(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.complain("Failed to open connection to \"system\" message bus: No such file or directory");
    Ok(1)
}

#[cfg(test)]
mod tests;
