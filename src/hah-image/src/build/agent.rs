//! The agent's static binaries, one for each architecture: embedded, or given with `--agent`.

use hah_format::elf;
use hah_plan::debian::Architecture;

use crate::failure::Failure;
use crate::files;
use crate::project::settings::Settings;

/// The agents that this program was built with, by Debian's name of the architecture.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/agents.rs"));

/// The architectures that have an embedded agent, by Debian's names.
pub fn embedded() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(architecture, _)| *architecture)
}

/// The agent for `architecture`.
pub fn binary(settings: &Settings, architecture: Architecture) -> Result<Vec<u8>, Failure> {
    let embedded = EMBEDDED.iter().find(|(name, _)| *name == architecture.as_str());
    let (bytes, origin) = match (&settings.agent, embedded) {
        (Some(path), _) => (files::read(&path.value)?, path.value.display().to_string()),
        (None, Some((_, bytes))) => (bytes.to_vec(), "the embedded agent".to_owned()),
        (None, None) => {
            return Err(Failure::user(
                format!("this hah-image has no embedded agent for {architecture}"),
                Some(format!("build one with `cargo xtask agent {architecture}` and pass it with --agent FILE")),
            ));
        }
    };
    let facts = elf::inspect(&bytes).ok_or_else(|| Failure::user(format!("{origin} is not an ELF program"), None))?;
    if let Some(wanted) = architecture.facts()
        && (facts.machine, facts.is_64) != (wanted.elf_machine, wanted.is_64)
    {
        let found = hah_node::architecture::Architecture::of_elf(facts.machine, facts.is_64);
        let found = found.map_or_else(|| format!("ELF machine {}", facts.machine), |found| found.debian.to_owned());
        return Err(Failure::user(
            format!("{origin} is for {found}, and the image is {architecture}"),
            Some(format!("`cargo xtask agent {architecture}` builds the right one")),
        ));
    }
    if facts.interpreter.is_some() || !facts.needed.is_empty() {
        return Err(Failure::user(
            format!("{origin} is dynamically linked; stage 1 has no libraries"),
            Some(format!("`cargo xtask agent {architecture}` builds a static one")),
        ));
    }
    Ok(bytes)
}
