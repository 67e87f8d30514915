//! `basename` and `dirname` of HCL, which are Go's `filepath.Base` and `filepath.Dir` on Unix.

/// The last element of a path.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next().unwrap_or_default() {
        "" if path.is_empty() => ".",
        "" => "/",
        last => last,
    }
}

/// Everything but the last element of a path, in its shortest form.
pub(super) fn directory(path: &str) -> String {
    let (before, _) = path.rsplit_once('/').unwrap_or_default();
    let is_absolute = path.starts_with('/');
    let mut elements: Vec<&str> = Vec::new();
    for element in before.split('/').filter(|element| !matches!(*element, "" | ".")) {
        match element {
            ".." if elements.last().is_some_and(|last| *last != "..") => drop(elements.pop()),
            ".." if is_absolute => {}
            other => elements.push(other),
        }
    }
    match (is_absolute, elements.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".to_owned(),
        (false, joined) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_as_go_does_it() {
        for (path, last, before) in [
            ("", ".", "."),
            ("/", "/", "/"),
            ("//", "/", "/"),
            ("a", "a", "."),
            ("/a", "a", "/"),
            ("a/b", "b", "a"),
            ("/a/b/", "b", "/a/b"),
            ("./a/../b/c.conf", "c.conf", "b"),
            ("../a", "a", ".."),
            ("/../a/b", "b", "/a"),
            ("a/../../b", "b", ".."),
        ] {
            assert_eq!((base(path), directory(path).as_str()), (last, before), "{path}");
        }
    }
}
