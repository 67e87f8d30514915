//! What a person sees: the kernel log during stage 1, the standard streams afterwards. Nothing else prints.
//!
//! A line written to `/dev/kmsg` reaches every console that the kernel command line names, HDMI and serial alike, and
//! the journal later. Where that fails, or where the log level hides it, a failure is written to the terminals directly.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::system::RebootCommand;

const KERNEL_LOG: &str = "/dev/kmsg";
/// The kernel takes records of at most 1024 bytes, prefix included.
const LINE_MAX: usize = 960;
/// How long a failure stays on the console, in seconds, until the command line has been read.
const REBOOT_DELAY: u64 = 10;

static DEBUG: AtomicBool = AtomicBool::new(false);
static REBOOT_AFTER: AtomicU64 = AtomicU64::new(REBOOT_DELAY);

/// Importance of a kernel log line; the numbers are syslog's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Stage 1 cannot go on.
    Critical = 2,
    /// Something is wrong, and the boot goes on.
    Warning = 4,
    /// A step that a person wants to see.
    Notice = 5,
}

/// What happens after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Reboot when this many seconds have passed.
    RebootAfter(u64),
    /// Leave everything as it is for a human.
    Stop,
}

/// Applies the kernel command line's wishes.
pub(crate) fn configure(debug: bool, failure: OnFailure) {
    DEBUG.store(debug, Ordering::Relaxed);
    let seconds = match failure {
        OnFailure::RebootAfter(seconds) => seconds,
        OnFailure::Stop => 0,
    };
    REBOOT_AFTER.store(seconds, Ordering::Relaxed);
}

/// Lets the kernel log take more than its default of ten lines in five seconds from us. systemd does the same later.
pub(crate) fn lift_rate_limit() {
    // Fails only where the command line has locked the setting: then that is what the person wants.
    let _ = fs::write("/proc/sys/kernel/printk_devkmsg", "on\n");
}

/// Says what happens, in stage 1.
pub(crate) fn say(text: &str) {
    kernel_log(Level::Notice, text);
}

/// Says what is wrong without being fatal, in stage 1.
pub(crate) fn warn(text: &str) {
    kernel_log(Level::Warning, text);
}

/// Says what only `hah.debug` asks for, in stage 1.
pub(crate) fn debug(text: &str) {
    if DEBUG.load(Ordering::Relaxed) {
        kernel_log(Level::Notice, text);
    }
}

/// Prints one line on every console, waits, and reboots: the end of a stage 1 that cannot go on.
pub(crate) fn fail(text: &str) -> ! {
    let delay = REBOOT_AFTER.load(Ordering::Relaxed);
    let then = if delay == 0 { "stopped here (hah.reboot=0)".to_owned() } else { format!("rebooting in {delay} s") };
    let line = format!("cannot boot: {}; {then}", text.trim_end_matches('.'));
    let logged = kernel_log(Level::Critical, &line);
    write_to_terminals(&line, logged);
    rustix::fs::sync();
    if delay > 0 {
        std::thread::sleep(Duration::from_secs(delay));
        // Returns only on failure, and then there is nothing left but to stay.
        if let Err(error) = rustix::system::reboot(RebootCommand::Restart) {
            kernel_log(Level::Critical, &format!("the reboot failed too: {error}; switch the power off and on"));
        }
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Makes a panic, which would be a bug, end like any other failure instead of as a kernel panic.
pub(crate) fn catch_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        fail(&format!("this is a bug in hah-agent{place}: {}", panic.payload_as_str().unwrap_or("no message")));
    }));
}

/// Writes one record to the kernel log and tells whether that worked.
fn kernel_log(level: Level, text: &str) -> bool {
    let line = record(level, text);
    fs::OpenOptions::new().write(true).open(KERNEL_LOG).and_then(|mut log| log.write_all(line.as_bytes())).is_ok()
}

/// Says on every console of a running system what happened. `log` is the kernel log, or a file in tests.
pub(crate) fn announce(log: &Path, text: &str) {
    let line = record(Level::Notice, text);
    // Where there is no kernel log (a container), the journal has it.
    let _ = fs::OpenOptions::new().append(true).open(log).and_then(|mut log| log.write_all(line.as_bytes()));
}

/// Tells the journal, which takes standard error from a unit.
pub(crate) fn journal(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A record of the kernel log.
fn record(level: Level, text: &str) -> String {
    let mut line = format!("<{}>hah: ", level as u8);
    for character in text.chars() {
        // One record is one line; anything that would break it came from outside.
        let character = if character.is_control() { ' ' } else { character };
        if line.len() + character.len_utf8() > LINE_MAX {
            break;
        }
        line.push(character);
    }
    line.push('\n');
    line
}

/// Writes a failure to the terminals that the kernel log does not reach: the HDMI screen when only a serial console is
/// configured, and every console when the log level hides critical lines or there is no log.
fn write_to_terminals(text: &str, logged: bool) {
    let level = fs::read_to_string("/proc/sys/kernel/printk").unwrap_or_default();
    let shown = level.split_whitespace().next().and_then(|word| word.parse::<u8>().ok()).unwrap_or(7);
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let consoles: BTreeSet<&str> = active.split_whitespace().collect();
    let mut terminals = BTreeSet::new();
    if !logged || shown <= Level::Critical as u8 {
        terminals.extend(consoles.iter().copied());
        terminals.insert(if consoles.is_empty() { "console" } else { "tty0" });
    }
    if !consoles.contains("tty0") && !consoles.contains("tty1") {
        terminals.insert("tty1");
    }
    for terminal in terminals {
        // A terminal that is not there is the usual case: boards differ.
        if let Ok(mut file) = fs::OpenOptions::new().write(true).open(format!("/dev/{terminal}")) {
            let _ = write!(file, "\r\nhah: {text}\r\n");
        }
    }
}

/// Prints a verb's result on standard output.
pub(crate) fn print(text: &str) {
    // A closed pipe is the reader's wish.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints a verb's failure, or what it is doing, on standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "hah-agent: {}", text.trim_end());
}
