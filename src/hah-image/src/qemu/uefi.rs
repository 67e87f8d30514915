//! UEFI firmware for QEMU's PC: OVMF, as distributions install it.

use std::path::{Path, PathBuf};

use super::QemuError;
use crate::files;
use crate::files::draft;

/// The node's copy of the firmware's variables, beside its disk.
pub(super) const VARIABLES: &str = "uefi.vars";

/// Where distributions put the firmware's code and an empty store of variables.
const PLACES: [(&str, &str); 4] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

/// The firmware's code.
pub(super) fn code() -> Result<PathBuf, QemuError> {
    Ok(place()?.0.into())
}

/// Gives the node a store of variables, unless it has one.
pub(super) fn make_variables(directory: &Path) -> Result<(), QemuError> {
    let variables = directory.join(VARIABLES);
    if variables.exists() {
        return Ok(());
    }
    Ok(draft::write(&variables, &files::read(place()?.1)?)?)
}

fn place() -> Result<(&'static str, &'static str), QemuError> {
    let found = PLACES.into_iter().find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists());
    found.ok_or(QemuError::NoFirmware)
}
