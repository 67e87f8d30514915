//! `gc` and `store verify`.

use clap::{Args, Subcommand};

use super::Context;
use crate::advice::Exit;
use crate::build::needs::{self, Unread};
use crate::failure::Failure;
use crate::files;
use crate::printer::human_bytes;
use crate::store::gc::{Live, Sweep};
use crate::store::{Access, Store};

/// Arguments of `gc`.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Verbs of `store`.
#[derive(Debug, Subcommand)]
pub(super) enum StoreVerb {
    /// Re-hash everything; remove what is corrupt
    Verify,
    /// Print where the store is
    Path,
}

/// Removes what no root needs.
pub(super) fn gc(context: &Context, args: &GcArgs) -> Result<u8, Failure> {
    let access = if args.dry_run { Access::Shared } else { Access::Exclusive };
    let store = Store::open(context.settings.cache_dir()?, access)?;
    let sweep = if args.dry_run { Sweep::DryRun } else { Sweep::Remove };
    let mut live = Live::default();
    for project in store.roots(sweep)? {
        let path = project.join("hah.lock");
        let lock = hah_plan::lock::Lock::parse(&files::read_to_string(&path)?).map_err(|error| {
            Failure::user(
                format!("{}: {error}", path.display()),
                Some("repair or remove that lock: gc keeps what every root's lock names, and removes nothing while one cannot be read".into()),
            )
        })?;
        for Unread { image, failure } in needs::add(&store, &project, &lock, &mut live)? {
            context.printer.warning(&format!(
                "{}: image {image} cannot be read, so everything is kept that its lock may need: {}",
                project.display(),
                failure.message().lines().next().unwrap_or_default()
            ));
        }
    }
    let collected = store.collect(&live, sweep)?;
    let verb = if args.dry_run { "would remove" } else { "removed" };
    context.printer.say(&format!(
        "{verb} {} files, {}; kept {}",
        collected.files,
        human_bytes(collected.bytes),
        collected.kept
    ));
    context.printer.result(|| {
        serde_json::json!({"event": "result", "files": collected.files, "bytes": collected.bytes, "kept": collected.kept})
    });
    Ok(0)
}

/// Runs a `store` verb.
pub(super) fn run(context: &Context, verb: &StoreVerb) -> Result<u8, Failure> {
    match verb {
        StoreVerb::Path => {
            context.printer.path(context.settings.cache_dir()?);
            Ok(0)
        }
        StoreVerb::Verify => {
            let store = Store::open(context.settings.cache_dir()?, Access::Exclusive)?;
            let verified = store.verify()?;
            for (path, why) in &verified.removed {
                context.printer.warning(&format!("{}: {why}; removed", path.display()));
            }
            context.printer.say(&format!("{} files good, {}", verified.good, human_bytes(verified.bytes)));
            context.printer.result(|| {
                serde_json::json!({"event": "result", "good": verified.good, "bytes": verified.bytes, "removed": verified.removed.len()})
            });
            if verified.removed.is_empty() {
                return Ok(0);
            }
            Err(Failure::new(
                Exit::HashMismatch,
                format!("{} files were corrupt and have been removed", verified.removed.len()),
                Some("the next build fetches and packs them anew; if it happens again, suspect the disk".into()),
            ))
        }
    }
}
