//! systemd.preset(5): whether a unit that a package enables is enabled.
//!
//! ```text
//! disable systemd-time-wait-sync.service
//! enable getty@.service
//! ignore *.timer
//! ```
//!
//! The first rule that matches decides; a unit without a rule is enabled. deb-systemd-helper asks `systemctl preset` when
//! a package is installed for the first time, in the mode that only enables: `disable` and `ignore` leave a unit alone.

use super::UnitName;

/// Longest file that is read, in bytes.
const FILE_MAX: usize = 64 << 10;

/// Rules in order of precedence: pattern, instances of a template, and whether it enables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presets(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    instances: Vec<String>,
    enables: bool,
}

impl Presets {
    /// Adds the rules of one file behind those of earlier ones. An error is a line, from 1, and what is wrong.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), (usize, String)> {
        if text.len() > FILE_MAX {
            return Err((1, format!("the preset file is longer than {FILE_MAX} bytes")));
        }
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let wrong = |what: String| (index + 1, what);
            let mut words = line.split_whitespace();
            let enables = match words.next() {
                Some("enable") => true,
                Some("disable" | "ignore") => false,
                other => return Err(wrong(format!("`{}` is no preset rule", other.unwrap_or_default()))),
            };
            let pattern = words.next().ok_or_else(|| wrong("the rule names no unit".to_owned()))?;
            if pattern.contains('[') {
                return Err(wrong(format!("the character class in `{pattern}` is not understood")));
            }
            let instances = words.map(str::to_owned).collect();
            self.0.push(Rule { pattern: pattern.to_owned(), instances, enables });
        }
        Ok(())
    }

    /// The names under which `unit` is to be enabled: none, itself, or the instances that a rule lists for a template.
    /// A rule for its template holds for an instance too.
    pub(crate) fn enabled(&self, unit: &str) -> Vec<String> {
        let template = UnitName::parse(unit).and_then(|name| name.template());
        let found = self.0.iter().find(|rule| {
            matches(rule.pattern.as_bytes(), unit.as_bytes())
                || template.as_ref().is_some_and(|template| matches(rule.pattern.as_bytes(), template.as_bytes()))
        });
        match found {
            None => vec![unit.to_owned()],
            Some(rule) if !rule.enables => Vec::new(),
            Some(rule) => match unit.split_once("@.") {
                Some((prefix, suffix)) if !rule.instances.is_empty() => {
                    rule.instances.iter().map(|instance| format!("{prefix}@{instance}.{suffix}")).collect()
                }
                _ => vec![unit.to_owned()],
            },
        }
    }
}

/// `*` and `?` as in fnmatch(3), in time proportional to the product of the lengths.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The last star takes one byte more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_decides() {
        let mut presets = Presets::default();
        presets.read("# x\ndisable a*.service\nenable abc.service\nenable t@.service 1 2\nignore *.timer\n").unwrap();
        assert!(presets.enabled("abc.service").is_empty());
        assert_eq!(presets.enabled("b.service"), ["b.service"]);
        assert_eq!(presets.enabled("t@.service"), ["t@1.service", "t@2.service"]);
        assert_eq!(presets.enabled("t@9.service"), ["t@9.service"]);
        assert!(presets.enabled("x.timer").is_empty());
        assert_eq!(Presets::default().read("enable\n").map_err(|(line, _)| line), Err(1));
        assert_eq!(Presets::default().read("\nstart x\n").map_err(|(line, _)| line), Err(2));
    }

    #[test]
    fn patterns() {
        for (pattern, text, want) in
            [("a*b", "ab", true), ("a*b", "axxb", true), ("a*b", "axxc", false), ("?", "", false), ("**", "", true)]
        {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
        assert!(!matches("*a".repeat(100).as_bytes(), "a".repeat(99).as_bytes()));
    }
}
