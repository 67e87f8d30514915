//! What `depmod` wants to know of a kernel module.

use serde::{Deserialize, Serialize};

/// Facts read from a module's `.modinfo`, symbol table and `__versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFacts {
    /// `.modinfo` entries in file order, `key`, `value`: alias, depends, softdep, weakdep, name, …
    pub modinfo: Vec<(String, String)>,
    /// Exported symbols, as depmod finds them.
    pub exports: Vec<String>,
    /// Undefined symbols, as depmod finds them.
    pub imports: Vec<String>,
}
