//! What `ldconfig` and the architecture check want to know of an ELF file.

use serde::{Deserialize, Serialize};

/// Facts read from an ELF header and its dynamic section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// `EI_CLASS`: 64-bit or 32-bit.
    pub is_64: bool,
    /// `e_type`: 2 executable, 3 shared object.
    pub elf_type: u16,
    /// `e_machine`: 183 AArch64, 40 ARM, 62 x86-64.
    pub machine: u16,
    /// `e_flags` (on ARM, bit 0x400 is hard float).
    pub flags: u32,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `PT_INTERP`.
    pub interpreter: Option<String>,
}
