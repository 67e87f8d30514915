//! fnmatch(3) without flags: `*` and `?` match every character, slashes and leading dots too.

/// Whether `pattern` matches all of `text`.
pub(in crate::commands) fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` was and what it has taken: only the last needs another try.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, from));
                at += 1;
                continue;
            }
            None if from == text.len() => return true,
            None => None,
            Some('?') => (from < text.len()).then_some(at + 1),
            Some('[') => match text.get(from).map(|one| bracket(&pattern, at, *one)) {
                Some(Some((true, next))) => Some(next),
                Some(Some((false, _))) | None => None,
                // A bracket without its end is itself.
                Some(None) => (text[from] == '[').then_some(at + 1),
            },
            Some('\\') if at + 1 < pattern.len() => (text.get(from) == pattern.get(at + 1)).then_some(at + 2),
            Some(letter) => (text.get(from) == Some(letter)).then_some(at + 1),
        };
        match (step, star) {
            (Some(next), _) => {
                at = next;
                from += 1;
            }
            (None, Some((after, taken))) if taken < text.len() => {
                star = Some((after, taken + 1));
                (at, from) = (after, taken + 1);
            }
            (None, _) => return false,
        }
    }
}

/// Whether the bracket at `at` has `one`, and what comes behind it; `None` when it has no end.
fn bracket(pattern: &[char], at: usize, one: char) -> Option<(bool, usize)> {
    let mut at = at + 1;
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let (mut found, mut first) = (false, true);
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && !first {
            return Some((found != negated, at + 1));
        }
        first = false;
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let end = (at + 2..pattern.len()).find(|end| pattern[*end] == ':' && pattern.get(end + 1) == Some(&']'))?;
            let name: String = pattern[at + 2..end].iter().collect();
            found |= match name.as_str() {
                "alnum" => one.is_alphanumeric(),
                "alpha" => one.is_alphabetic(),
                "blank" => matches!(one, ' ' | '\t'),
                "cntrl" => one.is_control(),
                "digit" => one.is_ascii_digit(),
                "graph" => !one.is_control() && !one.is_whitespace(),
                "lower" => one.is_lowercase(),
                "print" => !one.is_control(),
                "punct" => one.is_ascii_punctuation(),
                "space" => one.is_whitespace(),
                "upper" => one.is_uppercase(),
                "xdigit" => one.is_ascii_hexdigit(),
                _ => return None,
            };
            at = end + 2;
            continue;
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        let mut high = low;
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|next| *next != ']') {
            at += 2;
            high = *pattern.get(at)?;
            if high == '\\' {
                at += 1;
                high = *pattern.get(at)?;
            }
        }
        found |= (low..=high).contains(&one);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_fnmatch() {
        for (pattern, text, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("./a/*", "./a/b/c", true),
            ("[[:digit:]]*", "7z", true),
            ("", "", true),
            ("?", "é", true),
            ("**a", "bca", true),
        ] {
            assert_eq!(glob_matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
