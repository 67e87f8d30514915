//! The `[Install]` section of a unit file; systemd.unit(5), systemd.syntax(7).

/// Largest unit file that is read, in bytes; systemd's own limit for a line is 1 MiB.
const FILE_MAX: usize = 1 << 20;

/// What enabling a unit links, as written: lists in order, specifiers not expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) wanted_by: Vec<String>,
    pub(crate) required_by: Vec<String>,
    pub(crate) upheld_by: Vec<String>,
    pub(crate) alias: Vec<String>,
    pub(crate) also: Vec<String>,
    pub(crate) default_instance: Option<String>,
}

impl Install {
    /// Whether there is nothing to link.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.wanted_by, &self.required_by, &self.upheld_by, &self.alias, &self.also]
            .iter()
            .all(|list| list.is_empty())
    }

    /// Adds the section of one file: the unit itself, or a drop-in behind it. An error is a line, from 1, and what is wrong.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), (usize, String)> {
        if text.len() > FILE_MAX {
            return Err((1, format!("the unit file is longer than {FILE_MAX} bytes")));
        }
        let (mut inside, mut joined, mut start) = (false, String::new(), 0);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            // A comment inside a continued line is left out of it.
            if line.starts_with(['#', ';']) || (line.is_empty() && joined.is_empty()) {
                continue;
            }
            if joined.is_empty() {
                start = index + 1;
            }
            if let Some(begun) = line.strip_suffix('\\') {
                joined.push_str(begun);
                joined.push(' ');
                continue;
            }
            joined.push_str(line);
            let whole = std::mem::take(&mut joined);
            if whole.starts_with('[') {
                inside = whole == "[Install]";
            } else if inside {
                self.assign(&whole).map_err(|what| (start, what))?;
            }
        }
        Ok(())
    }

    fn assign(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once('=').ok_or_else(|| format!("`{line}` is no assignment"))?;
        let value = value.trim();
        let list = match key.trim() {
            "WantedBy" => &mut self.wanted_by,
            "RequiredBy" => &mut self.required_by,
            "UpheldBy" => &mut self.upheld_by,
            "Alias" => &mut self.alias,
            "Also" => &mut self.also,
            "DefaultInstance" => {
                self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                return Ok(());
            }
            // systemd only warns of keys that it does not know.
            _ => return Ok(()),
        };
        match value.is_empty() {
            true => list.clear(),
            false => list.extend(value.split_whitespace().map(str::to_owned)),
        }
        Ok(())
    }
}

/// The parts of a unit's name: `getty@tty1.service` is `getty`, `Some("tty1")`, `.service`; of a template, `Some("")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitName<'a> {
    pub(crate) whole: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) instance: Option<&'a str>,
    pub(crate) suffix: &'a str,
}

const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".swap",
    ".scope",
    ".device",
];

impl<'a> UnitName<'a> {
    /// Takes a name apart; `None` when systemd would not have it for a unit's.
    pub(crate) fn parse(whole: &'a str) -> Option<Self> {
        let suffix = SUFFIXES.into_iter().find(|suffix| whole.ends_with(suffix))?;
        let stem = &whole[..whole.len() - suffix.len()];
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        if stem.is_empty() || whole.len() > 255 || !stem.bytes().all(valid) || stem.starts_with('@') {
            return None;
        }
        let (prefix, instance) = match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance)),
            None => (stem, None),
        };
        Some(Self { whole, prefix, instance, suffix })
    }

    /// Whether this is `name@.suffix`.
    pub(crate) fn is_template(&self) -> bool {
        self.instance == Some("")
    }

    /// `name@.suffix` of an instance.
    pub(crate) fn template(&self) -> Option<String> {
        self.instance.filter(|instance| !instance.is_empty()).map(|_| format!("{}@{}", self.prefix, self.suffix))
    }

    /// This template with `instance` filled in.
    pub(crate) fn instantiate(&self, instance: &str) -> String {
        format!("{}@{instance}{}", self.prefix, self.suffix)
    }

    /// `text` with the specifiers `%i %n %N %p %%` replaced; an error is one that asks the running system.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            match characters.next() {
                Some('%') => out.push('%'),
                Some('i') => out.push_str(self.instance.unwrap_or_default()),
                Some('n') => out.push_str(self.whole),
                Some('N') => out.push_str(&self.whole[..self.whole.len() - self.suffix.len()]),
                Some('p') => out.push_str(self.prefix),
                other => {
                    return Err(format!(
                        "the specifier `%{}` in `{text}`",
                        other.map(String::from).unwrap_or_default()
                    ));
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_join_reset_and_continue() {
        let mut install = Install::default();
        let text = "[Unit]\nWantedBy=no\n[Install]\n# x\nWantedBy=a b \\\n; y\n c\nAlias=d\nAlias=\nAlias=e\nDefaultInstance=tty1\nX=1\n";
        install.read(text).unwrap();
        assert_eq!(install.wanted_by, ["a", "b", "c"]);
        assert_eq!(install.alias, ["e"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert_eq!(
            Install::default().read("[Install]\n\nWantedBy\n"),
            Err((3, "`WantedBy` is no assignment".to_owned()))
        );
    }

    #[test]
    fn names() {
        let name = UnitName::parse("getty@tty1.service").unwrap();
        assert_eq!((name.prefix, name.instance, name.suffix), ("getty", Some("tty1"), ".service"));
        assert_eq!(name.template().as_deref(), Some("getty@.service"));
        assert_eq!(name.expand("%p-%i-%n-%N-%%").unwrap(), "getty-tty1-getty@tty1.service-getty@tty1-%");
        assert!(name.expand("%H").is_err());
        assert!(UnitName::parse("getty@.service").unwrap().is_template());
        for text in ["x", ".service", "@.service", "a/b.service", "a b.service", "../x.service"] {
            assert_eq!(UnitName::parse(text), None, "{text}");
        }
    }
}
