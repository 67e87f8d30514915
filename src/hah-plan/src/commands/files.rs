//! Making, copying, moving and removing files, and changing who may do what: coreutils on the tree.

pub(super) mod mode;
mod make;
mod temporary;
mod copy;
mod install;
mod rename;
mod link;
mod remove;
mod permissions;
mod times;

use super::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::always("mkdir", make::mkdir),
    Command::always("rmdir", make::rmdir),
    Command::always("mkfifo", make::mkfifo),
    Command::always("mknod", make::mknod),
    Command::always("truncate", make::truncate),
    Command::always("mktemp", temporary::mktemp),
    Command::always("tempfile", temporary::tempfile),
    Command::always("cp", copy::cp),
    Command::always("install", install::install),
    Command::always("mv", rename::mv),
    Command::always("ln", link::ln),
    Command::always("link", link::link),
    Command::always("rm", remove::rm),
    Command::always("unlink", remove::unlink),
    Command::always("chmod", permissions::chmod),
    Command::always("chown", permissions::chown),
    Command::always("chgrp", permissions::chgrp),
    Command::always("touch", times::touch),
    Command::always("sync", make::sync),
];
