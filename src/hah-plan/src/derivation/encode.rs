//! The canonical encoding of a [`System`]: every field of it, in a fixed order.
//!
//! Structs are taken apart completely, so that a new field does not compile until it is encoded here.

use hah_format::digest::Sha256;
use hah_format::path::TreePath;

use crate::artifact::{Artifact, Install, VendorKey, Verify};
use crate::board::{Board, FirmwareFile, KernelCompression, KernelFiles, VersionedPath};
use crate::debconf::answers::{Answer, AnswerValue};
use crate::derivation::Encoder;
use crate::system::{
    DirectorySpec, Expiry, FileSpec, GroupSpec, Home, Ids, PackageRequest, Password, RemoveSpec, ScriptChoice, Suite,
    SuiteUse, SymlinkSpec, System, UnitSpec, UnitState, UserSpec,
};

/// Encodes all of `system` that can reach an image's bytes. Machines, which only `run` uses, cannot.
pub fn system(encoder: &mut Encoder, system: &System) {
    let System {
        image,
        summary,
        board,
        table,
        architecture,
        recipes,
        suites,
        // Their packages are known by digest.
        archives: _,
        packages,
        provided,
        artifacts,
        files,
        directories,
        symlinks,
        removes,
        users,
        groups,
        units,
        // Their texts are files.
        nomad_jobs: _,
        kernel_cmdline,
        persist,
        scripts,
        os_release,
        debconf,
        ids,
        hostname_prefix,
        boot_bytes,
    } = system;
    encoder.text("image", image);
    encoder.text("summary", summary);
    encode_board(encoder, board);
    encoder.text("table", table.as_str());
    encoder.text("architecture", architecture.as_str());
    encoder.list("recipes", recipes.iter().map(String::as_str));
    for Suite { name, archive, components, expired, use_for, recipe } in suites {
        encoder.list("suite", [name, archive.as_str(), recipe]);
        encoder.list("components", components.iter().map(String::as_str));
        encoder.text("expired", if *expired == Expiry::Allow { "allow" } else { "refuse" });
        encoder.text("use", if *use_for == SuiteUse::PinOnly { "pin-only" } else { "default" });
    }
    for PackageRequest { name, suite, recipe, recommends: _ } in packages {
        encoder.list("package", [name.as_str(), suite.as_deref().unwrap_or_default(), recipe]);
    }
    for (name, provided) in provided {
        encoder.list("provided", [name.as_str(), &provided.reason, &provided.recipe]);
    }
    for artifact in artifacts {
        encode_artifact(encoder, artifact);
    }
    for FileSpec { path, user, group, mode, bytes, recipe } in files {
        encoder.list("file", [path.as_str(), user, group, recipe]);
        encoder.number("mode", u64::from(*mode));
        encoder.bytes("bytes", bytes);
    }
    for DirectorySpec { path, user, group, mode, recipe } in directories {
        encoder.list("directory", [path.as_str(), user, group, recipe]);
        encoder.number("mode", u64::from(*mode));
    }
    for SymlinkSpec { path, target, recipe } in symlinks {
        encoder.list("symlink", [path.as_str(), target, recipe]);
    }
    for RemoveSpec { pattern, except, recipe } in removes {
        encoder.list("remove", [pattern.to_string().as_str(), recipe]);
        let except: Vec<String> = except.iter().map(ToString::to_string).collect();
        encoder.list("except", except.iter().map(String::as_str));
    }
    for UserSpec { name, uid, group, groups, home, home_kind, shell, comment, password, recipe } in users {
        encoder.list("user", [name, group, home.as_str(), shell, comment, recipe]);
        encoder.number("uid", u64::from(*uid));
        encoder.list("groups", groups.iter().map(String::as_str));
        encoder.text("home", if *home_kind == Home::Created { "created" } else { "absent" });
        match password {
            Password::Locked => encoder.text("locked", ""),
            Password::Hash(hash) => encoder.text("hash", hash),
        }
    }
    for GroupSpec { name, gid, recipe } in groups {
        encoder.list("group", [name.as_str(), recipe]);
        encoder.number("gid", u64::from(*gid));
    }
    for UnitSpec { name, state, recipe } in units {
        let state = match state {
            UnitState::Enabled => "enabled",
            UnitState::Disabled => "disabled",
            UnitState::Masked => "masked",
        };
        encoder.list("unit", [name.as_str(), state, recipe]);
    }
    encoder.list("cmdline", kernel_cmdline.iter().map(String::as_str));
    encoder.list("persist", persist.iter().map(|path| path.as_str()));
    for ScriptChoice { package, kind, action, reason, recipe } in scripts {
        encoder.list("script", [package.as_str(), kind.member(), action.as_str(), reason, recipe]);
    }
    for (key, value) in os_release {
        encoder.list("os-release", [key.as_str(), value]);
    }
    for Answer { question, value, recipe } in debconf {
        encoder.list("debconf", [question.as_str(), recipe]);
        match value {
            AnswerValue::Boolean(value) => encoder.text("boolean", if *value { "true" } else { "false" }),
            AnswerValue::Text(text) => encoder.text("answer", text),
            AnswerValue::List(list) => encoder.list("answers", list.iter().map(String::as_str)),
        }
    }
    let Ids { users, groups } = ids;
    for (what, ids) in [("user-id", users), ("group-id", groups)] {
        for (name, id) in ids {
            encoder.text(what, name);
            encoder.number("id", u64::from(*id));
        }
    }
    encoder.text("hostname-prefix", hostname_prefix);
    encoder.number("boot-bytes", *boot_bytes);
}

