#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "depmod itself is the oracle")]

use std::process::Command;

use super::*;

/// A relocatable 64-bit ELF file with the parts of a kernel module that depmod reads.
struct Module {
    path: &'static str,
    modinfo: &'static [&'static str],
    exports: &'static [&'static str],
    imports: &'static [&'static str],
}

impl Module {
    fn elf(&self) -> Vec<u8> {
        let modinfo: Vec<u8> = self.modinfo.iter().flat_map(|entry| entry.bytes().chain([0])).collect();
        let (mut strings, mut symbols) = (vec![0u8], vec![0u8; 24]);
        let exported = self.exports.iter().map(|name| (format!("__crc_{name}"), 0xfff1u16));
        let imported = self.imports.iter().map(|name| ((*name).to_owned(), 0u16));
        for (name, section) in exported.chain(imported) {
            symbols.extend((strings.len() as u32).to_le_bytes());
            symbols.extend([0x10, 0]);
            symbols.extend(section.to_le_bytes());
            symbols.extend([0; 16]);
            strings.extend(name.bytes().chain([0]));
        }
        let names = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0";
        let sections: [(u32, u32, &[u8], u32, u64); 4] =
            [(1, 1, &modinfo, 0, 0), (10, 2, &symbols, 3, 24), (18, 3, &strings, 0, 0), (26, 3, names, 0, 0)];
        let mut body = Vec::new();
        let mut headers = vec![0u8; 64];
        for (name, kind, data, link, entry) in sections {
            while (64 + body.len()) % 8 != 0 {
                body.push(0);
            }
            headers.extend(name.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            headers.extend([0; 16]);
            headers.extend((64 + body.len() as u64).to_le_bytes());
            headers.extend((data.len() as u64).to_le_bytes());
            headers.extend(link.to_le_bytes());
            headers.extend(u32::from(kind == 2).to_le_bytes());
            headers.extend(8u64.to_le_bytes());
            headers.extend(entry.to_le_bytes());
            body.extend(data);
        }
        while (64 + body.len()) % 8 != 0 {
            body.push(0);
        }
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([1, 0, 183, 0, 1, 0, 0, 0]);
        file.extend([0; 16]);
        file.extend((64 + body.len() as u64).to_le_bytes());
        file.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 5, 0, 4, 0]);
        file.extend(body);
        file.extend(headers);
        file
    }
}

const MODULES: &[Module] = &[
    Module {
        path: "kernel/fs/ext4/ext4.ko",
        modinfo: &["alias=fs-ext4", "alias=ext3", "softdep=pre: crc32c", "license=GPL"],
        exports: &[],
        imports: &["jbd2_start", "mb_cache", "crc16", "printk"],
    },
    Module {
        path: "kernel/fs/jbd2/jbd2.ko",
        modinfo: &["license=GPL"],
        exports: &["jbd2_start", "jbd2_stop"],
        imports: &["crc16"],
    },
    Module { path: "kernel/fs/mbcache.ko", modinfo: &[], exports: &["mb_cache"], imports: &[] },
    Module {
        path: "kernel/lib/crc16.ko",
        modinfo: &["alias=of:N*T*Cacme,crc-16", "alias=of:N*T*Cacme,crc-16C*"],
        exports: &["crc16", "crc16_table", "a", "ab", "abc", "abcd"],
        imports: &["printk"],
    },
    Module {
        path: "kernel/drivers/net/tun-tap.ko",
        modinfo: &["alias=devname:net/tun", "alias=char-major-10-200", "alias=pci:v[0-9a-f]d-x"],
        exports: &[],
        imports: &[],
    },
    Module {
        path: "kernel/drivers/zz-last.ko",
        modinfo: &["alias=fs-ext4", "alias=bad]", "alias=bad[x"],
        exports: &["abcd"],
        imports: &["mb_cache", "jbd2_stop"],
    },
    Module {
        path: "kernel/drivers/aa_first.ko",
        modinfo: &["softdep=post: zz_last", "weakdep=mbcache"],
        exports: &[],
        imports: &["crc16_table", "jbd2_stop"],
    },
];

const ORDER: &str = "kernel/drivers/net/tun-tap.ko\nkernel/lib/crc16.ko\nkernel/fs/mbcache.ko\nkernel/fs/jbd2/jbd2.ko\n\
                     kernel/fs/ext4/ext4.ko\nkernel/gone.ko\nkernel/drivers/aa_first.ko\nkernel/drivers/zz-last.ko\n";
