//! The module index: modules are lines of `NAME KEY=VALUE…`, where the key is of `.modinfo`, `export` or `import`;
//! `order`, `builtin` and `builtin.modinfo` are sections.

#![no_main]

use std::collections::BTreeMap;

use hah_format::kmod::ModuleFacts;
use hah_plan::configure::depmod::ModuleSet;
use hah_plan::configure::depmod::trie::NodeOrder;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (mut set, mut modules) = (ModuleSet::default(), BTreeMap::new());
    for (name, bytes) in hah_fuzz::sections::split(input) {
        match name {
            "order" => set.order = Some(text(bytes)),
            "builtin" => set.builtin = Some(text(bytes)),
            "builtin.modinfo" => set.builtin_modinfo = Some(bytes.to_vec()),
            path => {
                let mut facts = ModuleFacts { modinfo: Vec::new(), exports: Vec::new(), imports: Vec::new() };
                for line in text(bytes).lines() {
                    match line.split_once('=') {
                        Some(("export", symbol)) => facts.exports.push(symbol.to_owned()),
                        Some(("import", symbol)) => facts.imports.push(symbol.to_owned()),
                        Some((key, value)) => facts.modinfo.push((key.to_owned(), value.to_owned())),
                        None => facts.modinfo.push((line.to_owned(), String::new())),
                    }
                }
                modules.insert(path.to_owned(), facts);
            }
        }
    }
    set.modules = modules.iter().map(|(path, facts)| (path.clone(), facts)).collect();
    for order in [NodeOrder::ParentFirst, NodeOrder::ChildrenFirst] {
        match set.indexes(order) {
            Ok(files) => assert!(!files.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
