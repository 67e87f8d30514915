//! Programs that scripts call to make what a pass makes, or what an image does not need.
//!
//! Each has a row that says why nothing is done on the spot. Work that needs the whole tree is done once by a pass of
//! [`crate::configure`], when every package is there; what only a running system needs is left to it; and what a program
//! makes for speed alone is made by its first reader.

use super::{Command, Process, Refusal};

/// Succeeds and changes nothing; [`REASONS`] says why.
fn nothing(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

macro_rules! nothing_to_do {
    ($($name:literal: $why:literal,)*) => {
        /// Why nothing is done, by program.
        pub const REASONS: &[(&str, &str)] = &[$(($name, $why)),*];
        /// The programs of [`REASONS`].
        pub(super) const NOTHING: &[Command] = &[$(Command::in_tree($name, nothing)),*];
    };
}

nothing_to_do! {
    // Made by a pass.
    "ldconfig.real": "the pass `ldconfig` makes the cache of the whole tree",
    "depmod": "the pass `depmod` makes the module index",
    "update-shells": "the pass `shells` lists the shells of every package",
    // Booting is hah-image's own.
    "update-initramfs": "hah-image has its own first stage and makes its archive itself",
    "mkinitramfs": "hah-image has its own first stage and makes its archive itself",
    "dracut": "hah-image has its own first stage and makes its archive itself",
    "linux-update-symlinks": "the boot partition says which kernel is booted; links in the root do not",
    "update-grub": "hah-image's boot partition has no GRUB",
    "update-grub2": "hah-image's boot partition has no GRUB",
    "grub-install": "hah-image's boot partition has no GRUB",
    "grub-mkconfig": "hah-image's boot partition has no GRUB",
    "flash-kernel": "hah-image puts kernels onto the boot partition",
    "kernel-install": "hah-image puts kernels onto the boot partition",
    "u-boot-update": "hah-image puts kernels onto the boot partition",
    "rpi-eeprom-update": "firmware is flashed by a running machine",
    // The kernel of the building machine is not the node's.
    "modprobe": "modules are loaded by the node",
    "insmod": "modules are loaded by the node",
    "rmmod": "modules are loaded by the node",
    "apparmor_parser": "profiles are loaded by apparmor.service at every boot",
    "aa-remove-unknown": "profiles are loaded by apparmor.service at every boot",
    "restorecon": "the image has no SELinux labels",
    "sysctl": "systemd-sysctl reads its files at every boot",
    "systemd-sysctl": "systemd-sysctl.service reads its files at every boot",
    "pg_checksystem": "it warns of file systems on which a cluster loses data; an image has no cluster",
    "setupcon": "console-setup.service does it at every boot",
    "swapoff": "nothing is swapped to",
    // Made for speed, by their first reader.
    "fc-cache": "fontconfig makes its cache when a program first asks for a font",
    "gtk-update-icon-cache": "GTK reads the theme's directory itself when there is no cache",
    "gtk-update-icon-cache-3.0": "GTK reads the theme's directory itself when there is no cache",
    "gtk4-update-icon-cache": "GTK reads the theme's directory itself when there is no cache",
    "update-icon-caches": "GTK reads the theme's directory itself when there is no cache",
    "py3compile": "byte code is not made: it would be several times the size of the sources; Python compiles when it starts",
    "py3clean": "no byte code is made, so none is to be removed",
    "pycompile": "byte code is not made: it would be several times the size of the sources; Python compiles when it starts",
    "pyclean": "no byte code is made, so none is to be removed",
    "pypy3compile": "byte code is not made: it would be several times the size of the sources; Python compiles when it starts",
    "pypy3clean": "no byte code is made, so none is to be removed",
    // Indexes of documentation, which an image leaves out by default.
    "mandb": "the index of manual pages is made by man-db.timer",
    "catman": "pages are formatted when they are read",
    "install-info": "the directory of Info manuals only serves people who browse them, and Info finds a manual by its file",
    "ginstall-info": "the directory of Info manuals only serves people who browse them, and Info finds a manual by its file",
    "update-info-dir": "the directory of Info manuals only serves people who browse them, and Info finds a manual by its file",
    "update-menus": "no window manager of an image reads Debian's menu",
    "update-mime": "the mailcap file says which program shows a file to a person; nodes have nobody at the console",
    "update-fonts-scale": "the X server's own fonts are indexed by a machine that runs one; fontconfig needs no index",
    "update-fonts-dir": "the X server's own fonts are indexed by a machine that runs one; fontconfig needs no index",
    "update-fonts-alias": "the X server's own fonts are indexed by a machine that runs one; fontconfig needs no index",
}

/// Programs with an answer of their own.
pub(super) const COMMANDS: &[Command] = &[
    Command::always("ldconfig", ldconfig),
    Command::in_tree("pam-auth-update", pam_auth_update),
    Command::in_tree("update-ca-certificates", update_ca_certificates),
    Command::in_tree("lsmod", lsmod),
    Command::in_tree("selinuxenabled", no),
    Command::in_tree("aa-enabled", aa_enabled),
    Command::in_tree("aa-status", no),
    Command::in_tree("apparmor_status", no),
    Command::in_tree("getenforce", getenforce),
    Command::always("mountpoint", mountpoint),
    Command::always("ischroot", nothing),
    Command::in_tree("pidof", no),
    Command::in_tree("pgrep", no),
    Command::in_tree("pkill", no),
    Command::in_tree("killall", no),
    Command::in_tree("dbus-uuidgen", dbus_uuidgen),
    Command::in_tree("ssh-keygen", ssh_keygen),
    Command::in_tree("locale-gen", locale_gen),
    Command::in_tree("update-locale", update_locale),
];

/// Status 1: "no", "none found". No process runs, and neither SELinux nor AppArmor is on.
fn no(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(1)
}

/// ldconfig(8): the pass `ldconfig` makes the cache of the whole tree; of another root (`-r`) there is none. Its list
/// (`-p`) is not there before.
fn ldconfig(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut words = arguments.iter().skip_while(|word| *word != "-r").skip(1);
    if words.next().is_some_and(|root| !root.trim_matches('/').is_empty()) {
        return process.unknown("-r");
    }
    match arguments.iter().find(|word| ["-p", "--print-cache", "-l", "-f", "-C"].contains(&word.as_str())) {
        Some(option) => process.unknown(option),
        None => Ok(0),
    }
}

/// pam-auth-update(8): the pass `pam` makes the stacks of every profile that is on by default, or that a script turned on.
fn pam_auth_update(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut words = arguments.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let mut profiles = Vec::new();
        if ["--enable", "--disable", "--remove"].contains(&word) {
            while let Some(profile) = words.next_if(|next| !next.starts_with("--")) {
                profiles.push(profile);
            }
        }
        match word {
            "--package" | "--force" => {}
            "--root" if words.next().is_some_and(|root| root.trim_matches('/').is_empty()) => {}
            "--enable" | "--disable" => {
                let said = profiles.into_iter().map(|profile| (profile.into(), word == "--enable"));
                process.world.effects.pam.extend(said);
            }
            // What a package takes back on its removal; what is there at the end counts.
            "--remove" => {}
            _ => return process.unknown(word),
        }
    }
    Ok(0)
}

