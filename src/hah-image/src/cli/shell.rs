//! Words as a POSIX shell reads them: what a person copies from the terminal means what it says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// A word in quotes where it needs them, byte by byte: paths may hold anything but NUL.
pub(super) fn quoted(word: &OsStr) -> Vec<u8> {
    let quoted = shlex::bytes::try_quote(word.as_bytes());
    quoted.map_or_else(|_| word.as_bytes().to_vec(), |quoted| quoted.into_owned())
}

/// The same for a sentence, in which bytes that are not UTF-8 are replaced.
pub(super) fn shown(word: &OsStr) -> String {
    String::from_utf8_lossy(&quoted(word)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_need_quotes() {
        let quoted = |word: &[u8]| quoted(OsStr::from_bytes(word));
        assert_eq!(quoted(b"/srv/lab.img"), b"/srv/lab.img", "what needs none has none");
        for word in [&b""[..], b"a b", b"it's\n", b"caf\xe9 x"] {
            assert_ne!(quoted(word), word);
        }
    }

    /// The shell itself is the judge.
    #[test]
    fn a_shell_reads_the_same_word() {
        for word in [
            &b""[..],
            b"if=virtio,file=/a,,b",
            b"a b",
            b"$(exit 1)`x`",
            b"it's",
            b"-n",
            b"a,b=c",
            b"\xe9\nx",
            b"~",
            b"*",
            b"\"\\",
        ] {
            let mut script = b"printf %s ".to_vec();
            script.extend(quoted(OsStr::from_bytes(word)));
            let output =
                std::process::Command::new("/bin/sh").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
            assert_eq!(output.stdout, word, "{output:?}");
        }
    }
}
