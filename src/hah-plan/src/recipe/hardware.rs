//! From a conforming document to [`Board`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::archives::suite;
use super::document::{Fields, Item, Value, parse};
use super::model::{Package, SuiteEntry};
use super::problem::{Located, Problem, Report, Text};
use super::schema::BOARD;
use super::units::ByteSize;
use crate::board::{
    Board, BootFile, BootType, FirmwareFile, ImagerDevice, KernelCompression, KernelFiles, Machine, MachineBoot,
    MachineDisk, MachineNetwork, Microcode, Table,
};
use crate::debian::{Architecture, PackageName};
use crate::system::{PathPattern, RemoveSpec};

/// The firmware cuts lines of config.txt here (Raspberry Pi documentation, "What is config.txt?").
const CONFIG_LINE_MAX: usize = 98;

/// A board, and what it provides.
#[derive(Debug)]
pub(super) struct BoardFile {
    pub(super) board: Board,
    pub(super) packages: Vec<Located<Package>>,
    pub(super) suites: Vec<Located<SuiteEntry>>,
    pub(super) provides: Vec<Located<(PackageName, String)>>,
    pub(super) removes: Vec<RemoveSpec>,
}

/// `recipes/boards/NAME.toml`. `None` when something in it is wrong, which is reported.
pub(super) fn board(name: &str, text: &Arc<Text>, report: &mut Report) -> Option<BoardFile> {
    let mut fields = parse(text, &BOARD, report)?;
    let summary = fields.text("summary").map(|text| text.value);
    let architecture: Option<Located<Architecture>> = fields.parsed("architecture", report);
    let packages: Vec<Located<Package>> =
        fields.list("packages").into_iter().filter_map(|item| package(item, report)).collect();
    let suites = fields.list("suite").into_iter().filter_map(|item| suite(&mut item.fields(), report)).collect();
    let provides = provides(&mut fields, report);
    let author = format!("board {name}");
    let removes = fields.list("remove").into_iter().filter_map(|item| removal(item, &author, report)).collect();
    let Tables { default: table, refused: refused_tables, boot_type } = tables(fields.table("tables"), report);
    let kernel = kernel(fields.table("kernel"), report);
    let firmware = fields.list("firmware").into_iter().filter_map(|item| firmware(item, report)).collect();
    let device_trees: Vec<String> = strings(&mut fields, "device-trees");
    let stage1_modules = strings(&mut fields.table("stage1"), "modules");
    let config_txt = fields.text("config-txt").map(|text| config_txt(text, report));
    let boot_files = fields.list("boot-file").into_iter().filter_map(|item| boot_file(item, report)).collect();
    let microcode = fields.list("microcode").into_iter().filter_map(|item| microcode(item, report)).collect();
    let cmdline = strings(&mut fields, "cmdline");
    let watchdog_seconds = fields.integer("watchdog-seconds").and_then(|found| u32::try_from(found.value).ok());
    let processor_mhz = fields.integer("processor-mhz").and_then(|found| u32::try_from(found.value).ok());
    let machines: Vec<Machine> =
        fields.list("machine").into_iter().filter_map(|item| machine(item, &device_trees, report)).collect();
    let imager_devices = fields.list("imager-device").into_iter().filter_map(imager_device).collect();
    let board = Board {
        name: name.to_owned(),
        summary: summary?,
        architecture: architecture?.value,
        packages: packages.iter().map(|package| package.value.name.clone()).collect(),
        table: table?,
        refused_tables,
        kernel: kernel?,
        firmware,
        device_trees,
        stage1_modules,
        config_txt,
        boot_files,
        boot_type,
        microcode,
        cmdline,
        watchdog_seconds,
        processor_mhz,
        machines,
        imager_devices,
    };
    Some(BoardFile { board, packages, suites, provides, removes })
}

fn strings(fields: &mut Fields, key: &str) -> Vec<String> {
    fields.texts(key).into_iter().map(|text| text.value).collect()
}

fn package(item: Item, report: &mut Report) -> Option<Located<Package>> {
    let (name, suite): (Located<PackageName>, _) = if let Value::Text(_) = item.value {
        (item.text()?.parse("", report)?, None)
    } else {
        let mut fields = item.fields();
        let name = fields.parsed("name", report);
        (name?, fields.text("suite"))
    };
    Some(name.map(|name| Package { name, suite, recommends: false }))
}

fn provides(fields: &mut Fields, report: &mut Report) -> Vec<Located<(PackageName, String)>> {
    let pair = |(name, reason): (Located<String>, Item)| {
        let (name, reason) = (name.parse("", report)?, reason.text()?.value);
        Some(name.map(|name| (name, reason)))
    };
    fields.named("provides").into_iter().filter_map(pair).collect()
}

fn removal(item: Item, author: &str, report: &mut Report) -> Option<RemoveSpec> {
    let recipe = author.to_owned();
    if let Value::Text(_) = item.value {
        let pattern: Located<PathPattern> = item.text()?.parse("", report)?;
        return Some(RemoveSpec { pattern: pattern.value, except: Vec::new(), recipe });
    }
    let mut fields = item.fields();
    let pattern: Option<Located<PathPattern>> = fields.parsed("pattern", report);
    let except = fields.texts("except").into_iter();
    let except = except.filter_map(|text| text.parse("", report)).map(|found| found.value).collect();
    Some(RemoveSpec { pattern: pattern?.value, except, recipe })
}

