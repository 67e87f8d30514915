//! A tree as text: one line per node, for people, for snapshot tests and for `diff`.
//!
//! ```text
//! PATH KIND MODE USER:GROUP MTIME CONTENT [xattr NAME=HEX]…
//! /etc/hostname file 0644 root:root - 4 9f86d081…
//! /usr/bin/ping file 0755 root:root - 90568 1b2c… xattr security.capability=0100000200200000…
//! /bin symlink 0777 root:root - -> usr/bin
//! /usr/bin/perl5.40 hardlink 0755 root:root - => /usr/bin/perl
//! /dev/console chardev 0600 root:root - 5:1
//! ```
//!
//! Lines stand in the tree's order.
//! A field never contains a space, a control byte, a backslash or a byte above 0x7e: those are written `\xNN`, so lines can be
//! split at spaces and compared as bytes. Fields that are unknown or left out are `-`.

use std::fmt::Write as _;

use crate::digest::Sha256;
use crate::path::TreePath;
use crate::tree::{Kind, Node, Owner, Tree};

/// What a dump says of a regular file's content. `None` is printed as `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Length in bytes.
    pub size: Option<u64>,
    /// Digest of the bytes.
    pub sha256: Option<Sha256>,
}

impl Content {
    /// Size and digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: Some(bytes.len() as u64), sha256: Some(Sha256::of(bytes)) }
    }
}

/// Whether modification times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Every node's own time, in seconds since 1970.
    Show,
    /// `-` on every line.
    Omit,
}

/// The whole tree, one line per node; every line ends with a newline.
pub fn text<C>(tree: &Tree<C>, times: Times, mut content: impl FnMut(&TreePath, &C) -> Content) -> String {
    let mut out = String::new();
    for (path, node) in tree.iter() {
        line_into(&mut out, path, node, times, &mut content);
        out.push('\n');
    }
    out
}

/// One node's line, without a newline.
pub fn line<C>(
    path: &TreePath,
    node: &Node<C>,
    times: Times,
    mut content: impl FnMut(&TreePath, &C) -> Content,
) -> String {
    let mut out = String::new();
    line_into(&mut out, path, node, times, &mut content);
    out
}

fn line_into<C>(
    out: &mut String,
    path: &TreePath,
    node: &Node<C>,
    times: Times,
    content: &mut impl FnMut(&TreePath, &C) -> Content,
) {
    let Node { meta, kind } = node;
    escape_into(out, &path.to_string());
    // Writing to a string cannot fail.
    let _ = write!(out, " {} {:04o} ", word(kind), meta.mode);
    owner_into(out, &meta.user);
    out.push(':');
    owner_into(out, &meta.group);
    let _ = match times {
        Times::Show => write!(out, " {} ", meta.mtime),
        Times::Omit => write!(out, " - "),
    };
    match kind {
        Kind::Dir | Kind::Fifo => out.push('-'),
        Kind::File(data) => {
            let Content { size, sha256 } = content(path, data);
            let _ = match size {
                Some(size) => write!(out, "{size} "),
                None => write!(out, "- "),
            };
            let _ = match sha256 {
                Some(digest) => write!(out, "{digest}"),
                None => write!(out, "-"),
            };
        }
        Kind::Symlink(target) => {
            out.push_str("-> ");
            escape_into(out, target);
        }
        Kind::HardLink(target) => {
            out.push_str("=> ");
            escape_into(out, &target.to_string());
        }
        Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
            let _ = write!(out, "{major}:{minor}");
        }
    }
    for (name, value) in &meta.xattrs {
        out.push_str(" xattr ");
        escape_into(out, name);
        out.push('=');
        for byte in value {
            let _ = write!(out, "{byte:02x}");
        }
    }
}

fn word<C>(kind: &Kind<C>) -> &'static str {
    match kind {
        Kind::Dir => "dir",
        Kind::File(_) => "file",
        Kind::Symlink(_) => "symlink",
        Kind::HardLink(_) => "hardlink",
        Kind::CharDevice(..) => "chardev",
        Kind::BlockDevice(..) => "blockdev",
        Kind::Fifo => "fifo",
    }
}

/// `:` and `=` separate inside fields, so an owner's name may not hold a bare `:`.
fn owner_into(out: &mut String, owner: &Owner) {
    let mut escaped = String::new();
    escape_into(&mut escaped, &owner.to_string());
    out.push_str(&escaped.replace(':', "\\x3a"));
}

fn escape_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'!'..=b'[' | b']'..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Meta;

    #[test]
    fn every_kind_has_its_line() {
        let path = |text: &str| TreePath::parse(text).unwrap();
        let node = |mode, kind| Node { meta: Meta::root(mode), kind };
        let mut tree: Tree<&[u8]> = Tree::new();
        tree.insert(path("bin"), Node::symlink("usr/b in")).unwrap();
        tree.insert(path("dev/console"), node(0o600, Kind::CharDevice(5, 1))).unwrap();
        tree.insert(path("dev/sda"), node(0o660, Kind::BlockDevice(8, 0))).unwrap();
        tree.insert(path("pipe"), node(0o644, Kind::Fifo)).unwrap();
        tree.insert(path("x\\y é\n"), Node::file(0o4755, &b"abc"[..])).unwrap();
        tree.insert(path("z"), node(0o4755, Kind::HardLink(path("x\\y é\n")))).unwrap();
        let ping = tree.get_mut(&path("x\\y é\n")).unwrap();
        ping.meta.user = Owner::Name("a:b".into());
        ping.meta.group = Owner::Id(7);
        ping.meta.mtime = 9;
        ping.meta.xattrs.insert("security.capability".into(), vec![1, 0xfe]);

        let size = |_: &TreePath, bytes: &&[u8]| Content { size: Some(bytes.len() as u64), sha256: None };
        let want = "\
/ dir 0755 root:root - -
/bin symlink 0777 root:root - -> usr/b\\x20in
/dev dir 0755 root:root - -
/dev/console chardev 0600 root:root - 5:1
/dev/sda blockdev 0660 root:root - 8:0
/pipe fifo 0644 root:root - -
/x\\x5cy\\x20\\xc3\\xa9\\x0a file 4755 a\\x3ab:7 - 3 - xattr security.capability=01fe
/z hardlink 4755 root:root - => /x\\x5cy\\x20\\xc3\\xa9\\x0a
";
        assert_eq!(text(&tree, Times::Omit, size), want);
        let file = tree.get(&path("x\\y é\n")).unwrap();
        assert_eq!(
            line(&path("y"), file, Times::Show, |_, bytes| Content::of(bytes)),
            format!("/y file 4755 a\\x3ab:7 9 3 {} xattr security.capability=01fe", Sha256::of(b"abc"))
        );
    }
}
