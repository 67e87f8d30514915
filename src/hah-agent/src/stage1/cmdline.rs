//! The kernel command line: `hah.debug`, `hah.disk=ID`, `hah.generation=N`, `hah.reboot=SECONDS`, `init=PATH`; the rest is
//! other people's.

use hah_node::disk::DiskId;
use hah_node::generation::Slot;
use hah_node::stage1::{CMDLINE_DEBUG, CMDLINE_DISK, CMDLINE_GENERATION, CMDLINE_REBOOT};

use crate::console::OnFailure;

/// A failure that nobody can read is no message, and a node that waits for days is not on its own: at most this many
/// seconds.
const REBOOT_MAX: u64 = 86_400;

/// What the kernel command line asks of stage 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cmdline {
    pub(crate) debug: bool,
    pub(crate) on_failure: OnFailure,
    /// The disk's id, where it is not the one that the image was built with.
    pub(crate) disk: Option<DiskId>,
    /// Which generation the kernel and this initramfs are of.
    pub(crate) generation: Slot,
    /// What to start instead of `/sbin/init`: `init=/bin/sh` is how people rescue a machine.
    pub(crate) init: Option<String>,
}

impl Cmdline {
    /// Reads the words before `--`; the last of equal keys counts, as in the kernel. Nonsense leaves the default.
    pub(crate) fn parse(text: &str) -> Self {
        let mut cmdline = Self {
            debug: false,
            on_failure: OnFailure::RebootAfter(10),
            disk: None,
            generation: Slot::FLASHED,
            init: None,
        };
        for word in words(text).into_iter().take_while(|word| word != "--") {
            let (key, value) = word.split_once('=').unwrap_or((&word, ""));
            if key == CMDLINE_DEBUG {
                cmdline.debug = value != "0";
            } else if key == CMDLINE_DISK {
                cmdline.disk = DiskId::parse(value).or(cmdline.disk);
            } else if key == CMDLINE_GENERATION {
                cmdline.generation = value.parse().unwrap_or(cmdline.generation);
            } else if key == CMDLINE_REBOOT {
                cmdline.on_failure = match value.parse::<u64>() {
                    Ok(0) => OnFailure::Stop,
                    Ok(seconds) => OnFailure::RebootAfter(seconds.min(REBOOT_MAX)),
                    Err(_) => cmdline.on_failure,
                };
            } else if key == "init" && value.starts_with('/') {
                cmdline.init = Some(value.to_owned());
            }
        }
        cmdline
    }
}

/// Splits at white space outside of double quotes, which are dropped, as the kernel does.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            _ if character.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, debug: bool, on_failure: OnFailure, init: Option<&str>) {
        assert_eq!(
            Cmdline::parse(text),
            Cmdline { debug, on_failure, disk: None, generation: Slot::FLASHED, init: init.map(str::to_owned) },
            "{text:?}"
        );
    }

    #[test]
    fn another_disk() {
        let check = |text: &str, wanted| assert_eq!(Cmdline::parse(text).disk, wanted, "{text}");
        check("quiet hah.disk=1234abcd", Some(DiskId::Mbr(0x1234_abcd)));
        check(
            "hah.disk=1234abcd hah.disk=01234567-89ab-8def-8123-456789abcdef",
            Some(DiskId::Gpt(0x0123_4567_89ab_8def_8123_4567_89ab_cdef)),
        );
        check("hah.disk=1234abcd hah.disk=mmcblk0", Some(DiskId::Mbr(0x1234_abcd)));
        check("hah.disk=", None);
        check("hah.disk", None);
        check("-- hah.disk=1234abcd", None);
    }

    #[test]
    fn which_generation() {
        let of = |text: &str| Cmdline::parse(text).generation.byte();
        assert_eq!((of("quiet"), of("quiet hah.generation=3"), of("hah.generation=10")), (b'0', b'3', b'0'));
    }

    #[test]
    fn what_is_asked_for() {
        let ten = OnFailure::RebootAfter(10);
        check("", false, ten, None);
        check("console=tty0 console=ttyS1,115200 panic=10 quiet\n", false, ten, None);
        check("hah.debug hah.reboot=3", true, OnFailure::RebootAfter(3), None);
        check("hah.debug=0 hah.reboot=0", false, OnFailure::Stop, None);
        check("hah.reboot=5 hah.reboot=7", false, OnFailure::RebootAfter(7), None);
        check("hah.reboot=99999999999", false, OnFailure::RebootAfter(86_400), None);
        check("init=/bin/sh", false, ten, Some("/bin/sh"));
        check("rdinit=/bin/sh init=bin/sh", false, ten, None);
        check("x=\"a b\" \"hah.debug\" -- init=/evil", true, ten, None);
    }

    #[test]
    fn nonsense_leaves_the_defaults() {
        for text in ["hah.reboot=", "hah.reboot=-1", "hah.reboot=ten", "\"", "= == =x", "hah.reboot=\u{fffd}"] {
            check(text, false, OnFailure::RebootAfter(10), None);
        }
    }
}
