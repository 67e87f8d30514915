//! `doctor`: what this machine lacks for building and running.

use super::Context;
use crate::agent;
use crate::failure::Failure;
use crate::fetch::Mirrors;
use hah_plan::debian::Architecture;

/// One line of the report.
struct Check {
    good: bool,
    what: String,
    /// What to do when it is not good.
    advice: &'static str,
}

/// Prints every check; fails when building is impossible.
pub(super) fn run(context: &Context) -> Result<u8, Failure> {
    let settings = &context.settings;
    let store = crate::store::Store::open(&settings.cache_dir.value, crate::store::Access::Shared);
    let mut mirrors = Mirrors::new();
    mirrors.add_apt_sources(std::path::Path::new(crate::fetching::APT));
    let known = settings.mirrors.contains_key("debian") || mirrors.bases("debian").next().is_some();
    let building = [
        Check {
            good: store.is_ok(),
            what: format!("the cache {} is writable", settings.cache_dir.value.display()),
            advice: "choose another with --cache-dir or HAH_IMAGE_CACHE_DIR",
        },
        Check {
            good: agent::binary(settings, Architecture::Arm64).is_ok(),
            what: "an agent for arm64 is at hand".into(),
            advice: "build one with `cargo xtask agent` and pass it with --agent",
        },
    ];
    let comfort = [
        Check {
            good: known,
            what: "a Debian mirror is known".into(),
            advice: "without one the snapshot archive is used, which is slow: --mirror debian=URL",
        },
        Check {
            good: on_path(context, "qemu-system-aarch64"),
            what: "qemu-system-aarch64 is installed, for `run`".into(),
            advice: "apt install qemu-system-arm",
        },
        Check {
            good: on_path(context, "qemu-img"),
            what: "qemu-img is installed, for `run`".into(),
            advice: "apt install qemu-utils",
        },
    ];
    for check in building.iter().chain(&comfort) {
        let (mark, advice) = if check.good { ("ok", String::new()) } else { ("--", format!(": {}", check.advice)) };
        if context.printer.mode() != crate::printer::Mode::Json {
            context.printer.data(&format!("{mark}  {}{advice}\n", check.what));
        }
        context.printer.result(|| serde_json::json!({"event": "result", "check": check.what, "good": check.good}));
    }
    if building.iter().all(|check| check.good) {
        return Ok(0);
    }
    Err(Failure::user("images cannot be built here yet", None))
}

fn on_path(context: &Context, program: &str) -> bool {
    let Some(path) = &context.settings.environment.path else { return false };
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}
