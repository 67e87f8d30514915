//! df(1). The disk is a node's, which nobody knows when its image is made: one file system with room for everything.

use crate::commands::options::Order;
use crate::commands::{Process, Refusal};

/// Size of the disk in KiB, all of it free: 16 GiB, less than the smallest card that is sold today.
const SIZE_KIB: u64 = 16 << 20;
/// What the root of a node is.
const KIND: &str = "overlay";

/// A column: its name for `--output`, its heading, its least width, and whether it is aligned to the left.
struct Column {
    name: &'static str,
    heading: &'static str,
    width: usize,
    is_left: bool,
}

const COLUMNS: [Column; 8] = [
    Column { name: "source", heading: "Filesystem", width: 14, is_left: true },
    Column { name: "fstype", heading: "Type", width: 4, is_left: true },
    Column { name: "size", heading: "1K-blocks", width: 5, is_left: false },
    Column { name: "used", heading: "Used", width: 5, is_left: false },
    Column { name: "avail", heading: "Avail", width: 5, is_left: false },
    Column { name: "pcent", heading: "Use%", width: 4, is_left: false },
    Column { name: "target", heading: "Mounted on", width: 0, is_left: true },
    Column { name: "file", heading: "File", width: 0, is_left: true },
];

/// df(1): `-k -m -P -T --output`.
pub(super) fn df(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a,all k l,local m P,portability T,print-type ,output=?", Order::Any)?;
    let names: Vec<&str> = match (options.has("output"), options.value("output")) {
        (true, None | Some("")) => COLUMNS.iter().map(|column| column.name).filter(|name| *name != "file").collect(),
        (true, Some(names)) => names.split(',').collect(),
        (false, _) if options.has("T") => vec!["source", "fstype", "size", "used", "avail", "pcent", "target"],
        (false, _) => vec!["source", "size", "used", "avail", "pcent", "target"],
    };
    let mut columns = Vec::new();
    for name in names {
        match COLUMNS.iter().find(|column| column.name == name) {
            Some(column) => columns.push(column),
            None => return process.unknown(&format!("--output={name}")),
        }
    }
    let mut status = 0;
    let mut files = Vec::new();
    for path in &options.operands {
        match process.stat(path) {
            Ok(_) => files.push(path.as_str()),
            Err(error) => {
                process.complain(format_args!("{path}: {error}"));
                status = 1;
            }
        }
    }
    if options.operands.is_empty() {
        files.push("-");
    }
    if files.is_empty() {
        return Ok(status);
    }
    let is_output = options.has("output");
    let heading = |column: &&Column| match column.name {
        "size" if options.has("m") => "1M-blocks",
        "size" if options.has("P") => "1024-blocks",
        "avail" if !is_output => "Available",
        "pcent" if options.has("P") => "Capacity",
        _ => column.heading,
    };
    let size = (SIZE_KIB >> if options.has("m") { 10 } else { 0 }).to_string();
    let cell = |column: &&Column, file: &str| match column.name {
        "source" | "fstype" => KIND.to_owned(),
        "size" | "avail" => size.clone(),
        "used" => "0".to_owned(),
        "pcent" => "0%".to_owned(),
        "target" => "/".to_owned(),
        _ => file.to_owned(),
    };
    let mut rows = vec![columns.iter().map(|column| heading(column).to_owned()).collect::<Vec<String>>()];
    rows.extend(files.into_iter().map(|file| columns.iter().map(|column| cell(column, file)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| rows.iter().map(|row| row[at].chars().count()).chain([columns[at].width]).max().unwrap_or_default())
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).zip(&columns).map(|((text, width), column)| match column.is_left {
            true => format!("{text:<width$}"),
            false => format!("{text:>width$}"),
        });
        process.print_line(cells.collect::<Vec<_>>().join(" ").trim_end());
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground};

    /// As df of coreutils 9.7 lays out a disk of these numbers.
    #[test]
    fn a_node_has_a_disk_with_room() {
        let mut ours = Playground::of(&[("srv", Entry::Dir(0o755))]);
        for (words, expected) in [
            (&["df", "--output=avail", "/srv"][..], "   Avail\n16777216\n"),
            (
                &["df", "/"],
                "Filesystem     1K-blocks  Used Available Use% Mounted on\noverlay         16777216     0  16777216   0% /\n",
            ),
            (
                &["df", "-Pk", "/srv"],
                "Filesystem     1024-blocks  Used Available Capacity Mounted on\noverlay           16777216     0  16777216       0% /\n",
            ),
            (
                &["df", "-m", "--output=size,target,file", "/srv", "/"],
                "1M-blocks Mounted on File\n    16384 /          /srv\n    16384 /          /\n",
            ),
            (&["df", "--output=fstype"], "Type\noverlay\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&ours.run(words).stdout), expected, "{words:?}");
        }
        assert_eq!(ours.run(&["df", "/none"]).status, 1);
        assert!(ours.try_run(&["df", "--output=itotal", "/"], "").is_err());
    }
}
