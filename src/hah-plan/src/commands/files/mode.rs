//! Permission bits as chmod(1) writes them: octal, or symbolic as in `u+rwX,go-w`.

/// A parsed mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModeChange {
    /// Octal, and whether all of its digits were written: then directories lose set-id bits that it lacks.
    Octal(u16, bool),
    /// Symbolic clauses in order.
    Symbolic(Vec<Clause>),
}

/// One clause: for whom, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    /// Bits of whom, `0o7777` for all; `None` when nobody is named, so that the mask counts.
    who: Option<u16>,
    operator: char,
    permissions: Permissions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Permissions {
    /// Bits for everyone; whether `X` is among them.
    Bits(u16, bool),
    /// Those that the user, the group or others have: shift of their bits.
    CopyOf(u16),
}

/// Reads a mode; `None` when it is none.
pub(crate) fn parse_mode(text: &str) -> Option<ModeChange> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let bits = u16::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777)?;
        return Some(ModeChange::Octal(bits, text.len() > 4));
    }
    let mut clauses = Vec::new();
    for part in text.split(',') {
        let mut left = part.chars().peekable();
        let mut who = 0;
        while let Some(letter) = left.next_if(|letter| "ugoa".contains(*letter)) {
            who |= match letter {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                _ => 0o7777,
            };
        }
        left.peek()?;
        while let Some(operator) = left.next() {
            if !"+-=".contains(operator) {
                return None;
            }
            let permissions = match left.next_if(|letter| "ugo".contains(*letter)) {
                Some('u') => Permissions::CopyOf(6),
                Some('g') => Permissions::CopyOf(3),
                Some(_) => Permissions::CopyOf(0),
                None => {
                    let (mut bits, mut conditional) = (0, false);
                    while let Some(letter) = left.next_if(|letter| "rwxXst".contains(*letter)) {
                        match letter {
                            'r' => bits |= 0o444,
                            'w' => bits |= 0o222,
                            'x' => bits |= 0o111,
                            's' => bits |= 0o6000,
                            't' => bits |= 0o1000,
                            _ => conditional = true,
                        }
                    }
                    Permissions::Bits(bits, conditional)
                }
            };
            clauses.push(Clause { who: (who != 0).then_some(who), operator, permissions });
        }
    }
    Some(ModeChange::Symbolic(clauses))
}

impl ModeChange {
    /// What a file of mode `old` has afterwards.
    pub(crate) fn apply(&self, old: u16, is_dir: bool, umask: u16) -> u16 {
        let clauses = match self {
            Self::Octal(bits, whole) if is_dir && !whole => return bits | old & 0o6000,
            Self::Octal(bits, _) => return *bits,
            Self::Symbolic(clauses) => clauses,
        };
        let mut mode = old;
        for clause in clauses {
            let mut bits = match clause.permissions {
                Permissions::Bits(bits, conditional) => match conditional && (is_dir || mode & 0o111 != 0) {
                    true => bits | 0o111,
                    false => bits,
                },
                Permissions::CopyOf(shift) => {
                    let three = mode >> shift & 0o7;
                    three | three << 3 | three << 6
                }
            };
            let whose = clause.who.unwrap_or(0o7777);
            bits &= whose;
            if clause.who.is_none() {
                bits &= !umask;
            }
            match clause.operator {
                '+' => mode |= bits,
                '-' => mode &= !bits,
                _ => {
                    // `=` leaves a directory's set-id bits alone unless they are named.
                    let kept = if is_dir { 0o6000 & !bits } else { 0 };
                    mode = mode & (!whose | kept) | bits;
                }
            }
        }
        mode & 0o7777
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_says() {
        for (text, old, is_dir, want) in [
            ("755", 0o600, false, 0o755),
            ("755", 0o2700, true, 0o2755),
            ("00755", 0o2700, true, 0o755),
            ("u+rwX,go-w", 0o466, false, 0o644),
            ("a+X", 0o644, true, 0o755),
            ("a+X", 0o744, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("g=u", 0o700, false, 0o770),
            ("o=", 0o777, false, 0o770),
            ("u+s,g+s,+t", 0o755, false, 0o7755),
            ("u=rwxs", 0o644, false, 0o4744),
            ("=r", 0o777, false, 0o444),
            ("g-s", 0o2755, true, 0o755),
            ("a=rx,u+w", 0o000, false, 0o755),
        ] {
            let mode = parse_mode(text).unwrap();
            assert_eq!(mode.apply(old, is_dir, 0o022), want, "{text} on {old:o}: {:o}", mode.apply(old, is_dir, 0o022));
        }
        assert_eq!(parse_mode("u"), None);
        assert_eq!(parse_mode("9"), None);
        assert_eq!(parse_mode("77777"), None);
        assert_eq!(parse_mode("u+q"), None);
    }
}
