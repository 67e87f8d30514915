//! [`PathPattern`]: globs over paths of a root file system.
//!
//! `*` stands for any characters within one component, `?` for one of them, and a component `**` for any number of
//! components, also none. There are no classes and no braces; every other character stands for itself.

use std::fmt;
use std::str::FromStr;

use hah_format::path::{PathError, TreePath};

/// Most components that a pattern may have; matching takes time in the product of pattern and path.
const COMPONENTS_MAX: usize = 64;

/// A pattern of paths.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPattern {
    components: Vec<Box<str>>,
}

/// Not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    /// It is not even a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It would match the whole tree.
    #[error("`{0}` matches the root itself")]
    Root(String),
    /// It does not begin with `/`.
    #[error("`{0}` is not absolute: patterns begin with `/`")]
    Relative(String),
    /// More components than any real path has.
    #[error("the pattern has more than {COMPONENTS_MAX} components")]
    TooLong,
}

impl FromStr for PathPattern {
    type Err = ParsePatternError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(ParsePatternError::Relative(text.to_owned()));
        }
        let components: Vec<Box<str>> = TreePath::parse(text)?.components().map(Into::into).collect();
        if components.iter().all(|component| &**component == "**") {
            return Err(ParsePatternError::Root(text.to_owned()));
        }
        if components.len() > COMPONENTS_MAX {
            return Err(ParsePatternError::TooLong);
        }
        Ok(Self { components })
    }
}

impl PathPattern {
    /// Whether the pattern matches `path` itself.
    pub fn matches(&self, path: &TreePath) -> bool {
        let path: Vec<&str> = path.components().collect();
        self.reached(&path)[path.len()]
    }

    /// Whether the pattern matches `path` or a directory above it.
    pub fn matches_or_contains(&self, path: &TreePath) -> bool {
        let path: Vec<&str> = path.components().collect();
        self.reached(&path).iter().any(|reached| *reached)
    }

    /// For each length of prefix of `path`, whether the whole pattern matches that prefix.
    fn reached(&self, path: &[&str]) -> Vec<bool> {
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for component in &self.components {
            let mut next = vec![false; path.len() + 1];
            if &**component == "**" {
                let mut open = false;
                for (slot, before) in next.iter_mut().zip(&reached) {
                    open |= *before;
                    *slot = open;
                }
            } else {
                for (index, name) in path.iter().enumerate() {
                    next[index + 1] = reached[index] && component_matches(component, name);
                }
            }
            reached = next;
        }
        reached
    }
}

/// Greedy matching with one remembered star: linear in practice and quadratic at worst.
fn component_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(want) if *want == '?' || *want == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    at = star_at + 1;
                    from = star_from + 1;
                    star = Some((star_at, from));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.components.iter().try_for_each(|component| write!(f, "/{component}"))
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, itself: bool, below: bool) {
        let (glob, path) = (pattern.parse::<PathPattern>().unwrap(), TreePath::parse(path).unwrap());
        assert_eq!((glob.matches(&path), glob.matches_or_contains(&path)), (itself, below), "{pattern} on {path}");
        assert_eq!(glob.to_string().parse::<PathPattern>().unwrap(), glob);
    }

    #[test]
    fn globs() {
        check("/boot/vmlinuz*", "/boot/vmlinuz-6.12", true, true);
        check("/boot/vmlinuz*", "/boot/vmlinuz", true, true);
        check("/boot/vmlinuz*", "/boot/x/vmlinuz", false, false);
        check("/usr/share/doc", "/usr/share/doc/a/copyright", false, true);
        check("/usr/share/doc/*/copyright", "/usr/share/doc/a/copyright", true, true);
        check("/usr/share/doc/*/copyright", "/usr/share/doc/copyright", false, false);
        check("/usr/**/x", "/usr/x", true, true);
        check("/usr/**/x", "/usr/a/b/x", true, true);
        check("/usr/**", "/usr/a/b", true, true);
        check("/usr/**", "/usr", true, true);
        check("/a/?b", "/a/bb", true, true);
        check("/a/*b*c", "/a/xbyczc", true, true);
        check("/a/*b*c", "/a/xbyczd", false, false);
        check("/a/****************b", "/a/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, false);
    }

    #[test]
    fn nobody_removes_the_root() {
        for text in ["/", "/**", "/**/**", "usr", "", "/../etc"] {
            assert!(text.parse::<PathPattern>().is_err(), "{text}");
        }
    }
}
