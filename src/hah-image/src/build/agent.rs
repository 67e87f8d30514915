//! The agent's static binary: embedded, or given with `--agent`.

use fs_err as fs;
use hah_plan::debian::Architecture;

use crate::failure::Failure;
use crate::project::settings::Settings;

/// The aarch64 agent, when this program was built with one.
const AARCH64: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/agent.rs"));

/// `e_machine` of ELF.
const EM_ARM: u16 = 40;
const EM_AARCH64: u16 = 183;
const EM_X86_64: u16 = 62;

/// The agent for `architecture`.
pub fn binary(settings: &Settings, architecture: Architecture) -> Result<Vec<u8>, Failure> {
    let (bytes, origin) = match &settings.agent {
        Some(path) => (fs::read(&path.value)?, path.value.display().to_string()),
        None => match (architecture, AARCH64) {
            (Architecture::Arm64, Some(bytes)) => (bytes.to_vec(), "the embedded agent".to_owned()),
            _ => {
                return Err(Failure::user(
                    format!("this hah-image has no embedded agent for {architecture}"),
                    Some("build one with `cargo xtask agent` and pass it with --agent FILE".into()),
                ));
            }
        },
    };
    let wanted = match architecture {
        Architecture::Arm64 => EM_AARCH64,
        Architecture::Armel => EM_ARM,
        Architecture::Amd64 | Architecture::All => EM_X86_64,
    };
    let facts = hah_format::elf::inspect(&bytes)
        .ok_or_else(|| Failure::user(format!("{origin} is not an ELF program"), None))?;
    if facts.machine != wanted {
        return Err(Failure::user(
            format!("{origin} is for another machine (ELF machine {}, {architecture} wants {wanted})", facts.machine),
            Some("`cargo xtask agent` builds the right one".into()),
        ));
    }
    if facts.interpreter.is_some() || !facts.needed.is_empty() {
        return Err(Failure::user(
            format!("{origin} is dynamically linked; stage 1 has no libraries"),
            Some("`cargo xtask agent` builds a static one".into()),
        ));
    }
    Ok(bytes)
}
