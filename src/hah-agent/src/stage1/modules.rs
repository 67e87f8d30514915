//! Kernel modules: given to the kernel as the package ships them; the kernel decompresses.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;

/// `MODULE_INIT_COMPRESSED_FILE`, linux/module.h.
const COMPRESSED: i32 = 4;

/// Loads the module in `directory/name`.
///
/// A module that the kernel has already, or that finds no device, is fine: one image serves several boards. Anything
/// else is told and not fatal, since the module may be one that this board does not need.
pub(crate) fn load(directory: &Path, name: &str) -> Result<(), String> {
    let path = directory.join(name);
    let file = File::open(&path).map_err(|error| format!("cannot read the module {}: {error}", path.display()))?;
    let flags = if name.ends_with(".ko") { 0 } else { COMPRESSED };
    match finit_module(&file, c"", flags) {
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(error) => Err(format!("cannot load the module {name}: {error}")),
    }
}
