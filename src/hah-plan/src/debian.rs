//! Debian's own vocabulary: names, versions, relations, control files and archive indexes.
//!
//! | module | format | source |
//! |---|---|---|
//! | [`name`] | package names, architectures | Debian Policy 5.6.1, 5.6.8 |
//! | [`version`] | versions and their order | Policy 5.6.12, deb-version(7) |
//! | [`relation`] | `Depends:` and its kin | Policy 7.1, deb-control(5) |
//! | [`control`] | deb822 stanzas | Policy 5.1 |
//! | [`binary`] | the control file of a `.deb` | deb-control(5), dpkg |
//! | [`archive`] | `Release` and `Packages` indexes | DebianRepository/Format |

pub mod name;
pub mod version;
pub mod relation;
pub mod control;
pub mod binary;
pub mod archive;

pub use name::{Architecture, PackageName};
pub use version::{Version, compare_texts};
