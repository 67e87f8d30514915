//! The bytes: every file format that hah-image reads or writes, and nothing else.
//!
//! No function here touches a file system, a network or a clock: parsers take readers or slices, writers take writers.
//! Modules stand in reading order.
//!
//! | module | reads | writes |
//! |---|---|---|
//! | [`tree`], [`path`], [`digest`] | the vocabulary of a root file system | |
//! | [`dump`] | | a tree as text, for people and for snapshot tests |
//! | [`deb`] | Debian binary packages | |
//! | [`archive`] | release archives: zip, tar.gz | |
//! | [`elf`], [`kmod`] | what ldconfig and depmod want to know of a file | |
//! | [`squashfs`] | squashfs 4.0 | squashfs 4.0 |
//! | [`pack`] | packs | packs: a .deb's manifest and its data as squashfs blocks |
//! | [`cpio`] | | newc archives |
//! | [`fat`] | FAT32 | FAT32 |
//! | [`disk`] | MBR, GPT | MBR, GPT |
//! | [`bmap`] | | block maps |

pub mod digest;
pub mod path;
pub mod tree;
pub mod dump;
pub mod deb;
pub mod archive;
pub mod elf;
pub mod kmod;
pub mod squashfs;
pub mod pack;
pub mod cpio;
pub mod fat;
pub mod disk;
pub mod bmap;