/// update-ca-certificates(8): the pass `ca` makes bundle and links, and what the hooks that it knows make. Another hook
/// of a package is given the list of new certificates on a node; it cannot be left out in silence.
fn update_ca_certificates(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut directory = "/etc/ca-certificates/update.d";
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--fresh" | "-f" | "--verbose" | "-v" | "--default" | "-d" => {}
            "--hooksdir" => directory = words.next().unwrap_or_default(),
            _ => return process.unknown(word),
        }
    }
    if directory.is_empty() {
        return Ok(0);
    }
    let hooks = process.world.list(&hah_format::path::TreePath::root(), directory).unwrap_or_default();
    match hooks.iter().find(|hook| **hook != crate::configure::KEYSTORE_HOOK) {
        None => Ok(0),
        Some(hook) => {
            let hook = format!("{directory}/{hook}");
            Err(Refusal { what: format!("`update-ca-certificates` runs the hook {hook}"), program: Some(hook) })
        }
    }
}

/// lsmod(8): no module is loaded.
fn lsmod(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.print_line("Module                  Size  Used by");
    Ok(0)
}

/// aa-enabled(1): AppArmor is not on while an image is made; profiles are loaded at boot.
fn aa_enabled(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    if !arguments.iter().any(|word| word == "-q" || word == "--quiet") {
        process.print_line("No - not available on this system.");
    }
    Ok(1)
}

/// getenforce(8).
fn getenforce(process: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    process.print_line("Disabled");
    Ok(0)
}

/// Where a system that installs packages has file systems mounted; scripts ask for `/proc` before they call Java.
const MOUNTED: [&str; 4] = ["dev", "proc", "run", "sys"];

