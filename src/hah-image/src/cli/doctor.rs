//! `doctor`: what this machine lacks for building, running and flashing, and the project for its secrets.

use std::path::Path;

use hah_node::architecture::ARCHITECTURES;
use hah_plan::recipe;

use super::Context;
use crate::build::agent;
use crate::failure::Failure;
use crate::fetch::Mirrors;
use crate::files;
use crate::flash::device::{Device, Kernel};
use crate::flash::refusal::{Fixed, Limits, MAX_BYTES, Needs, refusal};
use crate::flash::target::grant;
use crate::printer::{Mode, human_bytes};
use crate::project::init::keys;
use crate::project::secrets::FILE as SECRETS;
use crate::project::settings::Settings;
use crate::qemu;

/// A line of the report.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    what: String,
    /// What to do, when it is not as it should be.
    advice: Option<String>,
}

impl Check {
    fn good(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None }
    }

    fn bad(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: Some(advice.into()) }
    }

    fn of(is_good: bool, what: impl Into<String>, advice: &str) -> Self {
        Self { what: what.into(), advice: (!is_good).then(|| advice.to_owned()) }
    }
}

/// What a cold build of the lab image leaves in the cache and beside it, with room to spare, in bytes.
const ROOM: u64 = 3 << 30;

/// Prints every check; fails when building is impossible.
pub(super) fn run(context: &Context) -> Result<u8, Failure> {
    let settings = &context.settings;
    let needed = needed(settings);
    let groups = [
        ("build", &needed),
        ("build faster and safer", &building(settings)),
        ("run", &running(settings)),
        ("flash", &flashing(&Kernel::here().disks(), writable)),
        ("log in, and keep secrets", &secrets(context)),
    ];
    let printer = &context.printer;
    for (group, checks) in groups {
        let mut text = format!("{group}\n");
        for Check { what, advice } in checks {
            printer.result(|| {
                serde_json::json!({"event": "result", "for": group, "check": what, "good": advice.is_none(), "advice": advice})
            });
            match advice {
                None => text.push_str(&format!("  ok  {what}\n")),
                Some(advice) => text.push_str(&format!("  --  {what}\n      {advice}\n")),
            }
        }
        if printer.mode() != Mode::Json {
            printer.data(&text);
        }
    }
    match needed.iter().find_map(|check| Some((check, check.advice.clone()?))) {
        None => Ok(0),
        Some((check, advice)) => Err(Failure::user(format!("nothing can be built here: {}", check.what), Some(advice))),
    }
}

/// Without these there is no image.
fn needed(settings: &Settings) -> Vec<Check> {
    let cache = match settings.cache_dir() {
        Ok(cache) => match crate::store::Store::open(cache, crate::store::Access::Shared) {
            Ok(_) => Check::good(format!("the cache {} is writable", cache.display())),
            Err(error) => Check::bad(
                format!("the cache {} is not writable: {error}", cache.display()),
                "choose another with --cache-dir or HAH_IMAGE_CACHE_DIR",
            ),
        },
        Err(error) => Check::bad(error.to_string(), error.hint().unwrap_or_default()),
    };
    vec![cache, agents(settings)]
}

/// Which architectures images can be built for.
fn agents(settings: &Settings) -> Check {
    if let Some(path) = &settings.agent {
        let mut first = None;
        for row in &ARCHITECTURES {
            match row.debian.parse().map(|name| agent::binary(settings, name)) {
                Ok(Ok(_)) => return Check::good(format!("an agent for {} is at hand", row.debian)),
                Ok(Err(failure)) => {
                    first.get_or_insert(failure);
                }
                Err(_) => {}
            }
        }
        let reason = first.map_or_else(|| path.value.display().to_string(), |failure| failure.message().to_owned());
        return Check::bad(
            format!("there is no agent: {reason}"),
            "build one with `cargo xtask agent ARCHITECTURE` and pass it with --agent FILE",
        );
    }
    let embedded: Vec<&str> = agent::embedded().collect();
    if embedded.is_empty() {
        return Check::bad(
            "this hah-image has no embedded agent",
            "build one with `cargo xtask agent` and pass it with --agent FILE",
        );
    }
    Check::good(format!("an agent for {} is at hand", embedded.join(", ")))
}

fn building(settings: &Settings) -> Vec<Check> {
    let mut mirrors = Mirrors::new();
    crate::build::downloads::add_apt_mirrors(&mut mirrors, settings);
    let mirror = settings.mirrors.contains_key("debian") || mirrors.bases("debian").next().is_some();
    let mut checks = vec![Check::of(
        mirror,
        if mirror { "a Debian mirror is known" } else { "no Debian mirror is known" },
        "the snapshot archive serves every package, slowly; name a mirror: --mirror debian=URL, or [mirrors] in hah-image.toml",
    )];
    // Without a place for the cache there is no room to speak of, and that has been said.
    if let Ok(cache) = settings.cache_dir() {
        let room = rustix::fs::statvfs(cache).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        checks.push(Check::of(
            room >= ROOM,
            format!("{} are free where the cache is", human_bytes(room)),
            &format!(
                "the first build of an image may take {}: free some, or use another --cache-dir",
                human_bytes(ROOM)
            ),
        ));
    }
    checks
}