fn encode_artifact(encoder: &mut Encoder, artifact: &Artifact) {
    let Artifact { name, version, url, mirror: _, verify, format, install, recipe } = artifact;
    encoder.list("artifact", [name.as_str(), version, url.as_deref().unwrap_or_default(), format.as_str(), recipe]);
    match verify {
        Verify::OpenPgp { checksums, signature, key } => {
            encoder.list("openpgp", [checksums.as_str(), signature, key.name()]);
            if let VendorKey::File { bytes, .. } = key {
                encoder.digest("key", &Sha256::of(bytes));
            }
        }
        Verify::Sha256Sums { checksums } => encoder.text("sha256sums", checksums),
        Verify::Sha256(sha256) => encoder.digest("sha256", sha256),
    }
    for Install { member, path, mode, user, group } in install {
        let member = member.as_ref().map(TreePath::as_str).unwrap_or_default();
        encoder.list("install", [member, path.as_str(), user, group]);
        encoder.number("mode", u64::from(*mode));
    }
}

fn encode_board(encoder: &mut Encoder, board: &Board) {
    let Board {
        name,
        summary: _,
        architecture: _,
        packages: _, // They are among the system's.
        table: _,    // The system's own table decides.
        refused_tables: _,
        kernel: KernelFiles { image, modules, device_trees: device_tree_directory, compression },
        firmware,
        device_trees,
        stage1_modules,
        config_txt,
        cmdline: _, // Its words are in the system's command line.
        watchdog_seconds,
        processor_mhz: _, // Only templates see it, and they are rendered by now.
        machines: _,
        imager_devices: _,
    } = board;
    encoder.text("board", name);
    encoder.text("kernel", &image.to_string());
    encoder.text("modules", &modules.to_string());
    encoder.text("device-trees", &device_tree_directory.as_ref().map(VersionedPath::to_string).unwrap_or_default());
    encoder.text("compression", if *compression == KernelCompression::Gzip { "gzip" } else { "none" });
    for FirmwareFile { path, name } in firmware {
        encoder.list("firmware", [path.as_str(), name]);
    }
    encoder.list("dtb", device_trees.iter().map(String::as_str));
    encoder.list("stage1-modules", stage1_modules.iter().map(String::as_str));
    encoder.text("config.txt", config_txt.as_deref().unwrap_or_default());
    encoder.number("watchdog", u64::from(watchdog_seconds.unwrap_or(0)));
}
