//! stat(1), ls(1), du(1): what is there, in the forms that scripts read.

mod stat;
mod ls;
mod du;

use hah_format::tree::Kind;

use super::Command;
use crate::world::Stat;

pub(super) const COMMANDS: &[Command] = &[
    Command::always("stat", stat::stat),
    Command::always("ls", ls::ls),
    Command::always("dir", ls::ls),
    Command::always("du", du::du),
];

/// `rwxr-xr-x`, with set-id and sticky bits.
pub(super) fn mode_letters(mode: u16) -> String {
    let mut letters = String::with_capacity(9);
    for (shift, special, marks) in [(6, 0o4000, "sS"), (3, 0o2000, "sS"), (0, 0o1000, "tT")] {
        let bits = mode >> shift & 0o7;
        letters.push(if bits & 4 != 0 { 'r' } else { '-' });
        letters.push(if bits & 2 != 0 { 'w' } else { '-' });
        letters.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => marks.chars().next().unwrap_or('s'),
            (true, false) => marks.chars().nth(1).unwrap_or('S'),
        });
    }
    letters
}

/// The letter that `ls -l` begins with.
pub(super) fn kind_letter(stat: &Stat) -> char {
    match stat.kind {
        Kind::Dir => 'd',
        Kind::Symlink(_) => 'l',
        Kind::CharDevice(..) => 'c',
        Kind::BlockDevice(..) => 'b',
        Kind::Fifo => 'p',
        Kind::File(()) | Kind::HardLink(_) => '-',
    }
}