/// mountpoint(1): the root and what systemd mounts first are mount points, nothing else.
fn mountpoint(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let mut is_quiet = false;
    let mut paths = Vec::new();
    for word in arguments {
        match word.as_str() {
            "-q" | "--quiet" => is_quiet = true,
            option if option.starts_with('-') => return process.unknown(option),
            path => paths.push(path),
        }
    }
    let [path] = paths[..] else { return process.unknown("without one directory") };
    let is_mounted = match process.world.stat(&process.cwd, path, crate::world::Follow::Yes) {
        Ok(stat) => stat.path.is_root() || MOUNTED.contains(&stat.path.as_str()),
        Err(error) => {
            if !is_quiet {
                process.complain(format_args!("{path}: {error}"));
            }
            return Ok(1);
        }
    };
    if !is_quiet {
        process.print_line(format!("{path} is {}a mountpoint", if is_mounted { "" } else { "not " }));
    }
    Ok(if is_mounted { 0 } else { 32 })
}

/// dbus-uuidgen(1): no image has a machine id, and `--ensure` is done again by dbus' tmpfiles.d at boot. Asking for a new
/// one is refused.
fn dbus_uuidgen(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    match arguments {
        [word] if word == "--ensure" || word.starts_with("--ensure=") => Ok(0),
        _ => process.unknown("for a machine id, which no image may have,"),
    }
}

/// ssh-keygen(1): keys are the machine's own.
fn ssh_keygen(_: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    Err(Refusal {
        what: "`ssh-keygen` makes keys, which are a machine's own and never an image's".to_owned(),
        program: Some(format!("ssh-keygen {}", arguments.join(" "))),
    })
}

/// locale-gen(8): C, POSIX and C.UTF-8 are part of libc; `locales-all` ships an archive with every other locale.
/// Compiling one is localedef's work, which is a program of the target.
fn locale_gen(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let list = process.world.read(&hah_format::path::TreePath::root(), "/etc/locale.gen").unwrap_or_default();
    let list = String::from_utf8_lossy(&list).into_owned();
    let wanted = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .chain(arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-')));
    for entry in wanted {
        let name = entry.split_whitespace().next().unwrap_or_default();
        // locales-all ships directories, `de_DE.UTF-8` as `de_DE.utf8`.
        let shipped = format!("/usr/lib/locale/{}", name.replace("UTF-8", "utf8"));
        if !name.is_empty()
            && !is_built_in(name)
            && !process.world.exists(&hah_format::path::TreePath::root(), &shipped)
        {
            return Err(Refusal {
                what: format!(
                    "`locale-gen` would compile the locale {name}; the package locales-all ships it ready-made, and \
                     C.UTF-8 needs neither"
                ),
                program: Some(format!("localedef {name}")),
            });
        }
    }
    process.print("Generating locales (this might take a while)...\nGeneration complete.\n");
    Ok(0)
}

/// Whether libc has this locale without an archive.
fn is_built_in(name: &str) -> bool {
    matches!(name, "C" | "POSIX" | "C.UTF-8" | "C.utf8")
}

/// update-locale(8): variables of `/etc/default/locale`, `NAME=VALUE` or `NAME` to take one away.
fn update_locale(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    const FILE: &str = "/etc/default/locale";
    let (mut is_reset, mut changes) = (false, Vec::new());
    for word in arguments {
        match word.as_str() {
            "--reset" => is_reset = true,
            "--no-checks" => {}
            option if option.starts_with('-') => return process.unknown(option),
            change => changes.push(change),
        }
    }
    let root = hah_format::path::TreePath::root();
    let old = match is_reset {
        true => Vec::new(),
        false => process.world.read(&root, FILE).unwrap_or_default(),
    };
    let old = String::from_utf8_lossy(&old).into_owned();
    let mut lines: Vec<String> = match old.is_empty() {
        true => vec!["#  File generated by update-locale".to_owned()],
        false => old.lines().map(str::to_owned).collect(),
    };
    for change in changes {
        let (name, value) = change.split_once('=').map_or((change, None), |(name, value)| (name, Some(value)));
        let is_own = |line: &String| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        let value = value.map(|value| value.trim_matches('"')).filter(|value| !value.is_empty());
        let line = value.map(|value| match value.contains([' ', '"', '\'', '$']) {
            true => format!("{name}=\"{value}\""),
            false => format!("{name}={value}"),
        });
        match (lines.iter().position(is_own), line) {
            (Some(at), Some(line)) => lines[at] = line,
            (Some(at), None) => drop(lines.remove(at)),
            (None, Some(line)) => lines.push(line),
            (None, None) => {}
        }
    }
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let written = process.world.write(&root, FILE, 0o644, text.into_bytes());
    Ok(u8::from(process.check(FILE, written)?.is_none()))
}

#[cfg(test)]
mod tests;
