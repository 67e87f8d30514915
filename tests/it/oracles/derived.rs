//! What the configuration passes wrote, against the programs that they stand in for, on a copy of the root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Lab, lab_for};
use crate::build::judge;

/// Copies what is below `from` of the root, links as links, to the same place below `to`.
fn copy(lab: &Lab, from: &str, to: &Path) {
    let target = to.join(from);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    judge(Command::new("cp").args(["-a", "--no-preserve=ownership"]).arg(lab.root().join(from)).arg(target));
}

fn kernel(root: &Path) -> String {
    let mut names = std::fs::read_dir(root.join("usr/lib/modules")).unwrap();
    names.next().unwrap().unwrap().file_name().into_string().unwrap()
}

/// Version of a program, as its `--version` has it after `after`.
fn version(program: &str, after: &str) -> u32 {
    let text = judge(Command::new(program).arg("--version"));
    let rest = text.split(after).nth(1).unwrap_or_else(|| panic!("{text}")).trim_start();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// `depmod -b` writes the same index; before kmod 34 it lays out the nodes of the `.bin` files in another order.
#[test]
fn depmod_writes_the_same_index() {
    let Some(lab) = lab_for(&["unsquashfs", "depmod", "modprobe"]) else { return };
    let there = tempfile::tempdir().unwrap();
    copy(&lab, "usr/lib/modules", there.path());
    std::os::unix::fs::symlink("usr/lib", there.path().join("lib")).unwrap();
    let kernel = kernel(lab.root());
    let directory = there.path().join("usr/lib/modules").join(&kernel);
    // modprobe reads our index first, then depmod's.
    let asked = [
        "ext4",
        "vfat",
        "brcmfmac",
        "of:N*T*Cbrcm,bcm2835-sdhost",
        "usb:v0424pEC00d0200dc*dsc*dp*icFFisc*ip*in*",
        "fs-btrfs",
        "symbol:crc32c",
    ];
    let answers = || -> Vec<String> {
        let ask = |name: &&str| {
            let mut command = Command::new("modprobe");
            command.arg("-d").arg(there.path()).args(["-S", &kernel, "--show-depends", name]);
            let output = command.env("PATH", super::path()).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        asked.iter().map(ask).collect()
    };
    let (indexes, ours): (Vec<PathBuf>, Vec<Vec<u8>>) = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .unzip();
    let answered = answers();
    assert!(answered[0].contains("ext4.ko") && answered[0].lines().count() > 2, "{answered:?}");
    for path in &indexes {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !["modules.order", "modules.builtin", "modules.builtin.modinfo"].contains(&name.as_str()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    judge(Command::new("depmod").arg("-b").arg(there.path()).arg(&kernel));
    assert_eq!(answers(), answered, "modprobe finds other modules with depmod's index");
    let parents_first = version("depmod", "version ") >= 34;
    for (path, ours) in indexes.iter().zip(ours) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(theirs) = std::fs::read(path) else {
            assert_eq!(name, "modules.weakdep", "depmod does not write {name}");
            continue;
        };
        if name.ends_with(".bin") && !parents_first {
            assert_eq!(ours.len(), theirs.len(), "{name}");
        } else {
            assert!(ours == theirs, "{name} is not what depmod writes");
        }
    }
    let written =
        std::fs::read_dir(&directory).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert!(written <= indexes.len(), "depmod writes more than we do");
}

/// Names and targets of the links below `directory`.
fn links(directory: &Path) -> BTreeMap<String, PathBuf> {
    std::fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            Some((entry.file_name().into_string().unwrap(), std::fs::read_link(entry.path()).ok()?))
        })
        .collect()
}

/// The image's own update-ca-certificates, a shell script, run on a copy.
#[test]
fn update_ca_certificates_makes_the_same_bundle_and_links() {
    let Some(lab) = lab_for(&["unsquashfs", "openssl", "sh"]) else { return };
    let (there, root) = (tempfile::tempdir().unwrap(), lab.root());
    let certs = there.path().join("certs");
    for directory in ["certs", "hooks", "local"] {
        std::fs::create_dir(there.path().join(directory)).unwrap();
    }
    let script = std::fs::read_to_string(root.join("usr/sbin/update-ca-certificates")).unwrap();
    std::fs::write(there.path().join("update"), script).unwrap();
    judge(
        Command::new("sh")
            .arg(there.path().join("update"))
            .arg("--fresh")
            .arg("--certsconf")
            .arg(root.join("etc/ca-certificates.conf"))
            .arg("--certsdir")
            .arg(root.join("usr/share/ca-certificates"))
            .arg("--localcertsdir")
            .arg(there.path().join("local"))
            .arg("--etccertsdir")
            .arg(&certs)
            .arg("--hooksdir")
            .arg(there.path().join("hooks")),
    );
    let ours = root.join("etc/ssl/certs");
    assert!(
        std::fs::read(certs.join("ca-certificates.crt")).unwrap()
            == std::fs::read(ours.join("ca-certificates.crt")).unwrap()
    );
    let inside = |links: BTreeMap<String, PathBuf>| -> BTreeMap<String, PathBuf> {
        let strip = |path: PathBuf| path.strip_prefix(root).map_or(path.clone(), |rest| Path::new("/").join(rest));
        links.into_iter().map(|(name, target)| (name, strip(target))).collect()
    };
    let (theirs, ours) = (inside(links(&certs)), inside(links(&ours)));
    assert!(ours.len() > 200, "{}", ours.len());
    let difference: Vec<_> = ours.iter().filter(|(name, target)| theirs.get(*name) != Some(*target)).collect();
    assert!(difference.is_empty() && ours.len() == theirs.len(), "{} {}: {difference:#?}", ours.len(), theirs.len());
}

/// systemd-sysusers finds nothing left to add.
#[test]
fn systemd_sysusers_has_nothing_to_do() {
    let Some(lab) = lab_for(&["unsquashfs", "systemd-sysusers"]) else { return };
    let there = tempfile::tempdir().unwrap();
    let databases = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];
    databases.into_iter().for_each(|database| copy(&lab, database, there.path()));
    copy(&lab, "usr/lib/sysusers.d", there.path());
    judge(Command::new("systemd-sysusers").arg(format!("--root={}", there.path().display())));
    for database in databases {
        let (ours, theirs) = (lab.root().join(database), there.path().join(database));
        assert_eq!(std::fs::read_to_string(ours).unwrap(), std::fs::read_to_string(theirs).unwrap(), "{database}");
    }
}

