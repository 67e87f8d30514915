//! Line ends of the texts that people write: TOML files, and templates beside them.
//!
//! An editor or a checkout on Windows (`core.autocrlf`) ends lines with CR LF and may begin a file with a byte order mark.
//! Texts are read as if they had been saved without either, so that the same project makes the same image everywhere;
//! line numbers stay. Escapes in TOML strings (`"\r\n"`) are what their author says and stay, too. A file that is copied
//! as it is may be anything, so it is copied byte for byte; only a script that could not be started is refused:
//! see [`script_flaw`].

/// The byte order mark in UTF-8.
const MARK: &str = "\u{feff}";

/// The text without a byte order mark and with LF line ends. A CR that ends no line stays, for the parser to refuse.
pub fn normalised(text: String) -> String {
    let text = match text.strip_prefix(MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text }
}

/// Why the kernel would not start a script of these bytes; none for what begins with no `#!` (execve(2), "Interpreter
/// scripts").
pub fn script_flaw(bytes: &[u8]) -> Option<ScriptFlaw> {
    if bytes.strip_prefix(MARK.as_bytes()).is_some_and(|rest| rest.starts_with(b"#!")) {
        return Some(ScriptFlaw::Mark);
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (bytes.starts_with(b"#!") && line.ends_with(b"\r")).then_some(ScriptFlaw::CarriageReturn)
}

/// What keeps a script from being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptFlaw {
    /// Its first line ends with CR LF: the interpreter would be called `/bin/sh\r`.
    CarriageReturn,
    /// `#!` comes after a byte order mark.
    Mark,
}

impl ScriptFlaw {
    /// The flaw, after the script's path.
    pub fn reason(self) -> &'static str {
        match self {
            Self::CarriageReturn => {
                "begins with `#!` and a line that ends with CR LF, so the kernel would look for an interpreter of another name"
            }
            Self::Mark => "has a byte order mark before `#!`, so the kernel would not start it",
        }
    }

    /// What to do next.
    pub fn hint(self) -> &'static str {
        match self {
            Self::CarriageReturn => {
                "save it with Unix line ends (LF); `* text=auto eol=lf` in .gitattributes keeps git from changing them"
            }
            Self::Mark => "save it as UTF-8 without a byte order mark",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_other_systems() {
        for (text, wanted) in [
            ("a\nb\n", "a\nb\n"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("\u{feff}a\r\n", "a\n"),
            ("a\rb", "a\rb"),
            ("a\r\r\n", "a\r\n"),
            ("a\u{feff}", "a\u{feff}"),
            ("\"\\r\\n\"", "\"\\r\\n\""),
        ] {
            assert_eq!(normalised(text.to_owned()), wanted, "{text:?}");
        }
    }

    #[test]
    fn scripts_that_nobody_can_start() {
        assert_eq!(script_flaw(b"#!/bin/sh\r\necho\r\n"), Some(ScriptFlaw::CarriageReturn));
        assert_eq!(script_flaw(b"#!/bin/sh\r"), Some(ScriptFlaw::CarriageReturn));
        assert_eq!(script_flaw(b"\xef\xbb\xbf#!/bin/sh\n"), Some(ScriptFlaw::Mark));
        for fine in [&b"#!/bin/sh\necho\r\n"[..], b"echo\r\n", b"", b"#", b"\xef\xbb\xbfa\r\n", b"\x7fELF\r\n"] {
            assert_eq!(script_flaw(fine), None, "{fine:?}");
        }
    }
}
