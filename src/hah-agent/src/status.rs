//! `hah-agent status`: what stage 1 did in this boot, from its report.

use std::fmt::Write;
use std::fs;
use std::io;

use hah_node::paths;
use hah_node::stage1::{DataAction, Report};

use crate::console;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// The report as it is.
    Json,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}: {source}; was this node started by hah-agent?", paths::STAGE1_REPORT)]
    Read { source: io::Error },
    #[error("{} is not a report of this agent's version: {source}", paths::STAGE1_REPORT)]
    Parse { source: serde_json::Error },
}

/// Prints the status.
pub(crate) fn print(form: Form) -> Result<(), Error> {
    let text = fs::read_to_string(paths::STAGE1_REPORT).map_err(|source| Error::Read { source })?;
    let report: Report = serde_json::from_str(&text).map_err(|source| Error::Parse { source })?;
    match form {
        Form::Text => console::print(&summary(&report)),
        Form::Json => console::print(&format!("{}\n", text.trim_end())),
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let gib = |bytes: u64| format!("{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30);
    let data = match report.data_action {
        DataAction::Created => "made in this boot",
        DataAction::Remade => "made in this boot, after a first boot that was cut short",
        DataAction::Kept => "kept",
        DataAction::Grown => "kept and enlarged",
    };
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
    };
    line("node", &report.hostname);
    line("image", &report.image);
    line("disk", &format!("{} ({})", report.disk, gib(report.disk_bytes)));
    line("data", &format!("{} ({}), {data}", report.data, gib(report.data_bytes)));
    if report.seeded > 0 {
        line("filled", &format!("{} files from the image", report.seeded));
    }
    if let Some(last) = report.steps.last() {
        line("stage 1", &format!("done {}.{:03} s after the kernel started", last.at_ms / 1000, last.at_ms % 1000));
    }
    for warning in &report.warnings {
        line("warning", warning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hah_node::stage1::{REPORT_VERSION, Step};

    #[test]
    fn a_summary_names_what_a_person_asks_for() {
        let report = Report {
            version: REPORT_VERSION,
            image: "lab 13.7 (1a2b3c4d)".to_owned(),
            image_id: "1a".repeat(32),
            disk: "mmcblk0".to_owned(),
            disk_bytes: 32 << 30,
            data: "mmcblk0p3".to_owned(),
            data_bytes: (31 << 30) + (1 << 29),
            data_action: DataAction::Created,
            seeded: 12,
            hostname: "hah-abcdef01".to_owned(),
            new_machine_id: true,
            identity: hah_node::stage1::IdentityOrigin::None,
            steps: vec![Step { name: "identity".to_owned(), at_ms: 4021 }],
            warnings: vec!["cannot load the module x.ko.xz: Exec format error".to_owned()],
        };
        assert_eq!(
            summary(&report),
            "node      hah-abcdef01\n\
             image     lab 13.7 (1a2b3c4d)\n\
             disk      mmcblk0 (32.0 GiB)\n\
             data      mmcblk0p3 (31.5 GiB), made in this boot\n\
             filled    12 files from the image\n\
             stage 1   done 4.021 s after the kernel started\n\
             warning   cannot load the module x.ko.xz: Exec format error\n"
        );
    }
}
