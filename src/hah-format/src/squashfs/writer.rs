//! The tables.
use super::{DataArea, FileData, Metadata, Options, OwnerKind, SquashfsError};
use crate::tree::{Owner, Tree};

/// Looks up the id of an owner; `None` when the image has no such user or group.
pub type Owners<'a> = &'a dyn Fn(&Owner, OwnerKind) -> Option<u32>;

/// The superblock and tables of an image whose data area is `data`.
pub fn metadata(
    tree: &Tree<FileData>,
    data: &DataArea,
    owners: Owners<'_>,
    options: &Options,
) -> Result<Metadata, SquashfsError> {
    let _ = (tree, data, owners);
    Err(SquashfsError::BlockSize(options.block_size))
}