fn running(settings: &Settings) -> Vec<Check> {
    let program = |name: &str, package: &str| {
        let found = on_path(settings, name);
        let what = if found { format!("{name} is installed") } else { format!("{name} is not installed") };
        Check::of(found, what, &format!("on Debian: apt install {package}"))
    };
    let mut checks: Vec<Check> = ARCHITECTURES.iter().map(|row| program(row.qemu.0, row.qemu.1)).collect();
    checks.push(program("qemu-img", "qemu-utils"));
    checks.push(speed());
    checks
}

/// What a boot in QEMU will be like; nothing here can be missing.
fn speed() -> Check {
    match qemu::accelerated() {
        Some(row) => Check::good(format!("nodes of {} run at this machine's speed; others are emulated", row.debian)),
        None => Check::good("nodes are emulated, since /dev/kvm cannot be used: a boot takes a minute or two"),
    }
}

/// Cards that could be written, and whether this person may.
fn flashing(disks: &[Device], is_writable: impl Fn(&Path) -> bool) -> Vec<Check> {
    let limits = Limits { max_bytes: MAX_BYTES, fixed: Fixed::Refused };
    let cards: Vec<&Device> = disks.iter().filter(|disk| refusal(disk, &Needs::default(), &limits).is_none()).collect();
    if cards.is_empty() {
        return vec![Check::bad(
            "no card is here",
            "put one into a reader; `hah-image flash IMAGE` lists devices, and why some are refused",
        )];
    }
    let check = |card: &&Device| {
        let name = format!("{} ({}, {})", card.path.display(), human_bytes(card.bytes), card.attachment.as_str());
        if is_writable(&card.path) {
            return Check::good(format!("{name} is writable"));
        }
        Check::bad(format!("{name} is not writable for you"), format!("until it is unplugged: {}", grant(&card.path)))
    };
    cards.iter().map(check).collect()
}

/// The ways into a node, and what the fleet keeps to itself.
fn secrets(context: &Context) -> Vec<Check> {
    let key = !keys::find(&context.settings.environment).is_empty();
    let mut checks = vec![Check::of(
        key,
        if key { "there is an SSH key for `init` to offer" } else { "there is no SSH key in an agent or in ~/.ssh" },
        "make one: ssh-keygen -t ed25519",
    )];
    let root = crate::project::settings_directory(&context.directory);
    let path = root.join("cluster.toml");
    let Ok(text) = files::read_to_string(&path) else { return checks };
    checks.push(match recipe::load_cluster(&path.display().to_string(), &text) {
        Err(_) => Check::bad("cluster.toml has mistakes", "`hah-image identity show NODE` tells which"),
        Ok(cluster) if cluster.wants_secrets() && !root.join(SECRETS).is_file() => Check::bad(
            format!("cluster.toml wants secrets, and there is no {SECRETS}"),
            "make them: hah-image secrets init",
        ),
        Ok(cluster) if cluster.wants_secrets() => Check::good(format!("{SECRETS} is there")),
        Ok(_) => Check::good("cluster.toml wants no secrets"),
    });
    checks
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn on_path(settings: &Settings, program: &str) -> bool {
    let Some(path) = &settings.environment.path else { return false };
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::device::tests::Machine;

    const CARD: [(&str, &str); 2] = [("removable", "1\n"), ("ro", "0\n")];

    #[test]
    fn cards_and_who_may_write_them() {
        let mut machine = Machine::new();
        assert_eq!(flashing(&machine.kernel.disks(), |_| true)[0].what, "no card is here");
        machine.disk("pci0/usb1/sdb", 29, &["sdb1"], &CARD);
        machine.disk("pci0/usb1/sdc", 14, &["sdc1"], &CARD);
        machine.disk("pci0/nvme/nvme0n1", 100, &[], &[]);
        machine.mount("sdc:1", "/dev/sdc1", "/media/me/card");
        let disks = machine.kernel.disks();
        let checks = flashing(&disks, |_| true);
        assert_eq!(checks.len(), 1, "neither mounted nor built in: {checks:?}");
        assert!(
            checks[0].what.ends_with("/sdb (29.0 GiB, USB) is writable") && checks[0].advice.is_none(),
            "{checks:?}"
        );
        let checks = flashing(&disks, |_| false);
        let advice = checks[0].advice.as_deref().unwrap();
        assert!(advice.starts_with("until it is unplugged: sudo setfacl -m u:$USER:rw ") && advice.ends_with("/sdb"));
    }
}
