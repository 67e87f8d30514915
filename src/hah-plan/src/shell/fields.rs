//! Fields: what expansions give, and how it is split (POSIX.1-2017, 2.6.5, where dash's reading of it decides).

use super::pattern::Marked;

/// Where a character comes from, which decides what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Of the script, without quotes: it may be a pattern.
    Plain,
    /// In quotes: it stands for itself.
    Quoted,
    /// Of an expansion without quotes: it may be a pattern, or separate fields.
    Split,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Char(char, Mark),
    /// Quotes stood here: the field stays, even if it is empty.
    Quotes,
    /// An expansion begins.
    Expansion,
    /// One parameter of `"$@"` ends here and the next one begins.
    Break,
    /// The same without quotes.
    LooseBreak,
}

/// An expanded word before it is split.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<Piece>);

impl Text {
    pub(super) fn push(&mut self, text: &str, mark: Mark) {
        if mark == Mark::Quoted {
            self.0.push(Piece::Quotes);
        }
        if mark == Mark::Split {
            self.0.push(Piece::Expansion);
        }
        self.extend(text, mark);
    }

    /// Goes on with the expansion at hand.
    pub(super) fn extend(&mut self, text: &str, mark: Mark) {
        self.0.extend(text.chars().map(|c| Piece::Char(c, mark)));
    }

    /// Ends one parameter of `$@`.
    pub(super) fn next_parameter(&mut self, mark: Mark) {
        self.0.push(if mark == Mark::Quoted { Piece::Break } else { Piece::LooseBreak });
    }

    /// Unsplit: parameters of `$@` are joined by `joiner`.
    pub(super) fn whole(self, joiner: Option<char>) -> Vec<Marked> {
        let each = |piece| match piece {
            Piece::Char(c, mark) => Some((c, mark == Mark::Quoted)),
            Piece::Break | Piece::LooseBreak => joiner.map(|c| (c, true)),
            Piece::Quotes | Piece::Expansion => None,
        };
        self.0.into_iter().filter_map(each).collect()
    }

    /// Split at characters of `separators` (`IFS`).
    pub(super) fn fields(self, separators: &str) -> Vec<Vec<Marked>> {
        let mut done: Vec<Vec<Marked>> = Vec::new();
        // The field at hand; it is `None` as long as nothing says that there is one.
        let mut open: Option<Vec<Marked>> = None;
        // Whether a blank has ended a field just now, so that another separator would say the same again.
        let mut blank = false;
        for piece in self.0 {
            match piece {
                Piece::Expansion => blank = false,
                Piece::Quotes => {
                    open.get_or_insert_default();
                }
                Piece::Break => done.push(open.take().unwrap_or_default()),
                Piece::LooseBreak => {
                    blank |= open.is_some();
                    done.extend(open.take());
                }
                Piece::Char(c, Mark::Split) if separators.contains(c) => {
                    if matches!(c, ' ' | '\t' | '\n') {
                        blank |= open.is_some();
                        done.extend(open.take());
                    } else if blank {
                        blank = false;
                    } else {
                        done.push(open.take().unwrap_or_default());
                    }
                }
                Piece::Char(c, mark) => {
                    blank = false;
                    open.get_or_insert_default().push((c, mark == Mark::Quoted));
                }
            }
        }
        done.extend(open);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_that_are_no_blanks_end_empty_fields_too() {
        for (text, separators, expected) in [
            (" a  b ", " \t\n", vec!["a", "b"]),
            (":a::b:", ":", vec!["", "a", "", "b"]),
            ("a : b::c", ": ", vec!["a", "b", "", "c"]),
            ("a b", "", vec!["a b"]),
            ("", ":", vec![]),
        ] {
            let mut split = Text::default();
            split.push(text, Mark::Split);
            let fields: Vec<String> =
                split.fields(separators).iter().map(|field| field.iter().map(|(c, _)| *c).collect()).collect();
            assert_eq!(fields, expected, "{text}");
        }
    }
}