/// The database that pwck and grpck find in order.
#[test]
fn pwck_and_grpck_are_content() {
    let Some(lab) = lab_for(&["unsquashfs", "pwck", "grpck"]) else { return };
    let at = |database: &str| lab.root().join("etc").join(database);
    // pwck also looks for home directories and shells on this machine, which is not the node.
    let output = Command::new("pwck").args(["-r", "-q"]).arg(at("passwd")).arg(at("shadow")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints: Vec<&str> =
        said.lines().filter(|line| !line.contains("does not exist") && !line.contains("no changes")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // grpck looks for members in this machine's passwd.
    let output = Command::new("grpck").arg("-r").arg(at("group")).arg(at("gshadow")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let passwd = std::fs::read_to_string(at("passwd")).unwrap();
    let is_user = |name: &str| passwd.lines().any(|line| line.starts_with(&format!("{name}:")));
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("delete member") && !line.contains("no changes"))
        .filter(|line| !line.split_once("no user ").is_some_and(|(_, name)| is_user(name)))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn systemctl_agrees_on_the_recipes_units() {
    let Some(lab) = lab_for(&["unsquashfs", "systemctl"]) else { return };
    use hah_plan::system::UnitState;
    let root = format!("--root={}", lab.root().display());
    let state = |unit: &str| {
        let output = Command::new("systemctl").args([&root, "is-enabled", unit]).env("LC_ALL", "C").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let units = lab.system().units;
    assert!(units.len() > 10);
    for unit in units {
        let wanted = match unit.state {
            UnitState::Enabled => "enabled",
            UnitState::Disabled => "disabled",
            UnitState::Masked => "masked",
        };
        let found = state(&unit.name);
        // A unit that nothing enables and that has no [Install] is as good as disabled.
        let is_static = wanted == "disabled" && found == "static";
        assert!(found == wanted || is_static, "{} is {found}, not {wanted}", unit.name);
    }
}

/// Enabling again what is enabled changes no link.
#[test]
fn systemctl_enable_makes_the_same_links() {
    let Some(lab) = lab_for(&["unsquashfs", "systemctl"]) else { return };
    let there = tempfile::tempdir().unwrap();
    for directory in ["etc/systemd", "usr/lib/systemd"] {
        copy(&lab, directory, there.path());
    }
    let tree = || {
        judge(Command::new("find").args(["etc/systemd", "-type", "l", "-printf", "%p %l\n"]).current_dir(there.path()))
    };
    let sorted = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let ours = sorted(tree());
    for unit in lab.system().units.iter().filter(|unit| unit.state == hah_plan::system::UnitState::Enabled) {
        let root = format!("--root={}", there.path().display());
        judge(Command::new("systemctl").args([&root, "--quiet", "enable", &unit.name]));
    }
    let theirs = sorted(tree());
    let difference: Vec<&String> = ours.symmetric_difference(&theirs).collect();
    assert!(difference.is_empty(), "{difference:#?}");
}

/// ldconfig of this machine reads our cache; each entry leads to a library whose soname is the entry's name.
#[test]
fn ldconfig_reads_the_cache() {
    let Some(lab) = lab_for(&["unsquashfs", "ldconfig", "readelf"]) else { return };
    let root = lab.root();
    let said = judge(Command::new("ldconfig").args(["-p", "-C"]).arg(root.join("etc/ld.so.cache")));
    let soname = |file: &Path| {
        let text = judge(Command::new("readelf").args(["-dW"]).arg(file));
        let line = text.lines().find(|line| line.contains("(SONAME)"))?;
        Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())
    };
    let inside = |path: &str| {
        let path = path.trim_start_matches('/').replacen("lib/", "usr/lib/", usize::from(path.starts_with("/lib/")));
        root.join(path)
    };
    let mut names = BTreeSet::new();
    for line in said.lines().filter(|line| line.contains(" => ")) {
        let (name, rest) = line.trim().split_once(' ').unwrap();
        let (kind, file) = rest.split_once(" => ").unwrap();
        assert!(kind.contains("libc6") && kind.contains("AArch64"), "{line}");
        let file = inside(file);
        assert!(file.exists(), "{line}");
        let found = soname(&file);
        assert!(found.as_deref().is_none_or(|found| found.starts_with(name) || name == found), "{line}: {found:?}");
        names.insert(name.to_owned());
    }
    assert!(names.len() > 100, "{}", names.len());
    // And nothing that the loader would look for is left out.
    for entry in std::fs::read_dir(root.join("usr/lib/aarch64-linux-gnu")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !path.is_symlink() && path.is_file() && name.starts_with("lib") && name.contains(".so") {
            let soname = soname(&path).unwrap_or(name);
            assert!(names.contains(&soname), "{soname} is not in the cache");
        }
    }
}

/// systemd-hwdb compiles the same database from the same files, but for the place where it found them, and answers the same
/// from ours.
#[test]
fn systemd_hwdb_compiles_the_same_database() {
    let Some(lab) = lab_for(&["unsquashfs", "systemd-hwdb"]) else { return };
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&lab, "usr/lib/udev/hwdb.d", theirs.path());
    copy(&lab, "usr/lib/udev/hwdb.bin", ours.path());
    for there in [&theirs, &ours] {
        // Where systemd of a Debian before the merged /usr looks.
        std::os::unix::fs::symlink("usr/lib", there.path().join("lib")).unwrap();
    }
    let root = |there: &tempfile::TempDir| format!("--root={}", there.path().display());
    judge(Command::new("systemd-hwdb").args([&root(&theirs), "--usr", "update"]));
    let files: Vec<PathBuf> = std::fs::read_dir(theirs.path().join("usr/lib/udev/hwdb.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let length =
        |there: &tempfile::TempDir| std::fs::metadata(there.path().join("usr/lib/udev/hwdb.bin")).unwrap().len();
    let prefixes = files.len() * theirs.path().as_os_str().len();
    assert_eq!(length(&ours) + prefixes as u64, length(&theirs), "each file's path is in the database once");
    let mut asked = 0;
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let patterns = text.lines().filter(|line| line.starts_with(|letter: char| letter.is_ascii_alphabetic()));
        let patterns: Vec<&str> = patterns.collect();
        for pattern in patterns.iter().step_by(patterns.len() / 4 + 1) {
            let name = pattern.replace('*', "x").replace('?', "0");
            let answer = |there| judge(Command::new("systemd-hwdb").args([&root(there), "query", &name]));
            let (ours, theirs) = (answer(&ours), answer(&theirs));
            assert_eq!(ours, theirs, "{name}");
            asked += usize::from(!ours.is_empty());
        }
    }
    assert!(asked > 40, "only {asked} answers");
}

/// update-alternatives reads the state that we wrote, and every link is where it says.
#[test]
fn update_alternatives_reads_its_state() {
    let Some(lab) = lab_for(&["unsquashfs", "update-alternatives"]) else { return };
    let root = lab.root();
    let admin = root.join("var/lib/dpkg/alternatives");
    let mut seen = 0;
    for entry in std::fs::read_dir(&admin).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let mut command = Command::new("update-alternatives");
        command.arg("--root").arg(root);
        let said = judge(command.args(["--query", &name]));
        let field = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let best = field("Best:").unwrap_or_else(|| panic!("{name}: {said}"));
        assert_eq!((field("Name:"), field("Status:")), (Some(name.as_str()), Some("auto")), "{said}");
        let link = field("Link:").unwrap();
        let target = |path: &str| std::fs::read_link(root.join(path.trim_start_matches('/'))).unwrap();
        assert_eq!(target(&format!("etc/alternatives/{name}")), Path::new(best), "{said}");
        assert_eq!(target(link), Path::new(&format!("/etc/alternatives/{name}")), "{said}");
        assert!(root.join(best.trim_start_matches('/')).exists(), "{said}");
        seen += 1;
    }
    assert!(seen > 5, "only {seen} alternatives");
}

#[test]
fn dpkg_finds_its_database_in_order() {
    let Some(lab) = lab_for(&["unsquashfs", "dpkg", "dpkg-query"]) else { return };
    let admin = format!("--admindir={}", lab.root().join("var/lib/dpkg").display());
    let said = judge(Command::new("dpkg-query").args([&admin, "-W", "-f", "${db:Status-Abbrev} ${Package}\n"]));
    let installed: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix("ii  ")).collect();
    assert_eq!((installed.len(), said.lines().count()), (lab.packages().len(), lab.packages().len()), "{said}");
    // Each complaint is a paragraph; that this machine is no arm64 may be one.
    let audit = judge(Command::new("dpkg").args([&admin, "--audit"]));
    let complaints: Vec<&str> =
        audit.split("\n\n").filter(|text| !text.trim().is_empty() && !text.contains("foreign architecture")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let owner = judge(Command::new("dpkg-query").args([&admin, "-S", "/usr/bin/bash"]));
    assert_eq!(owner.replace(":arm64", ""), "bash: /usr/bin/bash\n");
}