const BUILTIN: &str = "kernel/mm/zswap.ko\nkernel/drivers/block/loop-x.ko\n";
const BUILTIN_MODINFO: &[u8] =
    b"zswap.license=GPL\0loop_x.alias=block-major-7-*\0loop_x.alias=devname:loop-control\0zswap.parm=a.b=c\0";

fn facts() -> Vec<ModuleFacts> {
    MODULES.iter().map(|module| hah_format::kmod::inspect(module.path, &module.elf()).unwrap()).collect()
}

fn set(facts: &[ModuleFacts]) -> ModuleSet<'_> {
    ModuleSet {
        modules: MODULES.iter().zip(facts).map(|(module, facts)| (module.path.to_owned(), facts)).collect(),
        order: Some(ORDER.into()),
        builtin: Some(BUILTIN.into()),
        builtin_modinfo: Some(BUILTIN_MODINFO.into()),
    }
}

/// The version of the machine's kmod, when there is one.
fn host_kmod() -> Option<u32> {
    let output = Command::new("depmod").arg("--version").output().ok();
    let version = output.and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
    });
    if version.is_none() {
        assert!(std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "depmod is required as an oracle");
        eprintln!("skipped: there is no depmod");
    }
    version
}

#[test]
fn indexes_are_depmods() {
    let Some(version) = host_kmod() else { return };
    let root = tempfile::tempdir().unwrap();
    let kernel = root.path().join("lib/modules/6.12.0");
    for module in MODULES {
        let file = kernel.join(module.path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, module.elf()).unwrap();
    }
    for (name, bytes) in [
        ("modules.order", ORDER.as_bytes()),
        ("modules.builtin", BUILTIN.as_bytes()),
        ("modules.builtin.modinfo", BUILTIN_MODINFO),
    ] {
        std::fs::write(kernel.join(name), bytes).unwrap();
    }
    let status = Command::new("depmod").arg("-b").arg(root.path()).arg("6.12.0").status().unwrap();
    assert!(status.success());

    let nodes = if version >= 34 { NodeOrder::ParentFirst } else { NodeOrder::ChildrenFirst };
    let facts = facts();
    for (name, ours) in set(&facts).indexes(nodes).unwrap() {
        if name == "modules.weakdep" && version < 33 {
            continue;
        }
        let theirs = std::fs::read(kernel.join(name)).unwrap();
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{name}");
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn either_node_order_holds_the_same_bytes() {
    let facts = facts();
    let first = set(&facts).indexes(NodeOrder::ParentFirst).unwrap();
    let last = set(&facts).indexes(NodeOrder::ChildrenFirst).unwrap();
    for ((name, first), (_, last)) in first.iter().zip(&last) {
        assert_eq!(first.len(), last.len(), "{name}");
        assert_eq!(first == last, !name.ends_with(".bin"), "{name}");
    }
}

#[test]
fn a_circle_is_an_error_with_names() {
    let module = |exports: &str, imports: &str| ModuleFacts {
        modinfo: Vec::new(),
        exports: vec![exports.into()],
        imports: vec![imports.into()],
    };
    let (a, b) = (module("x", "y"), module("y", "x"));
    let set = ModuleSet { modules: [("a.ko".into(), &a), ("b-c.ko".into(), &b)].into(), ..ModuleSet::default() };
    assert_eq!(
        set.indexes(NodeOrder::ParentFirst).unwrap_err().to_string(),
        "modules depend on each other in a circle: a, b_c"
    );
}

#[test]
fn updates_win_over_the_kernels_own() {
    let facts = ModuleFacts { modinfo: Vec::new(), exports: Vec::new(), imports: Vec::new() };
    let paths = ["kernel/a.ko.xz", "updates/a.ko", "zz/a.ko"];
    let set = ModuleSet { modules: paths.map(|path| (path.into(), &facts)).into(), ..ModuleSet::default() };
    let files = set.indexes(NodeOrder::ParentFirst).unwrap();
    let dep = files.iter().find(|(name, _)| *name == "modules.dep").unwrap();
    assert_eq!(dep.1, b"updates/a.ko:\n");
}

#[test]
fn letters_beyond_ascii_are_refused() {
    let mut trie = Trie::default();
    assert!(matches!(trie.insert("é", "", 0), Err(TrieError::Letters(_))));
    assert!(matches!(trie.insert("a\0", "", 0), Err(TrieError::Letters(_))));
    trie.insert(&"a".repeat(60_000), "", 0).unwrap();
    trie.encode(NodeOrder::ChildrenFirst).unwrap();
}