/// What a board says of partition tables.
struct Tables {
    default: Option<Table>,
    refused: BTreeMap<Table, String>,
    boot_type: BootType,
}

fn tables(mut fields: Fields, report: &mut Report) -> Tables {
    let types = [("basic-data", BootType::BasicData), ("esp", BootType::Esp)];
    let boot_type = fields.choice("boot-type", &types).unwrap_or(BootType::BasicData);
    let default: Option<Located<Table>> = fields.parsed("default", report);
    let mut refused = BTreeMap::new();
    for (name, reason) in fields.named("refused") {
        let place = name.place.clone();
        let (Some(table), Some(reason)) = (name.parse::<Table>("", report), reason.text()) else { continue };
        if default.as_ref().is_some_and(|default| default.value == table.value) {
            let reason = format!("`{}` is the default and refused", table.value);
            report.at(&place, Problem::Invalid { reason, hint: "keep one of them" });
        }
        refused.insert(table.value, reason.value);
    }
    Tables { default: default.map(|found| found.value), refused, boot_type }
}

fn kernel(mut fields: Fields, report: &mut Report) -> Option<KernelFiles> {
    let device_trees = fields.parsed("device-trees", report).map(|found| found.value);
    let compression = [("none", KernelCompression::None), ("gzip", KernelCompression::Gzip)];
    let (image, modules) = (fields.parsed("image", report), fields.parsed("modules", report));
    Some(KernelFiles {
        image: image?.value,
        modules: modules?.value,
        device_trees,
        compression: fields.choice("compression", &compression)?,
    })
}

fn firmware(item: Item, report: &mut Report) -> Option<FirmwareFile> {
    let mut fields = item.fields();
    let (path, name) = (fields.parsed("path", report), fields.text("name")?);
    if !name.value.split('/').all(is_short_name) {
        let reason = format!("`{}` is not an 8.3 name", name.value);
        report.at(&name.place, Problem::Invalid { reason, hint: "early boot stages match short names only" });
    }
    Some(FirmwareFile { path: path?.value, name: name.value })
}

/// At most eight characters, a dot, at most three; letters, digits, `_` and `-`.
fn is_short_name(name: &str) -> bool {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let ok = |text: &str, max: usize| {
        text.len() <= max && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    !base.is_empty() && ok(base, 8) && ok(extension, 3)
}

fn boot_file(item: Item, report: &mut Report) -> Option<BootFile> {
    let mut fields = item.fields();
    let (name, content) = (fields.parsed("name", report), fields.text("content")?);
    Some(BootFile { name: name?.value, content: content.value })
}

fn microcode(item: Item, report: &mut Report) -> Option<Microcode> {
    let mut fields = item.fields();
    let (name, directory) = (fields.text("name")?, fields.parsed("directory", report));
    Some(Microcode { name: name.value, directory: directory?.value })
}

fn config_txt(text: Located<String>, report: &mut Report) -> String {
    if let Some(line) = text.value.lines().find(|line| line.len() > CONFIG_LINE_MAX) {
        let reason =
            format!("config.txt has a line of {} characters; the firmware reads {CONFIG_LINE_MAX}", line.len());
        report.at(&text.place, Problem::Invalid { reason, hint: "shorten it" });
    }
    text.value
}

fn imager_device(item: Item) -> Option<ImagerDevice> {
    let mut fields = item.fields();
    let mut text = |key: &str| fields.text(key).map(|text| text.value);
    Some(ImagerDevice { name: text("name")?, description: text("description")?, tag: text("tag")? })
}

fn machine(item: Item, device_trees: &[String], report: &mut Report) -> Option<Machine> {
    let mut fields = item.fields();
    let memory: Option<Located<ByteSize>> = fields.parsed("memory", report);
    let device_tree = fields.text("device-tree");
    let known: BTreeSet<&String> = device_trees.iter().collect();
    if let Some(tree) = device_tree.as_ref().filter(|tree| !known.contains(&tree.value)) {
        let choices = device_trees.to_vec();
        let problem = Problem::NotAChoice { key: "device-tree".to_owned(), got: tree.value.clone(), choices };
        report.at(&tree.place, problem);
    }
    let console = fields.integer("console-serial").map_or(0, |found| found.value);
    let args = strings(&mut fields, "args");
    let cmdline = strings(&mut fields, "cmdline");
    let without = strings(&mut fields, "without");
    Some(Machine {
        name: fields.text("name")?.value,
        program: fields.text("program")?.value,
        args,
        memory: memory?.value.0,
        disk: fields.choice("disk", &[("virtio", MachineDisk::Virtio), ("sd", MachineDisk::Sd)])?,
        network: fields.choice("network", &[("virtio", MachineNetwork::Virtio), ("usb", MachineNetwork::Usb)])?,
        console_serial: u32::try_from(console).ok()?,
        device_tree: device_tree.map(|text| text.value),
        cmdline,
        without,
        boot: fields
            .choice("boot", &[("direct", MachineBoot::Direct), ("uefi", MachineBoot::Uefi)])
            .unwrap_or(MachineBoot::Direct),
        accelerated: fields.is_true("accelerated"),
    })
}
