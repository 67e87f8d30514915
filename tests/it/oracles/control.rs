//! Control files, good and hostile: what dpkg refuses is refused, and what becomes of the others in the status file is
//! read back by dpkg-query.

use std::path::Path;
use std::process::{Command, Output};

use hah_plan::debian::binary::BinaryControl;

use super::{is_missing, path};

/// What `dpkg --unpack` does with it, as seen with dpkg 1.21 and checked by the test with the one that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dpkg {
    /// Perhaps with a warning.
    Takes,
    Refuses,
}

/// A control file.
struct Case {
    name: &'static str,
    /// Fields before and after, which are good.
    around: (&'static str, &'static str),
    text: &'static str,
    dpkg: Dpkg,
}

impl Case {
    const fn field(name: &'static str, text: &'static str, dpkg: Dpkg) -> Self {
        let good = "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\n";
        Self { name, around: (good, "Description: x\n"), text, dpkg }
    }

    const fn whole(name: &'static str, text: &'static str, dpkg: Dpkg) -> Self {
        Self { name, around: ("", ""), text, dpkg }
    }

    fn control(&self) -> String {
        format!("{}{}{}", self.around.0, self.text, self.around.1)
    }
}

const CASES: &[Case] = &[
    Case::field("plain", "", Dpkg::Takes),
    Case::whole(
        "no final newline",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x",
        Dpkg::Refuses,
    ),
    Case::field("trailing comma", "Depends: libc6, \n", Dpkg::Refuses),
    Case::field("trailing comma no space", "Depends: libc6,\n", Dpkg::Refuses),
    Case::field("leading comma", "Depends: , libc6\n", Dpkg::Refuses),
    Case::field("double comma", "Depends: libc6,, dpkg\n", Dpkg::Refuses),
    Case::field("trailing bar", "Depends: libc6 |\n", Dpkg::Refuses),
    Case::field("folded depends", "Depends: libc6,\n dpkg\n", Dpkg::Takes),
    Case::field("folded tab", "Depends: libc6,\n\tdpkg\n", Dpkg::Takes),
    Case::field("folded name", "Depends:\n libc6\n", Dpkg::Refuses),
    Case::whole(
        "tab description",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n\tmore\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "description odd dot",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n .\n more\n .odd\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "blank continuation space",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n \n more\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "blank continuation tab",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n\t\n more\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "folded version",
        "Package: evil\nVersion:\n 1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "folded package",
        "Package:\n evil\nVersion: 1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "folded architecture",
        "Package: evil\nVersion: 1\nArchitecture:\n arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Takes,
    ),
    Case::field("duplicate", "Section: a\nSection: b\n", Dpkg::Refuses),
    Case::field("duplicate case", "Section: a\nsection: b\n", Dpkg::Refuses),
    Case::field("duplicate unknown", "X-Foo: a\nX-Foo: b\n", Dpkg::Refuses),
    Case::whole(
        "lower-case names",
        "package: evil\nversion: 1\narchitecture: arm64\nmaintainer: a\ndescription: x\n",
        Dpkg::Takes,
    ),
    Case::field("space before colon", "Section : a\n", Dpkg::Takes),
    Case::field("tab before colon", "Section\t: a\n", Dpkg::Takes),
    Case::field("no colon", "Section a\n", Dpkg::Refuses),
    Case::field("empty value", "Section:\n", Dpkg::Takes),
    Case::field("empty depends", "Depends:\n", Dpkg::Takes),
    Case::field("space depends", "Depends: \n", Dpkg::Takes),
    Case::field("empty unknown", "X-Foo:\n", Dpkg::Takes),
    Case::whole(
        "crlf",
        "Package: evil\r\nVersion: 1\r\nArchitecture: arm64\r\nMaintainer: A <a@b.c>\r\nDescription: x\r\n",
        Dpkg::Takes,
    ),
    Case::field("cr in value", "Section: a\rb\n", Dpkg::Takes),
    Case::whole(
        "two stanzas",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n\nPackage: more\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "leading blank",
        "\nPackage: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "trailing blanks",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n\n\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "comment",
        "# x\nPackage: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::field("comment inside", "# x\n", Dpkg::Refuses),
    Case::field("dash name", "-Foo: a\n", Dpkg::Refuses),
    Case::field("hash name", "#Foo: a\n", Dpkg::Takes),
    Case::field("nul", "Section: a\0b\n", Dpkg::Takes),
    Case::field("control char", "Section: a\u{1}b\n", Dpkg::Takes),
    Case::whole(
        "bom",
        "\u{feff}Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole("no maintainer", "Package: evil\nVersion: 1\nArchitecture: arm64\nDescription: x\n", Dpkg::Takes),
    Case::whole(
        "no description",
        "Package: evil\nVersion: 1\nArchitecture: arm64\nMaintainer: A <a@b.c>\n",
        Dpkg::Takes,
    ),
    Case::field("status", "Status: install ok installed\n", Dpkg::Refuses),
    Case::field("status odd", "Status: purge reinstreq half-installed\n", Dpkg::Refuses),
    Case::field("conffiles", "Conffiles:\n /etc/x 00000000000000000000000000000000\n", Dpkg::Takes),
    Case::field("conffiles odd", "Conffiles: x\n", Dpkg::Refuses),
    Case::field("config-version", "Config-Version: 1\n", Dpkg::Refuses),
    Case::field("triggers-pending", "Triggers-Pending: a\n", Dpkg::Refuses),
    Case::field("triggers-awaited", "Triggers-Awaited: a\n", Dpkg::Refuses),
    Case::field("revision", "Revision: 2\n", Dpkg::Takes),
    Case::field("class", "Class: x\n", Dpkg::Takes),
    Case::field("recommended", "Recommended: dpkg\n", Dpkg::Takes),
    Case::field("optional", "Optional: dpkg\n", Dpkg::Takes),
    Case::field("essential odd", "Essential: maybe\n", Dpkg::Refuses),
    Case::field("essential YES", "Essential: YES\n", Dpkg::Takes),
    Case::field("protected odd", "Protected: maybe\n", Dpkg::Refuses),
    Case::field("priority odd", "Priority: foo bar\n", Dpkg::Takes),
    Case::field("multi odd", "Multi-Arch: maybe\n", Dpkg::Refuses),
    Case::field("multi Same", "Multi-Arch: Same\n", Dpkg::Takes),
    Case::whole(
        "arch all same",
        "Package: evil\nVersion: 1\nArchitecture: all\nMaintainer: a\nMulti-Arch: same\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::field("dep space op", "Depends: libc6 (>=2)\n", Dpkg::Takes),
    Case::field("dep old op", "Depends: libc6 (> 2)\n", Dpkg::Takes),
    Case::field("dep old op lt", "Depends: libc6 (< 2)\n", Dpkg::Takes),
    Case::field("dep no op", "Depends: libc6 (2)\n", Dpkg::Takes),
    Case::field("dep odd op", "Depends: libc6 (=> 2)\n", Dpkg::Refuses),
    Case::field("dep eqeq", "Depends: libc6 (== 2)\n", Dpkg::Refuses),
    Case::field("dep unclosed", "Depends: libc6 (>= 2\n", Dpkg::Refuses),
    Case::field("dep empty version", "Depends: libc6 (>= )\n", Dpkg::Refuses),
    Case::field("dep bad version", "Depends: libc6 (>= a_b)\n", Dpkg::Refuses),
    Case::field("dep alpha version", "Depends: libc6 (>= abc)\n", Dpkg::Refuses),
    Case::field("dep space version", "Depends: libc6 (>= 1 2)\n", Dpkg::Refuses),
    Case::field("dep arch", "Depends: libc6 [arm64]\n", Dpkg::Refuses),
    Case::field("dep profile", "Depends: libc6 <!nocheck>\n", Dpkg::Refuses),
    Case::field("dep two words", "Depends: libc6 dpkg\n", Dpkg::Refuses),
    Case::field("dep junk", "Depends: libc6 (>= 2) x\n", Dpkg::Refuses),
    Case::field("dep upper", "Depends: Libc6\n", Dpkg::Takes),
    Case::field("dep one letter", "Depends: a\n", Dpkg::Takes),
    Case::field("dep underscore", "Depends: a_b\n", Dpkg::Takes),
    Case::field("dep qual", "Depends: libc6:any\n", Dpkg::Takes),
    Case::field("dep qual arch", "Depends: libc6:arm64\n", Dpkg::Takes),
    Case::field("dep qual native", "Depends: libc6:native\n", Dpkg::Takes),
    Case::field("dep qual odd", "Depends: libc6:\n", Dpkg::Refuses),
    Case::field("dep qual upper", "Depends: libc6:ANY\n", Dpkg::Takes),
    Case::field("provides alternatives", "Provides: a1 | b1\n", Dpkg::Refuses),
    Case::field("conflicts alternatives", "Conflicts: a1 | b1\n", Dpkg::Refuses),
    Case::field("replaces alternatives", "Replaces: a1 | b1\n", Dpkg::Refuses),
    Case::field("breaks alternatives", "Breaks: a1 | b1\n", Dpkg::Refuses),
    Case::field("enhances alternatives", "Enhances: a1 | b1\n", Dpkg::Takes),
    Case::field("provides version ge", "Provides: a1 (>= 1)\n", Dpkg::Takes),
    Case::field("provides version eq", "Provides: a1 (= 1)\n", Dpkg::Takes),
    Case::field("provides trailing comma", "Provides: a1,\n", Dpkg::Refuses),
    Case::field("recommends trailing comma", "Recommends: a1,\n", Dpkg::Refuses),
    Case::field("built-using trailing", "Built-Using: a1 (= 1),\n", Dpkg::Takes),
    Case::field("predepends trailing comma", "Pre-Depends: a1,\n", Dpkg::Refuses),
    Case::whole(
        "version empty",
        "Package: evil\nVersion:\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version alpha",
        "Package: evil\nVersion: abc\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version space",
        "Package: evil\nVersion: 1 2\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version epoch",
        "Package: evil\nVersion: a:1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version big epoch",
        "Package: evil\nVersion: 99999999999:1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version end dash",
        "Package: evil\nVersion: 1-\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version end colon",
        "Package: evil\nVersion: 1:\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "version upper",
        "Package: evil\nVersion: 1A_b\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Refuses,
    ),
    Case::whole(
        "name upper",
        "Package: Evil\nVersion: 1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "name short",
        "Package: e\nVersion: 1\nArchitecture: arm64\nMaintainer: a\nDescription: x\n",
        Dpkg::Takes,
    ),
    Case::whole(
        "arch odd",
        "Package: evil\nVersion: 1\nArchitecture: arm_64\nMaintainer: a\nDescription: x\n",
        Dpkg::Takes,
    ),
    Case::whole("arch none", "Package: evil\nVersion: 1\nMaintainer: a\nDescription: x\n", Dpkg::Takes),
    Case::field("trailing space value", "Section: a  \n", Dpkg::Takes),
    Case::field("no space", "Section:a\n", Dpkg::Takes),
    Case::field("two colons", "X-A:b: c\n", Dpkg::Takes),
    Case::field("folded section", "Section: a\n b\n", Dpkg::Takes),
    Case::field("folded priority", "Priority: optional\n b\n", Dpkg::Refuses),
    Case::field("folded source", "Source: a\n (1)\n", Dpkg::Takes),
    Case::field("folded essential", "Essential:\n yes\n", Dpkg::Refuses),
    Case::field("folded multi", "Multi-Arch:\n same\n", Dpkg::Refuses),
    Case::field("only space line", " \n", Dpkg::Refuses),
    Case::field("installed-size odd", "Installed-Size: many\n", Dpkg::Takes),
    Case::field("source bad", "Source: A_B (1)\n", Dpkg::Takes),
    Case::field("bugs", "Bugs: x\n", Dpkg::Takes),
    Case::field("formfeed", "Depends: libc6,\u{c} dpkg\n", Dpkg::Takes),
    Case::field("vtab", "Section: a\u{b}b\n", Dpkg::Takes),
];

fn run(command: &mut Command) -> Output {
    command.env("LC_ALL", "C").env("PATH", path()).output().unwrap()
}

/// An empty database of dpkg at `directory`, with this status file.
fn database(directory: &Path, status: &str) {
    std::fs::create_dir_all(directory.join("info")).unwrap();
    std::fs::create_dir_all(directory.join("updates")).unwrap();
    std::fs::write(directory.join("available"), "").unwrap();
    std::fs::write(directory.join("status"), status).unwrap();
}

/// What `dpkg --unpack` does with a package that has this control file, in a root of its own.
fn unpack(directory: &Path, control: &str) -> Output {
    let package = directory.join("package");
    std::fs::create_dir_all(package.join("DEBIAN")).unwrap();
    std::fs::write(package.join("DEBIAN/control"), control).unwrap();
    let deb = directory.join("package.deb");
    let built =
        run(Command::new("dpkg-deb").args(["--nocheck", "--root-owner-group", "--build"]).arg(&package).arg(&deb));
    assert!(built.status.success(), "{built:?}");
    let root = directory.join("root");
    database(&root.join("var/lib/dpkg"), "");
    run(Command::new("dpkg")
        .arg(format!("--root={}", root.display()))
        .arg("--force-architecture,depends,not-root,bad-path,script-chrootless")
        .args(["--log=/dev/null", "--no-triggers", "--unpack"])
        .arg(&deb))
}

/// The packages that dpkg-query finds in a status file.
fn queried(directory: &Path, status: &str) -> Result<String, String> {
    let admin = directory.join("admin");
    database(&admin, status);
    let format = "--showformat=${Package} ${Version} ${Status}\n";
    let output =
        run(Command::new("dpkg-query").arg(format!("--admindir={}", admin.display())).args(["--show", format]));
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Reads back what the status file would have of `control`, if it is taken at all.
fn check_status(directory: &Path, name: &str, control: &str) -> bool {
    let Ok(taken) = BinaryControl::parse(control) else { return false };
    let stanza = taken.installed("\n /etc/x d41d8cd98f00b204e9800998ecf8427e").unwrap();
    let neighbour = "Package: neighbour\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n";
    let found = queried(directory, &format!("{neighbour}\n{stanza}\n"));
    let line = format!("{} {} install ok installed", taken.package, taken.version);
    assert!(found.as_ref().is_ok_and(|found| found.lines().any(|one| one == line)), "{name}: {found:?}\n{stanza}");
    true
}

#[test]
fn what_dpkg_refuses_in_a_control_file_is_refused() {
    if is_missing("dpkg") || is_missing("dpkg-deb") || is_missing("dpkg-query") {
        return;
    }
    let mut taken = 0;
    for case in CASES {
        let directory = tempfile::tempdir().unwrap();
        let control = case.control();
        let output = unpack(directory.path(), &control);
        let verdict = if output.status.success() { Dpkg::Takes } else { Dpkg::Refuses };
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(verdict, case.dpkg, "{}: {told}", case.name);
        // It is the control file that is refused, and not the package for something else.
        assert!(verdict == Dpkg::Takes || told.contains("parsing file"), "{}: {told}", case.name);
        let ours = check_status(directory.path(), case.name, &control);
        assert!(!(ours && verdict == Dpkg::Refuses), "{}: dpkg refuses it, and we do not: {told}", case.name);
        taken += usize::from(ours);
    }
    // Refusing everything would be easy.
    assert!(taken > 25, "{taken}");
}

/// Whatever else a mutation makes of it, the node's dpkg can read its database.
#[test]
fn whatever_is_written_to_the_status_file_is_read_back() {
    if is_missing("dpkg-query") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let good = "Package: evil\nVersion: 1:2-3\nArchitecture: arm64\nMulti-Arch: same\nDepends: aa (>= 1), bb | cc,\n dd\n\
                Provides: ee (= 1)\nConflicts: ff\nDescription: one\n two\n .\n three\n";
    let mut texts: Vec<String> = Vec::new();
    for at in 0..good.len() {
        for insert in ["\n", " ", "\t", ",", "|", ":", "(", ")", "\r", "#", "\n\t", "\n ", "\u{e4}"] {
            let (before, after) = good.split_at(at);
            texts.push(format!("{before}{insert}{after}"));
        }
        texts.push(format!("{}{}", &good[..at], &good[at + 1..]));
    }
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for seed in ["control", "packages", "relation"].iter().flat_map(|name| std::fs::read_dir(seeds.join(name)).unwrap())
    {
        let seed = String::from_utf8_lossy(&std::fs::read(seed.unwrap().path()).unwrap()).into_owned();
        texts.push(format!("Package: evil\nVersion: 1\nArchitecture: arm64\nDepends: {seed}\n"));
        texts.push(seed);
    }
    // One database for all that are taken, each under a name of its own: dpkg-query reads it whole or not at all.
    let mut status = String::new();
    let mut count = 0;
    for text in &texts {
        let Ok(control) = BinaryControl::parse(text) else { continue };
        let stanza = control.installed("").unwrap().to_string();
        let renamed = stanza.replacen(control.package.as_str(), &format!("evil{count}"), 1);
        status.push_str(&format!("{renamed}\n"));
        count += 1;
    }
    assert!(count > 100, "{count}");
    let found = queried(directory.path(), &status).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.lines().count(), count);
}
